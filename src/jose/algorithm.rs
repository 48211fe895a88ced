//! The signature algorithms a client may use.

use std::fmt;
use std::str::FromStr;

use openssl::hash::MessageDigest;
use serde::{Deserialize, Serialize};

/// A JWS `alg` (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2).
///
/// `none` and the MACs cannot be expressed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[allow(missing_docs, reason = "the names are the registered ones")]
pub enum Algorithm {
    ES256,
    ES384,
    Ed25519,
    #[serde(rename = "EdDSA")]
    EdDsa,
    PS256,
    PS384,
    PS512,
    RS256,
    RS384,
    RS512,
}

impl Algorithm {
    /// All of them, by name.
    pub const ALL: [Self; 10] = [
        Self::ES256,
        Self::ES384,
        Self::Ed25519,
        Self::EdDsa,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::RS256,
        Self::RS384,
        Self::RS512,
    ];

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::Ed25519 => "Ed25519",
            Self::EdDsa => "EdDSA",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
        }
    }
}

impl Algorithm {
    /// The other name of the same algorithm: RFC 9864 deprecates `EdDSA` for `Ed25519`, and many
    /// servers know only one of them.
    pub const fn alias(self) -> Option<Self> {
        match self {
            Self::EdDsa => Some(Self::Ed25519),
            Self::Ed25519 => Some(Self::EdDsa),
            _ => None,
        }
    }

    /// The hash of the message; Ed25519 takes the message itself.
    pub(super) fn digest(self) -> Option<MessageDigest> {
        match self {
            Self::EdDsa | Self::Ed25519 => None,
            Self::ES256 | Self::PS256 | Self::RS256 => Some(MessageDigest::sha256()),
            Self::ES384 | Self::PS384 | Self::RS384 => Some(MessageDigest::sha384()),
            Self::PS512 | Self::RS512 => Some(MessageDigest::sha512()),
        }
    }

    /// Whether RSA pads with PSS, with a salt as long as the hash (RFC 7518 §3.5).
    pub(super) fn is_pss(self) -> bool {
        matches!(self, Self::PS256 | Self::PS384 | Self::PS512)
    }

    /// The octets of R and of S in a signature with an elliptic curve (RFC 7518 §3.4).
    pub(super) fn coordinate(self) -> Option<i32> {
        match self {
            Self::ES256 => Some(32),
            Self::ES384 => Some(48),
            _ => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is none of [`Algorithm::ALL`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not a supported signature algorithm")]
pub struct UnknownAlgorithm(pub String);

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or_else(|| UnknownAlgorithm(name.to_owned()))
    }
}
