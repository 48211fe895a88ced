//! A new client in place of the stored one, and the end of those that are not needed.

use super::Registrar;
use crate::app::endpoints::Endpoints;
use crate::app::{Backoff, BootstrapError, ProofOutcome, Prover, chain};
use crate::idp::ManagementClient;
use crate::oauth::InitialAccessToken;
use crate::registration::{Event, Managed, Orphan, ReplaceOrder};

/// Why a client is still there, as far as is known.
struct NotDeleted {
    /// What came in answer.
    what: String,
    /// Whether another try can end otherwise.
    again: bool,
}

impl Registrar {
    pub(super) async fn replace(
        &self,
        order: ReplaceOrder,
        endpoints: &Endpoints,
        token: Option<InitialAccessToken>,
        backoff: &mut Backoff,
    ) -> Result<(), BootstrapError> {
        if order == ReplaceOrder::DeleteFirst {
            self.delete_current(endpoints).await?;
        }
        self.register(endpoints, token, backoff).await
    }

    /// Deletes the client we are, because it holds the identifier that the next one wishes for.
    async fn delete_current(&self, endpoints: &Endpoints) -> Result<(), BootstrapError> {
        let state = self.app.ledger.state();
        let Some(registered) = &state.registration else {
            return Ok(());
        };
        let client_id = &registered.client_id;
        tracing::warn!(
            client.id = %client_id,
            "Client `{client_id}` is deleted before it is registered anew, because it holds the \
             wished identifier: its grants and tokens end, and if the new registration is \
             refused there is none"
        );
        let now = self.app.clock.now();
        let orphan = registered.clone().orphaned(now);
        let mut deleted = self.delete(&orphan, Some(endpoints)).await;
        if matches!(deleted, Err(NotDeleted { again: false, .. })) && self.renew().await? {
            let state = self.app.ledger.state();
            let renewed = state.registration.as_ref().map(|c| c.clone().orphaned(now));
            deleted = self
                .delete(&renewed.unwrap_or(orphan), Some(endpoints))
                .await;
        }
        if let Err(NotDeleted { what, .. }) = deleted {
            return Err(BootstrapError::StillThere {
                client_id: client_id.clone(),
                what,
            });
        }
        self.app
            .ledger
            .update(|state| {
                state.registration = None;
                let detail = "deleted to be registered anew".to_owned();
                let event = Event::Deleted;
                state.journal.add(now, event, Some(client_id), detail);
            })
            .await?;
        Ok(())
    }

    /// Deletes what nothing of ours uses any more, where that is possible.
    pub(super) async fn delete_orphans(
        &self,
        endpoints: Option<&Endpoints>,
    ) -> Result<(), BootstrapError> {
        let state = self.app.ledger.state();
        for orphan in state.orphans.iter().filter(|o| o.management.is_some()) {
            let result = self.delete(orphan, endpoints).await;
            self.settle_orphan(&orphan.client_id, result).await?;
        }
        Ok(())
    }

    async fn settle_orphan(
        &self,
        client_id: &str,
        result: Result<(), NotDeleted>,
    ) -> Result<(), BootstrapError> {
        match &result {
            Ok(()) => tracing::info!(client.id = client_id, "Deleted client `{client_id}`"),
            Err(NotDeleted { what, again: true }) => {
                tracing::warn!(
                    client.id = client_id,
                    "Client `{client_id}` is not used any more and could not be deleted \
                     ({what}): it is tried again at the next start"
                );
                return Ok(());
            }
            Err(NotDeleted { what, again: false }) => tracing::warn!(
                client.id = client_id,
                "Client `{client_id}` is not used any more and could not be deleted ({what}): \
                 delete it at the IdP"
            ),
        }
        let now = self.app.clock.now();
        self.app
            .ledger
            .update(|state| {
                let (event, detail) = match result {
                    Ok(()) => {
                        state.orphans.retain(|other| other.client_id != client_id);
                        (Event::Deleted, "not used any more".to_owned())
                    }
                    Err(NotDeleted { what, .. }) => {
                        // It stays on the list, but is not asked for again and again.
                        for other in &mut state.orphans {
                            if other.client_id == client_id {
                                other.management = None;
                            }
                        }
                        (Event::Orphaned, format!("could not be deleted: {what}"))
                    }
                };
                state.journal.add(now, event, Some(client_id), detail);
            })
            .await?;
        Ok(())
    }

    /// Deletes one client (RFC 7592 §2.3), unless it is gone already.
    async fn delete(
        &self,
        orphan: &Orphan,
        endpoints: Option<&Endpoints>,
    ) -> Result<(), NotDeleted> {
        let Some(management) = orphan.management.clone() else {
            return Err(NotDeleted {
                what: "there is no registration access token".to_owned(),
                again: false,
            });
        };
        let client = ManagementClient::new(self.http.clone(), management);
        let answer = client.delete(|| self.app.clock.now()).await;
        let answer = answer.map_err(|error| NotDeleted {
            what: chain(&error),
            again: true,
        })?;
        match (Managed::of(&answer), endpoints) {
            (Managed::Done | Managed::Is(_), _) => Ok(()),
            // The last run may have deleted it and ended before it could note that.
            (Managed::NotAccepted(_), Some(endpoints))
                if self.is_rejected(&orphan.client_id, endpoints).await =>
            {
                Ok(())
            }
            (managed, _) => Err(NotDeleted {
                what: format!("HTTP {}", answer.status),
                again: matches!(managed, Managed::Unknown(_)),
            }),
        }
    }

    /// Whether the IdP does not authenticate this client with our key, which it once had.
    async fn is_rejected(&self, client_id: &str, endpoints: &Endpoints) -> bool {
        let Ok(subject) = self.subject(client_id, endpoints) else {
            return false;
        };
        let prover = Prover::new(self.http.clone(), self.app.clock.clone());
        let proof = prover.prove(&self.app.keys.current(), &subject).await;
        proof.outcome == ProofOutcome::Rejected
    }
}
