//! The keys of one client in one phase of a rotation, and the ways from phase to phase.
//!
//! A transition leaves the ring as it is and returns the one after it, or says why there is none.

use std::time::Duration;

use jiff::Timestamp;

use super::key_record::KeyRecord;
use super::key_set::{KeySet, NoRoom};
use super::policy::{RotationPolicy, elapsed, later};
use crate::jose::{Kid, PublicJwk};

/// The keys of a client in one phase.
///
/// In each phase exactly one key signs: it is a field, not a flag on each key. What is published is
/// computed from the ring, so a key that signs and is not published cannot be expressed. A key can
/// begin to sign only through [`Ring::promote`], which exists only once there is a next one:
///
/// ```compile_fail,E0599
/// # use bff::keyring::*;
/// # fn f(ring: Ring<Steady>, policy: &RotationPolicy) {
/// ring.promote(jiff::Timestamp::now(), policy); // no such method on `Ring<Steady>`
/// # }
/// ```
///
/// In the words of NIST SP 800-57, `next` is pre-activation, `current` active and `previous`
/// deactivated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ring<Phase> {
    keys: KeySet,
    phase: Phase,
}

/// No rotation is under way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Steady(());

/// The next key is in the set and does not sign: verifiers are picking it up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Prepublished {
    next: KeyRecord,
    hurried: bool,
}

/// Why a key does not come into the ring.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotPublished {
    /// It is in the ring, or was: neither a key nor its key ID is used again.
    #[error("key `{0}` is in the JWK Set or has left it, and is never used again")]
    Known(Kid),
    /// The set is full.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

/// The next key has been published too briefly to sign.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the key has been published too briefly: wait another {} s", .remaining.as_secs())]
pub struct TooSoon {
    /// How much longer it has to wait.
    pub remaining: Duration,
}

/// No key that signed before is in the set.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no key that signed before is in the JWK Set")]
pub struct NoPrevious;

impl Ring<Steady> {
    /// A ring of one key, which signs.
    pub fn new(jwk: PublicJwk, now: Timestamp) -> Self {
        Self::steady(KeySet::new(jwk, now))
    }

    pub(super) fn steady(keys: KeySet) -> Self {
        Self {
            keys,
            phase: Steady(()),
        }
    }

    /// Publishes `next` beside the current key. `hurried` skips the waiting, not the proof.
    ///
    /// If there are too many keys, those that safely can leave the set before their time.
    ///
    /// # Errors
    ///
    /// [`NotPublished`].
    pub fn prepublish(
        &self,
        next: PublicJwk,
        hurried: bool,
        now: Timestamp,
        policy: &RotationPolicy,
    ) -> Result<Ring<Prepublished>, NotPublished> {
        if self.keys.knows(None, &next) {
            return Err(NotPublished::Known(next.kid));
        }
        let surplus = self.keys.surplus(now, policy)?;
        let mut keys = self.keys.clone();
        keys.retire_oldest(surplus, now);
        Ok(Ring::prepublished(keys, KeyRecord::new(next, now), hurried))
    }

    /// Whether one more key can be published.
    ///
    /// # Errors
    ///
    /// [`NoRoom`].
    pub fn has_room(&self, now: Timestamp, policy: &RotationPolicy) -> Result<(), NoRoom> {
        self.keys.surplus(now, policy).map(|_| ())
    }

    /// Removes the keys that are due to leave the set, and returns their IDs.
    pub fn retire(&self, now: Timestamp, policy: &RotationPolicy) -> (Self, Vec<Kid>) {
        let mut ring = self.clone();
        let gone = ring.keys.retire_due(now, policy);
        (ring, gone)
    }

    /// Makes the previous key sign again: the current one becomes the next one.
    ///
    /// # Errors
    ///
    /// [`NoPrevious`].
    pub fn fall_back(&self, now: Timestamp) -> Result<Ring<Prepublished>, NoPrevious> {
        let mut keys = self.keys.clone();
        let before = keys.previous.pop().ok_or(NoPrevious)?;
        let mut next = std::mem::replace(&mut keys.current, before);
        keys.current.signs_since = Some(now);
        keys.current.signed_until = None;
        next.signs_since = None;
        next.signed_until = None;
        // The IdP may have rejected it because it has not fetched it yet: its wait begins again.
        next.published_at = Some(now);
        Ok(Ring::prepublished(keys, next, false))
    }

