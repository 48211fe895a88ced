//! Changes of the keys.

use std::time::Duration;

use jiff::Timestamp;

use super::document::{IntendedKey, State};
use super::journal::Event;
use super::projections::Projections;
use crate::jose::{Algorithm, Kid, PublicJwk};
use crate::keyring::{
    KeyRing, NoPrevious, NoRoom, NotPublished, Prepublished, Ring, RotationPolicy, Steady, TooSoon,
};

/// Why the keys are as they were.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RingRefusal {
    /// There is a client already: a new key would not be the one it was registered with.
    #[error("a client is registered, and its key cannot be exchanged without a rotation")]
    ClientExists,
    /// There are keys already.
    #[error("there is a key already")]
    KeyExists,
    /// There is no key before the one that signs.
    #[error("there is no key before the one that signs")]
    NoPreviousKey,
    /// There is no key.
    #[error("the state names no key")]
    NoRing,
    /// There are as many keys in the set as there may be.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// No rotation is under way.
    #[error("no rotation is under way")]
    NotUnderWay,
    /// No key is old enough to leave the set.
    #[error("no key is due to leave the JWK Set")]
    NothingToRetire,
    /// The ring names another key by now.
    #[error("key `{expected}` was expected, and the state names `{found}`")]
    OtherKey {
        /// The key that the change was meant for.
        expected: Kid,
        /// The key in its place.
        found: Kid,
    },
    /// The next key has been published too briefly.
    #[error(transparent)]
    TooSoon(#[from] TooSoon),
    /// A rotation is under way already.
    #[error("a rotation to key `{0}` is under way")]
    UnderWay(Kid),
    /// The key is in the ring, or was.
    #[error("key `{0}` is in the JWK Set or has left it, and is never used again")]
    Used(Kid),
}

impl From<NotPublished> for RingRefusal {
    fn from(error: NotPublished) -> Self {
        match error {
            NotPublished::Known(kid) => Self::Used(kid),
            NotPublished::NoRoom(error) => Self::NoRoom(error),
        }
    }
}

impl From<NoPrevious> for RingRefusal {
    fn from(_: NoPrevious) -> Self {
        Self::NoPreviousKey
    }
}

#[expect(
    clippy::missing_errors_doc,
    reason = "each is refused with a `RingRefusal` that says why, and changes nothing then"
)]
impl State {
    /// Notes which key is about to be made, before its file is.
    pub fn intend_key(&mut self, kid: &Kid, alg: Algorithm, now: Timestamp) {
        self.intended_key = Some(IntendedKey {
            kid: kid.clone(),
            alg,
            since: now,
        });
    }

    /// Drops the intention of a key that was never published.
    pub fn drop_intended_key(&mut self) {
        self.intended_key = None;
    }

    /// Brings in the first key, which signs. `how` says where it is from, for the journal.
    pub fn first_key(
        &mut self,
        jwk: PublicJwk,
        how: &str,
        now: Timestamp,
    ) -> Result<(), RingRefusal> {
        if self.registration.is_some() || self.attempt.is_some() {
            return Err(RingRefusal::ClientExists);
        }
        if self.ring.is_some() {
            return Err(RingRefusal::KeyExists);
        }
        let detail = format!("key `{}` ({}) {how}", jwk.kid, jwk.alg);
        self.journal.add(now, Event::KeyCreated, None, detail);
        self.ring = Some(KeyRing::new(jwk, now));
        self.intended_key = None;
        Ok(())
    }

    /// Gives the first key another algorithm, as long as no client was registered with it.
    pub fn restamp(&mut self, jwk: PublicJwk) -> Result<(), RingRefusal> {
        let created_at = self.can_restamp()?.current().created_at;
        self.ring = Some(KeyRing::new(jwk, created_at));
        Ok(())
    }

    /// Whether [`State::restamp`] is possible.
    pub fn can_restamp(&self) -> Result<&KeyRing, RingRefusal> {
        if self.registration.is_some() || self.attempt.is_some() {
            return Err(RingRefusal::ClientExists);
        }
        let ring = self.ring.as_ref().ok_or(RingRefusal::NoRing)?;
        if ring.published().count() > 1 || !ring.retired().is_empty() {
            return Err(RingRefusal::KeyExists);
        }
        Ok(ring)
    }

    /// Publishes `jwk` beside the key that signs. `hurried` leaves out the wait, not the proof.
    pub fn prepublish(
        &mut self,
        jwk: PublicJwk,
        hurried: bool,
        now: Timestamp,
        policy: &RotationPolicy,
    ) -> Result<(), RingRefusal> {
        let detail = format!("key `{}` ({}) made", jwk.kid, jwk.alg);
        let ring = self.steady()?.prepublish(jwk, hurried, now, policy)?;
        self.ring = Some(ring.into());
        self.intended_key = None;
        self.journal.add(now, Event::KeyCreated, None, detail);
        self.project(now);
        Ok(())
    }

    /// Notes that the set is served from `now` on, for `max_age` at a time.
    pub fn served(&mut self, now: Timestamp, max_age: Duration) -> Result<(), RingRefusal> {
        let ring = self.ring.as_mut().ok_or(RingRefusal::NoRing)?;
        ring.served(now, max_age);
        Ok(())
    }

