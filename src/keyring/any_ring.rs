//! The keys of one client, whatever the phase.

use std::time::Duration;

use jiff::Timestamp;

use super::key_record::{KeyRecord, KeyState, Retired};
use super::key_set::KeySet;
use super::policy::RotationPolicy;
use super::ring::{Prepublished, Ring, Steady};
use crate::jose::PublicJwk;

/// The keys of a client, in whatever phase.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyRing {
    /// No rotation is under way.
    Steady(Ring<Steady>),
    /// A next key is published.
    Prepublished(Ring<Prepublished>),
}

impl KeyRing {
    /// A ring of one key, which signs.
    pub fn new(jwk: PublicJwk, now: Timestamp) -> Self {
        Self::Steady(Ring::new(jwk, now))
    }

    /// The key that signs.
    pub fn current(&self) -> &KeyRecord {
        &self.key_set().current
    }

    /// The key that is to sign next, while a rotation is under way.
    pub fn next(&self) -> Option<&KeyRecord> {
        match self {
            Self::Steady(_) => None,
            Self::Prepublished(ring) => Some(ring.next()),
        }
    }

    /// All keys with their states, the one that signs first.
    pub fn keys(&self) -> impl Iterator<Item = (&KeyRecord, KeyState)> {
        self.key_set().published(self.next())
    }

    /// What the JWK Set holds (RFC 7517 §5).
    pub fn published(&self) -> impl Iterator<Item = &PublicJwk> {
        self.keys().map(|(key, _)| &key.jwk)
    }

    /// The keys that have left the set.
    pub fn retired(&self) -> &[Retired] {
        &self.key_set().retired
    }

    /// Whether a key of this name or thumbprint is or was in the ring.
    pub fn knows(&self, jwk: &PublicJwk) -> bool {
        self.key_set().knows(self.next(), jwk)
    }

    /// When the key of that state leaves the set, as far as that is known.
    pub fn retires_at(&self, key: &KeyRecord, policy: &RotationPolicy) -> Option<Timestamp> {
        key.signed_until?;
        Some(self.key_set().retires_at(key, policy))
    }

    /// Whether some key has not been noted as served yet, or the set is served for longer than
    /// was noted.
    pub fn is_stale(&self, max_age: Duration) -> bool {
        self.keys().any(|(key, _)| key.published_at.is_none())
            || self.key_set().longest_max_age < max_age
    }

    /// Notes that the ring is served from `now` on with this lifetime.
    pub fn served(&mut self, now: Timestamp, max_age: Duration) {
        match self {
            Self::Steady(ring) => ring.served(now, max_age),
            Self::Prepublished(ring) => ring.served(now, max_age),
        }
    }

    /// Forgets longer lifetimes of the set than the present one, once no copy can be left.
    pub fn forget_longer_lifetimes(&mut self, max_age: Duration) {
        match self {
            Self::Steady(ring) => ring.forget_longer_lifetimes(max_age),
            Self::Prepublished(_) => {}
        }
    }

    /// Replaces all keys at once by `fresh`, in whatever phase: see [`Ring::revoke_all`].
    #[must_use]
    pub fn revoke_all(&self, fresh: PublicJwk, now: Timestamp) -> Ring<Steady> {
        match self {
            Self::Steady(ring) => ring.revoke_all(fresh, now),
            Self::Prepublished(ring) => ring.revoke_all(fresh, now),
        }
    }

    pub(super) fn key_set(&self) -> &KeySet {
        match self {
            Self::Steady(ring) => ring.key_set(),
            Self::Prepublished(ring) => ring.key_set(),
        }
    }
}

impl From<Ring<Steady>> for KeyRing {
    fn from(ring: Ring<Steady>) -> Self {
        Self::Steady(ring)
    }
}

impl From<Ring<Prepublished>> for KeyRing {
    fn from(ring: Ring<Prepublished>) -> Self {
        Self::Prepublished(ring)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample_rings::{POLICY, at, jwk, prepublished};
    use super::*;

    #[test]
    fn a_ring_is_stale_until_each_key_and_the_lifetime_are_noted() {
        let mut ring = KeyRing::from(prepublished(at(0)));
        assert!(ring.is_stale(POLICY.max_age));

        ring.served(at(100), POLICY.max_age);

        assert!(!ring.is_stale(POLICY.max_age));
        assert!(ring.is_stale(POLICY.max_age + Duration::from_secs(1)));
        assert!(
            ring.keys()
                .all(|(key, _)| key.published_at == Some(at(100)))
        );
    }

    #[test]
    fn longer_lifetimes_are_forgotten_only_without_a_rotation_under_way() {
        let long = Duration::from_hours(1);
        let mut steady = KeyRing::new(jwk(), at(0));
        let mut prepublished = KeyRing::from(prepublished(at(0)));

        for ring in [&mut steady, &mut prepublished] {
            ring.served(at(0), long);
            ring.forget_longer_lifetimes(POLICY.max_age);
        }

        assert!(steady.is_stale(long));
        assert!(!prepublished.is_stale(long));
    }

    #[test]
    fn revoke_all_remembers_every_key_in_either_phase() {
        let steady = KeyRing::new(jwk(), at(0));
        let prepublished = KeyRing::from(prepublished(at(0)));

        for ring in [steady, prepublished] {
            let revoked = KeyRing::from(ring.revoke_all(jwk(), at(5)));

            assert_eq!(revoked.published().count(), 1);
            assert!(ring.published().all(|jwk| revoked.knows(jwk)));
        }
    }
}
