//! What is remembered of proofs while the process lives.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::app::blocking;
use crate::jose::{Algorithm, Kid, MakeKeyError, SigningKey};
use crate::registration::AuthenticationOutcome;
use crate::state::KnownIdp;

/// Bounds the requests of proofs: pauses that the IdP asked for, rounds and controls.
#[derive(Debug, Default)]
pub(super) struct ProofMemory {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    /// The IdP asked not to be called before.
    not_before: Option<Instant>,
    /// When controls were sent.
    controls: VecDeque<Instant>,
    last_control: Option<Instant>,
    /// The keys that were shown to the IdP.
    shown: HashSet<Kid>,
    /// Proofs so far for which no accepted kind of assertion was known.
    rounds: u32,
    /// When every kind of assertion was tried last.
    tried_all: Option<Instant>,
    /// Keys that are never published, for controls.
    unknown_keys: HashMap<Algorithm, Arc<SigningKey>>,
    /// Proofs in a row that were not accepted.
    failures: u32,
    /// When the key that signs is proven again.
    due: Option<Instant>,
    /// Until when the rejections of a candidate are counted.
    candidate_rejected: Option<Instant>,
}

/// No control is sent so shortly before the first proof of a new key: some servers fetch the JWK
/// Set every 10 s at most, and the unknown key of a control makes them do it.
const QUIET: Duration = Duration::from_secs(15);

/// Proofs in which every kind of assertion is tried.
const FULL_ROUNDS: u32 = 3;

/// After those, they are all tried again after this time.
const FULL_ROUND_AGAIN: Duration = Duration::from_mins(5);

/// Pause after a proof that was not accepted, doubling up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_secs(5);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// The shortest time of rejections that is worth a commit, and the longest that passes for
/// uninterrupted.
const REJECTED_FOR: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(2));

const DAY: Duration = Duration::from_hours(24);

impl ProofMemory {
    /// Obeys `Retry-After`.
    pub(super) fn asked_to_wait(&self, pause: Duration) {
        self.lock().not_before = Some(Instant::now() + pause);
    }

    /// How long the IdP is not called, because it asked for it.
    pub(super) fn has_to_wait(&self) -> Option<Duration> {
        let left = self
            .lock()
            .not_before?
            .saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// How long the first proof of a key has to wait after a control.
    pub(super) fn quiet_left(&self, kid: &Kid) -> Duration {
        let inner = self.lock();
        match inner.last_control {
            Some(last) if !inner.shown.contains(kid) => QUIET.saturating_sub(last.elapsed()),
            _ => Duration::ZERO,
        }
    }

    pub(super) fn note_shown(&self, kid: &Kid) {
        self.lock().shown.insert(kid.clone());
    }

    pub(super) fn may_send_controls(&self) -> bool {
        let mut inner = self.lock();
        inner.controls.retain(|at| at.elapsed() < DAY);
        inner.controls.len() < KnownIdp::CONTROLS_A_DAY
    }

    /// Counts the controls of one proof.
    pub(super) fn count_controls(&self) {
        self.lock().controls.push_back(Instant::now());
    }

    /// Notes that a control was answered.
    pub(super) fn note_control(&self) {
        self.lock().last_control = Some(Instant::now());
    }

    /// Whether every kind of assertion is tried now that the first was not accepted. `learnt` says
    /// whether that one was accepted before.
    pub(super) fn tries_all(&self, learnt: bool) -> bool {
        let mut inner = self.lock();
        let again = inner
            .tried_all
            .is_none_or(|last| last.elapsed() >= FULL_ROUND_AGAIN);
        if !again && (learnt || inner.rounds >= FULL_ROUNDS) {
            return false;
        }
        inner.tried_all = Some(Instant::now());
        inner.rounds = inner.rounds.saturating_add(1);
        true
    }

    /// Counts a proof in which only one kind is tried: each time another.
    pub(super) fn next_round(&self) -> usize {
        let mut inner = self.lock();
        inner.rounds = inner.rounds.saturating_add(1);
        usize::try_from(inner.rounds).unwrap_or_default()
    }

    /// Whether the rounds in which everything is tried are over for now.
    pub(super) fn tries_one(&self) -> bool {
        let inner = self.lock();
        let recent = inner
            .tried_all
            .is_some_and(|last| last.elapsed() < FULL_ROUND_AGAIN);
        recent && inner.rounds >= FULL_ROUNDS
    }

    /// A key of this algorithm that is never published.
    pub(super) async fn unknown_key(
        &self,
        alg: Algorithm,
    ) -> Result<Arc<SigningKey>, MakeKeyError> {
        if let Some(key) = self.lock().unknown_keys.get(&alg) {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(blocking(move || SigningKey::generate(alg)).await?);
        self.lock().unknown_keys.insert(alg, Arc::clone(&key));
        Ok(key)
    }

    /// Plans the next proof of the key that signs, `interval` after an acceptance.
    pub(super) fn note(&self, outcome: AuthenticationOutcome, interval: Duration) {
        let mut inner = self.lock();
        let pause = match outcome {
            AuthenticationOutcome::Accepted | AuthenticationOutcome::Inconclusive => {
                inner.failures = 0;
                (!interval.is_zero()).then_some(interval)
            }
            AuthenticationOutcome::Rejected | AuthenticationOutcome::Unknown => {
                let pause = PAUSE.saturating_mul(1 << inner.failures.min(16));
                inner.failures = inner.failures.saturating_add(1);
                Some(pause.min(LONGEST_PAUSE))
            }
        };
        inner.due = pause.map(|pause| Instant::now() + pause);
        drop(inner);
        self.changed.notify_one();
    }

    /// Plans the first proof of a start that makes none itself.
    pub(super) fn plan(&self, interval: Duration) {
        let mut inner = self.lock();
        if inner.due.is_none() && !interval.is_zero() {
            inner.due = Some(Instant::now() + interval);
        }
    }

    /// Has the key that signs proven as soon as that is possible.
    pub(super) fn prove_soon(&self, kid: &Kid) {
        let pause = self.quiet_left(kid);
        let mut inner = self.lock();
        inner.failures = 0;
        inner.due = Some(Instant::now() + pause);
        drop(inner);
        self.changed.notify_one();
    }

    /// Notes that the candidate was rejected. Returns the time of rejections that is to be counted
    /// now, if there is any.
    pub(super) fn candidate_rejected(&self) -> Option<Duration> {
        let mut inner = self.lock();
        let (shortest, longest) = REJECTED_FOR;
        let before = inner.candidate_rejected;
        let rejected_for = before.map(|before| before.elapsed());
        if rejected_for.is_some_and(|time| time < shortest) {
            return None;
        }
        inner.candidate_rejected = Some(Instant::now());
        rejected_for.map(|time| time.min(longest))
    }

    /// Notes that it is not known whether the candidate is rejected, or that there is none.
    pub(super) fn candidate_not_rejected(&self) {
        self.lock().candidate_rejected = None;
    }

    /// Puts the next proof off.
    pub(super) fn put_off(&self) {
        self.lock().due = Some(Instant::now() + PAUSE);
    }

    /// Waits until a proof is due.
    pub(super) async fn due(&self) {
        loop {
            let due = self.lock().due;
            let time = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = time => return,
                () = self.changed.notified() => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
