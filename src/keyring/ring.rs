//! The keys of one client in one phase of a rotation.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::policy::{elapsed, later};
use super::{KeyRecord, KeyState, Retired, RotationPolicy};
use crate::jose::{Kid, PublicJwk};

/// The keys of a client in one phase.
///
/// Whatever the phase, exactly one key signs: it is a member, not a mark on each key. What is
/// published is computed from the ring, so a key that signs and is not published cannot be
/// expressed. A key can begin to sign only through [`Ring::promote`], which exists only once
/// there is a next one:
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
    keys: Keys,
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

/// The keys of a client, in whatever phase.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Members", into = "Members")]
pub enum KeyRing {
    /// No rotation is under way.
    Steady(Ring<Steady>),
    /// A next key is published.
    Prepublished(Ring<Prepublished>),
}

/// The next key has been published too briefly; the ring comes back unchanged.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the key has been published too briefly: wait another {} s", .remaining.as_secs())]
pub struct TooSoon {
    /// The ring, exactly as it was.
    pub ring: Ring<Prepublished>,
    /// How much longer it has to wait.
    pub remaining: Duration,
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

/// Why a key does not come into the ring.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotPublished {
    /// It is in the ring, or was: neither a key nor its name comes back.
    #[error("key `{0}` is in the JWK Set or has left it, and is never used again")]
    Known(Kid),
    /// The set is full.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

/// A ring that breaks its own rules: two keys of one name, one key under two names, or one that
/// has left the set and is in it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("two keys of the ring share the key ID or the key `{0}`")]
pub struct InvalidRing(Kid);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Keys {
    current: KeyRecord,
    previous: Vec<KeyRecord>,
    retired: Vec<Retired>,
    longest_max_age: Duration,
}

/// The stored form.
#[derive(Clone, Deserialize, Serialize)]
struct Members {
    current: KeyRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<KeyRecord>,
    #[serde(default, skip_serializing_if = "is_false")]
    hurried: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    previous: Vec<KeyRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    retired: Vec<Retired>,
    /// The longest lifetime, in seconds, that any copy of the set was given lately.
    #[serde(default)]
    longest_max_age: u64,
}

impl Ring<Steady> {
    /// A ring of one key, which signs.
    pub fn new(jwk: PublicJwk, now: Timestamp) -> Self {
        Self {
            keys: Keys {
                current: KeyRecord {
                    signs_since: Some(now),
                    ..KeyRecord::new(jwk, now)
                },
                previous: Vec::new(),
                retired: Vec::new(),
                longest_max_age: Duration::ZERO,
            },
            phase: Steady(()),
        }
    }

    /// Publishes `next` beside the current key. `hurried` skips the waiting, not the proof.
    ///
    /// If there are too many keys, those that safely can leave the set before their time.
    ///
    /// # Errors
    ///
    /// [`NotPublished`]; nothing has changed then.
    pub fn prepublish(
        self,
        next: PublicJwk,
        hurried: bool,
        now: Timestamp,
        policy: &RotationPolicy,
    ) -> Result<Ring<Prepublished>, NotPublished> {
        let ring = KeyRing::from(self);
        if ring.knows(&next) {
            return Err(NotPublished::Known(next.kid));
        }
        let mut keys = ring.into_keys();
        keys.make_room(now, policy)?;
        Ok(Ring {
            keys,
            phase: Prepublished {
                next: KeyRecord::new(next, now),
                hurried,
            },
        })
    }

    /// Whether one more key can be published.
    ///
    /// # Errors
    ///
    /// [`NoRoom`].
    pub fn has_room(&self, now: Timestamp, policy: &RotationPolicy) -> Result<(), NoRoom> {
        self.keys.clone().make_room(now, policy)
    }

