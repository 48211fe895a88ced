//! Reads a private key from whatever PEM an operator has.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use secrecy::zeroize::Zeroizing;

use super::algorithm::Algorithm;
use super::encrypted_pem;
use super::public_jwk::KeyType;
use crate::secret::Secret;

/// Why a PEM is not a signing key that can be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadKeyError {
    /// The key is of a type that cannot be used with the algorithm asked for.
    #[error("{alg} cannot be used with a key of type {key_type}, which takes {}", names(*.key_type))]
    AlgorithmMismatch {
        /// What was asked for.
        alg: Algorithm,
        /// What the file holds.
        key_type: KeyType,
    },
    /// The text is encrypted, and the passphrase does not open it.
    #[error("the key is encrypted, and the passphrase does not open it")]
    BadPassphrase,
    /// Nothing of a private key could be read from the block.
    #[error("the block `{label}` is damaged")]
    Damaged {
        /// The label between `BEGIN` and the dashes.
        label: String,
    },
    /// There is no PEM block at all.
    #[error("no PEM block: {found}")]
    NoPem {
        /// What the text looks like instead.
        found: &'static str,
    },
    /// There is PEM, but no private key that can be read.
    #[error("no private key: the file holds `{label}`")]
    NoPrivateKey {
        /// The label of the block that is there.
        label: String,
    },
    /// An Ed25519 key in the format of OpenSSH.
    #[error("no private key that can be read: `OPENSSH PRIVATE KEY` holds an Ed25519 key")]
    OpenSshEd25519,
    /// An encrypted key without a passphrase.
    #[error("the key is encrypted, and no passphrase is set")]
    PassphraseMissing,
    /// More than one private key, so that it is not clear which one is meant.
    #[error("{count} private keys in one file")]
    SeveralKeys {
        /// How many.
        count: usize,
    },
    /// The private and the public half do not match.
    #[error("the public key in the file does not match the private key")]
    Unsound,
    /// A key of a type or size that is not accepted.
    #[error("{found} is not supported: use RSA of 2048 to 8192 bits, P-256, P-384 or Ed25519")]
    Unsupported {
        /// What the file holds.
        found: String,
    },
}

impl LoadKeyError {
    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::AlgorithmMismatch { .. } => "change BFF_SIGNING_ALG, or leave it unset",
            Self::BadPassphrase => {
                "set BFF_KEY_PASSPHRASE (or BFF_KEY_PASSPHRASE_FILE) to the one it was encrypted \
                 with; `bff keys reencrypt` changes it"
            }
            Self::NoPem { found } if *found == BINARY => {
                "convert it with `openssl pkey -inform DER -in FILE -out NEW`, or make a key with \
                 `bff keys generate --alg ES256 --out FILE`"
            }
            Self::OpenSshEd25519 => {
                "`ssh-keygen -p -m PEM` cannot convert an Ed25519 key: make another one with `bff \
                 keys generate --alg EdDSA --out FILE`"
            }
            Self::PassphraseMissing => "set BFF_KEY_PASSPHRASE or BFF_KEY_PASSPHRASE_FILE",
            Self::NoPrivateKey { label } if label.starts_with("OPENSSH") => {
                "convert it with `ssh-keygen -p -m PEM -f FILE`"
            }
            Self::SeveralKeys { .. } => "leave one private key in the file",
            Self::Damaged { .. } | Self::Unsound => {
                "restore the file from a copy; `openssl pkey -in FILE -check -noout` tests one"
            }
            Self::NoPem { .. } | Self::NoPrivateKey { .. } | Self::Unsupported { .. } => {
                "make a key with `bff keys generate --alg ES256 --out FILE`, or with \
                 `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out FILE`"
            }
        }
    }
}

const BINARY: &str = "this is a binary file, perhaps DER";

const OPENSSH: &str = "OPENSSH PRIVATE KEY";

/// Longest label of a PEM block, in characters.
const LONGEST_LABEL: usize = 64;

/// Smallest and largest RSA modulus, in bits (RFC 7518 §3.3; above, signing takes seconds).
const RSA_BITS: std::ops::RangeInclusive<u32> = 2048..=8192;

/// How the text of a PEM file protects the key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wrapping {
    /// Not at all.
    Clear,
    /// Encrypted as [`SigningKey::to_pem`] does now.
    ///
    /// [`SigningKey::to_pem`]: super::SigningKey::to_pem
    Current,
    /// Encrypted in another way, perhaps with fewer rounds.
    Other,
}

