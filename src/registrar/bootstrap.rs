//! From a start to a usable registration that is proven.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::bootstrap_error::BootstrapError;
use super::endpoints::{self, Endpoints};
use super::endpoints_error::EndpointsError;
use super::managed_client::ManagedClient;
use super::occasion::Occasion;
use super::proof_error::ProofError;
use super::proof_memory::ProofMemory;
use super::rehearsal::{self, Found};
use super::session::Session;
use super::unstored_rat::UnstoredRat;
use crate::app::{App, Backoff, Bootstrap, Unsettled};
use crate::config::{DcrConfig, IdpConfig};
use crate::idp::DiscoveryError;
use crate::oauth::InitialAccessToken;
use crate::planning::PlanReport;
use crate::registration::{Blocked, Drift, Plan, Registered, TokenFingerprint, TokenTarget};
use crate::state::State;
use crate::store::CommitError;
use crate::transport::HttpClient;

/// Brings the service to a usable registration at one IdP, and keeps it there.
#[derive(Debug)]
pub struct Registrar {
    pub(super) app: Arc<App>,
    idp: IdpConfig,
    http: HttpClient,
    /// One change of the registration at a time: two bootstraps would spend two tokens.
    pub(super) turn: Mutex<()>,
    pub(super) memory: ProofMemory,
    pub(super) unstored: UnstoredRat,
}

impl Registrar {
    /// A registrar for the IdP of the configuration.
    ///
    /// # Errors
    ///
    /// [`BootstrapError`] if TLS cannot be set up with the configured trust anchors, or if the file
    /// of the initial access token is missing and there is no client yet.
    pub fn new(app: Arc<App>, idp: IdpConfig) -> Result<Self, BootstrapError> {
        if let Some(error) = &app.config.dcr.iat_missing
            && app.ledger.state().registration().is_none()
        {
            return Err(BootstrapError::NoToken(Box::new(error.clone())));
        }
        let http = endpoints::http_client(&idp)?;
        Ok(Self::with_client(app, idp, http))
    }

    /// A registrar that sends through `http`.
    pub fn with_client(app: Arc<App>, idp: IdpConfig, http: HttpClient) -> Self {
        Self {
            app,
            idp,
            http,
            turn: Mutex::new(()),
            memory: ProofMemory::default(),
            unstored: UnstoredRat::default(),
        }
    }

    /// Registers or updates if need be, and proves that the IdP accepts the key; ready afterwards.
    ///
    /// Transient failures are retried until `backoff` ends.
    ///
    /// # Errors
    ///
    /// [`BootstrapError`]; it is also in the condition of the service.
    pub async fn bootstrap(
        &self,
        occasion: Occasion,
        mut backoff: Backoff,
    ) -> Result<(), BootstrapError> {
        let _turn = self.turn.lock().await;
        let _under_way = self.app.condition.begin();
        // Every future around it would be as large.
        let result = Box::pin(self.steps(occasion, &mut backoff)).await;
        if result.is_ok() && self.has_used_token() {
            self.app.initial_token.wipe();
        }
        self.app.condition.note_look();
        self.app.condition.set_bootstrap(match &result {
            Ok(()) => Bootstrap::Ready,
            Err(error) => Bootstrap::Failed {
                error: error.chain(),
                hint: error.hint(),
                class: error.class(),
                transient: error.is_transient(),
            },
        });
        result
    }

    /// Says what an order would do. Changes nothing at the IdP except a registration access
    /// token that it renews when it is read, and that is stored.
    pub async fn dry_run(&self) -> PlanReport {
        let _turn = self.turn.lock().await;
        let client = self.client();
        let (drift, read) = client.check_drift().await;
        let endpoints = self.known_endpoints().await.ok();
        let token = client.configured_token().as_ref().map(TokenFingerprint::of);
        let found = Found {
            endpoints: endpoints.as_ref(),
            token: token.as_ref(),
            drift,
            read: read.as_ref(),
        };
        let state = self.app.ledger.state();
        rehearsal::report(&client.wanted(), &state, found, self.app.clock.now())
    }

