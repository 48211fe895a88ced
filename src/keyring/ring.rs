//! The keys of one client, by what they are for.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::jose::{Kid, PublicJwk};

/// The keys of a client.
///
/// Exactly one is `current`: it is a member, not a mark on each key. What is published is
/// computed from the ring, so a key that signs and is not published cannot be expressed.
/// The words of NIST SP 800-57: `next` is pre-activation, `current` active, `previous`
/// deactivated.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Members")]
pub struct Ring {
    current: KeyRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<KeyRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    previous: Vec<KeyRecord>,
}

/// What is known of one key without its private half, which is a file named by `kid`.
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
}

/// The state of a key in the ring.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// The one that signs.
    Current,
    /// Published, to sign later.
    Next,
    /// Published for what it has signed.
    Previous,
}

/// A ring that breaks its own rules: two keys of one name, or one key under two names.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("two keys of the ring share the key ID or the key `{0}`")]
pub struct InvalidRing(Kid);

#[derive(Deserialize)]
struct Members {
    current: KeyRecord,
    next: Option<KeyRecord>,
    #[serde(default)]
    previous: Vec<KeyRecord>,
}

impl Ring {
    /// A ring of one key, which signs.
    pub fn new(jwk: PublicJwk, now: Timestamp) -> Self {
        Self {
            current: KeyRecord {
                jwk,
                created_at: now,
                published_at: None,
                signs_since: Some(now),
            },
            next: None,
            previous: Vec::new(),
        }
    }

    /// The key that signs.
    pub fn current(&self) -> &KeyRecord {
        &self.current
    }

    /// All keys with their states, the one that signs first.
    pub fn keys(&self) -> impl Iterator<Item = (&KeyRecord, KeyState)> {
        let next = self.next.iter().map(|key| (key, KeyState::Next));
        let previous = self.previous.iter().map(|key| (key, KeyState::Previous));
        std::iter::once((&self.current, KeyState::Current))
            .chain(next)
            .chain(previous)
    }

    /// What the JWK Set holds (RFC 7517 §5).
    pub fn published(&self) -> impl Iterator<Item = &PublicJwk> {
        self.keys().map(|(key, _)| &key.jwk)
    }

    /// Notes that the ring is served from `now` on, for keys that were not served before.
    /// Says whether that changed anything.
    pub fn served(&mut self, now: Timestamp) -> bool {
        let keys = std::iter::once(&mut self.current)
            .chain(&mut self.next)
            .chain(&mut self.previous);
        let mut changed = false;
        for key in keys.filter(|key| key.published_at.is_none()) {
            key.published_at = Some(now);
            changed = true;
        }
        changed
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

impl TryFrom<Members> for Ring {
    type Error = InvalidRing;

    fn try_from(members: Members) -> Result<Self, InvalidRing> {
        let ring = Self {
            current: members.current,
            next: members.next,
            previous: members.previous,
        };
        let mut names = HashSet::new();
        for jwk in ring.published() {
            if !names.insert(jwk.kid.to_string()) || !names.insert(jwk.key.thumbprint() + "#") {
                return Err(InvalidRing(jwk.kid.clone()));
            }
        }
        Ok(ring)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jose::{Algorithm, SigningKey};

    #[test]
    fn the_key_that_signs_is_always_in_the_set() {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();

        let ring = Ring::new(key.public().clone(), Timestamp::UNIX_EPOCH);

        assert!(ring.published().any(|jwk| jwk == &ring.current().jwk));
    }

    #[test]
    fn a_stored_ring_with_one_key_twice_is_refused() {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let ring = Ring::new(key.public().clone(), Timestamp::UNIX_EPOCH);
        let mut stored = serde_json::to_value(&ring).unwrap();
        assert_eq!(
            serde_json::from_value::<Ring>(stored.clone()).unwrap(),
            ring
        );

        stored["next"] = stored["current"].clone();
        assert!(serde_json::from_value::<Ring>(stored.clone()).is_err());

        stored["next"]["jwk"]["kid"] = json!("another-name");
        assert!(serde_json::from_value::<Ring>(stored).is_err());
    }

    #[test]
    fn a_key_is_stamped_when_it_is_first_served_and_not_again() {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let mut ring = Ring::new(key.public().clone(), Timestamp::UNIX_EPOCH);
        let later = Timestamp::from_second(60).unwrap();

        assert!(ring.served(Timestamp::UNIX_EPOCH));
        assert!(!ring.served(later));

        assert_eq!(ring.current().published_at, Some(Timestamp::UNIX_EPOCH));
    }
}