    /// Replaces all keys at once by `fresh`, because they may be compromised. The new key signs
    /// without having been published first: no other key is safe.
    #[must_use]
    pub fn revoke_all(&self, fresh: PublicJwk, now: Timestamp) -> Self {
        Self::steady(self.keys.revoked(None, fresh, now))
    }

    /// When the key that signs is old enough to be replaced.
    pub fn due_at(&self, policy: &RotationPolicy) -> Option<Timestamp> {
        policy
            .rotate_after
            .map(|age| later(self.keys.current.created_at, age))
    }

    pub(super) fn served(&mut self, now: Timestamp, max_age: Duration) {
        self.keys.note_served(None, now, max_age);
    }

    pub(super) fn forget_longer_lifetimes(&mut self, max_age: Duration) {
        self.keys.longest_max_age = max_age;
    }
}

impl Ring<Prepublished> {
    pub(super) fn prepublished(keys: KeySet, next: KeyRecord, hurried: bool) -> Self {
        Self {
            keys,
            phase: Prepublished { next, hurried },
        }
    }

    /// The key that is to sign next.
    pub fn next(&self) -> &KeyRecord {
        &self.phase.next
    }

    /// Whether the waiting is skipped.
    pub fn is_hurried(&self) -> bool {
        self.phase.hurried
    }

    /// When the next key may sign at the earliest; not known before it is served.
    pub fn earliest_promotion(&self, policy: &RotationPolicy) -> Option<Timestamp> {
        let published_at = self.phase.next.published_at?;
        Some(if self.phase.hurried {
            published_at
        } else {
            later(published_at, policy.propagation(self.keys.longest_max_age))
        })
    }

    /// Whether every copy of the set without the next key has expired, hurried or not.
    pub fn has_spread(&self, now: Timestamp, policy: &RotationPolicy) -> bool {
        self.phase.next.published_at.is_some_and(|since| {
            elapsed(since, now) >= policy.propagation(self.keys.longest_max_age)
        })
    }

    /// Makes the next key the one that signs.
    ///
    /// # Errors
    ///
    /// [`TooSoon`] while a verifier may still hold a copy of the set without the new key.
    pub fn promote(
        &self,
        now: Timestamp,
        policy: &RotationPolicy,
    ) -> Result<Ring<Steady>, TooSoon> {
        let propagation = policy.propagation(self.keys.longest_max_age);
        let remaining = match self.phase.next.published_at {
            None => propagation,
            Some(_) if self.phase.hurried => Duration::ZERO,
            Some(since) => propagation.saturating_sub(elapsed(since, now)),
        };
        if !remaining.is_zero() {
            return Err(TooSoon { remaining });
        }
        let mut keys = self.keys.clone();
        let next = KeyRecord {
            signs_since: Some(now),
            ..self.phase.next.clone()
        };
        let mut before = std::mem::replace(&mut keys.current, next);
        before.signed_until = Some(now);
        keys.previous.push(before);
        Ok(Ring::steady(keys))
    }

    /// Ends the wait; the proof is still required.
    #[must_use]
    pub fn hurry(&self) -> Self {
        Self::prepublished(self.keys.clone(), self.phase.next.clone(), true)
    }

    /// As [`Ring::<Steady>::revoke_all`]; the next key goes with the others.
    #[must_use]
    pub fn revoke_all(&self, fresh: PublicJwk, now: Timestamp) -> Ring<Steady> {
        Ring::steady(self.keys.revoked(Some(&self.phase.next), fresh, now))
    }

    pub(super) fn served(&mut self, now: Timestamp, max_age: Duration) {
        let next = Some(&mut self.phase.next);
        self.keys.note_served(next, now, max_age);
    }
}

impl<Phase> Ring<Phase> {
    /// The key that signs.
    pub fn current(&self) -> &KeyRecord {
        &self.keys.current
    }

    /// The keys that signed before, the last one last.
    pub fn previous(&self) -> &[KeyRecord] {
        &self.keys.previous
    }