impl Wrapping {
    /// How `text` protects the key that it holds.
    pub fn of(text: &str) -> Self {
        if encrypted_pem::is_current(text) {
            Self::Current
        } else if is_encrypted(text) {
            Self::Other
        } else {
            Self::Clear
        }
    }
}

fn is_encrypted(text: &str) -> bool {
    let mut labels = text.lines().filter_map(label);
    labels.any(|label| label.starts_with("ENCRYPTED")) || text.contains("Proc-Type: 4,ENCRYPTED")
}

/// Reads the one private key of `text`: PKCS#1, PKCS#8 (also encrypted) or SEC1, with
/// whatever stands around it.
pub(super) fn private_key(
    text: &[u8],
    passphrase: Option<&Secret>,
) -> Result<(PKey<Private>, KeyType), LoadKeyError> {
    let text = tidied(text).ok_or(LoadKeyError::NoPem { found: BINARY })?;
    let labels: Vec<&str> = text.lines().filter_map(label).collect();
    let keys: Vec<&str> = labels
        .iter()
        .copied()
        .filter(|label| is_private(label))
        .collect();
    let label = match keys.as_slice() {
        [] => return Err(absent(&labels, &text)),
        [label] => *label,
        several => {
            return Err(LoadKeyError::SeveralKeys {
                count: several.len(),
            });
        }
    };
    let encrypted = is_encrypted(&text);
    if encrypted && passphrase.is_none() {
        return Err(LoadKeyError::PassphraseMissing);
    }
    // Without a passphrase argument OpenSSL would ask for one on the terminal.
    let passphrase = passphrase.map_or("", Secret::expose);
    let key = PKey::private_key_from_pem_passphrase(text.as_bytes(), passphrase.as_bytes())
        .map_err(|_| {
            if encrypted {
                LoadKeyError::BadPassphrase
            } else {
                LoadKeyError::Damaged {
                    label: label.to_owned(),
                }
            }
        })?;
    let key_type = key_type(&key)?;
    Ok((key, key_type))
}

/// The text without what editors and copying add to a PEM: a byte order mark, and spaces around
/// its lines. `None` if it is not text.
fn tidied(text: &[u8]) -> Option<Zeroizing<String>> {
    let text = std::str::from_utf8(text).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains('\0') {
        return None;
    }
    let mut tidied = Zeroizing::new(String::with_capacity(text.len() + 1));
    for line in text.lines() {
        tidied.push_str(line.trim());
        tidied.push('\n');
    }
    Some(tidied)
}

/// The label of a line that begins a PEM block (RFC 7468 §2), if it is of printable characters and
/// no longer than any that is in use.
fn label(line: &str) -> Option<&str> {
    let label = line
        .trim()
        .strip_prefix("-----BEGIN ")?
        .strip_suffix("-----")?;
    let is_printable = label.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    (is_printable && label.len() <= LONGEST_LABEL).then_some(label)
}

fn is_private(label: &str) -> bool {
    label.ends_with("PRIVATE KEY") && !label.starts_with("OPENSSH")
}

fn absent(labels: &[&str], text: &str) -> LoadKeyError {
    if labels.contains(&OPENSSH) && is_openssh_ed25519(text) {
        return LoadKeyError::OpenSshEd25519;
    }
    if let Some(label) = labels.first() {
        return LoadKeyError::NoPrivateKey {
            label: (*label).to_owned(),
        };
    }
    LoadKeyError::NoPem {
        found: if text.trim().is_empty() {
            "the file is empty"
        } else if text.trim_start().starts_with('{') {
            "this looks like JSON, perhaps a JWK"
        } else {
            "there is no line that begins with -----BEGIN"
        },
    }
}

/// Whether the block that OpenSSH writes holds an Ed25519 key, which nothing converts to PKCS#8.
fn is_openssh_ed25519(text: &str) -> bool {
    let lines = text.lines().skip_while(|line| label(line) != Some(OPENSSH));
    let block: String = lines
        .skip(1)
        .take_while(|line| !line.starts_with('-'))
        .collect();
    let decoded = Zeroizing::new(STANDARD.decode(block).unwrap_or_default());
    let name = b"ssh-ed25519";
    decoded.windows(name.len()).any(|window| window == name)
}

/// Whether the public exponent is odd, and in the range of FIPS 186-5 §A.1.1: with 1, everybody
/// can sign.
fn has_sound_exponent(key: &PKey<Private>) -> bool {
    key.rsa().is_ok_and(|rsa| {
        let e = rsa.e();
        e.is_bit_set(0) && (17..=256).contains(&e.num_bits())
    })
}

