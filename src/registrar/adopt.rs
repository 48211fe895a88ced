//! A client that an operator has named becomes ours, after a proof.

use super::adopt_error::AdoptError;
use super::bootstrap::Registrar;
use super::bootstrap_error::BootstrapError;
use super::insist::insist;
use super::presented::Care;
use super::proof::REJECTIONS;
use super::proof_error::ProofError;
use super::register::ROOM_FOR_AN_ANSWER;
use super::session::Session;
use crate::app::{Backoff, NoSigner, chain};
use crate::idp::ManagementClient;
use crate::oauth::{Management, shown_url};
use crate::registration::{
    Adoptee, AuthenticationOutcome, ManagementOutcome, Proof, RatNews, RawAnswer, Registered,
};
use crate::state::{ClientRefusal, KnownIdp, State};

impl Registrar {
    /// Makes a client ours, if the IdP accepts our key as its. Nothing is changed otherwise.
    pub(super) async fn adopt(
        &self,
        adoptee: &Adoptee,
        backoff: &mut Backoff,
    ) -> Result<(), BootstrapError> {
        let _turn = self.turn.lock().await;
        let _under_way = self.app.condition.begin();
        let endpoints = self.find_endpoints(backoff).await?;
        let session = self.session(&endpoints);
        session.take_over(adoptee, backoff).await?;
        self.app.show_locally().await;
        Ok(())
    }
}

