//! Replaces the key that signs: publish, wait, prove, switch; each step is one commit.

mod begin;
mod promote;
mod watch;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use super::{App, KeysError, Registrar};
use crate::jose::{Algorithm, Kid, MakeKeyError};
use crate::keyring::{KeyRing, NoRoom, NotPublished, RotationPolicy};
use crate::oauth::AssertionClaims;
use crate::store::CommitError;

/// Rotates the keys, by itself and on order.
#[derive(Debug)]
pub struct Rotator {
    app: Arc<App>,
    /// Proves keys and pushes them; none if there is no registration.
    registrar: Option<Arc<Registrar>>,
    policy: RotationPolicy,
    started: Instant,
    live: Mutex<Live>,
    /// What of `live` can be seen while a step is under way.
    seen: std::sync::Mutex<Seen>,
    wake: Notify,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    rejections: u32,
    said: Option<String>,
    on_probation: bool,
}

/// What is known of a rotation beside the ring, and is lost with the process.
#[derive(Debug, Default)]
struct Live {
    /// Since when this process has served the next key: a clock that jumps cannot shorten it.
    served: Option<(Kid, Instant)>,
    /// Proofs of the next key in a row that were not accepted.
    rejections: u32,
    /// What the IdP said to the last of them.
    said: Option<String>,
    /// Before this, the next key is not proven again.
    not_before: Option<Instant>,
    /// The time after a promotion in which a rejection sends the signer back.
    probation: Option<watch::Probation>,
    /// When an automatic rotation is tried again that could not begin.
    begin_not_before: Option<Instant>,
}

/// How a rotation is to be carried out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// All keys may be known to somebody else: the new one signs at once.
    Compromised,
    /// Without waiting, but not without the proof.
    Now,
    /// Published for as long as it takes, then proven, then switched to.
    #[default]
    Scheduled,
}

/// An order to rotate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Order {
    /// How.
    pub mode: Mode,
    /// The algorithm of the new key; by default that of the present one.
    pub alg: Option<Algorithm>,
}

/// Where a rotation stands.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct RotationStatus {
    /// `steady` or `prepublished`.
    pub phase: &'static str,
    /// The key that is to sign next; after a compromise the one that signs now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<Kid>,
    /// When it may sign at the earliest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earliest_promotion: Option<Timestamp>,
    /// `publication`, `time`, `registration`, `proof` or `probation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<&'static str>,
    /// Proofs in a row that were not accepted.
    #[serde(skip_serializing_if = "is_zero")]
    pub rejections: u32,
    /// What an operator should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Why a rotation does not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// The state could not be changed.
    #[error("the rotation cannot be stored")]
    Commit(#[from] CommitError),
    /// The new key could not be kept.
    #[error("the new key cannot be stored")]
    Keys(#[from] KeysError),
    /// The new key could not be made.
    #[error("the new key cannot be made")]
    Make(#[from] MakeKeyError),
    /// The key is not new.
    #[error("key `{0}` is in the JWK Set or has left it, and is never used again")]
    Known(Kid),
    /// The set is full.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// One is under way.
    #[error("a rotation to key `{kid}` is under way{}", left(*.seconds_left))]
    UnderWay {
        /// The key it leads to.
        kid: Kid,
        /// How long until that key may sign; not known while it is not published.
        seconds_left: Option<u64>,
    },
}

impl From<NotPublished> for RotateError {
    fn from(error: NotPublished) -> Self {
        match error {
            NotPublished::Known(kid) => Self::Known(kid),
            NotPublished::NoRoom(error) => Self::NoRoom(error),
        }
    }
}

impl RotateError {
    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Commit(error) => error.hint(),
            Self::Keys(error) => error.hint(),
            Self::Make(_) => "see that the machine has memory and /dev/urandom",
            Self::Known(_) => "rotate without a key of your own, and one is made",
            Self::NoRoom(_) => "wait, or raise BFF_JWK_MAX_KEYS and restart",
            Self::UnderWay { .. } => "`bff rotate` shows where it stands; wait for it",
        }
    }
}

