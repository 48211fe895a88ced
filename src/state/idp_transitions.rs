//! Changes of what was learnt of the IdP.

use jiff::Timestamp;

use super::document::State;
use super::known_idp::{KnownIdp, Presentation};
use crate::oauth::ServerMetadata;
use crate::registration::{Controls, Proof, TokenAnswer};

impl State {
    /// Remembers the metadata of the IdP with this issuer.
    pub fn learn_metadata(&mut self, issuer: &str, metadata: ServerMetadata) {
        self.known_idp(issuer).metadata = Some(metadata);
    }

    /// Remembers what came of a proof of `client_id` at one endpoint of the IdP with this issuer.
    pub fn learn_proof(&mut self, issuer: &str, endpoint: &str, client_id: &str, proof: &Proof) {
        let suffices = self.suffices(issuer, proof.outcome);
        self.known_idp(issuer).learn(endpoint, client_id, proof);
        self.forget_verdicts();
        let candidate = self
            .candidate
            .as_mut()
            .map(|candidate| &mut candidate.client);
        for client in self.registration.iter_mut().chain(candidate) {
            client.proven |= suffices && client.issuer == issuer && client.client_id == client_id;
        }
    }

    /// Remembers what the IdP with this issuer answers to controls that were sent `now`, and the
    /// answer to a proof that was judged beside them.
    pub fn learn_controls(
        &mut self,
        issuer: &str,
        presentation: &Presentation,
        answers: &Controls,
        judged: &TokenAnswer,
        now: Timestamp,
    ) {
        let known = self.known_idp(issuer);
        known.learn_controls(presentation, answers.clone(), judged, now);
    }

    /// Forgets the verdicts on keys that are not in the JWK Set any more, and on clients that are
    /// not ours.
    pub(super) fn forget_verdicts(&mut self) {
        let candidate = self.candidate.as_ref().map(|candidate| &candidate.client);
        let clients = self.registration.iter().chain(candidate);
        if let (Some(known), Some(ring)) = (&mut self.idp, &self.ring) {
            known.forget_verdicts(|verdict| {
                ring.keys().any(|(key, _)| key.jwk.kid == verdict.kid)
                    && clients
                        .clone()
                        .any(|client| client.client_id == verdict.client_id)
            });
        }
    }

    fn known_idp(&mut self, issuer: &str) -> &mut KnownIdp {
        let known = self.idp.take().filter(|known| known.issuer == issuer);
        self.idp.insert(known.unwrap_or_else(|| KnownIdp {
            issuer: issuer.to_owned(),
            ..KnownIdp::default()
        }))
    }
}
