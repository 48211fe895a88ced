//! Changing the registration (RFC 7592 §2.2), and finding out whether that was done.

use super::bootstrap_error::BootstrapError;
use super::managed_client::{ManagedClient, managed};
use crate::app::chain;
use crate::idp::ManagementClient;
use crate::oauth::{ClientInformation, ClientMetadata, Management};
use crate::registration::{
    Drift, ManagementOutcome, RawAnswer, RedirectUpdate, Registered, has_arrived, recorded,
    update_body,
};
use crate::state::{State, UpdateSeen};
use crate::transport::SendError;

/// How an update ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum UpdateOutcome {
    /// The IdP has what it was asked for, or its own value in place of it.
    Made,
    /// The token is not valid.
    NotAccepted,
    /// Not made, as far as is known; the log has said why.
    NotMade,
}

impl ManagedClient<'_> {
    /// Changes the registration at the IdP, and says whether that was done. A change that the IdP
    /// refuses is logged, and not an error.
    pub(super) async fn update(&self, drift: &Drift) -> Result<bool, BootstrapError> {
        let mut outcome = self.try_update(drift).await?;
        if outcome == UpdateOutcome::NotAccepted && self.renew().await? {
            outcome = self.try_update(drift).await?;
        }
        if outcome == UpdateOutcome::NotAccepted {
            self.not_accepted().await?;
        }
        Ok(outcome == UpdateOutcome::Made)
    }

    async fn try_update(&self, drift: &Drift) -> Result<UpdateOutcome, BootstrapError> {
        let mut read = None;
        // The registration is read first, since others may have added redirect URIs.
        if self.redirects() != RedirectUpdate::Replace {
            match self.read().await? {
                ManagementOutcome::Is(information) => read = Some(information.metadata),
                ManagementOutcome::NotAccepted(_) => return Ok(UpdateOutcome::NotAccepted),
                ManagementOutcome::Unknown(what) if self.redirects() == RedirectUpdate::Merge => {
                    tracing::warn!(
                        "The registration could not be read ({what}), and an update might remove \
                         redirect URIs of others; it is tried at the next start"
                    );
                    return Ok(UpdateOutcome::NotMade);
                }
                outcome => tracing::info!(
                    "The registration could not be read before its update ({}): using the IdP's \
                     last answer",
                    text(&outcome)
                ),
            }
        }
        let state = self.app.ledger.state();
        let (Some((client, management)), Some(desired)) =
            (managed(state.registration()), self.desired(&state))
        else {
            return Ok(UpdateOutcome::NotMade);
        };
        let desired = desired.metadata();
        let body = update_body(&desired, client, read.as_ref(), self.redirects());
        let intended = recorded(desired, client, self.redirects());
        let was_read = read.is_some();
        let client_id = client.client_id.as_str();
        let _effect = self.app.shutdown.effect()?;
        let intend =
            |state: &mut State| state.intend_update(client_id, intended.clone(), read.clone());
        self.app.ledger.update(intend).await?;
        tracing::info!(
            client.id = client_id,
            "Updating client `{client_id}`: {}",
            if drift.is_empty() {
                "unchanged, so that the IdP fetches the JWK Set again".to_owned()
            } else {
                drift.to_string()
            }
        );
        match self.put(management, &body).await {
            Ok(answer) => {
                self.answered(client_id, intended, &answer, drift, was_read)
                    .await
            }
            Err(error) if error.is_not_sent() => {
                self.not_updated(client_id).await?;
                tracing::warn!("{error}; the update is tried at the next start");
                Ok(UpdateOutcome::NotMade)
            }
            Err(error) => {
                tracing::warn!("{}; reading whether the update was made", chain(&error));
                self.confirm(client_id, intended, false).await
            }
        }
    }

    async fn put(
        &self,
        management: &Management,
        body: &ClientMetadata,
    ) -> Result<RawAnswer, SendError> {
        let client = ManagementClient::new(self.http.clone(), management.clone());
        let now = || self.app.clock.now();
        let answer = client.update(body, now).await?;
        // The IdPs that know profiles are the ones that take PATCH in place of PUT.
        if answer.status == 405 && self.dcr().client_profile.is_some() {
            return client.patch(body, now).await;
        }
        Ok(answer)
    }

    async fn answered(
        &self,
        client_id: &str,
        sent: ClientMetadata,
        answer: &RawAnswer,
        drift: &Drift,
        was_read: bool,
    ) -> Result<UpdateOutcome, BootstrapError> {
        match ManagementOutcome::of(answer) {
            ManagementOutcome::Is(information) if information.client_id == client_id => {
                self.take(&information, sent, drift).await?;
                self.report_granted();
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
            ManagementOutcome::NotAccepted(status) | ManagementOutcome::NotOffered(status) => {
                let what = format!("it answers HTTP {status} to an update");
                let declined = self.desired(&self.app.ledger.state());
                self.unmanageable(&what, declined.map(|desired| desired.metadata()))
                    .await?;
            }
            ManagementOutcome::Refused(status, error) => {
                self.not_updated(client_id).await?;
                let error = error.map(|error| format!(": {error}")).unwrap_or_default();
                tracing::error!(
                    client.id = client_id,
                    http.status = status,
                    "The IdP refused the update (HTTP {status}{error}): the client stays as it \
                     was; hint: change {} to what the IdP allows",
                    drift.settings().join(", ")
                );
            }
        }
        Ok(UpdateOutcome::NotMade)
    }

    /// Finds out what became of an update that the last run sent.
    pub(super) async fn confirm_update(&self) -> Result<(), BootstrapError> {
        let state = self.app.ledger.state();
        let Some(client) = state.registration() else {
            return Ok(());
        };
        let Some(sent) = client.unconfirmed.clone() else {
            return Ok(());
        };
        let client_id = client.client_id.as_str();
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

    /// Reads whether an update was made. `succeeded` says that it was answered with success, and
    /// without the client in it.
    async fn confirm(
        &self,
        client_id: &str,
        sent: ClientMetadata,
        succeeded: bool,
    ) -> Result<UpdateOutcome, BootstrapError> {
        let read = match self.read().await? {
            ManagementOutcome::Is(information) => information.metadata,
            ManagementOutcome::NotAccepted(_) => return Ok(UpdateOutcome::NotAccepted),
            outcome => {
                return self
                    .unseen(client_id, sent, succeeded, &text(&outcome))
                    .await;
            }
        };
        let state = self.app.ledger.state();
        let arrived = state
            .registration()
            .is_some_and(|before| has_arrived(&sent, before, &read));
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
            self.report_granted();
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

    async fn not_updated(&self, client_id: &str) -> Result<(), BootstrapError> {
        let not_made = |state: &mut State| state.update_not_made(client_id);
        Ok(self.app.ledger.update(not_made).await?)
    }

    /// Stores what an update has brought: the token with the rest, in one commit.
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
        let updated = |state: &mut State| state.updated(information, sent.clone(), &detail, now);
        self.app.ledger.update(updated).await?;
        tracing::info!("Client updated: {detail}");
        Ok(())
    }

    /// Logs where the IdP has granted something else than an update asked for.
    fn report_granted(&self) {
        let state = self.app.ledger.state();
        let Some(client) = state.registration() else {
            return;
        };
        let nothing_known = Registered {
            granted: ClientMetadata::default(),
            ..client.clone()
        };
        let idp = Some(&client.granted);
        let substituted = Drift::between(&client.sent, &nothing_known, idp, self.redirects());
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
}

/// Why a read did not show the client.
fn text(outcome: &ManagementOutcome) -> String {
    match outcome {
        ManagementOutcome::Unknown(what) => what.clone(),
        ManagementOutcome::NotAccepted(status)
        | ManagementOutcome::NotOffered(status)
        | ManagementOutcome::Refused(status, _) => format!("HTTP {status}"),
        ManagementOutcome::Done | ManagementOutcome::Is(_) => "success".to_owned(),
    }
}
