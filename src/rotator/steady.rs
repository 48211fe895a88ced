//! What is due when no rotation is under way.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::live::Live;
use super::machine::{IDLE, Machine, RETRY};
use super::rotate_error::RotateError;
use crate::app::{blocking, chain};
use crate::jose::Kid;
use crate::keyring::{Ring, Steady};
use crate::registrar::Care;
use crate::registration::AuthenticationOutcome;
use crate::state::State;

/// Rejections in a row that send the signer back.
const REJECTIONS: usize = 2;

/// Pause before a rotation that could not begin is tried again.
const BEGIN_AGAIN: Duration = Duration::from_hours(1);

impl Machine {
    /// Retires keys, looks after the one that was promoted lately, begins what is due.
    pub(super) async fn keep_up(&self, ring: &Ring<Steady>, live: &mut Live) -> Duration {
        let now = self.app.clock.now();
        let (_, gone) = ring.retire(now, &self.policy);
        if !gone.is_empty() {
            return self.retire(live).await;
        }
        let blocked = live
            .begin_not_before
            .is_some_and(|not_before| Instant::now() < not_before);
        if !blocked && !self.offer_seen.load(Ordering::Relaxed) {
            let app = Arc::clone(&self.app);
            if let Some(key) = blocking(move || app.offered_key()).await {
                tracing::info!(
                    key.kid = %key.kid(),
                    "BFF_JWT_SIGNING_KEY holds another key; rotating to it"
                );
                let begun = self.begin(Some(key), None, false, live).await;
                self.offer_seen.store(begun.is_ok(), Ordering::Relaxed);
                return Self::begun(ring, begun, live);
            }
            self.offer_seen.store(true, Ordering::Relaxed);
        }
        if let Some(pause) = self.look_after(ring, live).await {
            return pause;
        }
        match ring.due_at(&self.policy) {
            Some(due) if due <= now && !blocked => {
                tracing::info!(
                    key.kid = %ring.current().jwk.kid,
                    "Key `{}` has reached its age (BFF_JWK_ROTATE_AFTER_DAYS)",
                    ring.current().jwk.kid
                );
                let begun = self.begin(None, None, false, live).await;
                Self::begun(ring, begun, live)
            }
            _ => IDLE,
        }
    }

    fn begun(ring: &Ring<Steady>, result: Result<(), RotateError>, live: &mut Live) -> Duration {
        match result {
            Ok(()) => Duration::ZERO,
            Err(error) => {
                if live.begin_not_before.is_none() {
                    tracing::error!(
                        key.kid = %ring.current().jwk.kid,
                        retry_s = BEGIN_AGAIN.as_secs(),
                        "The keys cannot be rotated: {}; key `{}` goes on signing; hint: {}",
                        chain(&error),
                        ring.current().jwk.kid,
                        error.hint()
                    );
                }
                live.begin_not_before = Some(Instant::now() + BEGIN_AGAIN);
                IDLE
            }
        }
    }

    async fn retire(&self, live: &mut Live) -> Duration {
        let now = self.app.clock.now();
        let retire = |state: &mut State| state.retire(now, &self.policy);
        match self.app.ledger.update(retire).await {
            Ok(gone) => {
                let names: Vec<&str> = gone.iter().map(Kid::as_str).collect();
                tracing::info!("Audit: keys retired: {} left the JWK Set", names.join(", "));
                self.reconcile(live).await;
                Duration::ZERO
            }
            Err(error) => {
                tracing::error!(
                    retry_s = RETRY.as_secs(),
                    "Could not take old keys out of the JWK Set: {}",
                    chain(&error)
                );
                RETRY
            }
        }
    }

    /// Proves the key that was promoted lately, and goes back to the one before if it is rejected.
    async fn look_after(&self, ring: &Ring<Steady>, live: &mut Live) -> Option<Duration> {
        let probation = live.probation.as_mut()?;
        let now = Instant::now();
        if now >= probation.until {
            live.probation = None;
            return None;
        }
        if now < probation.next {
            return Some((probation.next - now).min(IDLE));
        }
        probation.pause = probation.pause.saturating_mul(2);
        probation.next = (now + probation.pause).min(probation.until);
        let pause = (probation.next - now).min(IDLE);
        let current = &ring.current().jwk.kid;
        if !self.is_rejected(current).await {
            return Some(pause);
        }
        let Some(before) = ring.previous().last() else {
            tracing::error!(
                key.kid = %current,
                "The IdP does not accept key `{current}`, and no previous key is left; hint: make \
                 the IdP fetch the JWK Set again; see its log and `bff status`"
            );
            return Some(pause);
        };
        let before = &before.jwk.kid;
        if self.is_rejected(before).await {
            tracing::error!(
                key.kid = %current,
                key.before = %before,
                "The IdP accepts neither key `{current}` nor the previous key `{before}`; hint: \
                 see its log and `bff status`"
            );
            return Some(pause);
        }
        self.fall_back(current, live).await;
        Some(Duration::ZERO)
    }

    async fn is_rejected(&self, kid: &Kid) -> bool {
        let (Some(registrar), Some(key)) = (&self.registrar, self.app.signer.get(kid)) else {
            // A key that is not loaded cannot sign.
            return true;
        };
        for _ in 0..REJECTIONS {
            match registrar.try_key(&key, Care::default()).await {
                Ok(proof) if proof.outcome == AuthenticationOutcome::Rejected => {}
                _ => return false,
            }
        }
        true
    }

    async fn fall_back(&self, current: &Kid, live: &mut Live) {
        let now = self.app.clock.now();
        let fall_back = |state: &mut State| state.fall_back(current, now);
        let before = match self.app.ledger.update(fall_back).await {
            Ok(before) => before,
            Err(error) => {
                tracing::error!(
                    key.kid = %current,
                    "Could not go back to the previous key: {}",
                    chain(&error)
                );
                return;
            }
        };
        *live = Live {
            rejections: 1,
            served: Some((current.clone(), Instant::now())),
            ..Live::default()
        };
        self.app.show_locally().await;
        tracing::error!(
            key.kid = %before,
            "Audit: the IdP rejected key `{current}` after its promotion: key `{before}` signs \
             again, and `{current}` waits for another proof"
        );
        self.reconcile(live).await;
    }
}