    /// Takes the keys out of the set whose time has come. Says which.
    pub fn retire(mut self, now: Timestamp, policy: &RotationPolicy) -> (Self, Vec<Kid>) {
        let keys = &mut self.keys;
        let longest_max_age = keys.longest_max_age;
        let (gone, kept) = std::mem::take(&mut keys.previous)
            .into_iter()
            .partition(|key| now >= retires_at(key, policy, longest_max_age));
        let gone: Vec<KeyRecord> = gone;
        keys.previous = kept;
        keys.retired
            .extend(gone.iter().map(|key| key.retired(now, false)));
        let names = gone.into_iter().map(|key| key.jwk.kid).collect();
        (self, names)
    }

    /// Sends the signer back to the key before: the current one waits again for its turn.
    ///
    /// # Errors
    ///
    /// The ring, unchanged, if there is no key before.
    #[expect(
        clippy::result_large_err,
        reason = "the ring comes back, once in a rotation"
    )]
    pub fn fall_back(self, now: Timestamp) -> Result<Ring<Prepublished>, Self> {
        let mut keys = self.keys;
        let Some(before) = keys.previous.pop() else {
            return Err(Self {
                keys,
                phase: self.phase,
            });
        };
        let mut next = std::mem::replace(&mut keys.current, before);
        keys.current.signs_since = Some(now);
        keys.current.signed_until = None;
        next.signs_since = None;
        next.signed_until = None;
        // Who rejected it may have missed it so far: it counts as published just now.
        next.published_at = Some(now);
        Ok(Ring {
            keys,
            phase: Prepublished {
                next,
                hurried: false,
            },
        })
    }

    /// When the key that signs is old enough to be replaced.
    pub fn due_at(&self, policy: &RotationPolicy) -> Option<Timestamp> {
        policy
            .rotate_after
            .map(|age| later(self.keys.current.created_at, age))
    }
}

impl Ring<Prepublished> {
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
    #[expect(
        clippy::result_large_err,
        reason = "the ring comes back, once in a rotation"
    )]
    pub fn promote(self, now: Timestamp, policy: &RotationPolicy) -> Result<Ring<Steady>, TooSoon> {
        let remaining = match self.phase.next.published_at {
            None => policy.propagation(self.keys.longest_max_age),
            Some(_) if self.phase.hurried => Duration::ZERO,
            Some(since) => policy
                .propagation(self.keys.longest_max_age)
                .saturating_sub(elapsed(since, now)),
        };
        if !remaining.is_zero() {
            return Err(TooSoon {
                ring: self,
                remaining,
            });
        }
        let mut keys = self.keys;
        let mut next = self.phase.next;
        next.signs_since = Some(now);
        let mut before = std::mem::replace(&mut keys.current, next);
        before.signed_until = Some(now);
        keys.previous.push(before);
        Ok(Ring {
            keys,
            phase: Steady(()),
        })
    }

    /// Stops waiting any longer for its time; the proof is still to come.
    #[must_use]
    pub fn hurry(mut self) -> Self {
        self.phase.hurried = true;
        self
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

    /// Replaces all keys at once by `next`, because somebody else may have them. The new key
    /// signs without having been published before: there is no safe way left.
    #[must_use]
    pub fn revoke_all(self, next: PublicJwk, now: Timestamp) -> Ring<Steady>
    where
        KeyRing: From<Self>,
    {
        let longest_max_age = self.keys.longest_max_age;
        let ring = KeyRing::from(self);
        let mut fresh = Ring::new(next, now);
        fresh.keys.retired = ring.retired().to_vec();
        fresh
            .keys
            .retired
            .extend(ring.keys().map(|(key, _)| key.retired(now, true)));
        fresh.keys.longest_max_age = longest_max_age;
        fresh
    }
}

impl Keys {
    fn make_room(&mut self, now: Timestamp, policy: &RotationPolicy) -> Result<(), NoRoom> {
        while self.previous.len() + 2 > policy.max_keys {
            self.drop_oldest(now, policy)?;
        }
        Ok(())
    }

    fn drop_oldest(&mut self, now: Timestamp, policy: &RotationPolicy) -> Result<(), NoRoom> {
        let published = self.previous.len() + 1;
        let Some(oldest) = self.previous.first() else {
            return Err(NoRoom {
                published,
                until: Timestamp::MAX,
            });
        };
        let until = safe_at(oldest, policy, self.longest_max_age);
        if now < until {
            return Err(NoRoom { published, until });
        }
        let oldest = self.previous.remove(0);
        self.retired.push(oldest.retired(now, false));
        Ok(())
    }
}

