//! What is known of one key without its private half, which is a file named by its key ID.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::jose::{Kid, PublicJwk};

/// A key of the ring.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct KeyRecord {
    /// What is published of it.
    pub jwk: PublicJwk,
    /// When it came into the ring.
    pub created_at: Timestamp,
    /// Since when it has been served; time counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
    /// Since when it has been the one that signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signs_since: Option<Timestamp>,
    /// When it stopped signing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_until: Option<Timestamp>,
}

/// A key that has left the set. Neither its name nor the key is ever used again.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Retired {
    /// Its name in the set.
    pub kid: Kid,
    /// Its RFC 7638 thumbprint.
    pub thumbprint: String,
    /// When it left.
    pub at: Timestamp,
    /// Whether it left because it may be compromised.
    #[serde(default)]
    pub compromised: bool,
}

/// The state of a key in the ring.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// The one that signs.
    Current,
    /// Published, to sign later.
    Next,
    /// Published for what it has signed.
    Previous,
}

impl KeyRecord {
    /// A key that is new in the ring.
    pub fn new(jwk: PublicJwk, now: Timestamp) -> Self {
        Self {
            jwk,
            created_at: now,
            published_at: None,
            signs_since: None,
            signed_until: None,
        }
    }

    pub(super) fn retired(&self, at: Timestamp, compromised: bool) -> Retired {
        Retired {
            kid: self.jwk.kid.clone(),
            thumbprint: self.jwk.key.thumbprint(),
            at,
            compromised,
        }
    }
}

impl KeyState {
    /// The state in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Next => "next",
            Self::Previous => "previous",
        }
    }
}
