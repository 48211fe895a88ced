//! Values that must not be seen.

use std::fmt;

use secrecy::zeroize::Zeroize as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serializer};

/// A token, a passphrase or the like: prints as `[REDACTED]`, and its memory is wiped when it is
/// dropped.
///
/// What is wiped: this value and the text that it was made of, so also the tokens of a state that
/// another one has taken the place of; the initial access token of the configuration, once the
/// service is registered; the bytes of a PEM file from the read on, the text and the DER that are
/// made of it, the key that a passphrase is derived to, the private keys (by OpenSSL, which has the
/// one copy of each).
///
/// What is not: the environment and the TOML file of this process, the bytes of a file that a
/// `NAME_FILE` setting names, the bytes of the state document while it is decoded and encoded (it
/// holds the registration access token), those of an answer of the IdP until it is text, and what
/// OpenSSL, `serde_json` and the HTTP client keep for a request. Wiping makes a copy of the memory
/// less telling; it does not replace the rights to read that memory.
///
/// It has no `Serialize`: the one document that stores such values names [`stored`] itself.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes ownership of a plain value.
    pub fn new(value: impl Into<String>) -> Self {
        let mut value = value.into();
        // A `String` gives its spare room back by moving, which can leave the text where it was.
        let secret = SecretString::from(value.as_str());
        value.zeroize();
        Self(secret)
    }

    /// The value itself, for the request or the file that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Writes a secret in the clear: `#[serde(serialize_with = "crate::secret::stored")]`.
///
/// For the members of the state document, which is readable by its owner alone.
///
/// # Errors
///
/// Whatever the serializer reports.
pub fn stored<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        let secret = Secret::new("hunter2");

        assert_eq!(
            format!("{secret:?} {:?}", Some(&secret)),
            "[REDACTED] Some([REDACTED])"
        );
    }
}
