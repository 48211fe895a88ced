//! How long keys live and are published.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::parse::{self, in_units};
use super::reader::Reader;
use super::section::Section;
use super::settings::{
    BFF_JWK_MAX_KEYS, BFF_JWK_RETIRE_AFTER_DAYS, BFF_JWK_ROTATE_AFTER_DAYS, BFF_JWKS_MAX_AGE,
    BFF_ROTATION_PREPUBLISH,
};
use crate::keyring::RotationPolicy;

const DAY: Duration = Duration::from_hours(24);
const MAX_AGES: RangeInclusive<Duration> = Duration::from_secs(1)..=DAY;
const PREPUBLISH: RangeInclusive<Duration> = Duration::ZERO..=DAY.saturating_mul(30);
const DAYS: RangeInclusive<u32> = 0..=3650;
const KEYS: RangeInclusive<u32> = 2..=100;

/// How long keys live and are published.
#[derive(Clone, Debug)]
pub struct RotationConfig {
    /// Cache lifetime of the JWK Set, 1 s to 24 h.
    pub jwks_max_age: Duration,
    /// Age at which a key is replaced; none means only by hand.
    pub rotate_after: Option<Duration>,
    /// Age at which a replaced key leaves the JWK Set; not below `rotate_after`.
    pub retire_after: Duration,
    /// Published keys at most, 2 to 100.
    pub max_keys: usize,
    /// How long a new key is published before it may sign; at least `jwks_max_age` +
    /// [`RotationPolicy::FETCH_MARGIN`].
    pub prepublish: Duration,
}

impl Section for RotationConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let max_age = reader.value(BFF_JWKS_MAX_AGE, parse::duration(MAX_AGES));
        let rotate = reader.value(BFF_JWK_ROTATE_AFTER_DAYS, parse::number(DAYS));
        let mut retire = reader.value(BFF_JWK_RETIRE_AFTER_DAYS, parse::number(DAYS));
        let max_keys = reader.value(BFF_JWK_MAX_KEYS, parse::number(KEYS));
        let mut prepublish = reader.value(BFF_ROTATION_PREPUBLISH, parse::duration(PREPUBLISH));

        if let (Some(rotate), Some(days)) = (rotate, retire)
            && rotate > days
        {
            retire = reader.wrong(
                BFF_JWK_RETIRE_AFTER_DAYS,
                format!(
                    "expected at least BFF_JWK_ROTATE_AFTER_DAYS ({rotate}), because a key \
                     cannot leave the JWK Set before it is replaced, got {days}"
                ),
            );
        }
        let floor = max_age.map(|max_age| max_age + RotationPolicy::FETCH_MARGIN);
        if let (Some(floor), Some(wished)) = (floor, prepublish)
            && wished < floor
            && reader.is_set(BFF_ROTATION_PREPUBLISH)
        {
            prepublish = reader.wrong(
                BFF_ROTATION_PREPUBLISH,
                format!(
                    "expected at least {}, which is BFF_JWKS_MAX_AGE + {}, got {}; raise it, or \
                     lower BFF_JWKS_MAX_AGE",
                    in_units(floor),
                    in_units(RotationPolicy::FETCH_MARGIN),
                    in_units(wished)
                ),
            );
        }
        Some(Self {
            jwks_max_age: max_age?,
            rotate_after: rotate.map(|days| DAY * days).filter(|age| !age.is_zero()),
            retire_after: DAY * retire?,
            max_keys: usize::try_from(max_keys?).ok()?,
            // The default is raised to the minimum; a configured value below it was refused above.
            prepublish: prepublish?.max(floor?),
        })
    }
}
