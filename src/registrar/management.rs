//! Reading the registration, and keeping its registration access token (RFC 7592).

use super::bootstrap_error::BootstrapError;
use super::managed_client::{ManagedClient, managed};
use super::rat_request::{Carried, RatRequest};
use crate::oauth::{ClientMetadata, EndpointUrl, Management};
use crate::registration::{Drift, ManagementOutcome, RefusedTokens, Registered};
use crate::state::State;

impl ManagedClient<'_> {
    /// Compares with what the IdP has, if the registration can be read, and gives what was read.
    pub(super) async fn check_drift(&self) -> (Drift, Option<ClientMetadata>) {
        self.compare(match self.read().await {
            ManagementOutcome::Is(information) => Some(information.metadata),
            _ => None,
        })
    }

    /// Compares with what a read has shown, if it has, and gives that back.
    pub(super) fn compare(&self, idp: Option<ClientMetadata>) -> (Drift, Option<ClientMetadata>) {
        let state = self.app.ledger.state();
        let (Some(client), Some(desired)) = (state.registration(), self.desired(&state)) else {
            return (Drift::default(), None);
        };
        let desired = desired.metadata();
        let drift = Drift::between(&desired, client, idp.as_ref(), self.redirects());
        if idp.is_some() {
            let now = self.app.clock.now();
            self.app.condition.set_drift(drift.clone(), now);
        }
        (drift, idp)
    }

    /// Reads the registration (RFC 7592 §2.1). What is not about this client counts as unknown.
    pub(super) async fn read(&self) -> ManagementOutcome {
        let state = self.app.ledger.state();
        let Some((client, _)) = managed(state.registration()) else {
            let what = "there is no registration access token".to_owned();
            return ManagementOutcome::Unknown(what);
        };
        let client_id = client.client_id.as_str();
        // Boxed, because every future around it would be as large.
        let carried = Box::pin(self.carry(RatRequest::Read, client_id, |_| Ok(())));
        let answer = match carried.await {
            Carried::Answer(answer) => answer,
            Carried::NotSent(what) | Carried::Unknown(what) => {
                return ManagementOutcome::Unknown(what);
            }
        };
        match ManagementOutcome::of(&answer) {
            ManagementOutcome::Is(information) if information.client_id != client_id => {
                ManagementOutcome::Unknown(format!(
                    "the answer is about another client, `{}`",
                    information.client_id
                ))
            }
            ManagementOutcome::Done | ManagementOutcome::Refused(..) => {
                ManagementOutcome::Unknown(format!("HTTP {}", answer.status))
            }
            outcome => outcome,
        }
    }

    /// The token is not valid any more, and cannot be renewed from here.
    pub(super) async fn not_accepted(&self) -> Result<(), BootstrapError> {
        let what = "it does not accept the registration access token (it was renewed elsewhere or \
                    lost with an answer, or BFF_STATE_DIR is older than the last change)";
        // With an administrator's token it is the renewal that was refused, or could not be sent.
        if self.idp_admin().is_none() {
            Box::pin(self.note_refused_tokens()).await?;
        }
        self.unmanageable(what).await
    }

    /// Notes that the tokens that we have do not change this client. Boxed where it is awaited,
    /// because every future around it would be as large.
    async fn note_refused_tokens(&self) -> Result<(), BootstrapError> {
        let state = self.app.ledger.state();
        let (Some(client), Some(desired)) = (state.registration(), self.desired(&state)) else {
            return Ok(());
        };
        let refused = RefusedTokens {
            tokens: self.tokens(client),
            asked: desired.metadata(),
            at: self.app.clock.now(),
        };
        let client_id = client.client_id.as_str();
        let note = |state: &mut State| state.tokens_refused(client_id, refused.clone());
        Ok(self.app.ledger.update(note).await?)
    }

    /// Keeps the client and its token, and leaves the registration as it is.
    pub(super) async fn unmanageable(&self, what: &str) -> Result<(), BootstrapError> {
        let now = self.app.clock.now();
        self.app
            .ledger
            .update(|state| state.unmanageable(what, now))
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
                if !error.is_not_sent() {
                    Box::pin(self.note_refused_tokens()).await?;
                }
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
            Box::pin(self.note_refused_tokens()).await?;
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
