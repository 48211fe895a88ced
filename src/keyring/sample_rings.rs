//! Rings for the tests of this module.

use std::time::Duration;

use jiff::Timestamp;

use super::policy::{RotationPolicy, later};
use super::ring::{Prepublished, Ring, Steady};
use crate::jose::{Algorithm, PublicJwk, SigningKey};

pub(super) const POLICY: RotationPolicy = RotationPolicy {
    prepublish: Duration::from_mins(10),
    max_age: Duration::from_mins(5),
    rotate_after: Some(Duration::from_hours(30 * 24)),
    retire_after: Duration::from_hours(60 * 24),
    max_keys: 3,
    longest_signature: Duration::from_mins(1),
};

/// Two keys, not served yet.
pub(super) fn prepublished(now: Timestamp) -> Ring<Prepublished> {
    Ring::new(jwk(), now)
        .prepublish(jwk(), false, now, &POLICY)
        .unwrap()
}

/// Two keys, made at 0 s and served from `now` on.
pub(super) fn prepublished_served(now: Timestamp, max_age: Duration) -> Ring<Prepublished> {
    let mut ring = prepublished(at(0));
    ring.served(now, max_age);
    ring
}

/// Two keys, served at 100 s, of which the second signs since 700 s.
pub(super) fn promoted() -> Ring<Steady> {
    prepublished_served(at(100), POLICY.max_age)
        .promote(at(700), &POLICY)
        .unwrap()
}

pub(super) fn jwk() -> PublicJwk {
    let key = SigningKey::generate(Algorithm::ES256).unwrap();
    key.public().clone()
}

pub(super) fn at(seconds: u64) -> Timestamp {
    later(Timestamp::UNIX_EPOCH, Duration::from_secs(seconds))
}
