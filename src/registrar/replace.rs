//! Replaces the stored client by a new one, and deletes clients that are no longer used.

use super::bootstrap_error::BootstrapError;
use super::presented::Care;
use super::proof_error::ProofError;
use super::registration_error::RegistrationError;
use super::session::Session;
use crate::app::{Backoff, chain};
use crate::idp::ManagementClient;
use crate::oauth::InitialAccessToken;
use crate::registration::{AuthenticationOutcome, ManagementOutcome, Orphan, ReplaceOrder};
use crate::state::State;

/// Why a client is still there, as far as is known.
struct NotDeleted {
    /// What was answered.
    what: String,
    /// Whether another try can end otherwise.
    again: bool,
}

impl Session<'_> {
    pub(super) async fn replace(
        &self,
        order: ReplaceOrder,
        token: Option<InitialAccessToken>,
        backoff: &mut Backoff,
    ) -> Result<(), BootstrapError> {
        if order == ReplaceOrder::DeleteFirst {
            self.delete_current().await?;
        }
        self.register(token, backoff).await
    }

    /// Deletes our client, because it has the identifier that the new one requests.
    async fn delete_current(&self) -> Result<(), BootstrapError> {
        let state = self.app().ledger.state();
        let Some(client) = state.registration() else {
            return Ok(());
        };
        let client_id = client.client_id.as_str();
        tracing::warn!(
            client.id = client_id,
            "Client `{client_id}` is deleted before its replacement is registered, because \
             DCR_CLIENT_ID asks for its identifier: its grants and tokens end, and a refusal \
             leaves no client"
        );
        let now = self.app().clock.now();
        let orphan = client.clone().orphaned(now);
        let mut deleted = self.delete(&orphan, true).await;
        if matches!(deleted, Err(NotDeleted { again: false, .. })) && self.client.renew().await? {
            let state = self.app().ledger.state();
            let renewed = state.registration().map(|c| c.clone().orphaned(now));
            deleted = self.delete(&renewed.unwrap_or(orphan), true).await;
        }
        if let Err(NotDeleted { what, .. }) = deleted {
            return Err(RegistrationError::StillThere {
                client_id: client_id.to_owned(),
                what,
            }
            .into());
        }
        let deleted = |state: &mut State| state.deleted(client_id, now);
        Ok(self.app().ledger.update(deleted).await?)
    }

    /// Deletes clients that are no longer used, where that is possible. `were_accepted` says that
    /// the IdP has accepted our key for these clients.
    pub(super) async fn delete_orphans(&self, were_accepted: bool) -> Result<(), BootstrapError> {
        let state = self.app().ledger.state();
        for orphan in state.orphans().iter().filter(|o| o.management.is_some()) {
            let result = self.delete(orphan, were_accepted).await;
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
            Err(NotDeleted { what, again: true }) => tracing::warn!(
                client.id = client_id,
                "Client `{client_id}` is no longer used and could not be deleted ({what}); it is \
                 tried again at the next start"
            ),
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
    async fn delete(&self, orphan: &Orphan, was_accepted: bool) -> Result<(), NotDeleted> {
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
            // The last run may have deleted it and ended before it could note that.
            ManagementOutcome::NotAccepted(_)
                if was_accepted && self.is_rejected(&orphan.client_id).await =>
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
