//! Reads a private key from whatever PEM an operator has.

use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};

use super::algorithm::Algorithm;
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
    /// An encrypted key without a passphrase.
    #[error("the key is encrypted, and no passphrase is set")]
    PassphraseMissing,
    /// More than one private key, so that it would be a guess which one is meant.
    #[error("{count} private keys in one file")]
    SeveralKeys {
        /// How many.
        count: usize,
    },
    /// The key's halves do not belong together.
    #[error("the private and the public half of the key do not belong together")]
    Unsound,
    /// A key of a type or size that is not accepted.
    #[error("{found} cannot be used: RSA from 2048 to 8192 bits, P-256, P-384 and Ed25519 can")]
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
            Self::BadPassphrase => "check BFF_KEY_PASSPHRASE (or BFF_KEY_PASSPHRASE_FILE)",
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

/// Smallest and largest RSA modulus, in bits (RFC 7518 §3.3; above, signing takes seconds).
const RSA_BITS: std::ops::RangeInclusive<u32> = 2048..=8192;

/// Reads the one private key of `text`: PKCS#1, PKCS#8 (also encrypted) or SEC1, with
/// whatever stands around it.
pub(super) fn private_key(
    text: &[u8],
    passphrase: Option<&Secret>,
) -> Result<(PKey<Private>, KeyType), LoadKeyError> {
    let text = String::from_utf8_lossy(text);
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
    let encrypted = label.starts_with("ENCRYPTED") || text.contains("Proc-Type: 4,ENCRYPTED");
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

/// The label of a line that begins a PEM block (RFC 7468 §2).
fn label(line: &str) -> Option<&str> {
    line.trim()
        .strip_prefix("-----BEGIN ")?
        .strip_suffix("-----")
}

fn is_private(label: &str) -> bool {
    label.ends_with("PRIVATE KEY") && !label.starts_with("OPENSSH")
}

fn absent(labels: &[&str], text: &str) -> LoadKeyError {
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
        } else if text.contains('\u{fffd}') || text.contains('\0') {
            "this is no text, perhaps DER"
        } else {
            "there is no line that begins with -----BEGIN"
        },
    }
}

fn key_type(key: &PKey<Private>) -> Result<KeyType, LoadKeyError> {
    let unsupported = |found: String| LoadKeyError::Unsupported { found };
    match key.id() {
        Id::RSA if RSA_BITS.contains(&key.bits()) => Ok(KeyType::Rsa),
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
