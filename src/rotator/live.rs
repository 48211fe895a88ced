//! What is known of a rotation in memory only.

use std::time::Duration;

use tokio::time::Instant;

use crate::app::App;
use crate::jose::Kid;
use crate::keyring::KeyRing;

/// What is known of a rotation beside the ring.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// Since when this process has served the next key: a clock that jumps cannot shorten it.
    pub(super) served: Option<(Kid, Instant)>,
    /// Proofs of the next key in a row that were not accepted.
    pub(super) rejections: u32,
    /// What the IdP answered to the last of them.
    pub(super) said: Option<String>,
    /// Before this, the next key is not proven again.
    pub(super) not_before: Option<Instant>,
    /// The time after a promotion in which a rejection sends the signer back.
    pub(super) probation: Option<Probation>,
    /// When an automatic rotation is tried again that could not begin.
    pub(super) begin_not_before: Option<Instant>,
    /// When the IdP is updated again after a failure.
    pub(super) projections: Retry,
}

/// What of [`Live`] can be seen while a step is under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) rejections: u32,
    pub(super) said: Option<String>,
    pub(super) on_probation: bool,
}

/// The time after a promotion in which the new key is looked after.
#[derive(Debug)]
pub(super) struct Probation {
    pub(super) until: Instant,
    pub(super) next: Instant,
    pub(super) pause: Duration,
}

/// When something is tried again that failed.
#[derive(Debug, Default)]
pub(super) struct Retry {
    failures: u32,
    not_before: Option<Instant>,
}

/// How long a new key is looked after.
const PROBATION: Duration = Duration::from_hours(1);

/// Pause before the first look, doubling from one to the next.
const FIRST_LOOK: Duration = Duration::from_secs(15);

/// Pause after the first failure, doubling up to [`LONGEST_RETRY`].
const RETRY: Duration = Duration::from_secs(5);

/// The longest such pause.
const LONGEST_RETRY: Duration = Duration::from_mins(10);

impl Live {
    pub(super) fn seen(&self) -> Seen {
        Seen {
            rejections: self.rejections,
            said: self.said.clone(),
            on_probation: self.probation.is_some(),
        }
    }
}

impl Retry {
    /// How long nothing is tried.
    pub(super) fn left(&self) -> Duration {
        self.not_before.map_or(Duration::ZERO, |not_before| {
            not_before.saturating_duration_since(Instant::now())
        })
    }

    pub(super) fn failed(&mut self) {
        let pause = RETRY.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(Instant::now() + pause.min(LONGEST_RETRY));
    }
}

impl Probation {
    pub(super) fn new() -> Self {
        Self::lasting(PROBATION)
    }

    /// What is left of it after a restart.
    pub(super) fn resumed(app: &App) -> Option<Self> {
        let state = app.ledger.state();
        let Some(KeyRing::Steady(ring)) = state.ring() else {
            return None;
        };
        ring.previous().last()?;
        let gone = app.clock.now().duration_since(ring.current().signs_since?);
        let left = PROBATION.saturating_sub(Duration::try_from(gone).unwrap_or_default());
        (!left.is_zero()).then(|| Self::lasting(left))
    }

    fn lasting(time: Duration) -> Self {
        let now = Instant::now();
        Self {
            until: now + time,
            next: now + FIRST_LOOK,
            pause: FIRST_LOOK,
        }
    }
}
