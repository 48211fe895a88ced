//! What every step of a rotation needs.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::time::Instant;

use super::live::{Live, Retry, Seen};
use crate::app::{App, Bootstrap, Phase, RotationReport, UpdateError, WaitingFor, chain};
use crate::keyring::{KeyRing, RotationPolicy};
use crate::registrar::Registrar;
use crate::state::RingRefusal;

/// The steps of a rotation: `begin.rs`, `promote.rs` and `steady.rs` have them.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) app: Arc<App>,
    /// Proves keys and pushes them; none if there is no registration.
    pub(super) registrar: Option<Arc<Registrar>>,
    pub(super) policy: RotationPolicy,
    pub(super) started: Instant,
    /// Whether the operator's PEM was looked at.
    pub(super) offer_seen: AtomicBool,
}

/// Pause when nothing is under way; orders end it.
pub(super) const IDLE: Duration = Duration::from_mins(5);

/// Pause after a failure that is not the IdP's.
pub(super) const RETRY: Duration = Duration::from_mins(1);

impl Machine {
    /// Records since when a new set is served. A set that is pushed to the IdP counts as served
    /// only once the IdP has it.
    pub(super) async fn note_served(
        &self,
        live: &mut Live,
    ) -> Result<(), UpdateError<RingRefusal>> {
        let state = self.app.ledger.state();
        let Some(ring) = state.ring() else {
            return Ok(());
        };
        if !ring.is_stale(self.policy.max_age) || !state.projections().has_keys() {
            return Ok(());
        }
        self.app.serving().await?;
        let state = self.app.ledger.state();
        if let Some(next) = state.ring().and_then(KeyRing::next) {
            let kid = &next.jwk.kid;
            if live.served.as_ref().is_none_or(|(served, _)| served != kid) {
                live.served = Some((kid.clone(), Instant::now()));
            }
        }
        Ok(())
    }

    /// Whether the IdP can come to know another key.
    pub(super) fn can_publish(&self) -> bool {
        self.registrar
            .as_ref()
            .is_none_or(|registrar| registrar.can_publish())
    }

    /// Sends the IdP what it does not fetch by itself, where it differs from the state.
    pub(super) async fn reconcile(&self, live: &mut Live) {
        let Some(registrar) = &self.registrar else {
            return;
        };
        // The steps of a promotion are not under way here, so no other algorithm is wanted than
        // that of the key that signs: anything else an interrupted promotion has left.
        if let Err(error) = registrar.withdraw_algorithm().await {
            tracing::error!("{}; hint: {}", chain(&error), error.hint());
            return;
        }
        if self.app.ledger.state().projections().open().is_empty() {
            live.projections = Retry::default();
            return;
        }
        // A bootstrap under way does it, too.
        let starting = matches!(self.app.condition.bootstrap(), Bootstrap::Starting { .. });
        if starting || !live.projections.left().is_zero() {
            return;
        }
        if registrar.reconcile().await {
            live.projections = Retry::default();
        } else {
            live.projections.failed();
        }
    }

    /// Where the rotation stands.
    pub(super) fn report(&self, seen: &Seen) -> RotationReport {
        let state = self.app.ledger.state();
        let Some(KeyRing::Prepublished(ring)) = state.ring() else {
            return RotationReport {
                phase: Phase::Steady,
                waiting_for: seen.on_probation.then_some(WaitingFor::Probation),
                rejections: seen.rejections,
                ..RotationReport::default()
            };
        };
        let now = self.app.clock.now();
        let earliest = ring.earliest_promotion(&self.policy);
        let registers = self.registrar.is_some();
        RotationReport {
            phase: Phase::Prepublished,
            kid: Some(ring.next().jwk.kid.clone()),
            earliest_promotion: earliest,
            waiting_for: Some(match earliest {
                None => WaitingFor::Publication,
                Some(earliest) if now < earliest => WaitingFor::Time,
                Some(_) if registers && !self.app.can_prove() => WaitingFor::Registration,
                Some(_) => WaitingFor::Proof,
            }),
            rejections: seen.rejections,
            note: (seen.rejections > 0).then(|| {
                format!(
                    "the IdP has not accepted the new key in {} tries ({}): the present one goes \
                     on signing",
                    seen.rejections,
                    seen.said.as_deref().unwrap_or("no answer")
                )
            }),
        }
    }
}