    pub(super) fn key_set(&self) -> &KeySet {
        &self.keys
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample_rings::{
        POLICY, at, jwk, prepublished, prepublished_served, promoted,
    };
    use super::*;

    #[test]
    fn promote_succeeds_only_after_the_propagation_time() {
        let ring = prepublished_served(at(100), POLICY.max_age);

        let too_soon = ring.promote(at(699), &POLICY).unwrap_err();
        let promoted = ring.promote(at(700), &POLICY).unwrap();

        assert_eq!(too_soon.remaining, Duration::from_secs(1));
        assert_eq!(promoted.current().jwk, ring.next().jwk);
    }

    #[test]
    fn promote_refuses_a_key_that_was_never_served() {
        let ring = prepublished(at(0));

        assert!(ring.promote(at(9_000_000), &POLICY).is_err());
        assert!(ring.hurry().promote(at(9_000_000), &POLICY).is_err());
    }

    #[test]
    fn promote_waits_for_copies_that_were_given_a_longer_lifetime() {
        let mut ring = Ring::new(jwk(), at(0));
        ring.served(at(0), Duration::from_hours(1));
        let mut ring = ring.prepublish(jwk(), false, at(10), &POLICY).unwrap();
        ring.served(at(10), POLICY.max_age);

        let TooSoon { remaining } = ring.promote(at(10), &POLICY).unwrap_err();

        assert_eq!(
            remaining,
            Duration::from_hours(1) + RotationPolicy::FETCH_MARGIN
        );
    }

    #[test]
    fn promote_waits_the_full_time_when_the_clock_was_set_back() {
        let ring = prepublished_served(at(10_000), POLICY.max_age);

        let TooSoon { remaining } = ring.promote(at(0), &POLICY).unwrap_err();

        assert_eq!(remaining, POLICY.prepublish);
    }

    #[test]
    fn retire_waits_for_the_age_and_for_the_overlap() {
        let young = RotationPolicy {
            retire_after: Duration::ZERO,
            ..POLICY
        };
        let ring = promoted();
        let safe = 700 + POLICY.overlap(POLICY.max_age).as_secs();

        let (_, within_overlap) = ring.retire(at(safe - 1), &young);
        let (after, past_both) = ring.retire(at(safe), &young);
        let (_, before_its_age) = ring.retire(at(safe), &POLICY);

        assert!(within_overlap.is_empty());
        assert_eq!(past_both, [ring.previous()[0].jwk.kid.clone()]);
        assert!(after.key_set().knows(None, &ring.previous()[0].jwk));
        assert!(before_its_age.is_empty());
    }

    #[test]
    fn prepublish_keeps_to_max_keys_and_retires_no_key_before_it_is_safe() {
        let policy = RotationPolicy {
            max_keys: 2,
            ..POLICY
        };
        let safe = at(700 + policy.overlap(policy.max_age).as_secs());
        let ring = promoted();

        let refused = ring.prepublish(jwk(), false, at(701), &policy);
        let accepted = ring.prepublish(jwk(), false, safe, &policy).unwrap();

        let no_room = NoRoom {
            published: 2,
            until: safe,
        };
        assert_eq!(refused, Err(NotPublished::NoRoom(no_room.clone())));
        assert_eq!(ring.has_room(at(701), &policy), Err(no_room));
        assert_eq!(ring.has_room(safe, &policy), Ok(()));
        let published = accepted.key_set().published(Some(accepted.next()));
        assert_eq!(published.count(), 2);
    }

    #[test]
    fn prepublish_refuses_without_end_where_one_key_is_all_that_is_allowed() {
        let policy = RotationPolicy {
            max_keys: 1,
            ..POLICY
        };

        let refused = promoted().has_room(at(9_000_000), &policy);

        let no_room = NoRoom {
            published: 1,
            until: Timestamp::MAX,
        };
        assert_eq!(refused, Err(no_room));
    }

    #[test]
    fn fall_back_makes_the_previous_key_sign_and_the_current_key_wait_again() {
        let ring = promoted();

        let fallen_back = ring.fall_back(at(800)).unwrap();

        assert_eq!(fallen_back.current().jwk, ring.previous()[0].jwk);
        assert_eq!(fallen_back.next().jwk, ring.current().jwk);
        assert!(fallen_back.promote(at(801), &POLICY).is_err());
    }

    #[test]
    fn fall_back_needs_a_previous_key() {
        let ring = Ring::new(jwk(), at(0));

        assert_eq!(ring.fall_back(at(1)), Err(NoPrevious));
    }

    #[test]
    fn revoke_all_leaves_one_new_key_and_remembers_all_others() {
        let ring = prepublished(at(0));
        let fresh = jwk();

        let revoked = ring.revoke_all(fresh.clone(), at(5));

        let keys = revoked.key_set();
        assert_eq!(keys.published(None).count(), 1);
        assert_eq!(revoked.current().jwk, fresh);
        assert!(keys.knows(None, &ring.current().jwk));
        assert!(keys.knows(None, &ring.next().jwk));
        assert!(keys.retired.iter().all(|retired| retired.compromised));
    }
}
