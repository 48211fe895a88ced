//! Whether a client that is rejected is gone.

use super::bootstrap_error::BootstrapError;
use super::presented::{Care, Trial};
use super::proof_error::ProofError;
use super::session::Session;
use crate::idp::TokenClient;
use crate::registration::{Blocked, Control, ManagementOutcome, Proof, Registered, TokenAnswer};
use crate::state::{Presentation, State};

/// What the token endpoint says of a client that it rejects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Standing {
    /// It answers our client as it answers a wrong key, and an unknown client otherwise.
    Known,
    /// It answers our client as it answers an unknown one, and a wrong key otherwise.
    Unknown,
    /// It answers all of them alike, or has not said.
    Unclear,
}

impl Session<'_> {
    /// Says why a client is rejected that was accepted before. It is gone if its registration
    /// cannot be read and the token endpoint answers it like one that was made up, and perhaps gone
    /// where an unknown client and a wrong key are answered alike: a registration access token can
    /// die by itself, so no answer of the management endpoint says that a client is gone.
    pub(super) async fn explain(
        &self,
        client: &Registered,
        proof: &Proof,
        error: BootstrapError,
    ) -> Result<BootstrapError, BootstrapError> {
        let cannot_be_read = client.management.is_some()
            && matches!(self.client.read().await, ManagementOutcome::NotAccepted(_));
        if !cannot_be_read {
            return Ok(error);
        }
        let certain = match self.standing(client, proof).await? {
            Standing::Known => return Ok(error),
            Standing::Unknown => true,
            // An IdP that cannot fetch our keys rejects us too.
            Standing::Unclear if !self.is_published().await => return Ok(error),
            Standing::Unclear => false,
        };
        let now = self.app().clock.now();
        let client_id = client.client_id.as_str();
        let token = self.app().initial_token.fingerprint();
        let lose = |state: &mut State| state.lose(client_id, certain, token.cloned(), now);
        self.app().ledger.update(lose).await?;
        Ok(BootstrapError::Blocked(Blocked::ClientGone {
            client_id: client.client_id.clone(),
            issuer: client.issuer.clone(),
            certain,
            open: client.open,
        }))
    }

    /// Compares the answer to our client with the answers to an unknown one and to a wrong key,
    /// sent now or remembered.
    async fn standing(
        &self,
        client: &Registered,
        proof: &Proof,
    ) -> Result<Standing, BootstrapError> {
        let (Some(seen), Some(audience), Some(assertion_type)) =
            (&proof.rejection, &proof.audience, proof.assertion_type)
        else {
            return Ok(Standing::Unclear);
        };
        let presentation = Presentation {
            audience: audience.clone(),
            assertion_type,
        };
        let needed = [Control::Client, Control::Key];
        let key = self.app().signer.current().map_err(ProofError::from)?;
        let token = TokenClient::new(self.client.http.clone(), self.endpoints.token.url()?);
        let trial = Trial {
            session: *self,
            token: &token,
            key: &key,
            client_id: &client.client_id,
            presentation: &presentation,
            care: Care::default(),
            alternative: false,
        };
        let controls = trial.compared(&needed, seen).await;
        let definite = |control| controls.get(control).filter(|answer| answer.is_definite());
        let same = |answer: Option<&TokenAnswer>| answer.map(|answer| answer == seen);
        Ok(
            match (
                same(definite(Control::Client)),
                same(definite(Control::Key)),
            ) {
                (Some(true), Some(false)) => Standing::Unknown,
                (Some(false), _) => Standing::Known,
                _ => Standing::Unclear,
            },
        )
    }
}
