//! What an answer to an update means, and what is kept of it (RFC 7592 §2.2).

use super::bootstrap_error::BootstrapError;
use super::managed_client::ManagedClient;
use super::update::UpdateOutcome;
use crate::oauth::{ClientInformation, ClientMetadata, OAuthError};
use crate::registration::{Drift, ManagementOutcome, RawAnswer, RefusedUpdate, Registered, kept};
use crate::state::State;

impl ManagedClient<'_> {
    pub(super) async fn answered(
        &self,
        client_id: &str,
        sent: ClientMetadata,
        answer: &RawAnswer,
        drift: &Drift,
        was_read: bool,
    ) -> Result<UpdateOutcome, BootstrapError> {
        match ManagementOutcome::of(answer) {
            ManagementOutcome::Is(information) if information.client_id == client_id => {
                let before = self.app.ledger.state();
                self.take(&information, sent, drift).await?;
                self.report_granted(&before);
                return Ok(UpdateOutcome::Made);
            }
            // A success without client information may have changed nothing: the client is read.
            ManagementOutcome::Done => return self.confirm(client_id, sent, true).await,
            ManagementOutcome::Is(_) | ManagementOutcome::Unknown(_) => {
                tracing::warn!(
                    client.id = client_id,
                    http.status = answer.status,
                    "The IdP answered the update with HTTP {} and no usable client information; \
                     reading whether it was made",
                    answer.status
                );
                return self.confirm(client_id, sent, false).await;
            }
            // The token was accepted by a read just now, so it is not the reason.
            ManagementOutcome::NotAccepted(_) if !was_read => {
                self.not_updated(client_id).await?;
                return Ok(UpdateOutcome::NotAccepted);
            }
            ManagementOutcome::NotAccepted(status)
            | ManagementOutcome::NotOffered(status)
            | ManagementOutcome::Refused(status, _) => {
                self.refused(client_id, status, answer, drift).await?;
            }
        }
        Ok(UpdateOutcome::NotMade)
    }

    /// Notes that the IdP refuses an update, in its own words.
    async fn refused(
        &self,
        client_id: &str,
        status: u16,
        answer: &RawAnswer,
        drift: &Drift,
    ) -> Result<(), BootstrapError> {
        let said = OAuthError::parse(answer.body.expose().as_bytes(), &answer.sent);
        let said = said.map(|error| error.to_string()).unwrap_or_default();
        let quoted = if said.is_empty() {
            String::new()
        } else {
            format!(": {said}")
        };
        let desired = self.desired(&self.app.ledger.state());
        let refused = RefusedUpdate {
            asked: desired
                .map(|desired| desired.metadata())
                .unwrap_or_default(),
            status,
            said,
            at: self.app.clock.now(),
        };
        let note = |state: &mut State| state.update_refused(client_id, refused.clone());
        self.app.ledger.update(note).await?;
        if matches!(
            ManagementOutcome::of(answer),
            ManagementOutcome::Refused(..)
        ) {
            tracing::error!(
                client.id = client_id,
                http.status = status,
                "The IdP refused the update (HTTP {status}{quoted}): the client stays as it was, \
                 and it is tried again in a day; hint: change {} to what the IdP allows, or mend \
                 its policy and run `bff register`",
                drift.settings().join(", ")
            );
            return Ok(());
        }
        let what = format!("it answers HTTP {status} to an update{quoted}");
        self.unmanageable(&what).await
    }

    async fn not_updated(&self, client_id: &str) -> Result<(), BootstrapError> {
        let not_made = |state: &mut State| state.update_not_made(client_id);
        Ok(self.app.ledger.update(not_made).await?)
    }

    /// What is stored of metadata in an answer.
    pub(super) fn keep(asked: &ClientMetadata, answer: ClientMetadata) -> ClientMetadata {
        let (kept, cut) = kept(asked, answer);
        if !cut.is_empty() {
            tracing::warn!(
                "The IdP's {} is too long to be stored, and is not compared",
                cut.join(", ")
            );
        }
        kept
    }

    /// Stores what an update has brought.
    async fn take(
        &self,
        information: &ClientInformation,
        sent: ClientMetadata,
        drift: &Drift,
    ) -> Result<(), BootstrapError> {
        let now = self.app.clock.now();
        let detail = if drift.is_empty() {
            "sent again unchanged".to_owned()
        } else {
            format!("changed in {}", drift.members().join(", "))
        };
        let granted = Self::keep(&sent, information.metadata.clone());
        let client_id = information.client_id.as_str();
        let updated = |state: &mut State| {
            state.updated(client_id, sent.clone(), granted.clone(), &detail, now)
        };
        self.app.ledger.update(updated).await?;
        tracing::info!("Client updated: {detail}");
        Ok(())
    }

    /// Logs where the IdP has granted something else than an update asked for, unless it had done
    /// so `before`: then it was said.
    pub(super) fn report_granted(&self, before: &State) {
        let state = self.app.ledger.state();
        let Some(client) = state.registration() else {
            return;
        };
        let known = before.registration().map(|client| self.substituted(client));
        let known = known.unwrap_or_default();
        let mut substituted = self.substituted(client);
        substituted.0.retain(|drifted| !known.0.contains(drifted));
        if !substituted.is_empty() {
            tracing::warn!("The IdP granted something else than asked: {substituted}");
        }
        let method = client.granted.text("token_endpoint_auth_method");
        if method.is_some_and(|method| method != "private_key_jwt") {
            tracing::error!(
                "The IdP has changed token_endpoint_auth_method to {}; hint: allow \
                 private_key_jwt for this client there",
                method.unwrap_or_default()
            );
        }
    }

    /// What the IdP has put in place of what was asked for.
    fn substituted(&self, client: &Registered) -> Drift {
        let nothing_known = Registered {
            granted: ClientMetadata::default(),
            ..client.clone()
        };
        let idp = Some(&client.granted);
        Drift::between(&client.sent, &nothing_known, idp, self.redirects())
    }
}
