//! The task that rotates, and what can be ordered of it.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use super::live::{Live, Probation, Seen};
use super::machine::{IDLE, Machine, RETRY};
use super::rotate_error::RotateError;
use crate::app::{App, RotationReport, chain};
use crate::jose::Algorithm;
use crate::keyring::{KeyRing, RotationPolicy};
use crate::oauth::AssertionClaims;
use crate::registrar::Registrar;

/// Rotates the keys, by itself and on order.
#[derive(Debug)]
pub struct Rotator {
    machine: Machine,
    live: Mutex<Live>,
    /// What of `live` can be seen while a step is under way.
    seen: std::sync::Mutex<Seen>,
    /// What of the state could not be read or written at the last tick.
    failure: std::sync::Mutex<Option<String>>,
    wake: Notify,
}

/// How a rotation is to be carried out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// All keys may be compromised: the new one signs at once.
    Compromised,
    /// Without the wait, but with the proof.
    Now,
    /// Published for the full time, then proven, then promoted.
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

impl Rotator {
    /// A rotator of the keys of `app`, which `registrar` can prove.
    pub fn new(app: Arc<App>, registrar: Option<Arc<Registrar>>) -> Self {
        let rotation = &app.config.rotation;
        let policy = RotationPolicy {
            prepublish: rotation.prepublish,
            max_age: rotation.jwks_max_age,
            rotate_after: rotation.rotate_after,
            retire_after: rotation.retire_after,
            max_keys: rotation.max_keys,
            longest_signature: AssertionClaims::LIFETIME,
        };
        let probation = registrar.is_some().then(|| Probation::resumed(&app));
        Self {
            live: Mutex::new(Live {
                probation: probation.flatten(),
                ..Live::default()
            }),
            machine: Machine {
                app,
                registrar,
                policy,
                started: Instant::now(),
                offer_seen: AtomicBool::new(false),
            },
            seen: std::sync::Mutex::default(),
            failure: std::sync::Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// Does what is due, until the service stops.
    pub async fn run(self: Arc<Self>) {
        let shutdown = self.machine.app.shutdown.clone();
        loop {
            let rotator = Arc::clone(&self);
            let tick = shutdown.see_through(async move { rotator.tick().await });
            let pause = match tick.await {
                Ok(pause) => pause,
                // Supervision starts this task again.
                Err(panicked) => std::panic::resume_unwind(Box::new(panicked)),
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wake.notified() => {}
                () = shutdown.begun() => return,
            }
        }
    }

    /// Begins a rotation.
    ///
    /// # Errors
    ///
    /// [`RotateError`]; nothing has changed then.
    pub async fn order(&self, order: Order) -> Result<RotationReport, RotateError> {
        self.carry_out(order, false).await
    }

    /// The same, also where the IdP can never come to know the new key: after a compromise an
    /// operator may prefer a client that does not work to one that others can pass for.
    ///
    /// # Errors
    ///
    /// Those of [`Rotator::order`].
    pub async fn order_even_if_unpublished(
        &self,
        order: Order,
    ) -> Result<RotationReport, RotateError> {
        self.carry_out(order, true).await
    }

    async fn carry_out(
        &self,
        order: Order,
        even_if_unpublished: bool,
    ) -> Result<RotationReport, RotateError> {
        let mut live = self.live.lock().await;
        let machine = &self.machine;
        let report = match order.mode {
            Mode::Compromised => {
                machine
                    .revoke(order.alg, even_if_unpublished, &mut live)
                    .await?
            }
            Mode::Now | Mode::Scheduled => {
                // Without a proof, only the full publication time makes a key safe.
                let hurried = order.mode == Mode::Now && machine.registrar.is_some();
                machine.begin(None, order.alg, hurried, &mut live).await?;
                let mut report = machine.report(&live.seen());
                if order.mode == Mode::Now && !hurried {
                    report.note = Some(
                        "without a registration (DCR_ENABLED) nothing shows that the IdP has the \
                         key: it is published for its full time first"
                            .to_owned(),
                    );
                }
                report
            }
        };
        self.show(&live);
        self.wake.notify_one();
        Ok(report)
    }

    /// Where the rotation stands.
    pub fn report(&self) -> RotationReport {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.machine.report(&seen)
    }

    /// The durations that it obeys.
    pub fn policy(&self) -> &RotationPolicy {
        &self.machine.policy
    }

    /// One step of whatever is under way. Says how long nothing will be due.
    async fn tick(&self) -> Duration {
        let mut live = self.live.lock().await;
        let pause = self.step(&mut live).await;
        self.show(&live);
        pause
    }

    async fn step(&self, live: &mut Live) -> Duration {
        let machine = &self.machine;
        let failure = if let Err(error) = machine.app.ledger.follow().await {
            Some(format!("{}; hint: {}", chain(&error), error.hint()))
        } else {
            machine.reconcile(live).await;
            let served = machine.note_served(live).await;
            served.err().map(|error| {
                let why = chain(&error);
                format!("Could not record that the JWK Set is served: {why}")
            })
        };
        if self.report_failure(failure) {
            return RETRY;
        }
        machine.app.show_locally().await;
        let state = machine.app.ledger.state();
        let pause = match state.ring() {
            None => IDLE,
            Some(KeyRing::Prepublished(ring)) => machine.advance(ring, live).await,
            Some(KeyRing::Steady(ring)) => machine.keep_up(ring, live).await,
        };
        match live.projections.left() {
            Duration::ZERO => pause,
            left => pause.min(left),
        }
    }

    /// Logs a failure of the state, unless the last one was the same. Says whether there is one.
    fn report_failure(&self, failure: Option<String>) -> bool {
        let mut last = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if failure != *last
            && let Some(failure) = &failure
        {
            let retry_s = RETRY.as_secs();
            tracing::error!(retry_s, "{failure}; it is tried every {retry_s} s");
        }
        *last = failure;
        last.is_some()
    }

    fn show(&self, live: &Live) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = live.seen();
    }
}
