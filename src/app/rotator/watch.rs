//! What is due when no rotation is under way.

use std::time::Duration;

use tokio::time::Instant;

use super::{IDLE, Live, RETRY, Rotator};
use crate::app::{App, ProofOutcome, chain};
use crate::jose::Kid;
use crate::keyring::{KeyRing, Ring, Steady};
use crate::registration::Event;

/// The time after a promotion in which a rejection sends the signer back to the key before.
#[derive(Debug)]
pub(super) struct Probation {
    until: Instant,
    next: Instant,
    pause: Duration,
}

/// How long it lasts.
const PROBATION: Duration = Duration::from_hours(1);

/// Pause before the first look, doubling from one to the next.
const FIRST_LOOK: Duration = Duration::from_secs(15);

/// Rejections in a row that send the signer back.
const REJECTIONS: usize = 2;

impl Probation {
    pub(super) fn new() -> Self {
        Self::lasting(PROBATION)
    }

    /// What is left of it after a restart.
    pub(super) fn resumed(app: &App) -> Option<Self> {
        let state = app.ledger.state();
        let Some(KeyRing::Steady(ring)) = &state.ring else {
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

impl Rotator {
    /// Retires keys, looks after the one that was promoted lately, begins what is due.
    pub(super) async fn keep_up(&self, ring: Ring<Steady>, live: &mut Live) -> Duration {
        let now = self.app.clock.now();
        let (_, gone) = ring.retire(now, &self.policy);
        if !gone.is_empty() {
            return self.retire(&gone).await;
        }
        if let Some(key) = self.app.keys.take_offered() {
            tracing::info!(
                key.kid = %key.kid(),
                "BFF_JWT_SIGNING_KEY holds another key: rotating to it"
            );
            return self.begun(self.begin(Some(key), None, false, live).await, live);
        }
        if let Some(pause) = self.look_after(&ring, live).await {
            return pause;
        }
        let blocked = live
            .begin_not_before
            .is_some_and(|not_before| Instant::now() < not_before);
        match ring.due_at(&self.policy) {
            Some(due) if due <= now && !blocked => {
                tracing::info!(
                    key.kid = %ring.current().jwk.kid,
                    "Key `{}` has reached its age (BFF_JWK_ROTATE_AFTER_DAYS)",
                    ring.current().jwk.kid
                );
                self.begun(self.begin(None, None, false, live).await, live)
            }
            _ => IDLE,
        }
    }

    fn begun(&self, result: Result<(), super::RotateError>, live: &mut Live) -> Duration {
        match result {
            Ok(()) => Duration::ZERO,
            Err(error) => {
                if live.begin_not_before.is_none() {
                    let hint = error.hint();
                    let error = chain(&error);
                    tracing::error!(
                        "The keys cannot be rotated: {error}; key `{}` goes on signing; {hint}",
                        self.app.keys.current().kid()
                    );
                }
                live.begin_not_before = Some(Instant::now() + IDLE);
                IDLE
            }
        }
    }

    async fn retire(&self, gone: &[Kid]) -> Duration {
        let now = self.app.clock.now();
        let policy = self.policy;
        let names = gone.iter().map(Kid::as_str).collect::<Vec<_>>().join(", ");
        let detail = format!("{names} left the JWK Set");
        let committed = self
            .app
            .ledger
            .update(|state| {
                if let Some(KeyRing::Steady(ring)) = &state.ring {
                    let (ring, _) = ring.retire(now, &policy);
                    state.ring = Some(ring.into());
                    state.journal.add(now, Event::KeyRetired, None, detail);
                }
            })
            .await;
        match committed {
            Ok(()) => {
                tracing::info!("Audit: keys retired: {names} left the JWK Set");
                self.is_pushed().await;
                Duration::ZERO
            }
            Err(error) => {
                tracing::error!("{error}; {}", error.hint());
                RETRY
            }
        }
    }

    /// Proves the key that was promoted lately, and gives the pen back if it is rejected.
    async fn look_after(&self, ring: &Ring<Steady>, live: &mut Live) -> Option<Duration> {
        let probation = live.probation.as_mut()?;
        let now = Instant::now();
        if now >= probation.until {
            live.probation = None;
            return None;
        }
        if now < probation.next {
            return Some(probation.next - now);
        }
        probation.pause = probation.pause.saturating_mul(2);
        probation.next = (now + probation.pause).min(probation.until);
        let pause = probation.next - now;
        let current = ring.current().jwk.kid.clone();
        if !self.is_rejected(&current).await {
            return Some(pause);
        }
        let Some(before) = ring.previous().last() else {
            tracing::error!(
                key.kid = %current,
                "The IdP does not accept key `{current}`, and there is no key before it: make the \
                 IdP fetch the JWK Set again, and see `bff doctor`"
            );
            return Some(pause);
        };
        let before = before.jwk.kid.clone();
        if self.is_rejected(&before).await {
            tracing::error!(
                "The IdP accepts neither key `{current}` nor `{before}` before it: see `bff \
                 status` and the IdP's log"
            );
            return Some(pause);
        }
        self.fall_back(&before, &current, live).await;
        Some(Duration::ZERO)
    }

    async fn is_rejected(&self, kid: &Kid) -> bool {
        let (Some(registrar), Some(key)) = (&self.registrar, self.app.keys.get(kid)) else {
            // A key that is not there cannot take over.
            return true;
        };
        for _ in 0..REJECTIONS {
            match registrar.try_key(&key).await {
                Ok(proof) if proof.outcome == ProofOutcome::Rejected => {}
                _ => return false,
            }
        }
        true
    }

    async fn fall_back(&self, before: &Kid, current: &Kid, live: &mut Live) {
        let now = self.app.clock.now();
        let detail = format!("`{current}` was rejected: `{before}` signs again");
        let committed = self
            .app
            .ledger
            .update(|state| {
                if let Some(KeyRing::Steady(ring)) = &state.ring
                    && let Ok(ring) = ring.fall_back(now)
                {
                    state.ring = Some(ring.into());
                    state.journal.add(now, Event::KeyFellBack, None, detail);
                }
            })
            .await;
        if let Err(error) = committed {
            tracing::error!("{error}; {}", error.hint());
            return;
        }
        *live = Live {
            rejections: 1,
            served: Some((current.clone(), Instant::now())),
            ..Live::default()
        };
        self.switch_to(before).await;
        tracing::error!(
            key.kid = %before,
            "Audit: the IdP rejected key `{current}` after its promotion: key `{before}` signs \
             again, and `{current}` waits for another proof"
        );
    }
}