pub(super) fn key_type(key: &PKey<Private>) -> Result<KeyType, LoadKeyError> {
    let unsupported = |found: String| LoadKeyError::Unsupported { found };
    match key.id() {
        Id::RSA if RSA_BITS.contains(&key.bits()) && !has_sound_exponent(key) => Err(unsupported(
            "an RSA key with such a public exponent".to_owned(),
        )),
        Id::RSA if RSA_BITS.contains(&key.bits()) => {
            let sound = key.rsa().and_then(|rsa| rsa.check_key());
            match sound {
                Ok(true) => Ok(KeyType::Rsa),
                _ => Err(LoadKeyError::Unsound),
            }
        }
        Id::RSA => Err(unsupported(format!("an RSA key of {} bits", key.bits()))),
        Id::RSA_PSS => Err(unsupported(
            "an RSA key restricted to PSS (id-RSASSA-PSS)".to_owned(),
        )),
        Id::EC => {
            let curve = key.ec_key().ok().and_then(|ec| ec.group().curve_name());
            match curve {
                Some(Nid::X9_62_PRIME256V1) => Ok(KeyType::P256),
                Some(Nid::SECP384R1) => Ok(KeyType::P384),
                Some(other) => Err(unsupported(format!(
                    "an elliptic curve key on {}",
                    other.short_name().unwrap_or("an unnamed curve")
                ))),
                None => Err(unsupported(
                    "an elliptic curve key with explicit parameters".to_owned(),
                )),
            }
        }
        Id::ED25519 => Ok(KeyType::Ed25519),
        Id::ED448 => Err(unsupported("an Ed448 key".to_owned())),
        Id::X25519 | Id::X448 => Err(unsupported(
            "a key for key agreement (X25519 or X448), which cannot sign,".to_owned(),
        )),
        Id::DSA => Err(unsupported("a DSA key".to_owned())),
        _ => Err(unsupported("a key of another type".to_owned())),
    }
}

fn names(key_type: KeyType) -> String {
    let names: Vec<&str> = key_type
        .algorithms()
        .iter()
        .map(|algorithm| algorithm.name())
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use openssl::bn::BigNum;
    use openssl::rsa::Rsa;

    use super::*;

    #[test]
    fn what_editors_and_yaml_add_to_a_pem_is_no_reason_to_refuse_it() {
        let pem = PKey::generate_ed25519().unwrap();
        let pem = String::from_utf8(pem.private_key_to_pem_pkcs8().unwrap()).unwrap();
        let indented = format!("    {}", pem.replace('\n', "\r\n    "));

        for text in [
            format!("\u{feff}{pem}"),
            indented,
            format!("key: |\n{pem}\n"),
        ] {
            let (_, key_type) = private_key(text.as_bytes(), None).unwrap();
            assert_eq!(key_type, KeyType::Ed25519, "{text}");
        }
    }

    #[test]
    fn a_label_that_cannot_be_shown_is_none() {
        for label in ["PRIVATE \u{b}KEY", "PRIVATE \u{1b}[2JKEY", &"X".repeat(65)] {
            let text = format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");

            let error = private_key(text.as_bytes(), None).unwrap_err();

            assert!(matches!(error, LoadKeyError::NoPem { .. }), "{error:?}");
        }
    }

    #[test]
    fn an_exponent_with_which_everybody_can_sign_is_refused() {
        for (e, accepted) in [(3, false), (65_537, true)] {
            let e = BigNum::from_u32(e).unwrap();
            let key = PKey::from_rsa(Rsa::generate_with_e(2048, &e).unwrap()).unwrap();
            let pem = key.private_key_to_pem_pkcs8().unwrap();

            assert_eq!(private_key(&pem, None).is_ok(), accepted, "{e:?}");
        }
    }

    #[test]
    fn der_and_openssh_are_told_apart_and_each_has_a_hint_that_works() {
        let der = PKey::generate_ed25519()
            .unwrap()
            .private_key_to_pkcs8()
            .unwrap();
        let block = STANDARD.encode(b"openssh-key-v1\0 ssh-ed25519 and the rest");
        let openssh = format!("-----BEGIN {OPENSSH}-----\n{block}\n-----END {OPENSSH}-----\n");
        let other = openssh.replace(&block, &STANDARD.encode(b"openssh-key-v1\0 ssh-rsa"));

        for (text, hint) in [
            (der.as_slice(), "-inform DER"),
            (openssh.as_bytes(), "--alg EdDSA"),
            (other.as_bytes(), "ssh-keygen -p -m PEM"),
        ] {
            let error = private_key(text, None).unwrap_err();
            assert!(error.hint().contains(hint), "{error}: {}", error.hint());
        }
    }
}
