//! Replaces the stored client by a new one, and deletes clients that are no longer used.

use super::bootstrap_error::BootstrapError;
use super::presented::Care;
use super::proof_error::ProofError;
use super::session::Session;
use crate::app::{Backoff, chain};
use crate::idp::ManagementClient;
use crate::oauth::InitialAccessToken;
use crate::registration::{
    AuthenticationOutcome, ManagementOutcome, Orphan, Registered, Replacement, TokenFingerprint,
};
use crate::state::State;

/// Why a client is still there, as far as is known.
struct NotDeleted {
    /// What was answered.
    what: String,
    /// Whether another try can end otherwise.
    again: bool,
}

impl Session<'_> {
    /// Takes a new client in place of the stored one, which stays until the IdP accepts the new
    /// one. Says whether there is a new one.
    pub(super) async fn replace(
        &self,
        replacement: Replacement,
        token: Option<InitialAccessToken>,
        backoff: &mut Backoff,
    ) -> Result<bool, BootstrapError> {
        match replacement {
            Replacement::NewClient => {
                self.register(token, backoff).await?;
                Ok(true)
            }
            Replacement::Update => {
                self.update_in_place(token).await?;
                Ok(false)
            }
        }
    }

    /// Gives our client the whole configuration again, because it has the identifier that the new
    /// one would ask for. The token counts as used, so that this is done once.
    async fn update_in_place(
        &self,
        token: Option<InitialAccessToken>,
    ) -> Result<(), BootstrapError> {
        let used = token.as_ref().map(TokenFingerprint::of);
        let forced = self.client.dcr().force_replace;
        let note = |state: &mut State| {
            state.see_force(forced);
            if let Some(used) = &used {
                state.spend(used);
            }
        };
        self.app().ledger.record(note).await?;
        let state = self.app().ledger.state();
        let unmanaged = |client: &Registered| client.management.is_none();
        if state.registration().is_some_and(unmanaged) {
            self.client.renew().await?;
        }
        let state = self.app().ledger.state();
        let Some(client) = state.registration() else {
            return Ok(());
        };
        let drift = self.client.drift(&state);
        let made = client.management.is_some() && self.client.update(&drift, None).await;
        if !made {
            tracing::error!(
                client.id = %client.client_id,
                "Client `{0}` has the identifier that DCR_CLIENT_ID asks for, and could not be \
                 updated, so it stays as it is; hint: set BOOTSTRAP_ADMIN_TOKEN to have its \
                 registration access token renewed, or delete it at the IdP and set another DCR_IAT",
                client.client_id
            );
        }
        Ok(())
    }

    /// Deletes clients that are no longer used, where that is possible.
    pub(super) async fn delete_orphans(&self) -> Result<(), BootstrapError> {
        let state = self.app().ledger.state();
        let now = self.app().clock.now();
        // An orphan that an older state names may be a client that is in use.
        if state.restored().is_some() {
            return Ok(());
        }
        for orphan in state.orphans().iter().filter(|orphan| orphan.is_due(now)) {
            let _effect = self.app().shutdown.effect()?;
            let result = self.delete(orphan).await;
            self.settle_orphan(&orphan.client_id, result).await?;
        }
        Ok(())
    }

    async fn settle_orphan(
        &self,
        client_id: &str,
        result: Result<(), NotDeleted>,
    ) -> Result<(), BootstrapError> {
        let now = self.app().clock.now();
        let ledger = &self.app().ledger;
        match result {
            Ok(()) => {
                tracing::info!(client.id = client_id, "Deleted client `{client_id}`");
                let deleted = |state: &mut State| state.orphan_deleted(client_id, now);
                ledger.update(deleted).await?;
            }
            Err(NotDeleted { what, again: true }) => {
                tracing::warn!(
                    client.id = client_id,
                    "Client `{client_id}` is no longer used and could not be deleted ({what}); it \
                     is tried again at a start in an hour or later"
                );
                let tried = |state: &mut State| state.orphan_tried(client_id, now);
                ledger.update(tried).await?;
            }
            Err(NotDeleted { what, again: false }) => {
                tracing::warn!(
                    client.id = client_id,
                    "Client `{client_id}` is no longer used and could not be deleted ({what}); \
                     hint: delete it at the IdP"
                );
                let stays = |state: &mut State| state.orphan_stays(client_id, &what, now);
                ledger.update(stays).await?;
            }
        }
        Ok(())
    }

    /// Deletes one client (RFC 7592 §2.3), unless it is gone already.
    async fn delete(&self, orphan: &Orphan) -> Result<(), NotDeleted> {
        let Some(management) = orphan.management.clone() else {
            return Err(NotDeleted {
                what: "there is no registration access token".to_owned(),
                again: false,
            });
        };
        let requests = ManagementClient::new(self.client.http.clone(), management);
        let answer = requests.delete(|| self.app().clock.now()).await;
        let answer = answer.map_err(|error| NotDeleted {
            what: chain(&error),
            again: true,
        })?;
        let outcome = ManagementOutcome::of(&answer);
        let again = matches!(outcome, ManagementOutcome::Unknown(_));
        match outcome {
            ManagementOutcome::Done | ManagementOutcome::Is(_) => Ok(()),
            // The last run may have deleted it and ended before it could note that. A rejection says
            // so only of a client that was accepted once.
            ManagementOutcome::NotAccepted(_)
                if orphan.proven && self.is_rejected(&orphan.client_id).await =>
            {
                Ok(())
            }
            _ => Err(NotDeleted {
                what: format!("HTTP {}", answer.status),
                again,
            }),
        }
    }

    /// Whether the IdP does not authenticate this client with our key, which it once did.
    async fn is_rejected(&self, client_id: &str) -> bool {
        let proof = async {
            let key = self.app().signer.current().map_err(ProofError::from)?;
            self.authenticate(&key, client_id, Care::default()).await
        };
        matches!(proof.await, Ok(proof) if proof.outcome == AuthenticationOutcome::Rejected)
    }
}
