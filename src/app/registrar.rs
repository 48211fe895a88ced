//! Carries out what the plan says, so that no answer is lost and no token spent twice.

use std::collections::HashSet;
use std::error::Error as _;
use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::endpoints::{self, Endpoints};
use super::status::Bootstrap;
use super::{App, Backoff, BootstrapError, Proof, ProofOutcome, Prover, Subject};
use crate::config::{AssertionAudience, DcrConfig, IdpConfig, JwksMode};
use crate::idp::{DcrClient, HttpClient};
use crate::keyring::Ring;
use crate::metrics::Outcome;
use crate::oauth::InitialAccessToken;
use crate::registration::{
    self, Attempt, Audience, Desired, Event, Judgement, JwksMember, Means, Orphan, Plan,
    Registered, ReplaceOrder, TokenFingerprint, judge, plan,
};

/// Brings the service to a usable registration at one IdP.
#[derive(Debug)]
pub struct Registrar {
    app: Arc<App>,
    idp: IdpConfig,
    http: HttpClient,
}

impl Registrar {
    /// A registrar for the IdP of the configuration.
    ///
    /// # Errors
    ///
    /// [`BootstrapError::Client`] if TLS cannot be set up with the configured trust anchors.
    pub fn new(app: Arc<App>, idp: IdpConfig) -> Result<Self, BootstrapError> {
        Ok(Self {
            http: endpoints::http_client(&idp)?,
            app,
            idp,
        })
    }

    /// Registers if need be, and proves that the IdP accepts the key; ready afterwards.
    ///
    /// What is transient is tried again until `backoff` is over.
    ///
    /// # Errors
    ///
    /// [`BootstrapError`]; the status says so too.
    pub async fn bootstrap(&self, mut backoff: Backoff) -> Result<(), BootstrapError> {
        let result = self.steps(&mut backoff).await;
        self.app.status.set_bootstrap(match &result {
            Ok(()) => Bootstrap::Ready,
            Err(error) => Bootstrap::Failed {
                error: error.chain(),
                hint: error.hint(),
                transient: error.is_transient(),
            },
        });
        result
    }

    fn dcr(&self) -> &DcrConfig {
        &self.app.config.dcr
    }

    fn step(&self, step: &'static str) {
        self.app.status.set_bootstrap(Bootstrap::Starting { step });
        tracing::debug!(step, "Bootstrap: {step}");
    }

    async fn steps(&self, backoff: &mut Backoff) -> Result<(), BootstrapError> {
        if self.dcr().skip {
            return self.use_stored();
        }
        self.step("looking for the IdP's endpoints");
        let endpoints = self.find_endpoints(backoff).await?;
        self.conclude_interrupted().await?;
        let fresh = self.settle(&endpoints, backoff).await?;
        self.step("proving that the IdP accepts the key");
        let proof = self.prove(&endpoints, fresh, backoff).await?;
        self.remember(&proof).await?;
        self.delete_orphans().await?;
        self.write_client_credentials(&endpoints);
        Ok(())
    }

    fn use_stored(&self) -> Result<(), BootstrapError> {
        let state = self.app.ledger.state();
        let registered = state
            .registration
            .as_ref()
            .ok_or(BootstrapError::NothingStored)?;
        if registered.issuer != self.idp.issuer {
            return Err(BootstrapError::Plan(registration::Reason::IssuerChanged {
                stored: registered.issuer.clone(),
                configured: self.idp.issuer.clone(),
            }));
        }
        tracing::info!(
            client.id = %registered.client_id,
            idp.issuer = %registered.issuer,
            "Using the stored registration `{}` without asking the IdP (SKIP_DCR_BOOTSTRAP)",
            registered.client_id
        );
        Ok(())
    }

    async fn find_endpoints(&self, backoff: &mut Backoff) -> Result<Endpoints, BootstrapError> {
        loop {
            match endpoints::find(&self.http, &self.idp).await {
                Err(error) if error.is_transient() => {
                    tracing::warn!("{}; trying again", error.chain());
                    if !backoff.pause(None).await {
                        return Err(error);
                    }
                }
                result => return result,
            }
        }
    }

