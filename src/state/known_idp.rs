//! What was learnt of an IdP.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::jose::Kid;
use crate::oauth::{AssertionType, ServerMetadata};
use crate::registration::{AuthenticationOutcome, Controls, Proof, TokenAnswer};

/// What was learnt of the IdP with one issuer.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct KnownIdp {
    /// The issuer, code point for code point.
    pub issuer: String,
    /// The last metadata it served (RFC 8414 §2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<ServerMetadata>,
    /// Which `aud` it was seen to accept with the type `JWT`; only in documents of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) audience: Option<String>,
    /// Which assertions it was seen to accept, by the endpoint's name in the metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) presentations: BTreeMap<String, Presentation>,
    /// What it answers to requests that cannot be accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) controls: Vec<KnownControls>,
    /// When controls were sent in the last 24 hours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) controls_sent: Vec<Timestamp>,
    /// Whether it has accepted a key and refused a wrong one: from then on only an acceptance
    /// counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) provable: bool,
    /// The last conclusive verdict on each key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) verdicts: Vec<Verdict>,
}

/// What of a client assertion a server may be particular about.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Presentation {
    /// `aud`.
    pub audience: String,
    /// `typ`.
    #[serde(rename = "type")]
    pub assertion_type: AssertionType,
}

/// The answers to the controls that were sent with one kind of assertion.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct KnownControls {
    /// The kind.
    #[serde(flatten)]
    pub presentation: Presentation,
    /// The answers to the controls.
    pub answers: Controls,
    /// Answers to proofs that were judged beside them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<TokenAnswer>,
}

/// A verdict on one key of one client that says something: the IdP has accepted it, refuses it, or
/// cannot tell.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Verdict {
    /// The client.
    pub client_id: String,
    /// The key.
    pub kid: Kid,
    /// Never [`AuthenticationOutcome::Unknown`].
    pub outcome: AuthenticationOutcome,
    /// Since when it holds.
    pub since: Timestamp,
}

/// For how many kinds of assertion the controls are remembered.
const KINDS: usize = 4;

/// How many judged answers are remembered.
const JUDGED: usize = 8;

impl KnownIdp {
    /// The name of the token endpoint in the metadata (RFC 8414 §2).
    pub const TOKEN_ENDPOINT: &str = "token_endpoint";

    /// How often controls are sent in 24 hours, unless an operator has ordered a rotation.
    pub const CONTROLS_A_DAY: usize = 8;

    /// The kind of assertion that an endpoint was seen to accept.
    pub fn presentation(&self, endpoint: &str) -> Option<Presentation> {
        let learnt = self.presentations.get(endpoint).cloned();
        learnt.or_else(|| {
            Some(Presentation {
                audience: self.audience.clone()?,
                assertion_type: AssertionType::Jwt,
            })
        })
    }

    /// The answers to the controls with assertions of this kind.
    pub fn controls(&self, presentation: &Presentation) -> Option<&KnownControls> {
        let mut controls = self.controls.iter();
        controls.find(|controls| controls.presentation == *presentation)
    }

    /// Whether controls may be sent now without an order.
    pub fn may_send_controls(&self, now: Timestamp) -> bool {
        let sent = self.controls_sent.iter().filter(|at| is_recent(**at, now));
        sent.count() < Self::CONTROLS_A_DAY
    }

    /// Whether a key can be proven here: it was once.
    pub fn is_provable(&self) -> bool {
        self.provable || self.audience.is_some()
    }

    /// The last conclusive verdict on this key of this client.
    pub fn verdict(&self, client_id: &str, kid: &Kid) -> Option<AuthenticationOutcome> {
        let of_key = |verdict: &&Verdict| verdict.client_id == client_id && verdict.kid == *kid;
        match self.verdicts.iter().find(of_key) {
            Some(verdict) => Some(verdict.outcome),
            // Documents of before have the audience of an accepted key, and no verdicts.
            None if self.verdicts.is_empty() && self.audience.is_some() => {
                Some(AuthenticationOutcome::Accepted)
            }
            None => None,
        }
    }

    /// Notes the answers to controls that were sent `now`. What says nothing is not remembered.
    pub(super) fn learn_controls(
        &mut self,
        presentation: &Presentation,
        answers: Controls,
        judged: &TokenAnswer,
        now: Timestamp,
    ) {
        self.controls_sent.retain(|at| is_recent(*at, now));
        self.controls_sent.push(now);
        let extra = self
            .controls_sent
            .len()
            .saturating_sub(Self::CONTROLS_A_DAY);
        self.controls_sent.drain(..extra);
        let mut known = KnownControls {
            presentation: presentation.clone(),
            answers: answers.definite(),
            judged: vec![judged.clone()],
        };
        if let Some(before) = self.controls(presentation) {
            known.answers.complete_with(&before.answers);
            let others = before.judged.iter().filter(|answer| *answer != judged);
            known.judged.extend(others.take(JUDGED - 1).cloned());
        }
        self.controls
            .retain(|controls| controls.presentation != *presentation);
        self.controls.insert(0, known);
        self.controls.truncate(KINDS);
    }

    /// Whether [`KnownIdp::learn`] would change something.
    pub fn has_learnt(&self, endpoint: &str, client_id: &str, proof: &Proof) -> bool {
        let mut known = self.clone();
        known.learn(endpoint, client_id, proof);
        known == *self
    }

    /// Notes what came of a proof.
    pub(super) fn learn(&mut self, endpoint: &str, client_id: &str, proof: &Proof) {
        let outcome = match proof.outcome {
            AuthenticationOutcome::Unknown => return,
            // Something else can be had here.
            AuthenticationOutcome::Inconclusive if self.is_provable() => return,
            outcome => outcome,
        };
        self.convert();
        if outcome == AuthenticationOutcome::Accepted {
            self.provable = true;
            if let (Some(audience), Some(assertion_type)) = (&proof.audience, proof.assertion_type)
            {
                let presentation = Presentation {
                    audience: audience.clone(),
                    assertion_type,
                };
                self.presentations.insert(endpoint.to_owned(), presentation);
            }
        }
        let stored = self.verdicts.iter().any(|verdict| {
            verdict.client_id == client_id && verdict.kid == proof.kid && verdict.outcome == outcome
        });
        if !stored {
            self.verdicts
                .retain(|verdict| verdict.client_id != client_id || verdict.kid != proof.kid);
            self.verdicts.push(Verdict {
                client_id: client_id.to_owned(),
                kid: proof.kid.clone(),
                outcome,
                since: proof.at,
            });
        }
    }

    /// Forgets the verdicts on what `is_ours` does not know any more.
    pub(super) fn forget_verdicts(&mut self, is_ours: impl Fn(&Verdict) -> bool) {
        self.convert();
        self.verdicts.retain(is_ours);
    }

    /// Gives what a document of before has the present form.
    fn convert(&mut self) {
        if let Some(audience) = self.audience.take() {
            self.provable = true;
            let presentation = Presentation {
                audience,
                assertion_type: AssertionType::Jwt,
            };
            let endpoint = Self::TOKEN_ENDPOINT.to_owned();
            self.presentations.entry(endpoint).or_insert(presentation);
        }
    }
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at).abs() < SignedDuration::from_hours(24)
}
