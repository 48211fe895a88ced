//! Whether the IdP accepts a key, shown by authenticating with it.

use std::sync::Arc;

use super::bootstrap_error::BootstrapError;
use super::presented::{Care, Trial};
use super::proof_error::ProofError;
use super::session::Session;
use crate::app::{Backoff, chain};
use crate::config::{AssertionAudience, JwksMode};
use crate::idp::TokenClient;
use crate::jose::SigningKey;
use crate::metrics::Outcome;
use crate::oauth::AssertionType;
use crate::registration::{AuthenticationOutcome, Proof, Registered};
use crate::state::{KnownIdp, Presentation, State};
use crate::transport::Method;

/// Rejections in a row after which a key that was accepted before counts as rejected.
pub(super) const REJECTIONS: u32 = 3;

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
            let http = self.client.http.until(backoff.deadline());
            let proof = self.through(&http).prove_current(client).await?;
            let rejection = proof.clone();
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
                AuthenticationOutcome::Inconclusive if !self.suffices(proof.outcome) => {
                    ProofError::Unproven(Box::new(proof))
                }
                AuthenticationOutcome::Inconclusive => {
                    tracing::warn!(
                        key.kid = %proof.kid,
                        "This IdP does not let a client prove its key: it answers a wrong key \
                         like a right one ({})",
                        proof.said.as_deref().unwrap_or_default()
                    );
                    return Ok(proof);
                }
                AuthenticationOutcome::Rejected => ProofError::Rejected {
                    client_id: client.client_id.clone(),
                    proof: Box::new(proof),
                    fetched: self.was_fetched(),
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
                return Err(self.explain(client, &rejection, error).await?);
            }
            self.app().condition.note_look();
            if !backoff.try_again(&error.chain(), error.retry_after()).await {
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

    /// Authenticates as our client with `key`, counts the outcome, and remembers what it says.
    pub(super) async fn prove_key(
        &self,
        key: &Arc<SigningKey>,
        client: &Registered,
        care: Care,
    ) -> Result<Proof, BootstrapError> {
        let proof = self.authenticate(key, &client.client_id, care).await?;
        let outcome = Outcome {
            outcome: proof.outcome.word(),
        };
        let app = self.app();
        app.metrics.proofs.get_or_create(&outcome).inc();
        app.condition.set_proof(proof.clone());
        self.learn(client, &proof).await;
        if app
            .signer
            .current()
            .is_ok_and(|current| current.kid() == key.kid())
        {
            let interval = self.client.dcr().proof_interval;
            self.memory.note(proof.outcome, interval);
        }
        Ok(proof)
    }

    /// Keeps what a proof has shown. A verdict that cannot be stored counts all the same.
    pub(super) async fn learn(&self, client: &Registered, proof: &Proof) {
        let app = self.app();
        let (issuer, client_id) = (client.issuer.as_str(), client.client_id.as_str());
        let endpoint = KnownIdp::TOKEN_ENDPOINT;
        if proof.outcome == AuthenticationOutcome::Unknown {
            return;
        }
        let state = app.ledger.state();
        let known = state.idp(issuer);
        let ours = state.registration();
        let unproven = ours.is_some_and(|ours| ours.client_id == client_id && !ours.proven)
            && state.suffices(issuer, proof.outcome);
        if unproven || !known.is_some_and(|known| known.has_learnt(endpoint, client_id, proof)) {
            let learn = |state: &mut State| state.learn_proof(issuer, endpoint, client_id, proof);
            if let Err(error) = app.ledger.record(learn).await {
                tracing::warn!(
                    key.kid = %proof.kid,
                    "What the proof has shown cannot be stored: {}; hint: {}",
                    chain(&error),
                    error.hint()
                );
                app.condition
                    .keep_verdict(client_id, &proof.kid, proof.outcome);
                return;
            }
        }
        app.condition.drop_verdict(&proof.kid);
    }

    /// Authenticates as `client_id` with `key`, with each kind of assertion in turn until one is
    /// accepted.
    pub(super) async fn authenticate(
        &self,
        key: &Arc<SigningKey>,
        client_id: &str,
        care: Care,
    ) -> Result<Proof, BootstrapError> {
        let mut proof = Proof::new(key.kid().clone(), self.app().clock.now());
        let endpoint = self.endpoints.token.url()?;
        if let Some(left) = self.memory.has_to_wait() {
            let seconds = left.as_secs().saturating_add(1);
            proof.said = Some(format!(
                "it has asked not to be called for another {seconds} s"
            ));
            proof.retry_after = Some(left);
            return Ok(proof);
        }
        let token = TokenClient::new(self.client.http.clone(), endpoint);
        let (presentations, learnt) = self.presentations();
        let current = self.app().signer.current();
        let signs = current.is_ok_and(|current| current.kid() == key.kid());
        let mut outcomes = Vec::new();
        for (tried, presentation) in presentations.iter().enumerate() {
            // What was accepted before is tried alone, and so is one of all after a few rounds. The
            // rejection of a key that does not sign yet is no reason to try others.
            if tried == 1 && (learnt && !signs || !self.memory.tries_all(learnt)) {
                break;
            }
            let trial = Trial {
                session: *self,
                token: &token,
                key,
                client_id,
                presentation,
                care,
                alternative: learnt && tried > 0,
            };
            let presented = trial.run().await;
            proof.clocks_differ |= presented.clocks_differ;
            // The text of the first rejection says more than that of the others.
            if proof.said.is_none() || presented.outcome != AuthenticationOutcome::Rejected {
                proof.said = Some(presented.said);
            }
            proof.audience = Some(presentation.audience.clone());
            proof.assertion_type = Some(presentation.assertion_type);
            proof.rejection = presented
                .answer
                .filter(|_| presented.outcome == AuthenticationOutcome::Rejected);
            outcomes.push(presented.outcome);
            let settled = match presented.outcome {
                AuthenticationOutcome::Accepted => true,
                // What was accepted before is not refused, so nothing else is tried.
                AuthenticationOutcome::Unknown => learnt && tried == 0,
                AuthenticationOutcome::Rejected | AuthenticationOutcome::Inconclusive => false,
            };
            if presented.stops || settled {
                break;
            }
        }
        proof.outcome = together(&outcomes);
        proof.retry_after = self.memory.has_to_wait();
        if proof.outcome == AuthenticationOutcome::Accepted {
            proof.said = None;
        }
        Ok(proof)
    }

    /// The kinds of assertion in the order in which they are tried (RFC 10070 §4 first), and
    /// whether the first of them was accepted before.
    fn presentations(&self) -> (Vec<Presentation>, bool) {
        let dcr = self.client.dcr();
        let issuer = self.client.idp.issuer.as_str();
        let endpoint = self.endpoints.token.as_spelt();
        let fits = |presentation: &Presentation| {
            let audience = match dcr.assertion_audience {
                AssertionAudience::Auto => true,
                AssertionAudience::Issuer => presentation.audience == issuer,
                AssertionAudience::Endpoint => presentation.audience == endpoint,
            };
            audience
                && dcr
                    .assertion_type
                    .is_none_or(|typ| presentation.assertion_type == typ)
        };
        let mut all: Vec<Presentation> = Vec::new();
        for (assertion_type, audience) in [
            (AssertionType::Explicit, issuer),
            (AssertionType::Jwt, issuer),
            (AssertionType::Jwt, endpoint),
            (AssertionType::Explicit, endpoint),
        ] {
            let presentation = Presentation {
                audience: audience.to_owned(),
                assertion_type,
            };
            if fits(&presentation) && !all.contains(&presentation) {
                all.push(presentation);
            }
        }
        let state = self.app().ledger.state();
        let known = state.idp(issuer);
        let learnt = known.and_then(|known| known.presentation(KnownIdp::TOKEN_ENDPOINT));
        // What was learnt of another endpoint, before a setting changed, says nothing of this one.
        if let Some(learnt) = learnt.filter(|learnt| all.contains(learnt)) {
            all.retain(|presentation| *presentation != learnt);
            all.insert(0, learnt);
            return (all, true);
        }
        if self.memory.tries_one() && !all.is_empty() {
            let first = self.memory.next_round() % all.len();
            all.rotate_left(first);
        }
        (all, false)
    }

    fn suffices(&self, outcome: AuthenticationOutcome) -> bool {
        let state = self.app().ledger.state();
        state.suffices(&self.client.idp.issuer, outcome)
    }

    async fn prove_current(&self, client: &Registered) -> Result<Proof, BootstrapError> {
        let key = self.app().signer.current().map_err(ProofError::from)?;
        self.prove_key(&key, client, Care::default()).await
    }

    /// Whether somebody has fetched the JWK Set since the start, or nobody has to: the IdP does not
    /// fetch one that is registered by value.
    pub(super) fn was_fetched(&self) -> bool {
        self.client.dcr().jwks == JwksMode::Value || self.app().metrics.jwks_served.get() > 0
    }

    /// Whether the key that signs can be seen by others: the set was fetched, or can be fetched at
    /// the registered `jwks_uri`.
    pub(super) async fn is_published(&self) -> bool {
        if self.was_fetched() {
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
}

/// What all kinds of assertion have come to. One that the IdP refuses shows that it tells them
/// apart; one that it has not answered may be the right one.
fn together(outcomes: &[AuthenticationOutcome]) -> AuthenticationOutcome {
    use AuthenticationOutcome::{Accepted, Inconclusive, Rejected, Unknown};
    [Accepted, Unknown, Rejected, Inconclusive]
        .into_iter()
        .find(|outcome| outcomes.contains(outcome))
        .unwrap_or(Unknown)
}