    /// An answer that was stored and not yet interpreted, because the process ended between.
    async fn conclude_interrupted(&self) -> Result<(), BootstrapError> {
        let state = self.app.ledger.state();
        match &state.attempt {
            Some(attempt) if attempt.answer.is_some() => {
                tracing::info!("Going on with the answer that the last run received");
                self.conclude(attempt.clone()).await
            }
            _ => Ok(()),
        }
    }

    /// Does what the plan says. Says whether a client was registered now.
    async fn settle(
        &self,
        endpoints: &Endpoints,
        backoff: &mut Backoff,
    ) -> Result<bool, BootstrapError> {
        let token = self.dcr().iat.clone().map(InitialAccessToken);
        let fingerprint = token.as_ref().map(TokenFingerprint::of);
        let state = self.app.ledger.state();
        let decided = plan(
            state.registration.as_ref(),
            state.attempt.as_ref(),
            &Means {
                issuer: &self.idp.issuer,
                client_id: self.dcr().client_id.as_deref(),
                token: fingerprint.as_ref(),
                force_replace: self.dcr().force_replace,
            },
        );
        tracing::debug!(plan = ?decided, "Decided what to do about the registration");
        match decided {
            Plan::Nothing => {
                self.report_standing(&state, token.is_some());
                Ok(false)
            }
            Plan::Register => {
                self.step("registering");
                self.register(endpoints, token, fingerprint, backoff)
                    .await?;
                Ok(true)
            }
            Plan::Replace(order) => {
                self.step("replacing the client");
                self.replace(order, endpoints, token, fingerprint, backoff)
                    .await?;
                Ok(true)
            }
            Plan::Refuse(reason) => {
                if matches!(reason, registration::Reason::OutcomeUnknown { .. })
                    && self.look_up(endpoints).await?
                {
                    return Ok(false);
                }
                Err(BootstrapError::Plan(reason))
            }
        }
    }

    fn report_standing(&self, state: &crate::store::State, token_is_set: bool) {
        let Some(registered) = &state.registration else {
            return;
        };
        tracing::info!(
            client.id = %registered.client_id,
            idp.issuer = %registered.issuer,
            "Registered as `{}` since {}: nothing to do",
            registered.client_id,
            registered.registered_at
        );
        if token_is_set {
            tracing::warn!(
                "DCR_IAT is still set, and is not used any more: remove it from the configuration"
            );
        }
        let changed = self.changed_since_registration(registered);
        if !changed.is_empty() {
            tracing::warn!(
                "The configuration differs from what was registered in {}: the client at the IdP \
                 is not changed by this version; to register anew, set DCR_IAT to a fresh token \
                 and DCR_FORCE_REPLACE=true",
                changed.join(", ")
            );
        }
    }

    fn changed_since_registration(&self, registered: &Registered) -> Vec<String> {
        let desired = self.desired().metadata();
        let names: HashSet<&String> = desired.0.keys().chain(registered.sent.0.keys()).collect();
        let mut changed: Vec<String> = names
            .into_iter()
            .filter(|name| desired.set(name) != registered.sent.set(name))
            .cloned()
            .collect();
        changed.sort();
        changed
    }

    fn desired(&self) -> Desired {
        let dcr = self.dcr();
        let ring = self.app.ledger.state().ring.clone();
        Desired {
            issuer: self.idp.issuer.clone(),
            client_id: dcr.client_id.clone(),
            client_name: dcr.client_name.clone(),
            client_profile: dcr.client_profile.clone(),
            redirect_uris: dcr.redirect_uris.clone(),
            grant_types: dcr.grant_types.clone(),
            scope: dcr.scope.clone(),
            alg: self.app.keys.current().alg(),
            jwks: match (&dcr.jwks, &dcr.jwks_uri) {
                (JwksMode::Uri, Some(uri)) => JwksMember::Uri(uri.to_string()),
                _ => JwksMember::Value(json!({
                    "keys": ring.iter().flat_map(Ring::published).collect::<Vec<_>>(),
                })),
            },
            software_statement: dcr.software_statement.clone(),
            extra: dcr.extra_metadata.clone(),
        }
    }

