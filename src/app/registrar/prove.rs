//! Whether the IdP accepts the key of the client we are.

use std::sync::Arc;

use super::Registrar;
use super::manage::Read;
use crate::app::endpoints::Endpoints;
use crate::app::{Backoff, BootstrapError, Proof, ProofOutcome, Prover, Subject};
use crate::config::{AssertionAudience, JwksMode};
use crate::jose::SigningKey;
use crate::metrics::Outcome;
use crate::registration::{Audience, Event, Reason, Registered};

/// Rejections in a row after which a key that was accepted before counts as rejected.
const REJECTIONS: u32 = 3;

impl Registrar {
    /// Authenticates until the IdP has said yes or no.
    pub(super) async fn prove(
        &self,
        endpoints: &Endpoints,
        fresh: bool,
        backoff: &mut Backoff,
    ) -> Result<Proof, BootstrapError> {
        let state = self.app.ledger.state();
        let registered = state
            .registration
            .as_ref()
            .ok_or(BootstrapError::NothingStored)?;
        let mut rejections = 0;
        loop {
            let proof = self.prove_once(registered, endpoints).await?;
            let error = match proof.outcome {
                ProofOutcome::Accepted => {
                    tracing::info!(
                        client.id = %registered.client_id,
                        key.kid = %proof.kid,
                        audience = proof.audience,
                        "The IdP accepts key `{}` of client `{}`",
                        proof.kid,
                        registered.client_id
                    );
                    return Ok(proof);
                }
                ProofOutcome::Inconclusive => {
                    tracing::warn!(
                        key.kid = %proof.kid,
                        "This IdP does not let a client prove its key: it answers a broken \
                         signature like a good one ({})",
                        proof.said.as_deref().unwrap_or_default()
                    );
                    return Ok(proof);
                }
                ProofOutcome::Rejected => BootstrapError::Rejected {
                    client_id: registered.client_id.clone(),
                    proof: Box::new(proof),
                    // A set that is registered by value is fetched by nobody.
                    fetched: self.dcr().jwks == JwksMode::Value
                        || self.app.metrics.jwks_served.get() > 0,
                    fresh,
                },
                ProofOutcome::Unknown => BootstrapError::Unproven(Box::new(proof)),
            };
            // A client that was accepted before is not one whose keys the IdP has yet to fetch:
            // a few tries tell a hiccup from a no.
            rejections += u32::from(matches!(error, BootstrapError::Rejected { .. }));
            let last = !fresh && rejections >= REJECTIONS;
            if last {
                return Err(self.explain(registered, error).await?);
            }
            tracing::warn!("{}; trying again", error.chain());
            if !backoff.pause(None).await {
                return Err(error);
            }
        }
    }

    /// Whether the client we are is accepted now; it is then not gone.
    pub(super) async fn is_accepted(&self, endpoints: &Endpoints) -> Result<bool, BootstrapError> {
        let state = self.app.ledger.state();
        let Some(registered) = &state.registration else {
            return Ok(false);
        };
        let proof = self.prove_once(registered, endpoints).await?;
        if proof.outcome != ProofOutcome::Accepted {
            return Ok(false);
        }
        self.app
            .ledger
            .update(|state| {
                if let Some(registered) = &mut state.registration {
                    registered.gone_since = None;
                }
            })
            .await?;
        tracing::info!(
            client.id = %registered.client_id,
            "Client `{}` is there again",
            registered.client_id
        );
        Ok(true)
    }

    async fn prove_once(
        &self,
        registered: &Registered,
        endpoints: &Endpoints,
    ) -> Result<Proof, BootstrapError> {
        self.prove_key(&self.app.keys.current(), registered, endpoints)
            .await
    }

