//! Reading the registration, and keeping its registration access token (RFC 7592).

use super::bootstrap_error::BootstrapError;
use super::managed_client::{ManagedClient, managed};
use crate::app::chain;
use crate::idp::ManagementClient;
use crate::oauth::{ClientMetadata, EndpointUrl, Management};
use crate::registration::{Drift, ManagementOutcome, Registered};
use crate::state::State;

impl ManagedClient<'_> {
    /// Compares with what the IdP has, if the registration can be read.
    pub(super) async fn check_drift(&self) -> Result<Drift, BootstrapError> {
        let read = self.read().await?;
        let state = self.app.ledger.state();
        let (Some(client), Some(desired)) = (state.registration(), self.desired(&state)) else {
            return Ok(Drift::default());
        };
        let idp = match &read {
            ManagementOutcome::Is(information) => Some(&information.metadata),
            _ => None,
        };
        let drift = Drift::between(&desired.metadata(), client, idp, self.redirects());
        if idp.is_some() {
            let now = self.app.clock.now();
            self.app.condition.set_drift(drift.clone(), now);
        }
        Ok(drift)
    }

    /// Reads the registration (RFC 7592 §2.1). A new token is stored before anything else. What is
    /// not about this client counts as unknown.
    pub(super) async fn read(&self) -> Result<ManagementOutcome, BootstrapError> {
        let state = self.app.ledger.state();
        let Some((client, management)) = managed(state.registration()) else {
            let what = "there is no registration access token".to_owned();
            return Ok(ManagementOutcome::Unknown(what));
        };
        // Some IdPs renew the token with each read.
        let _effect = self.app.shutdown.effect()?;
        let requests = ManagementClient::new(self.http.clone(), management.clone());
        let answer = match requests.read(|| self.app.clock.now()).await {
            Ok(answer) => answer,
            Err(error) => return Ok(ManagementOutcome::Unknown(chain(&error))),
        };
        match ManagementOutcome::of(&answer) {
            ManagementOutcome::Is(information) if information.client_id != client.client_id => {
                Ok(ManagementOutcome::Unknown(format!(
                    "the answer is about another client, `{}`",
                    information.client_id
                )))
            }
            ManagementOutcome::Is(information) => {
                let mut renewed = client.clone();
                renewed.renew(&information.access);
                if !renewed.is_managed_like(client) {
                    self.app
                        .ledger
                        .update(|state| state.renewed(&information))
                        .await?;
                }
                Ok(ManagementOutcome::Is(information))
            }
            ManagementOutcome::Done | ManagementOutcome::Refused(..) => {
                let what = format!("HTTP {}", answer.status);
                Ok(ManagementOutcome::Unknown(what))
            }
            outcome => Ok(outcome),
        }
    }

    /// The token is not valid any more, and cannot be renewed from here.
    pub(super) async fn not_accepted(&self) -> Result<(), BootstrapError> {
        let what = "it does not accept the registration access token (it was renewed elsewhere or \
                    lost with an answer, or BFF_STATE_DIR is older than the last change)";
        self.unmanageable(what, None).await
    }

    /// Keeps the client and its token, and leaves the registration as it is. An update that is
    /// `declined` is not asked for again.
    pub(super) async fn unmanageable(
        &self,
        what: &str,
        declined: Option<ClientMetadata>,
    ) -> Result<(), BootstrapError> {
        let now = self.app.clock.now();
        self.app
            .ledger
            .update(|state| state.unmanageable(what, declined.clone(), now))
            .await?;
        tracing::warn!(
            "The registration cannot be changed from here: {what}. The client works; hint: set \
             BOOTSTRAP_ADMIN_TOKEN and restart, change it at the IdP, or set a fresh DCR_IAT and \
             DCR_FORCE_REPLACE=true"
        );
        Ok(())
    }

    /// Has the registration access token renewed, if there is an administrator's token. Says
    /// whether there is a new one.
    pub(super) async fn renew(&self) -> Result<bool, BootstrapError> {
        let state = self.app.ledger.state();
        let here = |client: &&Registered| client.issuer == self.idp.issuer;
        let (Some(admin), Some(client)) = (self.idp_admin(), state.registration().filter(here))
        else {
            return Ok(false);
        };
        let client_id = client.client_id.as_str();
        let _effect = self.app.shutdown.effect()?;
        let renewed = match admin.renew_registration_access_token(client_id).await {
            Ok(renewed) => renewed,
            Err(error) => {
                tracing::warn!(
                    client.id = client_id,
                    "The registration access token could not be renewed: {error}; hint: {}",
                    error.hint()
                );
                return Ok(false);
            }
        };
        let held = client.management.as_ref().map(|held| &held.uri);
        let permitted = self.idp.allow_insecure_http;
        let told = renewed.uri;
        let told = told.and_then(|uri| EndpointUrl::parse(&uri, permitted).ok());
        let Some(uri) = told
            .filter(|uri| self.is_of_the_idp(uri, held))
            .or_else(|| held.cloned())
        else {
            tracing::warn!(
                client.id = client_id,
                "The IdP renewed the registration access token and did not name its \
                 registration_client_uri: the client cannot be changed from here"
            );
            return Ok(false);
        };
        let now = self.app.clock.now();
        let management = Management {
            uri,
            token: renewed.token,
        };
        let renewed =
            |state: &mut State| state.renewed_by_administrator(client_id, management.clone(), now);
        self.app.ledger.update(renewed).await?;
        tracing::info!(
            client.id = client_id,
            "The registration access token of client `{client_id}` was renewed"
        );
        Ok(true)
    }

    /// Whether a token may go to `uri`: it is where the one before went, or the IdP's own.
    fn is_of_the_idp(&self, uri: &EndpointUrl, held: Option<&EndpointUrl>) -> bool {
        let ours = [&self.idp.base_url, &self.idp.issuer_url];
        held.into_iter()
            .chain(ours)
            .any(|known| known.origin() == uri.origin())
    }
}
