//! One registration (RFC 7591 §3), from the intention to the conclusion.

use axum::http::StatusCode;

use super::Registrar;
use crate::app::endpoints::Endpoints;
use crate::app::{Backoff, BootstrapError, ProofOutcome, Prover, chain};
use crate::idp::{DcrClient, TokenWish};
use crate::oauth::InitialAccessToken;
use crate::registration::{
    Attempt, Event, Judgement, MintedIat, RawAnswer, Refused, RefusedBecause, Registered,
    TokenFingerprint, judge,
};
use crate::secret::Secret;

impl Registrar {
    /// Sends one registration, and stores what comes of it before it looks at it.
    pub(super) async fn register(
        &self,
        endpoints: &Endpoints,
        token: Option<InitialAccessToken>,
        backoff: &mut Backoff,
    ) -> Result<(), BootstrapError> {
        self.check_algorithm(endpoints)?;
        let attempt = Attempt {
            issuer: self.idp.issuer.clone(),
            endpoint: endpoints.registration.url()?.to_string(),
            asked: self.desired().metadata(),
            token: token.as_ref().map(TokenFingerprint::of),
            started_at: self.app.clock.now(),
            answer: None,
        };
        self.intend(attempt.clone()).await?;
        let answer = match self.send(endpoints, &attempt, token, backoff).await? {
            Ok(answer) => answer,
            Err(what) => return self.outcome_unknown(attempt, what, endpoints).await,
        };
        let attempt = Attempt {
            answer: Some(answer),
            ..attempt
        };
        let stored = attempt.clone();
        self.app
            .ledger
            .update(|state| state.attempt = Some(stored))
            .await?;
        match self.conclude(attempt.clone()).await {
            Err(BootstrapError::OutcomeUnknown { what, .. }) => {
                self.outcome_unknown(attempt, what, endpoints).await
            }
            result => result,
        }
    }

    /// The answer, or what came in its place. Sent again only if it was certainly not sent.
    async fn send(
        &self,
        endpoints: &Endpoints,
        attempt: &Attempt,
        mut token: Option<InitialAccessToken>,
        backoff: &mut Backoff,
    ) -> Result<Result<RawAnswer, String>, BootstrapError> {
        let client = DcrClient::new(self.http.clone(), endpoints.registration.url()?);
        loop {
            let now = || self.app.clock.now();
            match client.register(&attempt.asked, token, now).await {
                Ok(answer) => return Ok(Ok(answer)),
                Err((error, unspent)) if error.is_not_sent() => {
                    token = unspent;
                    tracing::warn!("{error}; the registration was not sent, trying again");
                    if !backoff.pause(None).await {
                        self.app.ledger.update(|state| state.attempt = None).await?;
                        return Err(BootstrapError::NotSent(error));
                    }
                }
                Err((error, _)) => {
                    return Ok(Err(chain(&error)));
                }
            }
        }
    }

    /// Stores the intention. An earlier attempt, given up for a new token, goes into the
    /// journal: its client may exist.
    async fn intend(&self, attempt: Attempt) -> Result<(), BootstrapError> {
        let now = self.app.clock.now();
        self.app
            .ledger
            .update(|state| {
                if let Some(abandoned) = state.attempt.take() {
                    let wished = abandoned.asked.text("client_id");
                    let detail = format!(
                        "the registration of {} at {} was given up for a new token; its client \
                         may exist",
                        abandoned.started_at, abandoned.issuer
                    );
                    let event = Event::AttemptAbandoned;
                    state.journal.add(now, event, wished, detail);
                }
                state.attempt = Some(attempt);
            })
            .await?;
        Ok(())
    }

    /// Interprets an answer that was stored, because the process ended before it could.
    pub(super) async fn conclude_interrupted(&self) -> Result<(), BootstrapError> {
        let state = self.app.ledger.state();
        match &state.attempt {
            Some(attempt) if attempt.answer.is_some() => {
                tracing::info!("Going on with the answer that the last run received");
                match self.conclude(attempt.clone()).await {
                    // The plan knows what to do about it.
                    Err(BootstrapError::OutcomeUnknown { .. }) => Ok(()),
                    // There is no client. What is configured now may be another wish.
                    Err(error @ BootstrapError::Refused { .. }) => {
                        tracing::warn!("{}; {}", error.chain(), error.hint());
                        Ok(())
                    }
                    result => result,
                }
            }
            _ => Ok(()),
        }
    }

