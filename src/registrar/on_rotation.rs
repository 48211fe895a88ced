//! What a rotation needs of the registration.

use std::sync::Arc;
use std::time::Duration;

use super::bootstrap::Registrar;
use super::bootstrap_error::BootstrapError;
use super::presented::Care;
use super::proof_error::ProofError;
use crate::jose::{Kid, SigningKey};
use crate::registration::{AuthenticationOutcome, Proof, Registered};

impl Registrar {
    /// Authenticates once with `key`, as the client we are.
    ///
    /// # Errors
    ///
    /// [`BootstrapError`] if there is no client, or its IdP cannot be found.
    pub async fn try_key(
        &self,
        key: &Arc<SigningKey>,
        care: Care,
    ) -> Result<Proof, BootstrapError> {
        let state = self.app.ledger.state();
        let client = state.registration().ok_or(ProofError::NoClient)?;
        let endpoints = self.known_endpoints().await?;
        self.session(&endpoints).prove_key(key, client, care).await
    }

    /// How long the first proof of a key has to wait: the unknown key of a control can keep the
    /// IdP from fetching the JWK Set again for some seconds.
    pub fn first_proof_in(&self, kid: &Kid) -> Duration {
        self.memory.quiet_left(kid)
    }

    /// Has a key that signs already proven as soon as that is possible.
    pub fn prove_soon(&self, kid: &Kid) {
        self.memory.prove_soon(kid);
    }

    /// Whether a proof of this outcome is all that can be had: see [`State::suffices`](crate::state::State::suffices).
    pub fn suffices(&self, outcome: AuthenticationOutcome) -> bool {
        let state = self.app.ledger.state();
        state.suffices(&self.client().idp.issuer, outcome)
    }

    /// Whether the IdP can come to know another key: it fetches the set, or takes updates of it.
    pub fn can_publish(&self) -> bool {
        let state = self.app.ledger.state();
        state.projections().jwks.is_none()
            || self.client().idp_admin().is_some()
            || state.registration().is_some_and(Registered::is_manageable)
    }

    /// Sends the IdP what it should have according to the state (the keys where they are registered
    /// by value, and the algorithm). Says whether nothing is left to do.
    pub async fn reconcile(&self) -> bool {
        if self.app.ledger.state().projections().open().is_empty() {
            return true;
        }
        let _turn = self.turn.lock().await;
        let state = self.app.ledger.state();
        let open = state.projections().open();
        if open.is_empty() {
            return true;
        }
        let client = self.client();
        // A refused update is tried again all the same: the IdP has to have the keys.
        let refuses_token =
            |client: &Registered| client.unmanageable.is_some() && client.refused_update.is_none();
        let unmanaged = |registered: &Registered| {
            registered.management.is_none()
                || (refuses_token(registered) && client.idp_admin().is_none())
        };
        if state.registration().is_none_or(unmanaged) {
            tracing::warn!(
                "The IdP has an old {}, and does not let this client change it; hint: change it \
                 there, or set BOOTSTRAP_ADMIN_TOKEN and restart",
                open.join(" and ")
            );
            return false;
        }
        let drift = client.drift(&state);
        client.update(&drift, None).await;
        self.app.ledger.state().projections().open().is_empty()
    }

    /// Updates the registration though nothing has changed, so that the IdP forgets its copy of
    /// the set. Says whether it was updated.
    pub async fn refresh(&self) -> bool {
        let _turn = self.turn.lock().await;
        let state = self.app.ledger.state();
        let managed = |client: &Registered| client.management.is_some();
        if !state.registration().is_some_and(managed) {
            return false;
        }
        let drift = self.client().drift(&state);
        self.client().update(&drift, None).await
    }
}
