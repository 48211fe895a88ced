//! Key identifiers.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::sha::sha256;
use serde::{Deserialize, Serialize};

/// A JWK key ID (RFC 7517 §4.5): 1 to 128 visible ASCII characters.
///
/// By default the RFC 7638 thumbprint, so that it is never used for two keys.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Kid(String);

/// The stem of `active.pem`, which leads to the key that signs and is never a key file itself.
const RESERVED: &str = "active";

/// Longest name of a file without its ending, in bytes: file systems allow 255, and what is being
/// written has a longer name for a while.
const LONGEST_STEM: usize = 200;

impl Kid {
    /// Longest key ID, in characters.
    pub const MAX_LENGTH: usize = 128;

    /// The key ID as it stands in a JWK.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name for a file of this key: characters with a meaning in paths become `%` and two hex
    /// digits.
    pub fn file_stem(&self) -> String {
        let mut stem = String::with_capacity(self.0.len());
        for (index, byte) in self.0.bytes().enumerate() {
            let plain = byte.is_ascii_alphanumeric()
                || byte == b'_'
                || byte == b'-'
                || (byte == b'.' && index > 0);
            if plain {
                stem.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(stem, "%{byte:02X}");
            }
        }
        if stem == RESERVED {
            stem.replace_range(..1, "%61");
        }
        // Behind a `%` that no other name has: the digest cannot be another key ID's name.
        if stem.len() > LONGEST_STEM {
            let digest = URL_SAFE_NO_PAD.encode(sha256(self.0.as_bytes()));
            return format!("%sha256-{digest}");
        }
        stem
    }
}

/// A text that cannot be a [`Kid`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a key ID is 1 to {} visible ASCII characters", Kid::MAX_LENGTH)]
pub struct InvalidKid;

impl FromStr for Kid {
    type Err = InvalidKid;

    fn from_str(text: &str) -> Result<Self, InvalidKid> {
        let fits = (1..=Self::MAX_LENGTH).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidKid)
        }
    }
}

impl TryFrom<String> for Kid {
    type Error = InvalidKid;

    fn try_from(text: String) -> Result<Self, InvalidKid> {
        text.parse()
    }
}

impl From<Kid> for String {
    fn from(kid: Kid) -> Self {
        kid.0
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_id_cannot_leave_the_directory_of_its_file() {
        let stem = |text: &str| text.parse::<Kid>().unwrap().file_stem();

        assert_eq!(stem("../../etc/passwd"), "%2E.%2F..%2Fetc%2Fpasswd");
        assert_eq!(stem("active"), "%61ctive");
        assert_eq!(stem(&"/".repeat(128)).len(), 51);
        assert_ne!(stem(&"/".repeat(128)), stem(&"/".repeat(127)));
        assert_eq!(stem("fapi-adv-key-1"), "fapi-adv-key-1");
        assert_eq!(stem("a.b%c"), "a.b%25c");
    }

    #[test]
    fn what_a_header_or_a_log_line_could_not_hold_is_no_key_id() {
        for text in ["", "a b", "a\nb", "schlüssel", &"x".repeat(129)] {
            assert_eq!(text.parse::<Kid>(), Err(InvalidKid), "{text:?}");
        }
    }
}