    /// Interprets a stored answer, and stores the conclusion.
    async fn conclude(&self, attempt: Attempt) -> Result<(), BootstrapError> {
        let Some(answer) = &attempt.answer else {
            return Ok(());
        };
        match judge(&attempt, answer) {
            Judgement::Granted {
                registered,
                differences,
            } => {
                for difference in &differences {
                    tracing::warn!("The IdP granted something else than asked: {difference}");
                }
                self.count_registration("registered");
                self.adopt(registered.clone(), Event::Registered, "registered")
                    .await?;
                self.report_registered(&registered, answer.status, attempt.token.is_some());
                Ok(())
            }
            Judgement::Refused(refused) => {
                self.count_registration("refused");
                self.refused(&attempt, &refused).await?;
                Err(BootstrapError::Refused {
                    refused,
                    with_token: attempt.token.is_some(),
                })
            }
            Judgement::Unusable {
                registered,
                granted,
            } => {
                self.count_registration("unusable");
                self.unusable(registered, granted).await
            }
            Judgement::Unknown(what) => Err(BootstrapError::OutcomeUnknown {
                endpoint: attempt.endpoint,
                what,
            }),
        }
    }

    /// A refusal leaves no client behind. What the token was worth depends on the reason.
    async fn refused(&self, attempt: &Attempt, refused: &Refused) -> Result<(), BootstrapError> {
        let now = self.app.clock.now();
        let detail = format!("{} refused: {refused}", attempt.issuer);
        let token_is_bad = refused.because == RefusedBecause::Token;
        self.app
            .ledger
            .update(|state| {
                state.attempt = None;
                if token_is_bad {
                    state.minted = None;
                }
                state.journal.add(now, Event::Refused, None, detail);
            })
            .await?;
        Ok(())
    }

    /// A client that cannot authenticate with a key is deleted again, if that is possible.
    async fn unusable(
        &self,
        registered: Registered,
        granted: String,
    ) -> Result<(), BootstrapError> {
        let now = self.app.clock.now();
        let client_id = registered.client_id.clone();
        let orphan = registered.orphaned(now);
        self.app
            .ledger
            .update(|state| {
                state.attempt = None;
                state.minted = None;
                state.orphans.push(orphan);
                let detail = format!("registered with {granted}, of no use to us");
                let event = Event::Orphaned;
                state.journal.add(now, event, Some(&client_id), detail);
            })
            .await?;
        self.delete_orphans(None).await?;
        let state = self.app.ledger.state();
        Err(BootstrapError::Unusable {
            deleted: !state.orphans.iter().any(|o| o.client_id == client_id),
            client_id,
            granted,
        })
    }

    /// Makes `registered` the client we are; the one before is left to be deleted.
    pub(super) async fn adopt(
        &self,
        mut registered: Registered,
        event: Event,
        how: &str,
    ) -> Result<(), BootstrapError> {
        let now = self.app.clock.now();
        let detail = format!("{how} at {}", registered.issuer);
        self.app
            .ledger
            .update(|state| {
                state.attempt = None;
                state.minted = None;
                if let Some(replaced) = state.registration.take() {
                    let mut tokens = replaced.tokens.clone();
                    tokens.append(&mut registered.tokens);
                    registered.tokens = tokens;
                    if replaced.client_id != registered.client_id {
                        state.orphans.push(replaced.orphaned(now));
                    }
                }
                let client_id = Some(registered.client_id.as_str());
                state.journal.add(now, event, client_id, detail);
                state.registration = Some(registered);
            })
            .await?;
        Ok(())
    }

    fn report_registered(&self, registered: &Registered, status: u16, with_token: bool) {
        let status = StatusCode::from_u16(status)
            .map_or_else(|_| status.to_string(), |status| status.to_string());
        let reminder = if with_token && self.dcr().iat.is_some() {
            "; remove DCR_IAT from the configuration, it is used up"
        } else {
            ""
        };
        tracing::info!(
            client.id = %registered.client_id,
            http.status = %status,
            idp.issuer = %registered.issuer,
            key.kid = %self.app.keys.current().kid(),
            manageable = registered.management.is_some(),
            "Client registered: {} ({status}) at {} with key `{}`{reminder}",
            registered.client_id,
            registered.issuer,
            self.app.keys.current().kid(),
        );
    }

