//! Carries out what the plan says, so that no answer is lost and no token spent twice.

mod desired;
mod manage;
mod prove;
mod register;
mod replace;
mod rotate;
mod update;

use std::sync::{Arc, PoisonError};

use serde::Serialize;
use tokio::sync::Mutex;

use super::endpoints::{self, Endpoints};
use super::status::Bootstrap;
use super::{App, Backoff, BootstrapError};
use crate::config::{DcrConfig, IdpConfig};
use crate::idp::{AdminClient, HttpClient};
use crate::jose::Algorithm;
use crate::metrics::Outcome;
use crate::oauth::InitialAccessToken;
use crate::registration::{Drift, Means, Plan, Reason, Registered, TokenFingerprint, plan};
use crate::store::State;

/// Brings the service to a usable registration at one IdP, and keeps it there.
#[derive(Debug)]
pub struct Registrar {
    app: Arc<App>,
    idp: IdpConfig,
    http: HttpClient,
    /// One bootstrap at a time: two would spend two tokens.
    turn: Mutex<()>,
    /// The endpoints, once they were found.
    found: std::sync::Mutex<Option<Endpoints>>,
    /// The algorithm to register in place of the one of the key that signs, during a rotation.
    alg: std::sync::Mutex<Option<Algorithm>>,
}

/// What a bootstrap would do, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Rehearsal {
    /// `nothing`, `register`, `update`, `replace` or `refuse`.
    pub plan: &'static str,
    /// The same in a sentence.
    pub summary: String,
    /// What an operator can do, where the plan is to refuse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'static str>,
    /// The members that are not as they should be.
    pub diff: Drift,
}

