//! What a ring has in every phase, and when a key may leave it.

use std::time::Duration;

use jiff::Timestamp;

use super::key_record::{KeyRecord, KeyState, Retired};
use super::policy::{RotationPolicy, later};
use crate::jose::{Kid, PublicJwk};

/// The keys of a ring except the next one, which exists in one phase only: methods that need all
/// keys take it as `next`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct KeySet {
    /// The key that signs.
    pub(super) current: KeyRecord,
    /// The keys that signed before, the last one last.
    pub(super) previous: Vec<KeyRecord>,
    /// The keys that have left the set.
    pub(super) retired: Vec<Retired>,
    /// The longest lifetime that any copy of the set was given lately.
    pub(super) longest_max_age: Duration,
}

/// There are as many keys in the set as there may be, and none of them can leave it yet.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{published} keys are published, which is all that BFF_JWK_MAX_KEYS allows, and none of \
         them can leave the set before {until}"
)]
pub struct NoRoom {
    /// How many there are.
    pub published: usize,
    /// When the first of them can leave.
    pub until: Timestamp,
}

impl KeySet {
    /// One key, which signs.
    pub(super) fn new(jwk: PublicJwk, now: Timestamp) -> Self {
        Self {
            current: KeyRecord {
                signs_since: Some(now),
                ..KeyRecord::new(jwk, now)
            },
            previous: Vec::new(),
            retired: Vec::new(),
            longest_max_age: Duration::ZERO,
        }
    }

    /// All keys with their states, the one that signs first.
    pub(super) fn published<'a>(
        &'a self,
        next: Option<&'a KeyRecord>,
    ) -> impl Iterator<Item = (&'a KeyRecord, KeyState)> {
        let next = next.into_iter().map(|key| (key, KeyState::Next));
        let previous = self.previous.iter().map(|key| (key, KeyState::Previous));
        std::iter::once((&self.current, KeyState::Current))
            .chain(next)
            .chain(previous)
    }

    /// Whether a key of this name or thumbprint is or was in the ring.
    pub(super) fn knows(&self, next: Option<&KeyRecord>, jwk: &PublicJwk) -> bool {
        let thumbprint = jwk.key.thumbprint();
        self.published(next)
            .any(|(known, _)| known.jwk.kid == jwk.kid || known.jwk.key == jwk.key)
            || self
                .retired
                .iter()
                .any(|retired| retired.kid == jwk.kid || retired.thumbprint == thumbprint)
    }

    /// Notes that the set is served from `now` on with this lifetime.
    pub(super) fn note_served(
        &mut self,
        next: Option<&mut KeyRecord>,
        now: Timestamp,
        max_age: Duration,
    ) {
        // Copies that were given a longer lifetime may still be out, up to a day later.
        self.longest_max_age = self.longest_max_age.max(max_age);
        let keys = std::iter::once(&mut self.current)
            .chain(next)
            .chain(&mut self.previous);
        for key in keys.filter(|key| key.published_at.is_none()) {
            key.published_at = Some(now);
        }
    }

    /// How many of the oldest keys have to leave before their time, so that one more can be
    /// published.
    pub(super) fn surplus(&self, now: Timestamp, policy: &RotationPolicy) -> Result<usize, NoRoom> {
        let surplus = (self.previous.len() + 2).saturating_sub(policy.max_keys);
        for left in 0..surplus {
            let until = self
                .previous
                .get(left)
                .map_or(Timestamp::MAX, |oldest| self.safe_at(oldest, policy));
            if left >= self.previous.len() || now < until {
                return Err(NoRoom {
                    published: self.previous.len() + 1 - left,
                    until,
                });
            }
        }
        Ok(surplus)
    }

    /// Removes this many of the oldest keys from the set.
    pub(super) fn retire_oldest(&mut self, count: usize, now: Timestamp) {
        let gone = self.previous.drain(..count.min(self.previous.len()));
        self.retired.extend(gone.map(|key| key.retired(now, false)));
    }

    /// Removes the keys that are due to leave the set, and returns their IDs.
    pub(super) fn retire_due(&mut self, now: Timestamp, policy: &RotationPolicy) -> Vec<Kid> {
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.previous)
            .into_iter()
            .partition(|key| now >= self.retires_at(key, policy));
        self.previous = kept;
        self.retired
            .extend(gone.iter().map(|key| key.retired(now, false)));
        gone.into_iter().map(|key| key.jwk.kid).collect()
    }

    /// A set of `fresh` alone; all others are recorded as compromised.
    pub(super) fn revoked(
        &self,
        next: Option<&KeyRecord>,
        fresh: PublicJwk,
        now: Timestamp,
    ) -> Self {
        let gone = self.published(next).map(|(key, _)| key.retired(now, true));
        Self {
            retired: self.retired.iter().cloned().chain(gone).collect(),
            longest_max_age: self.longest_max_age,
            ..Self::new(fresh, now)
        }
    }

    /// When a key leaves: at its age, but never before it is safe.
    pub(super) fn retires_at(&self, key: &KeyRecord, policy: &RotationPolicy) -> Timestamp {
        later(key.created_at, policy.retire_after).max(self.safe_at(key, policy))
    }

    /// When a key that has stopped signing can leave the set without harm.
    fn safe_at(&self, key: &KeyRecord, policy: &RotationPolicy) -> Timestamp {
        let last_signature = key.signed_until.unwrap_or(key.created_at);
        later(last_signature, policy.overlap(self.longest_max_age))
    }
}
