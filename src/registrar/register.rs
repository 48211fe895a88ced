//! One registration (RFC 7591 §3), from the intention to the conclusion.

use axum::http::StatusCode;

use super::bootstrap_error::BootstrapError;
use super::insist::insist;
use super::presented::Care;
use super::proof_error::ProofError;
use super::registration_error::RegistrationError;
use super::session::Session;
use crate::app::{Backoff, NoSigner, UpdateError, chain};
use crate::idp::{DcrClient, MintRequest};
use crate::oauth::{ClientInformation, InitialAccessToken, shown_url};
use crate::registration::{
    Attempt, AuthenticationOutcome, MintedIat, RawAnswer, Refused, Registered, RegistrationOutcome,
    TokenFingerprint, TokenTarget, access_despite_repetition,
};
use crate::state::{Adopted, Adoption, State};

/// Room that is kept on the volume for an answer, with its characters escaped, before the request
/// leaves.
pub(super) const ROOM_FOR_AN_ANSWER: usize = 1024 * 1024;

impl Session<'_> {
    /// Sends one registration, and stores its answer before it is interpreted.
    pub(super) async fn register(
        &self,
        token: Option<InitialAccessToken>,
        backoff: &mut Backoff,
    ) -> Result<(), BootstrapError> {
        self.check_algorithm()?;
        let state = self.app().ledger.state();
        let desired = self.client.desired(&state);
        let desired = desired.ok_or(ProofError::NoSigner(NoSigner::NoKey))?;
        let attempt = Attempt {
            issuer: self.client.idp.issuer.clone(),
            endpoint: self.endpoints.registration.url()?.as_str().to_owned(),
            asked: desired.metadata(),
            token: token.as_ref().map(TokenFingerprint::of),
            started_at: self.app().clock.now(),
            answer: None,
        };
        let _effect = self.app().shutdown.effect()?;
        let ledger = &self.app().ledger;
        ledger.reserve(ROOM_FOR_AN_ANSWER).await?;
        let registered = self.send_attempt(attempt, token, backoff).await;
        ledger.release().await;
        registered
    }

    async fn send_attempt(
        &self,
        attempt: Attempt,
        token: Option<InitialAccessToken>,
        backoff: &mut Backoff,
    ) -> Result<(), BootstrapError> {
        let forced = self.client.dcr().force_replace;
        let intend = |state: &mut State| state.intend(attempt.clone(), forced, attempt.started_at);
        self.app().ledger.record(intend).await?;
        let answer = match self.send(&attempt, token, backoff).await? {
            Ok(answer) => answer,
            Err(what) => return self.outcome_unknown(&attempt, what).await,
        };
        let received = |state: &mut State| state.received(answer.clone());
        if let Err(error) = insist(self.app(), received).await {
            tell_lost(&attempt, &answer);
            return Err(error.into());
        }
        let attempt = Attempt {
            answer: Some(answer),
            ..attempt
        };
        // Boxed, because every future around it would be as large.
        match Box::pin(self.conclude(&attempt)).await {
            Err(BootstrapError::Registration(RegistrationError::OutcomeUnknown {
                what, ..
            })) => self.outcome_unknown(&attempt, what).await,
            result => result,
        }
    }

    /// The answer, or what was received in its place. The request is sent again only if it was
    /// certainly not sent.
    async fn send(
        &self,
        attempt: &Attempt,
        mut token: Option<InitialAccessToken>,
        backoff: &mut Backoff,
    ) -> Result<Result<RawAnswer, String>, BootstrapError> {
        let endpoint = self.endpoints.registration.url()?;
        let client = DcrClient::new(self.client.http.clone(), endpoint);
        loop {
            let now = || self.app().clock.now();
            match client.register(&attempt.asked, token, now).await {
                Ok(answer) => return Ok(Ok(answer)),
                Err((error, unspent)) if error.is_not_sent() => {
                    token = unspent;
                    let failure = format!("{error}; the registration was not sent");
                    if !backoff.try_again(&failure, None).await {
                        self.app().ledger.update(State::not_sent).await?;
                        return Err(RegistrationError::NotSent(error).into());
                    }
                }
                Err((error, _)) => return Ok(Err(chain(&error))),
            }
        }
    }

    /// Interprets an answer that was stored, because the process ended before it could.
    pub(super) async fn conclude_interrupted(&self) -> Result<(), BootstrapError> {
        let state = self.app().ledger.state();
        let Some(attempt) = state.attempt().filter(|attempt| attempt.answer.is_some()) else {
            return Ok(());
        };
        tracing::info!("Continuing with the answer that the last run received");
        match self.conclude(attempt).await {
            // The plan says what to do about it.
            Err(BootstrapError::Registration(RegistrationError::OutcomeUnknown { .. })) => Ok(()),
            // No client was made, and the configuration may have changed since.
            Err(error @ BootstrapError::Registration(RegistrationError::Refused { .. })) => {
                tracing::warn!("{}; hint: {}", error.chain(), error.hint());
                Ok(())
            }
            result => result,
        }
    }

    /// Interprets a stored answer, and stores the conclusion.
    async fn conclude(&self, attempt: &Attempt) -> Result<(), BootstrapError> {
        let Some(answer) = &attempt.answer else {
            return Ok(());
        };
        // After a restart the request is not known any more, only what it may have carried.
        let mut answer = answer.clone();
        let state = self.app().ledger.state();
        let minted = state.minted().map(|minted| &minted.token);
        for token in self.client.dcr().iat.iter().chain(minted) {
            answer.sent.add(token);
        }
        let with_token = attempt.token.is_some();
        match RegistrationOutcome::of(attempt, &answer) {
            RegistrationOutcome::Granted {
                registered,
                differences,
            } => {
                for difference in &differences {
                    tracing::warn!("The IdP granted something else than asked: {difference}");
                }
                self.count_registration("registered");
                let token = attempt.token.as_ref();
                let adopted = self.adopt(&registered, token, Adoption::Registered).await?;
                self.report_registered(&registered, answer.status, with_token);
                if let Adopted::Candidate { present } = adopted {
                    tracing::info!(
                        client.id = %registered.client_id,
                        "Client `{present}` stays in use until the IdP accepts `{}`",
                        registered.client_id
                    );
                }
                Ok(())
            }
            RegistrationOutcome::Refused(refused) => {
                self.count_registration("refused");
                self.refused(&refused).await?;
                Err(RegistrationError::Refused {
                    refused,
                    with_token,
                }
                .into())
            }
            RegistrationOutcome::Unusable {
                registered,
                granted,
            } => {
                self.count_registration("unusable");
                self.unusable(registered, granted).await
            }
            RegistrationOutcome::Unknown(what) => Err(RegistrationError::OutcomeUnknown {
                endpoint: shown_url(&attempt.endpoint),
                what,
            }
            .into()),
        }
    }

    /// A refusal made no client. Whether the token can be used again depends on the reason.
    async fn refused(&self, refused: &Refused) -> Result<(), BootstrapError> {
        let now = self.app().clock.now();
        let refused = |state: &mut State| state.refused(refused, now);
        Ok(self.app().ledger.update(refused).await?)
    }

    /// A client that cannot authenticate with a key is deleted again, if that is possible.
    async fn unusable(&self, client: Registered, granted: String) -> Result<(), BootstrapError> {
        let now = self.app().clock.now();
        let client_id = client.client_id.clone();
        let unusable = |state: &mut State| state.unusable(client.clone(), &granted, now);
        self.app().ledger.update(unusable).await?;
        self.delete_orphans().await?;
        let state = self.app().ledger.state();
        let ours = state.registration().map(|ours| ours.client_id.as_str());
        let listed = state.orphans().iter().any(|o| o.client_id == client_id);
        Err(RegistrationError::Unusable {
            deleted: !listed && ours != Some(client_id.as_str()),
            client_id,
            granted,
        }
        .into())
    }

    /// Makes `client` ours.
    async fn adopt(
        &self,
        client: &Registered,
        token: Option<&TokenFingerprint>,
        how: Adoption,
    ) -> Result<Adopted, BootstrapError> {
        let now = self.app().clock.now();
        let adopt = |state: &mut State| state.adopt(client.clone(), token, how, now);
        Ok(self.app().ledger.record(adopt).await?)
    }

    fn report_registered(&self, client: &Registered, status: u16, with_token: bool) {
        let status = StatusCode::from_u16(status)
            .map_or_else(|_| status.to_string(), |status| status.to_string());
        let reminder = if with_token && self.app().initial_token.token().is_some() {
            "; remove DCR_IAT from the configuration, it is used up"
        } else {
            ""
        };
        let state = self.app().ledger.state();
        let kid = state.ring().map(|ring| ring.current().jwk.kid.as_str());
        let kid = kid.unwrap_or_default();
        tracing::info!(
            client.id = %client.client_id,
            http.status = %status,
            idp.issuer = %client.issuer,
            key.kid = kid,
            manageable = client.management.is_some(),
            "Client registered: {} ({status}) at {} with key `{kid}`{reminder}",
            client.client_id,
            client.issuer,
        );
    }

    async fn outcome_unknown(&self, attempt: &Attempt, what: String) -> Result<(), BootstrapError> {
        self.count_registration("unknown");
        let now = self.app().clock.now();
        let unknown = |state: &mut State| state.outcome_unknown(&what, now);
        self.app().ledger.update(unknown).await?;
        if self.look_up().await? {
            return Ok(());
        }
        Err(RegistrationError::OutcomeUnknown {
            endpoint: shown_url(&attempt.endpoint),
            what,
        }
        .into())
    }

    /// Finds out whether the client of an unfinished attempt exists after all: if it has the
    /// identifier that was asked for, it authenticates with our key.
    pub(super) async fn look_up(&self) -> Result<bool, BootstrapError> {
        let state = self.app().ledger.state();
        let Some(attempt) = state.attempt() else {
            return Ok(false);
        };
        // Elsewhere the identifier may be somebody else's.
        let here = attempt.issuer == self.client.idp.issuer;
        let wished = attempt.asked.text("client_id").filter(|_| here);
        let Some(client_id) = wished else {
            return Ok(false);
        };
        self.step("looking for the client of an unfinished registration");
        let key = self.app().signer.current().map_err(ProofError::from)?;
        let proof = self.authenticate(&key, client_id, Care::default()).await?;
        if proof.outcome != AuthenticationOutcome::Accepted {
            return Ok(false);
        }
        let asked = attempt.asked.clone();
        let (issuer, started_at) = (&attempt.issuer, attempt.started_at);
        let found = Registered {
            proven: true,
            management: access_despite_repetition(attempt, client_id),
            ..Registered::new(issuer, client_id, asked.clone(), asked, started_at)
        };
        self.adopt(&found, attempt.token.as_ref(), Adoption::Found)
            .await?;
        tracing::warn!(
            client.id = client_id,
            "Client `{client_id}` exists after all; its registration is adopted"
        );
        if found.management.is_none() && !self.client.renew().await? {
            tracing::warn!(
                client.id = client_id,
                "The registration access token of client `{client_id}` was lost with the answer; \
                 hint: set BOOTSTRAP_ADMIN_TOKEN to have it renewed"
            );
        }
        Ok(true)
    }

    /// The configured token, else one that is minted for the purpose.
    pub(super) async fn token_to_spend(
        &self,
        configured: Option<InitialAccessToken>,
    ) -> Result<Option<InitialAccessToken>, BootstrapError> {
        let Some(admin) = self.client.idp_admin().filter(|_| configured.is_none()) else {
            return Ok(configured);
        };
        let now = self.app().clock.now();
        let target = self.target();
        let state = self.app().ledger.state();
        if let Some(minted) = state
            .minted()
            .filter(|minted| minted.is_valid(&target, now))
        {
            return Ok(Some(InitialAccessToken(minted.token.clone())));
        }
        let wanted = MintRequest {
            label: Some(self.client.dcr().client_name.clone()),
            expires_in: None,
            max_uses: Some(1),
        };
        let _effect = self.app().shutdown.effect()?;
        let minted = admin.mint_initial_access_token(&wanted).await?;
        let now = self.app().clock.now();
        let kept = MintedIat {
            token: minted.token.0.clone(),
            at: now,
            valid_at: Some(target),
            expires_at: minted.expires.and_then(|text| text.parse().ok()),
        };
        let mint = |state: &mut State| state.mint(kept.clone(), now);
        self.app().ledger.record(mint).await?;
        tracing::info!("Minted an initial access token (BOOTSTRAP_ADMIN_TOKEN)");
        Ok(Some(minted.token))
    }

    /// Where a token has to be valid. Without an endpoint nothing is sent, so that none is needed.
    pub(super) fn target(&self) -> TokenTarget {
        TokenTarget {
            issuer: self.client.idp.issuer.clone(),
            endpoint: self.endpoints.registration.as_spelt().to_owned(),
        }
    }

    /// Gives the algorithm of the first key the other name, where the IdP lists only that one
    /// (RFC 9864 §2.2).
    pub(super) async fn choose_name_of_algorithm(&self) -> Result<(), BootstrapError> {
        let app = self.app();
        let key = app.signer.current().map_err(ProofError::from)?;
        let Some(alias) = self.endpoints.alias_of(key.alg()) else {
            return Ok(());
        };
        let stamped = key.stamped(alias).map_err(ProofError::from)?;
        let restamp = |state: &mut State| state.restamp(stamped.public().clone());
        match app.ledger.update(restamp).await {
            Ok(()) => {
                tracing::info!(
                    key.kid = %key.kid(),
                    key.alg = %alias,
                    "The IdP knows the algorithm of key `{}` by the name {alias}",
                    key.kid()
                );
                app.signer.restamp(stamped);
                Ok(())
            }
            // The key is known to a client by its present name.
            Err(UpdateError::Refused(_)) => Ok(()),
            Err(UpdateError::Commit(error)) => Err(error.into()),
        }
    }

    /// Refuses, before a token is minted or spent, an algorithm that the IdP says it does not take.
    pub(super) fn check_algorithm(&self) -> Result<(), BootstrapError> {
        let state = self.app().ledger.state();
        let desired = self.client.desired(&state);
        let desired = desired.ok_or(ProofError::NoSigner(NoSigner::NoKey))?;
        let (alg, offered) = (desired.alg.name(), &self.endpoints.algorithms);
        if !offered.is_empty() && !offered.iter().any(|offered| offered == alg) {
            return Err(RegistrationError::AlgorithmNotOffered {
                alg: alg.to_owned(),
                offered: offered.clone(),
            }
            .into());
        }
        Ok(())
    }
}

/// The last resort for an answer that cannot be stored: the log names the client that exists now.
fn tell_lost(attempt: &Attempt, answer: &RawAnswer) {
    let information = ClientInformation::parse(answer.body.expose().as_bytes());
    let client_id = information.map_or_else(|_| String::new(), |found| found.client_id);
    tracing::error!(
        client.id = %client_id,
        http.status = answer.status,
        "The answer of {} (HTTP {}) could not be stored: its client is `{client_id}`, and its \
         registration access token is lost; hint: delete the client at the IdP, or take it over \
         with `bff register --adopt`",
        shown_url(&attempt.endpoint),
        answer.status
    );
}