/// When a key that has stopped signing can leave the set without harm.
fn safe_at(key: &KeyRecord, policy: &RotationPolicy, longest_max_age: Duration) -> Timestamp {
    let last_signature = key.signed_until.unwrap_or(key.created_at);
    later(last_signature, policy.overlap(longest_max_age))
}

/// When it leaves: at its age, but never before it is safe.
fn retires_at(key: &KeyRecord, policy: &RotationPolicy, longest_max_age: Duration) -> Timestamp {
    later(key.created_at, policy.retire_after).max(safe_at(key, policy, longest_max_age))
}

impl KeyRing {
    /// A ring of one key, which signs.
    pub fn new(jwk: PublicJwk, now: Timestamp) -> Self {
        Self::Steady(Ring::new(jwk, now))
    }

    /// The key that signs.
    pub fn current(&self) -> &KeyRecord {
        &self.common().current
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
        let common = self.common();
        let next = self.next().into_iter().map(|key| (key, KeyState::Next));
        let previous = common.previous.iter().map(|key| (key, KeyState::Previous));
        std::iter::once((&common.current, KeyState::Current))
            .chain(next)
            .chain(previous)
    }

    /// What the JWK Set holds (RFC 7517 §5).
    pub fn published(&self) -> impl Iterator<Item = &PublicJwk> {
        self.keys().map(|(key, _)| &key.jwk)
    }

    /// The keys that have left the set.
    pub fn retired(&self) -> &[Retired] {
        &self.common().retired
    }

    /// Whether a key of this name or thumbprint is or was in the ring.
    pub fn knows(&self, jwk: &PublicJwk) -> bool {
        let thumbprint = jwk.key.thumbprint();
        self.published()
            .any(|known| known.kid == jwk.kid || known.key == jwk.key)
            || self
                .retired()
                .iter()
                .any(|retired| retired.kid == jwk.kid || retired.thumbprint == thumbprint)
    }

    /// When the key of that state leaves the set, as far as that is known.
    pub fn retires_at(&self, key: &KeyRecord, policy: &RotationPolicy) -> Option<Timestamp> {
        key.signed_until?;
        Some(retires_at(key, policy, self.common().longest_max_age))
    }

    /// Whether some key has not been noted as served yet, or the set is served for longer than
    /// was noted.
    pub fn is_stale(&self, max_age: Duration) -> bool {
        self.keys().any(|(key, _)| key.published_at.is_none())
            || self.common().longest_max_age < max_age
    }

    /// Notes that the ring is served from `now` on with this lifetime.
    pub fn served(&mut self, now: Timestamp, max_age: Duration) {
        let (common, next) = match self {
            Self::Steady(ring) => (&mut ring.keys, None),
            Self::Prepublished(ring) => (&mut ring.keys, Some(&mut ring.phase.next)),
        };
        // Copies that were given a longer lifetime may still be out, up to a day later.
        common.longest_max_age = common.longest_max_age.max(max_age);
        let keys = std::iter::once(&mut common.current)
            .chain(next)
            .chain(&mut common.previous);
        for key in keys.filter(|key| key.published_at.is_none()) {
            key.published_at = Some(now);
        }
    }

    /// Forgets longer lifetimes of the set than the present one, once no copy can be left.
    pub fn forget_longer_lifetimes(&mut self, max_age: Duration) {
        match self {
            Self::Steady(ring) => ring.keys.longest_max_age = max_age,
            Self::Prepublished(_) => {}
        }
    }

    fn into_keys(self) -> Keys {
        match self {
            Self::Steady(ring) => ring.keys,
            Self::Prepublished(ring) => ring.keys,
        }
    }

