//! How long each phase of a rotation lasts.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The durations that keep a rotation safe.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RotationPolicy {
    /// How long a key is published before it may sign.
    pub prepublish: Duration,
    /// How long others may keep a copy of the set, as it is served now.
    pub max_age: Duration,
    /// Age at which the key that signs is replaced; none means only by hand.
    pub rotate_after: Option<Duration>,
    /// Age at which a replaced key leaves the set.
    pub retire_after: Duration,
    /// Published keys at most.
    pub max_keys: usize,
    /// Longest lifetime of anything signed with these keys.
    pub longest_signature: Duration,
}

impl RotationPolicy {
    /// Allowance for the time a verifier takes to fetch the set, and for its clock.
    pub const FETCH_MARGIN: Duration = Duration::from_mins(1);

    /// How long a replaced key stays published after all copies and signatures have expired.
    pub const RETIRE_MARGIN: Duration = Duration::from_mins(5);

    /// How long a key is published before it may sign, if copies of the set without it may be
    /// kept for `longest_max_age`.
    pub fn propagation(&self, longest_max_age: Duration) -> Duration {
        self.prepublish
            .max(longest_max_age.max(self.max_age) + Self::FETCH_MARGIN)
    }

    /// How long a key stays published after its last signature, whatever its age.
    pub fn overlap(&self, longest_max_age: Duration) -> Duration {
        longest_max_age.max(self.max_age) + self.longest_signature + Self::RETIRE_MARGIN
    }
}

/// How long ago `since` was. A clock that was set back makes waits longer, never shorter.
pub(super) fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

/// `since` and a duration later, or [`Timestamp::MAX`].
pub(super) fn later(since: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| since.checked_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}