    /// Authenticates with `key`, counts what comes of it and shows it in the status.
    pub(super) async fn prove_key(
        &self,
        key: &Arc<SigningKey>,
        registered: &Registered,
        endpoints: &Endpoints,
    ) -> Result<Proof, BootstrapError> {
        let prover = Prover::new(self.http.clone(), self.app.clock.clone());
        let subject = self.subject(&registered.client_id, endpoints)?;
        let proof = prover.prove(key, &subject).await;
        let outcome = Outcome {
            outcome: proof.outcome.word(),
        };
        self.app.metrics.proofs.get_or_create(&outcome).inc();
        self.app.status.set_proof(proof.clone());
        Ok(proof)
    }

    /// A rejected client whose registration cannot be read either is gone; one that can be read
    /// is there, and something is wrong with the key or its set.
    async fn explain(
        &self,
        registered: &Registered,
        error: BootstrapError,
    ) -> Result<BootstrapError, BootstrapError> {
        let cannot_be_read =
            registered.management.is_some() && matches!(self.read().await?, Read::NotAccepted);
        // An IdP that cannot see our keys rejects us too.
        if cannot_be_read && self.is_published().await {
            self.gone(registered).await
        } else {
            Ok(error)
        }
    }

    /// Whether the key that signs can be seen by others: somebody has fetched the set, or it can
    /// be fetched where the IdP would.
    async fn is_published(&self) -> bool {
        if self.app.metrics.jwks_served.get() > 0 {
            return true;
        }
        let key = self.app.keys.current();
        match &self.dcr().jwks_uri {
            None => true,
            Some(uri) => match self.http.probe(uri.as_str()).await {
                Ok(answer) => {
                    answer.status == 200 && answer.body.expose().contains(key.kid().as_str())
                }
                Err(_) => false,
            },
        }
    }

    async fn gone(&self, registered: &Registered) -> Result<BootstrapError, BootstrapError> {
        let now = self.app.clock.now();
        let client_id = registered.client_id.clone();
        self.app
            .ledger
            .update(|state| {
                if let Some(registered) = &mut state.registration {
                    registered.gone_since = Some(now);
                }
                let detail = "neither its key nor its token is accepted".to_owned();
                let event = Event::ClientGone;
                state.journal.add(now, event, Some(&client_id), detail);
            })
            .await?;
        Ok(BootstrapError::Plan(Reason::ClientGone {
            client_id: registered.client_id.clone(),
            issuer: registered.issuer.clone(),
        }))
    }

    pub(super) fn subject(
        &self,
        client_id: &str,
        endpoints: &Endpoints,
    ) -> Result<Subject, BootstrapError> {
        let token_endpoint = endpoints.token.url()?;
        let issuer = self.idp.issuer.clone();
        let endpoint = endpoints.token.as_spelt().to_owned();
        let audiences = match self.dcr().assertion_audience {
            AssertionAudience::Issuer => vec![issuer],
            AssertionAudience::Endpoint => vec![endpoint],
            AssertionAudience::Auto => {
                let state = self.app.ledger.state();
                let learnt = state.audience.iter().filter(|a| a.issuer == issuer);
                let mut audiences: Vec<String> = learnt.map(|a| a.value.clone()).collect();
                for audience in [issuer, endpoint] {
                    if !audiences.contains(&audience) {
                        audiences.push(audience);
                    }
                }
                audiences
            }
        };
        Ok(Subject {
            client_id: client_id.to_owned(),
            token_endpoint,
            redirect_uri: self.dcr().redirect_uris.first().cloned(),
            audiences,
        })
    }

    /// Remembers which audience was accepted, so that the next assertion is right at once.
    pub(super) async fn remember(&self, proof: &Proof) -> Result<(), BootstrapError> {
        let (ProofOutcome::Accepted, Some(value)) = (proof.outcome, &proof.audience) else {
            return Ok(());
        };
        let audience = Some(Audience {
            issuer: self.idp.issuer.clone(),
            value: value.clone(),
        });
        if self.app.ledger.state().audience != audience {
            self.app
                .ledger
                .update(|state| state.audience = audience)
                .await?;
        }
        Ok(())
    }
}
