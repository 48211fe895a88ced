//! The client that is to take the place of the one that we are, until it is proven.

use std::sync::Arc;
use std::time::Duration;

use super::bootstrap::Registrar;
use super::bootstrap_error::BootstrapError;
use super::presented::Care;
use super::proof_error::ProofError;
use super::session::Session;
use crate::app::Backoff;
use crate::registration::{AuthenticationOutcome, Proof, Registered};
use crate::state::State;

/// How often a candidate is proven.
const EVERY: Duration = Duration::from_mins(1);

impl Registrar {
    /// Proves a client that is to take the place of the present one every minute, until the IdP
    /// accepts it or it is given up, and until the service stops.
    pub async fn keep_trying_candidate(self: Arc<Self>) {
        let shutdown = self.app.shutdown.clone();
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = shutdown.begun() => return,
            }
            // A bootstrap proves it by itself.
            if self.app.ledger.state().candidate().is_none() || !self.app.can_prove() {
                continue;
            }
            let registrar = Arc::clone(&self);
            let trial = shutdown.see_through(async move { registrar.try_candidate_once().await });
            match trial.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!("{}; hint: {}", error.chain(), error.hint()),
                // Supervision starts this task again.
                Err(panicked) => std::panic::resume_unwind(Box::new(panicked)),
            }
        }
    }

    async fn try_candidate_once(&self) -> Result<(), BootstrapError> {
        let _turn = self.turn.lock().await;
        let endpoints = self.known_endpoints().await?;
        let session = self.session(&endpoints);
        session.prove_candidate().await?;
        session.delete_orphans().await
    }
}

impl Session<'_> {
    /// Proves the candidate until the IdP accepts it, or no time is left: the client before it
    /// stays in use then, and the trial goes on. Returns the proof that has not sufficed.
    pub(super) async fn try_candidate(
        &self,
        fresh: bool,
        backoff: &mut Backoff,
    ) -> Result<Option<Proof>, BootstrapError> {
        loop {
            let Some(proof) = self.prove_candidate().await? else {
                return Ok(None);
            };
            let failure = format!(
                "The new client is not accepted yet ({})",
                proof.said.as_deref().unwrap_or(proof.outcome.word())
            );
            if !fresh || !backoff.try_again(&failure, proof.retry_after).await {
                self.report_candidate(&proof);
                return Ok(Some(proof));
            }
        }
    }

    /// Proves the candidate once. Returns the proof if there is still a candidate after it.
    pub(super) async fn prove_candidate(&self) -> Result<Option<Proof>, BootstrapError> {
        let state = self.app().ledger.state();
        let here = &self.client.idp.issuer;
        let Some(candidate) = state.candidate().filter(|c| c.client.issuer == *here) else {
            return Ok(None);
        };
        let key = self.app().signer.current().map_err(ProofError::from)?;
        let client_id = candidate.client.client_id.as_str();
        let proof = self.authenticate(&key, client_id, Care::default()).await?;
        self.learn(&candidate.client, &proof).await;
        let now = self.app().clock.now();
        let ledger = &self.app().ledger;
        if state.suffices(here, proof.outcome) {
            let replaced = ledger
                .update(|state: &mut State| state.replace_by_candidate(now))
                .await?;
            self.memory.candidate_not_rejected();
            tracing::info!(
                client.id = client_id,
                "Client `{client_id}` takes the place of `{}`",
                replaced.unwrap_or_default()
            );
            self.app().show_locally().await;
            return Ok(None);
        }
        if proof.outcome != AuthenticationOutcome::Rejected {
            self.memory.candidate_not_rejected();
            return Ok(Some(proof));
        }
        let Some(rejected_for) = self.memory.candidate_rejected() else {
            return Ok(Some(proof));
        };
        let given_up = ledger
            .update(|state: &mut State| state.candidate_rejected(rejected_for, now))
            .await?;
        if given_up {
            self.memory.candidate_not_rejected();
            tracing::error!(
                client.id = client_id,
                "Client `{client_id}` was rejected for an hour and is given up; the client before \
                 it stays in use; hint: see the IdP's log, then set a fresh DCR_IAT to try again"
            );
            self.delete_orphans().await?;
            return Ok(None);
        }
        Ok(Some(proof))
    }

    /// Why there is no client that works: the one that we are is gone, and the IdP does not accept
    /// the new one.
    pub(super) fn not_accepted(
        &self,
        client: &Registered,
        proof: Proof,
        fresh: bool,
    ) -> ProofError {
        match proof.outcome {
            AuthenticationOutcome::Rejected => ProofError::Rejected {
                client_id: client.client_id.clone(),
                proof: Box::new(proof),
                fetched: self.was_fetched(),
                fresh,
            },
            _ => ProofError::Unproven(Box::new(proof)),
        }
    }

    fn report_candidate(&self, proof: &Proof) {
        let state = self.app().ledger.state();
        let (Some(candidate), Some(ours)) = (state.candidate(), state.registration()) else {
            return;
        };
        tracing::warn!(
            client.id = %candidate.client.client_id,
            "A replacement is under way: the IdP does not accept client `{}` yet ({}), and `{}` \
             stays in use; it is tried again every minute, and given up after an hour of rejections",
            candidate.client.client_id,
            proof.said.as_deref().unwrap_or(proof.outcome.word()),
            ours.client_id
        );
    }
}
