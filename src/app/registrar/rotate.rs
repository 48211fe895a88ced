//! What a rotation needs of the registration.

use std::sync::{Arc, PoisonError};

use super::Registrar;
use crate::app::endpoints::{self, Endpoints};
use crate::app::{BootstrapError, Proof};
use crate::config::JwksMode;
use crate::jose::{Algorithm, SigningKey};
use crate::registration::{Drift, Registered};

impl Registrar {
    /// Authenticates once with `key`, as the client we are.
    ///
    /// # Errors
    ///
    /// [`BootstrapError`] if there is no client, or its IdP cannot be found.
    pub async fn try_key(&self, key: &Arc<SigningKey>) -> Result<Proof, BootstrapError> {
        let state = self.app.ledger.state();
        let registered = state
            .registration
            .as_ref()
            .ok_or(BootstrapError::NothingStored)?;
        let endpoints = self.endpoints().await?;
        self.prove_key(key, registered, &endpoints).await
    }

    /// Sends the set to an IdP that does not fetch it. Says whether the IdP has the set now, or
    /// can fetch it.
    pub async fn push_keys(&self) -> bool {
        let state = self.app.ledger.state();
        if self.dcr().jwks == JwksMode::Uri || state.registration.is_none() {
            return true;
        }
        let _turn = self.turn.lock().await;
        let drift = self.drift(state.registration.as_ref());
        if !drift.members().contains(&"jwks") {
            return true;
        }
        self.is_updated(&drift).await
    }

    /// Registers `alg` as `token_endpoint_auth_signing_alg`. Says whether that is registered
    /// now.
    pub async fn register_algorithm(&self, alg: Algorithm) -> bool {
        *self.alg.lock().unwrap_or_else(PoisonError::into_inner) = Some(alg);
        let _turn = self.turn.lock().await;
        let state = self.app.ledger.state();
        let Some(registered) = &state.registration else {
            return false;
        };
        if registered.management.is_none() {
            tracing::warn!(
                "The algorithm of the new key is {alg}, and the IdP does not let this client \
                 register it: change token_endpoint_auth_signing_alg there"
            );
            return false;
        }
        let drift = self.drift(Some(registered));
        if let Err(error) = self.update(&drift).await {
            tracing::error!("{}; {}", error.chain(), error.hint());
        }
        let state = self.app.ledger.state();
        state.registration.as_ref().is_some_and(|registered| {
            registered.sent.text("token_endpoint_auth_signing_alg") == Some(alg.name())
        })
    }

    /// After a promotion: the registration, and what the application reads, follow the key.
    pub async fn follow_key(&self) {
        *self.alg.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Ok(endpoints) = self.endpoints().await {
            self.write_client_credentials(&endpoints);
        }
        let _turn = self.turn.lock().await;
        let state = self.app.ledger.state();
        let drift = self.drift(state.registration.as_ref());
        let outdated = drift.members().contains(&"token_endpoint_auth_signing_alg");
        if outdated && let Err(error) = self.update(&drift).await {
            tracing::error!("{}; {}", error.chain(), error.hint());
        }
    }

    /// Updates the registration though nothing has changed, so that the IdP forgets its copy of
    /// the set. Says whether it was updated.
    pub async fn refresh(&self) -> bool {
        let _turn = self.turn.lock().await;
        let state = self.app.ledger.state();
        let manageable = |registered: &Registered| registered.management.is_some();
        if !state.registration.as_ref().is_some_and(manageable) {
            return false;
        }
        let drift = self.drift(state.registration.as_ref());
        self.is_updated(&drift).await
    }

    async fn is_updated(&self, drift: &Drift) -> bool {
        match self.update(drift).await {
            Ok(made) => made,
            Err(error) => {
                tracing::error!("{}; {}", error.chain(), error.hint());
                false
            }
        }
    }

    /// The endpoints as they were last found.
    async fn endpoints(&self) -> Result<Endpoints, BootstrapError> {
        let found = self
            .found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match found {
            Some(endpoints) => Ok(endpoints),
            None => endpoints::find(&self.http, &self.idp).await,
        }
    }
}