    /// Sends one registration, and stores what comes of it before it looks at it.
    async fn register(
        &self,
        endpoints: &Endpoints,
        mut token: Option<InitialAccessToken>,
        fingerprint: Option<TokenFingerprint>,
        backoff: &mut Backoff,
    ) -> Result<(), BootstrapError> {
        self.check_algorithm(endpoints)?;
        let registration_endpoint = endpoints.registration.url()?;
        let attempt = Attempt {
            issuer: self.idp.issuer.clone(),
            endpoint: registration_endpoint.to_string(),
            asked: self.desired().metadata(),
            token: fingerprint,
            started_at: self.app.clock.now(),
            answer: None,
        };
        self.intend(attempt.clone()).await?;
        let client = DcrClient::new(self.http.clone(), registration_endpoint);
        let answer = loop {
            let now = || self.app.clock.now();
            match client.register(&attempt.asked, token, now).await {
                Ok(answer) => break answer,
                Err((error, unspent)) if error.is_not_sent() => {
                    token = unspent;
                    tracing::warn!("{error}; the registration was not sent, trying again");
                    if !backoff.pause(None).await {
                        self.app.ledger.update(|state| state.attempt = None).await?;
                        return Err(BootstrapError::NotSent(error));
                    }
                }
                Err((error, _)) => {
                    let what = match error.source() {
                        Some(cause) => format!("{error}: {cause}"),
                        None => error.to_string(),
                    };
                    return self.outcome_unknown(attempt, what, endpoints).await;
                }
            }
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

    /// Stores the intention. An earlier attempt, given up for a new token, goes into the
    /// journal: its client may exist.
    async fn intend(&self, attempt: Attempt) -> Result<(), BootstrapError> {
        let now = self.app.clock.now();
        self.app
            .ledger
            .update(|state| {
                if let Some(abandoned) = state.attempt.take() {
                    let wished = abandoned.asked.text("client_id").map(str::to_owned);
                    let detail = format!(
                        "the registration of {} at {} was given up for a new token; its client \
                         may exist",
                        abandoned.started_at, abandoned.issuer
                    );
                    state
                        .journal
                        .add(now, Event::AttemptAbandoned, wished.as_deref(), detail);
                }
                state.attempt = Some(attempt);
            })
            .await?;
        Ok(())
    }

    /// Interprets a stored answer, and stores the conclusion.
    async fn conclude(&self, attempt: Attempt) -> Result<(), BootstrapError> {
        let Some(answer) = &attempt.answer else {
            return Ok(());
        };
        let now = self.app.clock.now();
        let status = answer.status;
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
                self.report_registered(&registered, status, attempt.token.is_some());
                Ok(())
            }
            Judgement::Refused(refused) => {
                self.count_registration("refused");
                let detail = format!("{} refused: {refused}", attempt.issuer);
                self.app
                    .ledger
                    .update(|state| {
                        state.attempt = None;
                        state.journal.add(now, Event::Refused, None, detail);
                    })
                    .await?;
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
                let client_id = registered.client_id.clone();
                let orphan = registered.orphaned(now);
                self.app
                    .ledger
                    .update(|state| {
                        state.attempt = None;
                        state.orphans.push(orphan);
                        let detail = format!("registered with {granted}, of no use to us");
                        state
                            .journal
                            .add(now, Event::Orphaned, Some(&client_id), detail);
                    })
                    .await?;
                self.delete_orphans().await?;
                let state = self.app.ledger.state();
                Err(BootstrapError::Unusable {
                    deleted: !state.orphans.iter().any(|o| o.client_id == client_id),
                    client_id,
                    granted,
                })
            }
            Judgement::Unknown(what) => Err(BootstrapError::OutcomeUnknown {
                endpoint: attempt.endpoint,
                what,
            }),
        }
    }

