//! Whether the IdP accepts a key, shown by authenticating with it.

use std::sync::Arc;

use jiff::SignedDuration;
use url::Url;

use super::bootstrap_error::BootstrapError;
use super::proof_error::ProofError;
use super::session::Session;
use crate::app::{Backoff, assertion, chain};
use crate::config::{AssertionAudience, JwksMode};
use crate::idp::TokenClient;
use crate::jose::{SignError, SigningKey};
use crate::metrics::Outcome;
use crate::registration::{
    AuthenticationOutcome, Blocked, ManagementOutcome, Proof, Registered, token_answer_text,
};
use crate::secret::Secret;
use crate::state::State;
use crate::transport::{Answer, Method, SendError};

/// Rejections in a row after which a key that was accepted before counts as rejected.
const REJECTIONS: u32 = 3;

/// Largest difference between the clocks that is not mentioned.
const SKEW: SignedDuration = SignedDuration::from_secs(5);

/// The made-up authorization code. A server that rejects it has accepted the client, and nothing is
/// left behind.
const CODE: &str = "bff-proof";

/// What one audience has come to.
struct Tried {
    outcome: AuthenticationOutcome,
    /// What the IdP answered, in words.
    said: Option<String>,
    clocks_differ: bool,
}

#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl Session<'_> {
    /// Authenticates until the IdP has accepted or refused the key that signs.
    pub(super) async fn prove(
        &self,
        fresh: bool,
        backoff: &mut Backoff,
    ) -> Result<Proof, BootstrapError> {
        let state = self.app().ledger.state();
        let client = state.registration().ok_or(ProofError::NoClient)?;
        let mut rejections = 0;
        loop {
            let proof = self.prove_current(client).await?;
            let error = match proof.outcome {
                AuthenticationOutcome::Accepted => {
                    tracing::info!(
                        client.id = %client.client_id,
                        key.kid = %proof.kid,
                        audience = proof.audience,
                        "The IdP accepts key `{}` of client `{}`",
                        proof.kid,
                        client.client_id
                    );
                    return Ok(proof);
                }
                AuthenticationOutcome::Inconclusive => {
                    tracing::warn!(
                        key.kid = %proof.kid,
                        "This IdP does not let a client prove its key: it answers a wrong \
                         signature like a right one ({})",
                        proof.said.as_deref().unwrap_or_default()
                    );
                    return Ok(proof);
                }
                AuthenticationOutcome::Rejected => ProofError::Rejected {
                    client_id: client.client_id.clone(),
                    proof: Box::new(proof),
                    // The IdP does not fetch a set that is registered by value.
                    fetched: self.client.dcr().jwks == JwksMode::Value
                        || self.app().metrics.jwks_served.get() > 0,
                    fresh,
                },
                AuthenticationOutcome::Unknown => ProofError::Unproven(Box::new(proof)),
            };
            // The IdP has the keys of a client that it accepted before: a few tries tell a passing
            // fault from a refusal.
            rejections += u32::from(matches!(error, ProofError::Rejected { .. }));
            let last = !fresh && rejections >= REJECTIONS;
            let error = BootstrapError::from(error);
            if last {
                return Err(self.explain(client, error).await?);
            }
            if !backoff.try_again(&error.chain(), None).await {
                return Err(error);
            }
        }
    }

    /// Whether our client is accepted now; it is then no longer recorded as gone.
    pub(super) async fn is_accepted(&self) -> Result<bool, BootstrapError> {
        let state = self.app().ledger.state();
        let Some(client) = state.registration() else {
            return Ok(false);
        };
        let proof = self.prove_current(client).await?;
        if proof.outcome != AuthenticationOutcome::Accepted {
            return Ok(false);
        }
        let client_id = client.client_id.as_str();
        let found = |state: &mut State| state.found_again(client_id);
        self.app().ledger.update(found).await?;
        tracing::info!(
            client.id = client_id,
            "Client `{client_id}` is accepted again"
        );
        Ok(true)
    }

    /// Authenticates as our client with `key`, counts the outcome and shows it in the status.
    pub(super) async fn prove_key(
        &self,
        key: &Arc<SigningKey>,
        client: &Registered,
    ) -> Result<Proof, BootstrapError> {
        let proof = self.authenticate(key, &client.client_id).await?;
        let outcome = Outcome {
            outcome: proof.outcome.word(),
        };
        self.app().metrics.proofs.get_or_create(&outcome).inc();
        self.app().condition.set_proof(proof.clone());
        Ok(proof)
    }

    /// Authenticates as `client_id` with `key`, with each audience in turn until one is accepted.
    /// Every request has an assertion of its own, and a connection of its own.
    pub(super) async fn authenticate(
        &self,
        key: &Arc<SigningKey>,
        client_id: &str,
    ) -> Result<Proof, BootstrapError> {
        let token_endpoint = self.endpoints.token.url()?;
        let mut proof = Proof {
            at: self.app().clock.now(),
            kid: key.kid().clone(),
            outcome: AuthenticationOutcome::Unknown,
            audience: None,
            said: None,
            clocks_differ: false,
        };
        for audience in self.audiences() {
            let tried = self.try_audience(key, client_id, &token_endpoint, &audience);
            let tried = tried.await.unwrap_or_else(|error| Tried {
                outcome: AuthenticationOutcome::Unknown,
                said: Some(chain(&error)),
                clocks_differ: false,
            });
            proof.clocks_differ |= tried.clocks_differ;
            // The text of the first rejection says more than that of the others.
            if proof.said.is_none() || tried.outcome != AuthenticationOutcome::Rejected {
                proof.said = tried.said;
            }
            proof.audience = Some(audience);
            proof.outcome = tried.outcome;
            if tried.outcome != AuthenticationOutcome::Rejected {
                break;
            }
        }
        if proof.outcome == AuthenticationOutcome::Accepted {
            proof.said = None;
        }
        Ok(proof)
    }

    async fn try_audience(
        &self,
        key: &Arc<SigningKey>,
        client_id: &str,
        token_endpoint: &Url,
        audience: &str,
    ) -> Result<Tried, NoAnswer> {
        let redirect_uri = self.client.dcr().redirect_uris.first();
        let clock = &self.app().clock;
        let token = TokenClient::new(self.client.http.clone(), token_endpoint.clone());
        let redeem = async |wrong: bool| -> Result<Answer, NoAnswer> {
            let mut assertion = assertion(key, client_id, audience, clock).await?;
            if wrong {
                assertion = with_wrong_signature(&assertion);
            }
            let redirect_uri = redirect_uri.map(String::as_str);
            let answer = token.redeem(CODE, redirect_uri, client_id, &assertion);
            Ok(answer.await?)
        };
        let answer = redeem(false).await?;
        let mut said = token_answer_text(answer.status, answer.bytes());
        let decided = AuthenticationOutcome::of(answer.status, answer.bytes());
        let outcome = if let Some(outcome) = decided {
            outcome
        } else {
            let control = redeem(true).await?;
            let text = token_answer_text(control.status, control.bytes());
            let outcome = AuthenticationOutcome::of(control.status, control.bytes());
            let compared = AuthenticationOutcome::compared(outcome, text == said);
            if compared == AuthenticationOutcome::Unknown {
                said = text;
            }
            compared
        };
        let skew = (outcome == AuthenticationOutcome::Rejected)
            .then(|| self.skew(&answer))
            .flatten();
        if let Some(skew) = &skew {
            said = format!("{said}; {skew}");
        }
        Ok(Tried {
            outcome,
            said: (outcome != AuthenticationOutcome::Accepted).then_some(said),
            clocks_differ: skew.is_some(),
        })
    }

    /// Values for `aud`, in the order in which they are tried: what was learnt first.
    fn audiences(&self) -> Vec<String> {
        let issuer = self.client.idp.issuer.clone();
        let endpoint = self.endpoints.token.as_spelt().to_owned();
        match self.client.dcr().assertion_audience {
            AssertionAudience::Issuer => vec![issuer],
            AssertionAudience::Endpoint => vec![endpoint],
            AssertionAudience::Auto => {
                let state = self.app().ledger.state();
                let known = state.idp(&issuer);
                let learnt = known.and_then(|known| known.audience.clone());
                let mut audiences: Vec<String> = learnt.into_iter().collect();
                for audience in [issuer, endpoint] {
                    if !audiences.contains(&audience) {
                        audiences.push(audience);
                    }
                }
                audiences
            }
        }
    }

    /// Remembers which audience was accepted, so that the next assertion is right at once.
    pub(super) async fn remember(&self, proof: &Proof) -> Result<(), BootstrapError> {
        let (AuthenticationOutcome::Accepted, Some(value)) = (proof.outcome, &proof.audience)
        else {
            return Ok(());
        };
        let issuer = self.client.idp.issuer.as_str();
        let state = self.app().ledger.state();
        let known = state.idp(issuer).and_then(|known| known.audience.as_ref());
        if known != Some(value) {
            let learn = |state: &mut State| state.learn_audience(issuer, value);
            self.app().ledger.record(learn).await?;
        }
        Ok(())
    }

    async fn prove_current(&self, client: &Registered) -> Result<Proof, BootstrapError> {
        let key = self.app().signer.current().map_err(ProofError::from)?;
        self.prove_key(&key, client).await
    }

    /// A rejected client whose registration cannot be read either is gone. If it can be read, the
    /// client exists, and something is wrong with the key or the JWK Set.
    async fn explain(
        &self,
        client: &Registered,
        error: BootstrapError,
    ) -> Result<BootstrapError, BootstrapError> {
        let cannot_be_read = client.management.is_some()
            && matches!(self.client.read().await?, ManagementOutcome::NotAccepted(_));
        // An IdP that cannot fetch our keys rejects us too.
        if !cannot_be_read || !self.is_published().await {
            return Ok(error);
        }
        let now = self.app().clock.now();
        let client_id = client.client_id.as_str();
        let lose = |state: &mut State| state.lose(client_id, now);
        self.app().ledger.update(lose).await?;
        Ok(BootstrapError::Blocked(Blocked::ClientGone {
            client_id: client.client_id.clone(),
            issuer: client.issuer.clone(),
        }))
    }

    /// Whether the key that signs can be seen by others: the set was fetched, or can be fetched at
    /// the registered `jwks_uri`.
    async fn is_published(&self) -> bool {
        if self.app().metrics.jwks_served.get() > 0 {
            return true;
        }
        let state = self.app().ledger.state();
        let (Some(uri), Some(ring)) = (&self.client.dcr().jwks_uri, state.ring()) else {
            return true;
        };
        let request = self.client.http.request(Method::GET, uri.as_str());
        match request.send().await {
            Ok(answer) => {
                let kid = ring.current().jwk.kid.as_str();
                answer.status == 200 && answer.body.expose().contains(kid)
            }
            Err(_) => false,
        }
    }

    /// A clock that is off explains a rejection better than any error code.
    fn skew(&self, answer: &Answer) -> Option<String> {
        let skew = answer.date?.duration_since(self.app().clock.now());
        if skew.abs() <= SKEW {
            return None;
        }
        let direction = if skew.is_positive() {
            "ahead of"
        } else {
            "behind"
        };
        Some(format!(
            "the IdP's clock is {} s {direction} ours: check both clocks",
            skew.abs().as_secs()
        ))
    }
}

/// The same assertion with a wrong signature.
fn with_wrong_signature(assertion: &Secret) -> Secret {
    let mut parts: Vec<String> = assertion.expose().split('.').map(str::to_owned).collect();
    if let Some(signature) = parts.last_mut() {
        *signature = "A".repeat(signature.len());
    }
    Secret::new(parts.join("."))
}