    /// Makes `kid`, the next key, the one that signs. Returns the key that signed before.
    ///
    /// `copies_are_renewed` says that no copy of the set with a longer lifetime than the present
    /// one can be left.
    pub fn promote(
        &mut self,
        kid: &Kid,
        copies_are_renewed: bool,
        now: Timestamp,
        policy: &RotationPolicy,
    ) -> Result<Kid, RingRefusal> {
        let ring = self.prepublished()?;
        expect(kid, &ring.next().jwk.kid)?;
        let before = ring.current().jwk.kid.clone();
        let mut ring = KeyRing::from(ring.promote(now, policy)?);
        if copies_are_renewed {
            ring.forget_longer_lifetimes(policy.max_age);
        }
        self.ring = Some(ring);
        let detail = format!("key `{kid}` signs in place of `{before}`");
        self.journal.add(now, Event::KeyPromoted, None, detail);
        self.project(now);
        Ok(before)
    }

    /// Sends the signer back from `kid`, which was rejected, to the key before it. Returns that
    /// key.
    pub fn fall_back(&mut self, kid: &Kid, now: Timestamp) -> Result<Kid, RingRefusal> {
        let ring = self.steady()?;
        expect(kid, &ring.current().jwk.kid)?;
        let ring = ring.fall_back(now)?;
        let signs = ring.current().jwk.kid.clone();
        self.ring = Some(ring.into());
        let detail = format!("`{kid}` was rejected: `{signs}` signs again");
        self.journal.add(now, Event::KeyFellBack, None, detail);
        self.project(now);
        Ok(signs)
    }

    /// Removes the keys that are due to leave the set, and returns their IDs.
    pub fn retire(
        &mut self,
        now: Timestamp,
        policy: &RotationPolicy,
    ) -> Result<Vec<Kid>, RingRefusal> {
        let (ring, gone) = self.steady()?.retire(now, policy);
        if gone.is_empty() {
            return Err(RingRefusal::NothingToRetire);
        }
        self.ring = Some(ring.into());
        let names: Vec<&str> = gone.iter().map(Kid::as_str).collect();
        let detail = format!("{} left the JWK Set", names.join(", "));
        self.journal.add(now, Event::KeyRetired, None, detail);
        self.project(now);
        Ok(gone)
    }

    /// Replaces every key by `jwk`, which signs at once. Returns the keys that left the set.
    pub fn revoke(&mut self, jwk: PublicJwk, now: Timestamp) -> Result<Vec<Kid>, RingRefusal> {
        let ring = self.ring.as_ref().ok_or(RingRefusal::NoRing)?;
        if ring.knows(&jwk) {
            return Err(RingRefusal::Used(jwk.kid));
        }
        let gone = ring.published().map(|jwk| jwk.kid.clone()).collect();
        self.revoked
            .extend(ring.published().map(|jwk| jwk.key.thumbprint()));
        let detail = format!("all keys revoked; key `{}` signs in their place", jwk.kid);
        self.ring = Some(ring.revoke_all(jwk, now).into());
        self.intended_key = None;
        self.forget_verdicts();
        self.journal.add(now, Event::KeysRevoked, None, detail);
        self.project(now);
        Ok(gone)
    }

    /// Intends to register the algorithm of `kid`, the next key, before it signs.
    pub fn want_algorithm_of(&mut self, kid: &Kid, now: Timestamp) -> Result<(), RingRefusal> {
        let next = &self.prepublished()?.next().jwk;
        expect(kid, &next.kid)?;
        let alg = next.alg;
        if let Some(projection) = &mut self.projections.signing_alg {
            projection.wanted = alg;
        }
        self.project(now);
        Ok(())
    }

    /// Takes that intention back: the algorithm of the key that signs is wanted again.
    pub fn withdraw_algorithm(&mut self, now: Timestamp) {
        self.projections.signing_alg = None;
        self.project(now);
    }

    /// Brings the projections up to date with the keys and the registration.
    pub(super) fn project(&mut self, now: Timestamp) {
        self.projections = match (&self.ring, &self.registration) {
            (Some(ring), Some(client)) => self.projections.of(ring, client, now),
            _ => Projections::default(),
        };
    }

    fn steady(&self) -> Result<&Ring<Steady>, RingRefusal> {
        match &self.ring {
            None => Err(RingRefusal::NoRing),
            Some(KeyRing::Steady(ring)) => Ok(ring),
            Some(KeyRing::Prepublished(ring)) => {
                Err(RingRefusal::UnderWay(ring.next().jwk.kid.clone()))
            }
        }
    }

    fn prepublished(&self) -> Result<&Ring<Prepublished>, RingRefusal> {
        match &self.ring {
            None => Err(RingRefusal::NoRing),
            Some(KeyRing::Prepublished(ring)) => Ok(ring),
            Some(KeyRing::Steady(_)) => Err(RingRefusal::NotUnderWay),
        }
    }
}

fn expect(expected: &Kid, found: &Kid) -> Result<(), RingRefusal> {
    if expected == found {
        return Ok(());
    }
    Err(RingRefusal::OtherKey {
        expected: expected.clone(),
        found: found.clone(),
    })
}