    /// Makes `registered` the client we are; the one before is left to be deleted.
    async fn adopt(
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
                if let Some(replaced) = state.registration.take() {
                    let mut tokens = replaced.tokens.clone();
                    tokens.append(&mut registered.tokens);
                    registered.tokens = tokens;
                    if replaced.client_id != registered.client_id {
                        state.orphans.push(replaced.orphaned(now));
                    }
                }
                state
                    .journal
                    .add(now, event, Some(&registered.client_id), detail);
                state.registration = Some(registered);
            })
            .await?;
        Ok(())
    }

    fn report_registered(&self, registered: &Registered, status: u16, with_token: bool) {
        let status = StatusCode::from_u16(status)
            .map_or_else(|_| status.to_string(), |status| status.to_string());
        let reminder = if with_token {
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
        let wished = attempt.asked.text("client_id").map(str::to_owned);
        let endpoint = attempt.endpoint.clone();
        self.app
            .ledger
            .update(|state| {
                state.attempt = Some(attempt);
                state
                    .journal
                    .add(now, Event::OutcomeUnknown, wished.as_deref(), detail);
            })
            .await?;
        if self.look_up(endpoints).await? {
            return Ok(());
        }
        Err(BootstrapError::OutcomeUnknown { endpoint, what })
    }

    /// Finds out whether the client of an unfinished attempt exists after all: if it has the
    /// identifier we wished for, it authenticates with our key.
    async fn look_up(&self, endpoints: &Endpoints) -> Result<bool, BootstrapError> {
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
        let proof = prover.prove(self.app.keys.current(), &subject).await;
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
        };
        self.adopt(
            found,
            Event::ClientFound,
            "found by its identifier and our key",
        )
        .await?;
        tracing::warn!(
            client.id = client_id,
            "Client `{client_id}` exists after all: its registration is taken over, without the \
             means to change it"
        );
        Ok(true)
    }

    async fn replace(
        &self,
        order: ReplaceOrder,
        endpoints: &Endpoints,
        token: Option<InitialAccessToken>,
        fingerprint: Option<TokenFingerprint>,
        backoff: &mut Backoff,
    ) -> Result<(), BootstrapError> {
        let state = self.app.ledger.state();
        if let (ReplaceOrder::DeleteFirst, Some(registered)) = (order, &state.registration) {
            let client_id = &registered.client_id;
            tracing::warn!(
                client.id = %client_id,
                "Client `{client_id}` is deleted before it is registered anew, because it holds \
                 the wished identifier: its grants and tokens end, and if the new registration \
                 is refused there is none"
            );
            let now = self.app.clock.now();
            let orphan = registered.clone().orphaned(now);
            if let Err(what) = self.delete(&orphan).await {
                return Err(BootstrapError::StillThere {
                    client_id: client_id.clone(),
                    what,
                });
            }
            let deleted = client_id.clone();
            self.app
                .ledger
                .update(|state| {
                    state.registration = None;
                    let detail = "deleted to be registered anew".to_owned();
                    state
                        .journal
                        .add(now, Event::Deleted, Some(&deleted), detail);
                })
                .await?;
        }
        self.register(endpoints, token, fingerprint, backoff).await
    }

    /// Deletes what nothing of ours uses any more, where that is possible.
    async fn delete_orphans(&self) -> Result<(), BootstrapError> {
        let state = self.app.ledger.state();
        for orphan in state.orphans.iter().filter(|o| o.management.is_some()) {
            let now = self.app.clock.now();
            let result = self.delete(orphan).await;
            let client_id = orphan.client_id.clone();
            match &result {
                Ok(()) => tracing::info!(client.id = %client_id, "Deleted client `{client_id}`"),
                Err(what) => tracing::warn!(
                    client.id = %client_id,
                    "Client `{client_id}` is not used any more and could not be deleted ({what}): \
                     delete it at the IdP"
                ),
            }
            self.app
                .ledger
                .update(|state| {
                    let (event, detail) = match result {
                        Ok(()) => {
                            state.orphans.retain(|other| other.client_id != client_id);
                            (Event::Deleted, "not used any more".to_owned())
                        }
                        Err(what) => {
                            for other in &mut state.orphans {
                                if other.client_id == client_id {
                                    other.management = None;
                                }
                            }
                            (Event::Orphaned, format!("could not be deleted: {what}"))
                        }
                    };
                    state.journal.add(now, event, Some(&client_id), detail);
                })
                .await?;
        }
        Ok(())
    }

    /// Deletes one client (RFC 7592 §2.3).
    async fn delete(&self, orphan: &Orphan) -> Result<(), String> {
        let Some(management) = &orphan.management else {
            return Err("there is no registration access token".to_owned());
        };
        let client = DcrClient::new(self.http.clone(), management.uri.clone());
        match client.delete(management).await {
            Ok(answer) if matches!(answer.status, 200 | 204) => Ok(()),
            Ok(answer) => Err(format!("HTTP {}", answer.status)),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Authenticates until the IdP has said yes or no.
    async fn prove(
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
        let prover = Prover::new(self.http.clone(), self.app.clock.clone());
        let subject = self.subject(&registered.client_id, endpoints)?;
        let mut rejections = 0;
        loop {
            let proof = prover.prove(self.app.keys.current(), &subject).await;
            self.app
                .metrics
                .proofs
                .get_or_create(&Outcome {
                    outcome: proof.outcome.word(),
                })
                .inc();
            self.app.status.set_proof(proof.clone());
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
                    fetched: self.app.metrics.jwks_served.get() > 0,
                    fresh,
                },
                ProofOutcome::Unknown => BootstrapError::Unproven(Box::new(proof)),
            };
            // A client that was accepted before is not a client whose keys the IdP has yet to
            // fetch: a few tries tell a hiccup from a no.
            rejections += u32::from(matches!(error, BootstrapError::Rejected { .. }));
            if !fresh && rejections >= REJECTIONS {
                return Err(error);
            }
            tracing::warn!("{}; trying again", error.chain());
            if !backoff.pause(None).await {
                return Err(error);
            }
        }
    }

    fn subject(&self, client_id: &str, endpoints: &Endpoints) -> Result<Subject, BootstrapError> {
        let token_endpoint = endpoints.token.url()?;
        let issuer = self.idp.issuer.clone();
        let audiences = match self.dcr().assertion_audience {
            AssertionAudience::Issuer => vec![issuer],
            AssertionAudience::Endpoint => vec![endpoints.token.as_spelt().to_owned()],
            AssertionAudience::Auto => {
                let state = self.app.ledger.state();
                let learnt = state
                    .audience
                    .iter()
                    .filter(|learnt| learnt.issuer == issuer);
                let mut audiences: Vec<String> = learnt.map(|a| a.value.clone()).collect();
                for audience in [issuer, endpoints.token.as_spelt().to_owned()] {
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
    async fn remember(&self, proof: &Proof) -> Result<(), BootstrapError> {
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

    /// What the application beside us needs to know, none of it secret.
    fn write_client_credentials(&self, endpoints: &Endpoints) {
        let state = self.app.ledger.state();
        let (Some(path), Some(registered)) = (&self.dcr().client_cred_path, &state.registration)
        else {
            return;
        };
        let key = self.app.keys.current();
        let credentials: Value = json!({
            "client_id": registered.client_id,
            "issuer": registered.issuer,
            "token_endpoint": endpoints.token.as_spelt(),
            "kid": key.kid(),
            "alg": key.alg(),
        });
        if let Err(error) =
            crate::store::write_public_file(path, format!("{credentials:#}\n").as_bytes())
        {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                path = %path.display(),
                "Cannot write {}: let the user that runs bff write there, or change \
                 BFF_CLIENT_CRED_PATH",
                path.display()
            );
        }
    }

    fn count_registration(&self, outcome: &'static str) {
        self.app
            .metrics
            .registrations
            .get_or_create(&Outcome { outcome })
            .inc();
    }
}

/// Rejections in a row after which a key that was accepted before counts as rejected.
const REJECTIONS: u32 = 3;