impl Rotator {
    /// A rotator of the keys of `app`, which `registrar` can prove.
    pub fn new(app: Arc<App>, registrar: Option<Arc<Registrar>>) -> Self {
        let rotation = &app.config.rotation;
        Self {
            policy: RotationPolicy {
                prepublish: rotation.prepublish,
                max_age: rotation.jwks_max_age,
                rotate_after: rotation.rotate_after,
                retire_after: rotation.retire_after,
                max_keys: rotation.max_keys,
                longest_signature: AssertionClaims::LIFETIME,
            },
            live: Mutex::new(Live {
                probation: registrar
                    .is_some()
                    .then(|| watch::Probation::resumed(&app))
                    .flatten(),
                ..Live::default()
            }),
            app,
            registrar,
            started: Instant::now(),
            seen: std::sync::Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// Does what is due, until the service stops.
    pub async fn run(self: Arc<Self>) {
        loop {
            let rotator = Arc::clone(&self);
            let pause = self
                .app
                .shutdown
                .see_through(async move { rotator.tick().await })
                .await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wake.notified() => {}
                () = self.app.shutdown.begun() => return,
            }
        }
    }

    /// Begins a rotation.
    ///
    /// # Errors
    ///
    /// [`RotateError`]; nothing has changed then.
    pub async fn order(&self, order: Order) -> Result<RotationStatus, RotateError> {
        let mut live = self.live.lock().await;
        let status = match order.mode {
            Mode::Compromised => self.revoke(order.alg, &mut live).await?,
            Mode::Now | Mode::Scheduled => {
                // Where nothing can be proven, only time makes a key safe.
                let hurried = order.mode == Mode::Now && self.registrar.is_some();
                self.begin(None, order.alg, hurried, &mut live).await?;
                let mut status = self.status();
                if order.mode == Mode::Now && !hurried {
                    status.note = Some(
                        "without a registration (DCR_ENABLED) nothing shows that the IdP has the \
                         key: it is published for its full time first"
                            .to_owned(),
                    );
                }
                status
            }
        };
        self.wake.notify_one();
        Ok(status)
    }

    /// Where the rotation stands.
    pub fn status(&self) -> RotationStatus {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.clone();
        self.describe(&seen)
    }

    /// The durations that it obeys.
    pub fn policy(&self) -> &RotationPolicy {
        &self.policy
    }

    /// One step of whatever is under way. Says how long nothing will be due.
    async fn tick(&self) -> Duration {
        let mut live = self.live.lock().await;
        if let Err(error) = self.note_served(&mut live).await {
            tracing::error!("{error}; {}", error.hint());
            return RETRY;
        }
        let pause = match self.app.ledger.state().ring.clone() {
            None => IDLE,
            Some(KeyRing::Prepublished(ring)) => self.advance(ring, &mut live).await,
            Some(KeyRing::Steady(ring)) => self.keep_up(ring, &mut live).await,
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen {
            rejections: live.rejections,
            said: live.said.clone(),
            on_probation: live.probation.is_some(),
        };
        pause
    }

    /// Stamps what is served now and was not before. A set that is sent to the IdP counts as
    /// served only once it is there.
    async fn note_served(&self, live: &mut Live) -> Result<(), CommitError> {
        let state = self.app.ledger.state();
        let Some(ring) = &state.ring else {
            return Ok(());
        };
        if ring.is_stale(self.policy.max_age) && self.is_pushed().await {
            self.app.serving().await?;
            let state = self.app.ledger.state();
            if let Some(next) = state.ring.as_ref().and_then(KeyRing::next) {
                let kid = next.jwk.kid.clone();
                if live
                    .served
                    .as_ref()
                    .is_none_or(|(served, _)| *served != kid)
                {
                    live.served = Some((kid, Instant::now()));
                }
            }
        }
        Ok(())
    }

    /// Whether the IdP has been given the set, where it does not fetch it.
    async fn is_pushed(&self) -> bool {
        match &self.registrar {
            Some(registrar) => registrar.push_keys().await,
            None => true,
        }
    }

    fn describe(&self, seen: &Seen) -> RotationStatus {
        let steady = RotationStatus {
            phase: "steady",
            kid: None,
            earliest_promotion: None,
            waiting_for: seen.on_probation.then_some("probation"),
            rejections: seen.rejections,
            note: None,
        };
        let state = self.app.ledger.state();
        let Some(KeyRing::Prepublished(ring)) = &state.ring else {
            return steady;
        };
        let now = self.app.clock.now();
        let earliest = ring.earliest_promotion(&self.policy);
        RotationStatus {
            phase: "prepublished",
            kid: Some(ring.next().jwk.kid.clone()),
            earliest_promotion: earliest,
            waiting_for: Some(match earliest {
                None => "publication",
                Some(earliest) if now < earliest => "time",
                Some(_) if self.registrar.is_some() && !self.app.status.is_ready() => {
                    "registration"
                }
                Some(_) => "proof",
            }),
            note: (seen.rejections > 0).then(|| {
                format!(
                    "the IdP has not accepted the new key in {} tries ({}): the present one goes \
                     on signing",
                    seen.rejections,
                    seen.said.as_deref().unwrap_or("nothing said")
                )
            }),
            ..steady
        }
    }
}

/// Pause when nothing is under way; orders end it.
const IDLE: Duration = Duration::from_hours(1);

/// Pause after a failure that is not the IdP's.
const RETRY: Duration = Duration::from_mins(1);

fn left(seconds: Option<u64>) -> String {
    match seconds {
        Some(0) => ", and waits to be proven".to_owned(),
        Some(seconds) => format!(", for another {seconds} s at least"),
        None => String::new(),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