    /// The client at the IdP, for one piece of work.
    pub(super) fn client(&self) -> ManagedClient<'_> {
        ManagedClient {
            app: &self.app,
            idp: &self.idp,
            http: &self.http,
            unstored: &self.unstored,
        }
    }

    /// The client at the IdP whose endpoints are known, for one piece of work.
    pub(super) fn session<'a>(&'a self, endpoints: &'a Endpoints) -> Session<'a> {
        Session {
            client: self.client(),
            endpoints,
            memory: &self.memory,
        }
    }

    /// The endpoints of the last metadata, else of what the IdP serves now.
    pub(super) async fn known_endpoints(&self) -> Result<Endpoints, EndpointsError> {
        let state = self.app.ledger.state();
        let known = state.idp(&self.idp.issuer);
        match known.and_then(|known| known.metadata.as_ref()) {
            Some(metadata) => Ok(Endpoints::of(&self.idp, metadata)),
            None => Ok(endpoints::find(&self.http, &self.idp).await?.0),
        }
    }

    fn dcr(&self) -> &DcrConfig {
        &self.app.config.dcr
    }

    async fn steps(&self, occasion: Occasion, backoff: &mut Backoff) -> Result<(), BootstrapError> {
        if self.dcr().skip {
            return self.use_stored();
        }
        let step = "looking for the IdP's endpoints";
        self.app
            .condition
            .set_bootstrap(Bootstrap::Starting { step });
        let endpoints = self.find_endpoints(backoff).await?;
        let session = self.session(&endpoints);
        self.withdraw_algorithm().await?;
        session.conclude_interrupted().await?;
        session.client.confirm_update(occasion).await;
        // Boxed, because every future around it would be as large.
        let fresh = Box::pin(self.settle(&session, occasion, backoff)).await?;
        session.step("proving that the IdP accepts the key");
        let trial = session.try_candidate(fresh, backoff).await?;
        let state = self.app.ledger.state();
        if let (Some(proof), Some(candidate), Some(_)) = (trial, state.candidate(), state.gone()) {
            return Err(session.not_accepted(&candidate.client, proof, fresh).into());
        }
        session
            .prove(fresh && state.candidate().is_none(), backoff)
            .await?;
        session.delete_orphans().await?;
        self.app.show_locally().await;
        Ok(())
    }

    fn use_stored(&self) -> Result<(), BootstrapError> {
        let state = self.app.ledger.state();
        let client = state.registration().ok_or(ProofError::NoClient)?;
        if client.issuer != self.idp.issuer {
            return Err(BootstrapError::Blocked(Blocked::IssuerChanged {
                stored: client.issuer.clone(),
                configured: self.idp.issuer.clone(),
            }));
        }
        tracing::info!(
            client.id = %client.client_id,
            idp.issuer = %client.issuer,
            "Using the stored registration `{}` without asking the IdP (SKIP_DCR_BOOTSTRAP)",
            client.client_id
        );
        Ok(())
    }

    pub(super) async fn find_endpoints(
        &self,
        backoff: &mut Backoff,
    ) -> Result<Endpoints, BootstrapError> {
        loop {
            let http = self.http.until(backoff.deadline());
            let (endpoints, metadata) = match endpoints::find(&http, &self.idp).await {
                Ok(found) => found,
                Err(error) => {
                    self.app.condition.note_look();
                    let error = BootstrapError::from(error);
                    if let Some(known) = self.last_endpoints(&error) {
                        tracing::warn!(
                            "{}; using what it served last; hint: {}",
                            error.chain(),
                            error.hint()
                        );
                        return Ok(known);
                    }
                    let at_least = error.retry_after();
                    if error.is_transient() && backoff.try_again(&error.chain(), at_least).await {
                        continue;
                    }
                    return Err(error);
                }
            };
            let Some(metadata) = metadata else {
                return Ok(endpoints);
            };
            let issuer = self.idp.issuer.as_str();
            let state = self.app.ledger.state();
            let known = state.idp(issuer).and_then(|known| known.metadata.as_ref());
            if known != Some(&metadata) {
                let learn = |state: &mut State| state.learn_metadata(issuer, metadata.clone());
                self.app.ledger.record(learn).await?;
            }
            return Ok(endpoints);
        }
    }

    /// The endpoints of the last metadata, for a client that is registered: it works without
    /// discovery. The metadata of another issuer is never passed over (RFC 8414 §3.3).
    fn last_endpoints(&self, error: &BootstrapError) -> Option<Endpoints> {
        let other_issuer = matches!(
            error,
            BootstrapError::Endpoints(EndpointsError::Discovery(
                DiscoveryError::IssuerMismatch { .. }
            ))
        );
        let state = self.app.ledger.state();
        let known = state.idp(&self.idp.issuer)?.metadata.as_ref()?;
        (self.app.has_registration() && !other_issuer).then(|| Endpoints::of(&self.idp, known))
    }

    /// Takes back the intention to register another algorithm that an interrupted rotation has
    /// left: the key that signs has to be accepted first.
    ///
    /// # Errors
    ///
    /// [`CommitError`]; the intention then remains.
    pub async fn withdraw_algorithm(&self) -> Result<(), CommitError> {
        let state = self.app.ledger.state();
        let Some(alg) = state.ring().map(|ring| ring.current().jwk.alg) else {
            return Ok(());
        };
        let wanted = state.projections().wanted_algorithm();
        if wanted.is_none_or(|wanted| wanted == alg) {
            return Ok(());
        }
        let now = self.app.clock.now();
        let withdraw = |state: &mut State| state.withdraw_algorithm(now);
        self.app.ledger.record(withdraw).await
    }

    /// Does what the plan says. Says whether a client was registered now.
    async fn settle(
        &self,
        session: &Session<'_>,
        occasion: Occasion,
        backoff: &mut Backoff,
    ) -> Result<bool, BootstrapError> {
        let token = session.client.configured_token();
        let state = self.app.ledger.state();
        let drift = session.client.drift(&state);
        let unmanaged = |client: &Registered| client.management.is_none();
        let asks = occasion == Occasion::Order || !session.client.has_refused_tokens(&state);
        if asks && !drift.is_empty() && state.registration().is_some_and(unmanaged) {
            session.client.renew().await?;
        }
        let (drift, read) = if occasion == Occasion::Order {
            session.client.check_drift().await
        } else {
            (drift, None)
        };
        if state.registration().is_some() && state.attempt().is_some() {
            session.look_up().await?;
        }
        let target = session.target();
        let mut plan = self.decide(target.clone(), token.as_ref(), drift.clone(), occasion);
        // A report that a client is gone can be old.
        let acts = matches!(
            plan,
            Plan::Replace(_) | Plan::Blocked(Blocked::ClientGone { .. })
        );
        let state = self.app.ledger.state();
        if acts && state.gone().is_some() && session.is_accepted().await? {
            plan = self.decide(target, token.as_ref(), drift, occasion);
        }
        tracing::debug!(plan = ?plan, "Decided what to do about the registration");
        self.note_force(&plan).await?;
        // A token that nobody can have sent before is the operator's answer to an older state.
        if matches!(plan, Plan::Register | Plan::Replace(_)) && state.restored().is_some() {
            let now = self.app.clock.now();
            let accept = |state: &mut State| state.accept_restore(now);
            self.app.ledger.record(accept).await?;
        }
        let state = self.app.ledger.state();
        Unsettled::log(&state);
        match plan {
            Plan::Nothing => {
                self.report_identifier(&state);
                self.report_standing(&state);
                Ok(false)
            }
            Plan::Register => {
                session.step("registering");
                session.choose_name_of_algorithm().await?;
                session.check_algorithm()?;
                let token = session.token_to_spend(token).await?;
                session.register(token, backoff).await?;
                Ok(true)
            }
            Plan::Replace(replacement) => {
                session.step("replacing the client");
                let replaced = session.replace(replacement, token, backoff).await;
                self.or_go_on(replaced, occasion)
            }
            Plan::Update(drift) => {
                self.report_identifier(&state);
                session.step("updating the registration");
                session.client.update(&drift, read).await;
                Ok(false)
            }
            Plan::Blocked(reason) => {
                if matches!(reason, Blocked::OutcomeUnknown { .. }) && session.look_up().await? {
                    return Ok(false);
                }
                self.or_go_on(Err(BootstrapError::Blocked(reason)), occasion)
            }
        }
    }

    /// Whether the token of the configuration has done what it was for, or is not needed.
    fn has_used_token(&self) -> bool {
        let state = self.app.ledger.state();
        let spent = |token| state.spent().contains(token);
        !self.dcr().force_replace || self.app.initial_token.fingerprint().is_none_or(spent)
    }

    /// What stands in the way of a replacement does not stand in the way of the client that we are.
    fn or_go_on(
        &self,
        result: Result<bool, BootstrapError>,
        occasion: Occasion,
    ) -> Result<bool, BootstrapError> {
        match result {
            Err(error)
                if occasion == Occasion::Start
                    && error.spares_the_registration()
                    && self.app.has_registration() =>
            {
                tracing::error!("{}; hint: {}", error.chain(), error.hint());
                Ok(false)
            }
            result => result,
        }
    }

    /// Remembers the value of `DCR_FORCE_REPLACE`, unless it is an order that is still to be carried
    /// out.
    async fn note_force(&self, plan: &Plan) -> Result<(), BootstrapError> {
        let forced = self.dcr().force_replace;
        let seen = self.app.ledger.state().stored().force_seen;
        let open = forced && matches!(plan, Plan::Replace(_) | Plan::Blocked(_));
        if seen == Some(forced) || open && seen.is_some() {
            return Ok(());
        }
        let see = |state: &mut State| state.see_force(forced);
        Ok(self.app.ledger.record(see).await?)
    }

    fn decide(
        &self,
        target: TokenTarget,
        token: Option<&InitialAccessToken>,
        drift: Drift,
        occasion: Occasion,
    ) -> Plan {
        let state = self.app.ledger.state();
        let token = token.map(TokenFingerprint::of);
        let client = self.client();
        let declined =
            occasion == Occasion::Start && !drift.is_empty() && client.has_declined(&state);
        let wanted = client.wanted();
        let when = (occasion == Occasion::Order, self.app.clock.now());
        wanted.plan(&state, target, token.as_ref(), (drift, declined), when)
    }

    fn report_standing(&self, state: &State) {
        let Some(client) = state.registration() else {
            return;
        };
        tracing::info!(
            client.id = %client.client_id,
            idp.issuer = %client.issuer,
            "Registered as `{}` since {}: nothing to do",
            client.client_id,
            client.registered_at
        );
        match self.app.initial_token.fingerprint() {
            None => {}
            Some(token) if state.spent().contains(token) => tracing::warn!(
                "DCR_IAT is still set, but no longer used: remove it from the configuration"
            ),
            Some(_) => tracing::warn!(
                "DCR_IAT is set to a token that is not needed: remove it, or set \
                 DCR_FORCE_REPLACE=true to replace the client"
            ),
        }
        let drift = self.client().drift(state);
        if !drift.is_empty() {
            tracing::warn!(
                client.id = %client.client_id,
                "The configuration has changed in {} ({}), and the IdP does not let this client \
                 change its registration: change it there, set BOOTSTRAP_ADMIN_TOKEN and restart, \
                 or replace the client with a fresh DCR_IAT and DCR_FORCE_REPLACE=true",
                drift.members().join(", "),
                drift.settings().join(", ")
            );
        }
    }

    /// An identifier that is asked for now and was not when the client was registered.
    fn report_identifier(&self, state: &State) {
        let (Some(client), Some(wished)) = (state.registration(), &self.dcr().client_id) else {
            return;
        };
        let asked_for = client.sent.text("client_id");
        if *wished != client.client_id && asked_for != Some(wished.as_str()) {
            tracing::warn!(
                client.id = %client.client_id,
                "DCR_CLIENT_ID has changed, but the client_id of client `{}` cannot; hint: to \
                 replace the client, set a fresh DCR_IAT and DCR_FORCE_REPLACE=true",
                client.client_id
            );
        }
    }
}
