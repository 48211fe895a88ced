//! The proof of the key that signs, again and again.

use std::sync::Arc;

use super::bootstrap::Registrar;
use super::bootstrap_error::BootstrapError;
use super::occasion::Occasion;
use super::presented::Care;
use super::proof_error::ProofError;
use crate::app::Backoff;
use crate::registration::AuthenticationOutcome;

impl Registrar {
    /// Proves the key that signs every `BFF_PROOF_INTERVAL`, and after a rejection in 5 s, doubling
    /// to 5 min, until the service stops.
    pub async fn keep_proven(self: Arc<Self>) {
        let shutdown = self.app.shutdown.clone();
        self.memory.plan(self.app.config.dcr.proof_interval);
        loop {
            tokio::select! {
                () = self.memory.due() => {}
                () = shutdown.begun() => return,
            }
            // A bootstrap proves the key by itself.
            if !self.app.can_prove() {
                self.memory.put_off();
                continue;
            }
            let registrar = Arc::clone(&self);
            let proof = shutdown.see_through(async move { registrar.prove_again().await });
            match proof.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let interval = self.app.config.dcr.proof_interval;
                    self.memory.note(AuthenticationOutcome::Unknown, interval);
                    tracing::warn!("{}; hint: {}", error.chain(), error.hint());
                }
                // Supervision starts this task again.
                Err(panicked) => std::panic::resume_unwind(Box::new(panicked)),
            }
        }
    }

    async fn prove_again(&self) -> Result<(), BootstrapError> {
        let was_ready = self.app.is_ready();
        let key = self.app.signer.current().map_err(ProofError::from)?;
        let proof = self.try_key(&key, Care::default()).await?;
        let (kid, said) = (key.kid(), proof.said.as_deref().unwrap_or_default());
        match proof.outcome {
            AuthenticationOutcome::Accepted if was_ready => {
                tracing::debug!(key.kid = %kid, "The IdP accepts key `{kid}`");
            }
            AuthenticationOutcome::Accepted => {
                tracing::info!(key.kid = %kid, "The IdP accepts key `{kid}` again: ready");
            }
            AuthenticationOutcome::Rejected => tracing::error!(
                key.kid = %kid,
                "The IdP does not accept key `{kid}`, which signs: {said}; hint: see the IdP's log \
                 for the client assertion; the key is proven again until it is accepted"
            ),
            AuthenticationOutcome::Inconclusive | AuthenticationOutcome::Unknown => {
                tracing::warn!(
                    key.kid = %kid,
                    "The IdP did not say whether it accepts key `{kid}`, which signs: {said}"
                );
            }
        }
        // A client that was reported as gone is there after all.
        if proof.outcome == AuthenticationOutcome::Accepted
            && self.app.ledger.state().gone().is_some()
        {
            let limit = self.app.config.dcr.bootstrap_timeout;
            let backoff = Backoff::until(limit, &self.app.shutdown);
            self.bootstrap(Occasion::Start, backoff).await?;
        }
        Ok(())
    }
}
