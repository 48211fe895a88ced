//! What is done about the registration beside the bootstrap.

use std::sync::Arc;
use std::time::Duration;

use super::bootstrap::Registrar;
use super::bootstrap_error::BootstrapError;
use super::managed_client::ManagedClient;
use super::update::text;
use crate::app::Backoff;
use crate::registration::{ManagementOutcome, Registered};

/// How often it is looked whether a read is due, and the pause before a failed one is repeated.
const LOOK: Duration = Duration::from_hours(1);

impl Registrar {
    /// Reads the registration on a slow schedule, asks again for an update that the IdP refused a
    /// day ago, and stores a registration access token that could not be stored with its answer,
    /// until the service stops.
    pub async fn keep_read(self: Arc<Self>) {
        let shutdown = self.app.shutdown.clone();
        let mut pause = self.read_due_in().map_or(LOOK, |due| due.min(LOOK));
        loop {
            tokio::select! {
                () = self.unstored.added() => self.store_token().await,
                () = tokio::time::sleep(pause) => {
                    let registrar = Arc::clone(&self);
                    let look = async move { registrar.look_after().await };
                    match shutdown.see_through(look).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => {
                            tracing::warn!("{}; hint: {}", error.chain(), error.hint());
                        }
                        // Supervision starts this task again.
                        Err(panicked) => std::panic::resume_unwind(Box::new(panicked)),
                    }
                    // A read that has failed is still due.
                    let due = self.read_due_in().filter(|due| !due.is_zero());
                    pause = due.map_or(LOOK, |due| due.min(LOOK));
                }
                () = shutdown.begun() => return,
            }
        }
    }

    async fn store_token(&self) {
        let mut backoff = Backoff::endless(&self.app.shutdown);
        while let Err(why) = self.unstored.store(&self.app.ledger).await {
            if !backoff.try_again(&why, None).await {
                return;
            }
        }
        tracing::info!("The registration access token is stored after all");
    }

    async fn look_after(&self) -> Result<(), BootstrapError> {
        let _turn = self.turn.lock().await;
        let client = self.client();
        if self.read_due_in().is_some_and(|due| due.is_zero()) {
            client.look().await?;
        }
        let state = self.app.ledger.state();
        let here = |client: &&Registered| client.issuer == self.client().idp.issuer;
        let refused = state.registration().filter(here);
        let refused = refused.is_some_and(|client| {
            client.refused_update.is_some() || client.refused_tokens.is_some()
        });
        let drift = client.drift(&state);
        if refused && !client.dcr().skip && !drift.is_empty() && !client.has_declined(&state) {
            client.update(&drift, None).await;
        }
        Ok(())
    }

    /// When the registration is to be read, if at all.
    fn read_due_in(&self) -> Option<Duration> {
        let client = self.client();
        let state = self.app.ledger.state();
        let registered = state.registration()?;
        if client.dcr().skip || registered.issuer != client.idp.issuer {
            return None;
        }
        registered.next_read_in(self.app.config.dcr.drift_check?, self.app.clock.now())
    }
}

impl ManagedClient<'_> {
    /// Reads the registration, and says what others have changed.
    async fn look(&self) -> Result<(), BootstrapError> {
        let known = self.app.condition.drift();
        match self.read().await {
            ManagementOutcome::NotAccepted(_) => {
                if !self.renew().await? {
                    self.not_accepted().await?;
                }
            }
            ManagementOutcome::Is(information) => {
                let (drift, _) = self.compare(Some(information.metadata));
                let is_known = known.is_some_and(|(known, _)| known == drift);
                if !drift.is_empty() && !is_known {
                    tracing::warn!(
                        "The registration at the IdP is not as configured: {drift}; hint: \
                         `bff register` mends it"
                    );
                }
            }
            outcome => {
                tracing::info!("The registration could not be read ({})", text(&outcome));
            }
        }
        Ok(())
    }
}
