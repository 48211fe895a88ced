//! Shows that the IdP accepts a key, by authenticating with it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use openssl::rand::rand_bytes;
use serde::Serialize;
use url::Url;

use super::chain;
use super::ledger::blocking;
use crate::clock::Clock;
use crate::idp::{Answer, HttpClient, SendError, TokenClient};
use crate::jose::{Kid, SignError, SigningKey};
use crate::oauth::AssertionClaims;
use crate::registration::Verdict;
use crate::secret::Secret;

/// Authenticates at a token endpoint with a made-up authorization code.
///
/// A server that rejects the code has accepted the client. It works wherever codes can be
/// redeemed, and leaves nothing behind.
#[derive(Clone, Debug)]
pub struct Prover {
    http: HttpClient,
    clock: Clock,
}

/// Who is to be authenticated, and where.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Our identifier at the IdP.
    pub client_id: String,
    /// The token endpoint.
    pub token_endpoint: Url,
    /// A registered redirect URI, where there is one.
    pub redirect_uri: Option<String>,
    /// Values for `aud`, tried in this order.
    pub audiences: Vec<String>,
}

/// What came of a proof.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Proof {
    /// When it was made.
    pub at: Timestamp,
    /// The key it was made with.
    pub kid: Kid,
    /// What came of it.
    pub outcome: ProofOutcome,
    /// The `aud` that was accepted, or tried last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// What the IdP said, if it did not accept the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// Whether the IdP's clock and ours are too far apart for an assertion.
    #[serde(skip)]
    pub clocks_differ: bool,
}

/// The kinds of outcome.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProofOutcome {
    /// The IdP authenticated the client.
    Accepted,
    /// The IdP answers a broken signature just like a good one: nothing can be told here.
    Inconclusive,
    /// The IdP did not authenticate the client.
    Rejected,
    /// There was no usable answer.
    Unknown,
}

/// Difference between the clocks from which on it is worth mentioning.
const SKEW: SignedDuration = SignedDuration::from_secs(5);

impl Prover {
    /// A prover that sends through `http`.
    pub fn new(http: HttpClient, clock: Clock) -> Self {
        Self { http, clock }
    }

    /// Authenticates with `key`, with each audience in turn until one is accepted. Every
    /// request has an assertion of its own, and a connection of its own.
    pub async fn prove(&self, key: &Arc<SigningKey>, subject: &Subject) -> Proof {
        let mut proof = Proof {
            at: self.clock.now(),
            kid: key.kid().clone(),
            outcome: ProofOutcome::Unknown,
            audience: None,
            said: None,
            clocks_differ: false,
        };
        for audience in &subject.audiences {
            let (outcome, said) = match self.try_audience(key, subject, audience).await {
                Ok((outcome, said, clocks_differ)) => {
                    proof.clocks_differ |= clocks_differ;
                    (outcome, said)
                }
                Err(error) => (ProofOutcome::Unknown, Some(chain(&error))),
            };
            // What a rejection says of the first audience tells more than that of the others.
            if proof.said.is_none() || outcome != ProofOutcome::Rejected {
                proof.said = said;
            }
            proof.audience = Some(audience.clone());
            proof.outcome = outcome;
            if outcome != ProofOutcome::Rejected {
                break;
            }
        }
        if proof.outcome == ProofOutcome::Accepted {
            proof.said = None;
        }
        proof
    }

    async fn try_audience(
        &self,
        key: &Arc<SigningKey>,
        subject: &Subject,
        audience: &str,
    ) -> Result<(ProofOutcome, Option<String>, bool), ProveError> {
        let assertion = self.assertion(key, subject, audience).await?;
        let answer = self.redeem(subject, &assertion).await?;
        match Verdict::of(answer.status, answer.bytes()) {
            Verdict::Accepted => Ok((ProofOutcome::Accepted, None, false)),
            Verdict::Rejected(said) => {
                let skew = self.skew(&answer);
                let said = skew
                    .iter()
                    .fold(said, |said, skew| format!("{said}; {skew}"));
                Ok((ProofOutcome::Rejected, Some(said), skew.is_some()))
            }
            Verdict::Unknown(said) => Ok((ProofOutcome::Unknown, Some(said), false)),
            Verdict::Ambiguous(said) => {
                let broken = broken(&self.assertion(key, subject, audience).await?);
                let control = self.redeem(subject, &broken).await?;
                match Verdict::of(control.status, control.bytes()) {
                    Verdict::Unknown(said) => Ok((ProofOutcome::Unknown, Some(said), false)),
                    Verdict::Ambiguous(same) if same == said => {
                        Ok((ProofOutcome::Inconclusive, Some(said), false))
                    }
                    _ => Ok((ProofOutcome::Accepted, None, false)),
                }
            }
        }
    }

    async fn assertion(
        &self,
        key: &Arc<SigningKey>,
        subject: &Subject,
        audience: &str,
    ) -> Result<Secret, ProveError> {
        Ok(assertion(key, &subject.client_id, audience, &self.clock).await?)
    }

    async fn redeem(&self, subject: &Subject, assertion: &Secret) -> Result<Answer, SendError> {
        let token_endpoint = subject.token_endpoint.clone();
        TokenClient::new(self.http.clone(), token_endpoint)
            .redeem(
                "bff-proof",
                subject.redirect_uri.as_deref(),
                &subject.client_id,
                assertion,
            )
            .await
    }

    /// A clock that is off explains a rejection better than any error code.
    fn skew(&self, answer: &Answer) -> Option<String> {
        let skew = answer.date?.duration_since(self.clock.now());
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

/// A client assertion of `key` for `client_id` (RFC 7523 §2.2), good for one request.
///
/// # Errors
///
/// [`SignError`] if OpenSSL fails.
pub async fn assertion(
    key: &Arc<SigningKey>,
    client_id: &str,
    audience: &str,
    clock: &Clock,
) -> Result<Secret, SignError> {
    let mut randomness = [0; 16];
    rand_bytes(&mut randomness).map_err(|error| key.unsigned(&error))?;
    let claims = AssertionClaims::new(client_id, audience, clock.now(), randomness);
    let key = Arc::clone(key);
    // RSA takes milliseconds.
    blocking(move || key.sign_jwt("JWT", &claims)).await
}

/// The same assertion with a signature that fits nothing.
fn broken(assertion: &Secret) -> Secret {
    let mut parts: Vec<String> = assertion.expose().split('.').map(str::to_owned).collect();
    if let Some(signature) = parts.last_mut() {
        *signature = "A".repeat(signature.len());
    }
    Secret::new(parts.join("."))
}

#[derive(Debug, thiserror::Error)]
enum ProveError {
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl ProofOutcome {
    /// The outcome in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Inconclusive => "inconclusive",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }
}