    fn common(&self) -> &Keys {
        match self {
            Self::Steady(ring) => &ring.keys,
            Self::Prepublished(ring) => &ring.keys,
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

impl From<KeyRing> for Members {
    fn from(ring: KeyRing) -> Self {
        let (keys, phase) = match ring {
            KeyRing::Steady(ring) => (ring.keys, None),
            KeyRing::Prepublished(ring) => (ring.keys, Some(ring.phase)),
        };
        Self {
            current: keys.current,
            hurried: phase.as_ref().is_some_and(|phase| phase.hurried),
            next: phase.map(|phase| phase.next),
            previous: keys.previous,
            retired: keys.retired,
            longest_max_age: keys.longest_max_age.as_secs(),
        }
    }
}

impl TryFrom<Members> for KeyRing {
    type Error = InvalidRing;

    fn try_from(members: Members) -> Result<Self, InvalidRing> {
        let keys = Keys {
            current: members.current,
            previous: members.previous,
            retired: members.retired,
            longest_max_age: Duration::from_secs(members.longest_max_age),
        };
        let ring = match members.next {
            None => Self::Steady(Ring {
                keys,
                phase: Steady(()),
            }),
            Some(next) => Self::Prepublished(Ring {
                keys,
                phase: Prepublished {
                    next,
                    hurried: members.hurried,
                },
            }),
        };
        let gone = ring.retired().iter();
        let (mut names, mut thumbprints): (HashSet<&Kid>, HashSet<String>) = gone
            .map(|retired| (&retired.kid, retired.thumbprint.clone()))
            .unzip();
        for jwk in ring.published() {
            if !names.insert(&jwk.kid) || !thumbprints.insert(jwk.key.thumbprint()) {
                return Err(InvalidRing(jwk.kid.clone()));
            }
        }
        Ok(ring)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jose::{Algorithm, SigningKey};

    const POLICY: RotationPolicy = RotationPolicy {
        prepublish: Duration::from_mins(10),
        max_age: Duration::from_mins(5),
        rotate_after: Some(Duration::from_hours(30 * 24)),
        retire_after: Duration::from_hours(60 * 24),
        max_keys: 3,
        longest_signature: Duration::from_mins(1),
    };

    #[test]
    fn a_key_signs_only_after_the_propagation_time() {
        let mut ring = KeyRing::from(prepublished(at(0)));
        ring.served(at(100), POLICY.max_age);
        let ring = phase(ring);

        let TooSoon { ring, remaining } = ring.promote(at(699), &POLICY).unwrap_err();
        assert_eq!(remaining, Duration::from_secs(1));

        let next = ring.next().jwk.kid.clone();
        let ring = ring.promote(at(700), &POLICY).unwrap();
        assert_eq!(ring.current().jwk.kid, next);
    }

    #[test]
    fn a_key_that_was_never_served_does_not_sign_however_old_it_is() {
        assert!(prepublished(at(0)).promote(at(9_000_000), &POLICY).is_err());
        assert!(
            prepublished(at(0))
                .hurry()
                .promote(at(9_000_000), &POLICY)
                .is_err()
        );
    }

    #[test]
    fn copies_with_a_longer_lifetime_than_today_s_count() {
        let mut ring = KeyRing::new(jwk(), at(0));
        ring.served(at(0), Duration::from_hours(1));
        let KeyRing::Steady(ring) = ring else {
            unreachable!()
        };
        let mut ring = KeyRing::from(ring.prepublish(jwk(), false, at(10), &POLICY).unwrap());
        ring.served(at(10), POLICY.max_age);

        let TooSoon { remaining, .. } = phase(ring).promote(at(10), &POLICY).unwrap_err();

        assert_eq!(
            remaining,
            Duration::from_hours(1) + RotationPolicy::FETCH_MARGIN
        );
    }

    #[test]
    fn a_clock_that_was_set_back_makes_the_key_wait() {
        let mut ring = KeyRing::from(prepublished(at(0)));
        ring.served(at(10_000), POLICY.max_age);

        let TooSoon { remaining, .. } = phase(ring).promote(at(0), &POLICY).unwrap_err();

        assert_eq!(remaining, POLICY.prepublish);
    }

    #[test]
    fn a_replaced_key_leaves_at_its_age_and_not_before_it_is_safe() {
        let young = RotationPolicy {
            retire_after: Duration::ZERO,
            ..POLICY
        };
        let promoted = promoted();
        let safe = POLICY.overlap(POLICY.max_age).as_secs();

        let (ring, gone) = promoted.clone().retire(at(700 + safe - 1), &young);
        assert!(gone.is_empty());
        let (ring, gone) = ring.retire(at(700 + safe), &young);
        assert_eq!(gone.len(), 1);
        assert!(KeyRing::from(ring).knows(&promoted.previous()[0].jwk));
        let (_, gone) = promoted.retire(at(700 + safe), &POLICY);
        assert!(gone.is_empty(), "it is not old enough");
    }

    #[test]
    fn no_more_keys_than_allowed_and_none_leaves_before_it_is_safe() {
        let policy = RotationPolicy {
            max_keys: 2,
            ..POLICY
        };
        let safe = at(700 + policy.overlap(policy.max_age).as_secs());

        let error = promoted().prepublish(jwk(), false, at(701), &policy);
        assert_eq!(
            error.unwrap_err(),
            NotPublished::NoRoom(NoRoom {
                published: 2,
                until: safe,
            })
        );

        let ring = promoted().prepublish(jwk(), false, safe, &policy).unwrap();
        assert_eq!(KeyRing::from(ring).published().count(), 2);
    }

    #[test]
    fn falling_back_gives_the_old_key_the_pen_and_the_new_one_another_chance() {
        let promoted = promoted();
        let (new, old) = (
            promoted.current().jwk.clone(),
            promoted.previous()[0].jwk.clone(),
        );

        let ring = promoted.fall_back(at(800)).unwrap();

        assert_eq!(ring.current().jwk, old);
        assert_eq!(ring.next().jwk, new);
        assert!(ring.promote(at(801), &POLICY).is_err(), "it waits again");
    }

    #[test]
    fn revoking_leaves_one_fresh_key_and_forgets_no_name() {
        let ring = prepublished(at(0));
        let known: Vec<PublicJwk> = KeyRing::from(ring.clone()).published().cloned().collect();
        let fresh = jwk();

        let ring = KeyRing::from(ring.revoke_all(fresh.clone(), at(5)));

        assert_eq!(ring.published().collect::<Vec<_>>(), [&fresh]);
        assert!(known.iter().all(|jwk| ring.knows(jwk)));
    }

    #[test]
    fn a_stored_ring_reads_back_and_one_with_a_key_twice_does_not() {
        let ring = KeyRing::from(prepublished(at(0)).hurry());
        let mut stored = serde_json::to_value(&ring).unwrap();
        assert_eq!(
            serde_json::from_value::<KeyRing>(stored.clone()).unwrap(),
            ring
        );

        stored["next"] = stored["current"].clone();
        assert!(serde_json::from_value::<KeyRing>(stored.clone()).is_err());

        stored["next"]["jwk"]["kid"] = json!("another-name");
        assert!(serde_json::from_value::<KeyRing>(stored).is_err());
    }

    fn prepublished(now: Timestamp) -> Ring<Prepublished> {
        Ring::new(jwk(), now)
            .prepublish(jwk(), false, now, &POLICY)
            .unwrap()
    }

    /// Served at 100 s, promoted at 700 s.
    fn promoted() -> Ring<Steady> {
        let mut ring = KeyRing::from(prepublished(at(0)));
        ring.served(at(100), POLICY.max_age);
        phase(ring).promote(at(700), &POLICY).unwrap()
    }

    fn phase(ring: KeyRing) -> Ring<Prepublished> {
        match ring {
            KeyRing::Prepublished(ring) => ring,
            KeyRing::Steady(_) => panic!("steady"),
        }
    }

    fn jwk() -> PublicJwk {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        key.public().clone()
    }

    fn at(seconds: u64) -> Timestamp {
        later(Timestamp::UNIX_EPOCH, Duration::from_secs(seconds))
    }
}
