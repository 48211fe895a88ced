//! Finding out whether an update was made, and whether a registration access token is valid.

use super::bootstrap_error::BootstrapError;
use super::managed_client::ManagedClient;
use super::occasion::Occasion;
use super::update::{UpdateOutcome, text};
use crate::oauth::ClientMetadata;
use crate::registration::{ManagementOutcome, has_arrived};
use crate::state::{State, UpdateSeen};

impl ManagedClient<'_> {
    /// Finds out what became of an update that the last run sent.
    pub(super) async fn confirm_update(&self, occasion: Occasion) {
        if let Err(error) = Box::pin(self.try_confirm(occasion)).await {
            tracing::error!(
                "It is not known whether the last update was made: {}; hint: {}",
                error.chain(),
                error.hint()
            );
        }
    }

    async fn try_confirm(&self, occasion: Occasion) -> Result<(), BootstrapError> {
        let state = self.app.ledger.state();
        let Some(client) = state.registration() else {
            return Ok(());
        };
        let client_id = client.client_id.as_str();
        if occasion == Occasion::Start && self.has_refused_tokens(&state) {
            return Ok(());
        }
        let Some(sent) = client.unconfirmed.clone() else {
            return self.try_token_in_doubt(client_id).await;
        };
        match self.confirm(client_id, sent.clone(), false).await? {
            UpdateOutcome::Made | UpdateOutcome::NotMade => Ok(()),
            UpdateOutcome::NotAccepted if self.renew().await? => {
                self.confirm(client_id, sent, false).await?;
                Ok(())
            }
            // The update that follows reports it.
            UpdateOutcome::NotAccepted if !self.drift(&state).is_empty() => Ok(()),
            UpdateOutcome::NotAccepted => self.not_accepted().await,
        }
    }

    /// Finds out whether a token is valid that left in the last run and whose answer is not stored.
    async fn try_token_in_doubt(&self, client_id: &str) -> Result<(), BootstrapError> {
        if self.app.ledger.state().rat_marker(client_id).is_none() {
            return Ok(());
        }
        match self.read().await {
            ManagementOutcome::NotAccepted(_) if self.renew().await? => Ok(()),
            ManagementOutcome::NotAccepted(_) => self.not_accepted().await,
            outcome => {
                tracing::debug!(
                    "Read the registration after an interruption: {}",
                    text(&outcome)
                );
                Ok(())
            }
        }
    }

    /// Reads whether an update was made. `succeeded` says that it was answered with success, and
    /// without the client in it.
    pub(super) async fn confirm(
        &self,
        client_id: &str,
        sent: ClientMetadata,
        succeeded: bool,
    ) -> Result<UpdateOutcome, BootstrapError> {
        let before = self.app.ledger.state();
        let read = match self.read().await {
            ManagementOutcome::Is(information) => information.metadata,
            ManagementOutcome::NotAccepted(_) => return Ok(UpdateOutcome::NotAccepted),
            outcome => {
                return self
                    .unseen(client_id, sent, succeeded, &text(&outcome))
                    .await;
            }
        };
        let arrived = before
            .registration()
            .is_some_and(|before| has_arrived(&sent, before, &read));
        let read = Self::keep(&sent, read);
        let seen = match (arrived, succeeded) {
            (true, _) => UpdateSeen::Made,
            (false, true) => UpdateSeen::Ignored,
            (false, false) => UpdateSeen::NotMade,
        };
        let now = self.app.clock.now();
        let note =
            |state: &mut State| state.update_seen(client_id, sent.clone(), read.clone(), seen, now);
        self.app.ledger.update(note).await?;
        match seen {
            UpdateSeen::Made if succeeded => tracing::info!("Client updated"),
            UpdateSeen::Made => tracing::info!("The update was made after all"),
            UpdateSeen::Ignored => tracing::warn!(
                client.id = client_id,
                "The IdP answered the update with success and changed nothing; it is not sent \
                 again; hint: change the client there, or the settings here"
            ),
            UpdateSeen::NotMade => tracing::warn!(
                client.id = client_id,
                "The update was not made; it is tried again, at the next start at the latest"
            ),
        }
        if seen != UpdateSeen::NotMade {
            self.report_granted(&before);
        }
        Ok(if arrived {
            UpdateOutcome::Made
        } else {
            UpdateOutcome::NotMade
        })
    }

    /// An update whose outcome cannot be read: a successful answer is believed, anything else is
    /// tried again.
    async fn unseen(
        &self,
        client_id: &str,
        sent: ClientMetadata,
        succeeded: bool,
        what: &str,
    ) -> Result<UpdateOutcome, BootstrapError> {
        if !succeeded {
            tracing::warn!(
                client.id = client_id,
                "It is not known whether the update was made ({what}); it is read or sent again \
                 at the next start"
            );
            return Ok(UpdateOutcome::NotMade);
        }
        let now = self.app.clock.now();
        let believe = |state: &mut State| state.update_believed(client_id, sent.clone(), now);
        self.app.ledger.update(believe).await?;
        tracing::info!("Client updated, as the IdP answered; it cannot be read ({what})");
        Ok(UpdateOutcome::Made)
    }
}