    async fn outcome_unknown(
        &self,
        attempt: Attempt,
        what: String,
        endpoints: &Endpoints,
    ) -> Result<(), BootstrapError> {
        self.count_registration("unknown");
        let now = self.app.clock.now();
        let detail = format!("no usable answer from {}: {what}", attempt.endpoint);
        let endpoint = attempt.endpoint.clone();
        self.app
            .ledger
            .update(|state| {
                let wished = attempt.asked.text("client_id");
                let event = Event::OutcomeUnknown;
                state.journal.add(now, event, wished, detail);
                // A minted token went with it, and may be used up.
                state.minted = None;
                state.attempt = Some(attempt);
            })
            .await?;
        if self.look_up(endpoints).await? {
            return Ok(());
        }
        Err(BootstrapError::OutcomeUnknown { endpoint, what })
    }

    /// Finds out whether the client of an unfinished attempt exists after all: if it has the
    /// identifier we wished for, it authenticates with our key.
    pub(super) async fn look_up(&self, endpoints: &Endpoints) -> Result<bool, BootstrapError> {
        let state = self.app.ledger.state();
        let Some(attempt) = &state.attempt else {
            return Ok(false);
        };
        let Some(client_id) = attempt.asked.text("client_id") else {
            return Ok(false);
        };
        self.step("looking for the client of an unfinished registration");
        let prover = Prover::new(self.http.clone(), self.app.clock.clone());
        let subject = self.subject(client_id, endpoints)?;
        let proof = prover.prove(&self.app.keys.current(), &subject).await;
        if proof.outcome != ProofOutcome::Accepted {
            return Ok(false);
        }
        let found = Registered {
            issuer: attempt.issuer.clone(),
            client_id: client_id.to_owned(),
            management: None,
            sent: attempt.asked.clone(),
            granted: attempt.asked.clone(),
            registered_at: attempt.started_at,
            tokens: attempt.token.iter().cloned().collect(),
            unconfirmed: None,
            unmanageable: None,
            gone_since: None,
        };
        self.adopt(
            found,
            Event::ClientFound,
            "found by its identifier and our key",
        )
        .await?;
        tracing::warn!(
            client.id = client_id,
            "Client `{client_id}` exists after all, and its registration is taken over"
        );
        if !self.renew().await? {
            tracing::warn!(
                "The means to change client `{client_id}` are lost with the answer: with \
                 BOOTSTRAP_ADMIN_TOKEN set they are renewed when it next has to be changed"
            );
        }
        Ok(true)
    }

    /// The configured token, else one that is minted for the purpose.
    pub(super) async fn token_to_spend(
        &self,
        configured: Option<InitialAccessToken>,
    ) -> Result<Option<InitialAccessToken>, BootstrapError> {
        let Some(admin) = self.admin().filter(|_| configured.is_none()) else {
            return Ok(configured);
        };
        if let Some(minted) = &self.app.ledger.state().minted {
            return Ok(Some(InitialAccessToken(minted.token.clone())));
        }
        let wish = TokenWish {
            label: Some(self.dcr().client_name.clone()),
            expires_in: None,
            max_uses: Some(1),
        };
        let minted = admin.mint_initial_access_token(&wish).await?;
        let now = self.app.clock.now();
        let token = Secret::new(minted.token.0.expose());
        self.app
            .ledger
            .update(|state| {
                state.minted = Some(MintedIat { token, at: now });
                let detail = "minted with BOOTSTRAP_ADMIN_TOKEN".to_owned();
                state.journal.add(now, Event::TokenMinted, None, detail);
            })
            .await?;
        tracing::info!("Minted an initial access token (BOOTSTRAP_ADMIN_TOKEN)");
        Ok(Some(minted.token))
    }

    /// Refuses, before a token is spent, an algorithm that the IdP says it does not take.
    fn check_algorithm(&self, endpoints: &Endpoints) -> Result<(), BootstrapError> {
        let alg = self.app.keys.current().alg();
        let offered = &endpoints.algorithms;
        if !offered.is_empty() && !offered.iter().any(|offered| offered == alg.name()) {
            return Err(BootstrapError::AlgorithmNotOffered {
                alg: alg.to_string(),
                offered: offered.clone(),
            });
        }
        Ok(())
    }
}