impl Session<'_> {
    async fn take_over(
        &self,
        adoptee: &Adoptee,
        backoff: &mut Backoff,
    ) -> Result<(), BootstrapError> {
        let endpoint = self.endpoints.registration.url()?;
        if let Some(given) = adoptee.management()
            && given.uri.origin() != endpoint.origin()
        {
            let endpoint = shown_url(endpoint.as_str());
            return Err(AdoptError::OtherOrigin { endpoint }.into());
        }
        self.step("proving that the IdP accepts the key as the client that is to be adopted");
        let proof = self.prove_adoptee(adoptee.client_id(), backoff).await?;
        let _effect = self.app().shutdown.effect()?;
        let ledger = &self.app().ledger;
        // The read can bring a token that is nowhere else.
        ledger.reserve(ROOM_FOR_AN_ANSWER).await?;
        let ended = self.adopt_proven(adoptee, &proof).await;
        ledger.release().await;
        ended
    }

    /// Authenticates as the client until the IdP has said whether it accepts the key that signs.
    async fn prove_adoptee(
        &self,
        client_id: &str,
        backoff: &mut Backoff,
    ) -> Result<Proof, BootstrapError> {
        let key = self.app().signer.current().map_err(ProofError::from)?;
        let care = Care {
            ordered: true,
            ..Care::default()
        };
        let mut rejections = 0;
        loop {
            let proof = self.authenticate(&key, client_id, care).await?;
            let state = self.app().ledger.state();
            if state.suffices(&self.client.idp.issuer, proof.outcome) {
                return Ok(proof);
            }
            let (outcome, at_least) = (proof.outcome, proof.retry_after);
            let (client_id, proof) = (client_id.to_owned(), Box::new(proof));
            let error = if outcome == AuthenticationOutcome::Rejected {
                rejections += 1;
                AdoptError::NotAccepted { client_id, proof }
            } else {
                AdoptError::Unproven { client_id, proof }
            };
            // The IdP may not have fetched the JWK Set yet.
            let last = rejections >= REJECTIONS || outcome == AuthenticationOutcome::Inconclusive;
            if last || !backoff.try_again(&chain(&error), at_least).await {
                return Err(error.into());
            }
        }
    }

    /// Reads the client where a token was given, and stores that it is ours in one commit.
    async fn adopt_proven(&self, adoptee: &Adoptee, proof: &Proof) -> Result<(), BootstrapError> {
        let (app, client_id) = (self.app(), adoptee.client_id());
        let issuer = self.client.idp.issuer.as_str();
        let known = app.ledger.state().known_client(issuer, client_id);
        let is_known = known.is_some();
        let presumed = match known {
            Some(known) => known,
            None => self.presumed(client_id)?,
        };
        let found = match adoptee.management() {
            None => presumed,
            Some(given) => self.read_given(presumed, given, is_known).await?,
        };
        let now = app.clock.now();
        let adopt = |state: &mut State| {
            let before = if state
                .registration()
                .is_some_and(|ours| ours.is_same(&found))
            {
                let renewed = adoptee.management().map(|_| &found);
                state.renewed_by_operator(client_id, renewed, now)?;
                None
            } else {
                state.take_over(found.clone(), now)
            };
            state.learn_proof(issuer, KnownIdp::TOKEN_ENDPOINT, client_id, proof);
            Ok::<_, ClientRefusal>(before)
        };
        let before = if adoptee.management().is_some() {
            insist(app, adopt).await?
        } else {
            app.ledger.update(adopt).await?
        };
        if proof.outcome == AuthenticationOutcome::Inconclusive {
            tracing::warn!(
                client.id = client_id,
                "This IdP answers a wrong key like a right one: that client `{client_id}` has our \
                 keys is not shown"
            );
        }
        let place = before.map_or_else(String::new, |before| format!(" in place of `{before}`"));
        tracing::info!(
            client.id = client_id,
            idp.issuer = issuer,
            manageable = found.management.is_some(),
            "Audit: client `{client_id}` at {issuer} is adopted{place}"
        );
        Ok(())
    }

    /// A client of which nothing is known: it is taken to have what the configuration asks for.
    fn presumed(&self, client_id: &str) -> Result<Registered, BootstrapError> {
        let state = self.app().ledger.state();
        let issuer = self.client.idp.issuer.as_str();
        let desired = self.client.desired(&state);
        let desired = desired.ok_or(ProofError::NoSigner(NoSigner::NoKey))?;
        let (asked, now) = (desired.metadata(), self.app().clock.now());
        Ok(Registered::new(
            issuer,
            client_id,
            asked.clone(),
            asked,
            now,
        ))
    }

    /// Reads the client with the token that was given (RFC 7592 §2.1), which shows whether the token
    /// is valid, and what the IdP has.
    async fn read_given(
        &self,
        mut client: Registered,
        given: &Management,
        is_known: bool,
    ) -> Result<Registered, BootstrapError> {
        let client_id = client.client_id.clone();
        let requests = ManagementClient::new(self.client.http.clone(), given.clone());
        let answer = requests.read(|| self.app().clock.now()).await;
        let answer = answer.map_err(|error| AdoptError::NotRead {
            client_id: client_id.clone(),
            what: chain(&error),
        })?;
        let news = judge(&client, &answer)?;
        client.read_with(given, news, is_known);
        Ok(client)
    }
}

/// What the answer to a read says of the client and its token, if it says that both are right.
fn judge(client: &Registered, answer: &RawAnswer) -> Result<RatNews, AdoptError> {
    let client_id = client.client_id.clone();
    let unread = |client_id, what| Err(AdoptError::NotRead { client_id, what });
    match ManagementOutcome::of(answer) {
        ManagementOutcome::NotAccepted(status) => {
            return Err(AdoptError::TokenNotAccepted { client_id, status });
        }
        ManagementOutcome::Is(found) if found.client_id != client_id => {
            let found = found.client_id;
            return Err(AdoptError::OtherClient { client_id, found });
        }
        ManagementOutcome::Refused(status, _) => {
            return unread(client_id, format!("HTTP {status}"));
        }
        ManagementOutcome::Unknown(what) => return unread(client_id, what),
        // Where it cannot be read, it can perhaps be changed.
        ManagementOutcome::Done | ManagementOutcome::Is(_) | ManagementOutcome::NotOffered(_) => {}
    }
    match RatNews::of(answer, &client_id, &client.sent, true) {
        Some(news) => Ok(news),
        None => unread(client_id, "an answer that cannot be used".to_owned()),
    }
}