impl Registrar {
    /// A registrar for the IdP of the configuration.
    ///
    /// # Errors
    ///
    /// [`BootstrapError`] if TLS cannot be set up with the configured trust anchors.
    pub fn new(app: Arc<App>, idp: IdpConfig) -> Result<Self, BootstrapError> {
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
            found: std::sync::Mutex::default(),
            alg: std::sync::Mutex::default(),
        }
    }

    /// Registers or updates if need be, and proves that the IdP accepts the key; ready
    /// afterwards.
    ///
    /// What is transient is tried again until `backoff` is over.
    ///
    /// # Errors
    ///
    /// [`BootstrapError`]; the status says so too.
    pub async fn bootstrap(&self, mut backoff: Backoff) -> Result<(), BootstrapError> {
        let _turn = self.turn.lock().await;
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

    /// Says what a bootstrap would do. Changes nothing at the IdP but a registration access
    /// token that it renews when it is read, and that is stored.
    ///
    /// # Errors
    ///
    /// [`BootstrapError::Commit`] if such a token could not be stored.
    pub async fn rehearse(&self) -> Result<Rehearsal, BootstrapError> {
        let _turn = self.turn.lock().await;
        let drift = self.check_drift().await?;
        let state = self.app.ledger.state();
        let token = self.configured_token();
        let decided = self.decide(&state, token.as_ref(), drift.clone());
        Ok(rehearsed(&decided, &state, drift))
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
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(endpoints.clone());
        self.conclude_interrupted().await?;
        self.confirm_update().await?;
        let fresh = self.settle(&endpoints, backoff).await?;
        self.step("proving that the IdP accepts the key");
        let proof = self.prove(&endpoints, fresh, backoff).await?;
        self.remember(&proof).await?;
        self.delete_orphans(Some(&endpoints)).await?;
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
            return Err(BootstrapError::Plan(Reason::IssuerChanged {
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

    /// Does what the plan says. Says whether a client was registered now.
    async fn settle(
        &self,
        endpoints: &Endpoints,
        backoff: &mut Backoff,
    ) -> Result<bool, BootstrapError> {
        let token = self.configured_token();
        let state = self.app.ledger.state();
        let drift = self.drift(state.registration.as_ref());
        let unmanaged = |registered: &Registered| registered.management.is_none();
        if !drift.is_empty() && state.registration.as_ref().is_some_and(unmanaged) {
            self.renew().await?;
        }
        let state = self.app.ledger.state();
        let decided = self.decide(&state, token.as_ref(), drift);
        tracing::debug!(plan = ?decided, "Decided what to do about the registration");
        match decided {
            Plan::Nothing => {
                self.report_identifier(&state);
                self.report_standing(&state, token.as_ref());
                Ok(false)
            }
            Plan::Register => {
                self.step("registering");
                let token = self.token_to_spend(token).await?;
                self.register(endpoints, token, backoff).await?;
                Ok(true)
            }
            Plan::Replace(order) => {
                self.step("replacing the client");
                self.replace(order, endpoints, token, backoff).await?;
                Ok(true)
            }
            Plan::Update(drift) => {
                self.report_identifier(&state);
                self.step("updating the registration");
                self.update(&drift).await?;
                Ok(false)
            }
            Plan::Refuse(reason) => {
                if matches!(reason, Reason::OutcomeUnknown { .. })
                    && self.look_up(endpoints).await?
                {
                    return Ok(false);
                }
                // Perhaps it is there again.
                if matches!(reason, Reason::ClientGone { .. })
                    && self.is_accepted(endpoints).await?
                {
                    return Ok(false);
                }
                Err(BootstrapError::Plan(reason))
            }
        }
    }

    fn decide(&self, state: &State, token: Option<&InitialAccessToken>, drift: Drift) -> Plan {
        let token = token.map(TokenFingerprint::of);
        plan(
            state.registration.as_ref(),
            state.attempt.as_ref(),
            &Means {
                issuer: &self.idp.issuer,
                client_id: self.dcr().client_id.as_deref(),
                token: token.as_ref(),
                force_replace: self.dcr().force_replace,
                declined: !drift.is_empty() && self.has_declined(state),
                drift,
            },
        )
    }

    fn has_declined(&self, state: &State) -> bool {
        let desired = self.desired().metadata();
        let registered = state.registration.as_ref();
        registered.is_some_and(|registered| registered.has_declined(&desired))
    }

    fn configured_token(&self) -> Option<InitialAccessToken> {
        self.dcr().iat.clone().map(InitialAccessToken)
    }

    fn report_standing(&self, state: &State, token: Option<&InitialAccessToken>) {
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
        match token.map(TokenFingerprint::of) {
            None => {}
            Some(token) if registered.tokens.contains(&token) => tracing::warn!(
                "DCR_IAT is still set, and is not used any more: remove it from the configuration"
            ),
            Some(_) => tracing::warn!(
                "DCR_IAT is set to a token that is not needed: remove it, or set \
                 DCR_FORCE_REPLACE=true to register a new client in place of this one"
            ),
        }
        let drift = self.drift(Some(registered));
        if !drift.is_empty() {
            tracing::warn!(
                "The configuration has changed in {} ({}), and the IdP does not let this client \
                 change its registration: change it there, or register anew with a fresh DCR_IAT \
                 and DCR_FORCE_REPLACE=true",
                drift.members().join(", "),
                drift.settings().join(", ")
            );
        }
    }

    /// An identifier that is wished for and was not when the client came to be.
    fn report_identifier(&self, state: &State) {
        let (Some(registered), Some(wished)) = (&state.registration, &self.dcr().client_id) else {
            return;
        };
        let asked_for = registered.sent.text("client_id");
        if *wished != registered.client_id && asked_for != Some(wished.as_str()) {
            tracing::warn!(
                "DCR_CLIENT_ID has changed, and an identifier cannot be: this stays client `{}`; \
                 to register anew under the other one, set a fresh DCR_IAT and \
                 DCR_FORCE_REPLACE=true",
                registered.client_id
            );
        }
    }

    /// What an administrator may do, if we have his token.
    fn admin(&self) -> Option<AdminClient> {
        let token = self.dcr().idp_admin_token.clone()?;
        let base_url = self.idp.admin_base_url.clone();
        Some(AdminClient::new(self.http.clone(), base_url, token))
    }

    fn count_registration(&self, outcome: &'static str) {
        let outcome = Outcome { outcome };
        self.app.metrics.registrations.get_or_create(&outcome).inc();
    }
}

fn rehearsed(plan: &Plan, state: &State, diff: Drift) -> Rehearsal {
    let client = |registered: &Option<Registered>| {
        registered
            .as_ref()
            .map(|registered| registered.client_id.clone())
            .unwrap_or_default()
    };
    let client = client(&state.registration);
    let (name, summary, hint) = match plan {
        Plan::Nothing if diff.is_empty() => (
            "nothing",
            format!("client `{client}` is as it should be"),
            None,
        ),
        Plan::Nothing => (
            "nothing",
            format!("client `{client}` is not as it should be, and cannot be changed from here"),
            Some(
                "change it at the IdP, or register anew with a fresh DCR_IAT and \
                 DCR_FORCE_REPLACE=true",
            ),
        ),
        Plan::Register => ("register", "a client would be registered".to_owned(), None),
        Plan::Replace(_) => (
            "replace",
            format!("client `{client}` would be replaced by a new one"),
            None,
        ),
        Plan::Update(drift) => (
            "update",
            format!(
                "client `{client}` would be changed in {}",
                drift.members().join(", ")
            ),
            None,
        ),
        Plan::Refuse(reason) => ("refuse", reason.to_string(), Some(reason.hint())),
    };
    Rehearsal {
        plan: name,
        summary,
        hint,
        diff,
    }
}
