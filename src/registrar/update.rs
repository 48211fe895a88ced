//! Changing the registration (RFC 7592 §2.2).

use super::bootstrap_error::BootstrapError;
use super::managed_client::{ManagedClient, managed};
use super::rat_request::{Carried, RatRequest};
use crate::oauth::ClientMetadata;
use crate::registration::{
    Drift, ManagementOutcome, RedirectUpdate, Registered, foreign_members, patch_body, recorded,
    update_body,
};
use crate::state::State;

/// How an update ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum UpdateOutcome {
    /// The IdP has what it was asked for, or its own value in place of it.
    Made,
    /// The token is not valid.
    NotAccepted,
    /// Not made, as far as is known; the log has said why.
    NotMade,
}

impl ManagedClient<'_> {
    /// Changes the registration at the IdP, and says whether that was done. Why it was not is in
    /// the log: the client works on as it is.
    ///
    /// `read` is what a read has just shown, where there was one.
    pub(super) async fn update(&self, drift: &Drift, read: Option<ClientMetadata>) -> bool {
        // Boxed, because every future around it would be as large.
        match Box::pin(self.update_or_renew(drift, read)).await {
            Ok(outcome) => outcome == UpdateOutcome::Made,
            Err(error) => {
                tracing::error!(
                    "The registration is not updated: {}; hint: {}",
                    error.chain(),
                    error.hint()
                );
                false
            }
        }
    }

    async fn update_or_renew(
        &self,
        drift: &Drift,
        read: Option<ClientMetadata>,
    ) -> Result<UpdateOutcome, BootstrapError> {
        let mut outcome = self.try_update(drift, read).await?;
        if outcome == UpdateOutcome::NotAccepted && self.renew().await? {
            outcome = self.try_update(drift, None).await?;
        }
        if outcome == UpdateOutcome::NotAccepted {
            self.not_accepted().await?;
        }
        Ok(outcome)
    }

    async fn try_update(
        &self,
        drift: &Drift,
        mut read: Option<ClientMetadata>,
    ) -> Result<UpdateOutcome, BootstrapError> {
        let state = self.app.ledger.state();
        let Some((client, _)) = managed(state.registration()) else {
            return Ok(UpdateOutcome::NotMade);
        };
        let in_doubt = state.rat_marker(&client.client_id).is_some();
        // The registration is read first, since others may have added redirect URIs or members.
        // Where reading ends the token, the last answer has to do, unless the token may be void.
        if read.is_none() && (in_doubt || !client.read_renews) {
            match self.read().await {
                ManagementOutcome::Is(information) => read = Some(information.metadata),
                ManagementOutcome::NotAccepted(_) => return Ok(UpdateOutcome::NotAccepted),
                ManagementOutcome::Unknown(what)
                    if in_doubt || self.redirects() == RedirectUpdate::Merge =>
                {
                    tracing::warn!(
                        "The registration could not be read ({what}), and an update needs that: \
                         it is tried at the next start"
                    );
                    return Ok(UpdateOutcome::NotMade);
                }
                outcome => tracing::info!(
                    "The registration could not be read before its update ({}): using the IdP's \
                     last answer",
                    text(&outcome)
                ),
            }
        }
        let state = self.app.ledger.state();
        let (Some((client, _)), Some(desired)) =
            (managed(state.registration()), self.desired(&state))
        else {
            return Ok(UpdateOutcome::NotMade);
        };
        let desired = desired.metadata();
        let body = update_body(&desired, client, read.as_ref(), self.redirects());
        let foreign = read.as_ref();
        let foreign = foreign.map(|idp| foreign_members(&body, client, idp));
        let foreign = foreign.unwrap_or_default();
        let intended = recorded(desired, client, self.redirects());
        let was_read = read.is_some();
        let client_id = client.client_id.as_str();
        tracing::info!(
            client.id = client_id,
            "Updating client `{client_id}`: {}",
            if drift.is_empty() {
                "unchanged, so that the IdP fetches the JWK Set again".to_owned()
            } else {
                drift.to_string()
            }
        );
        let mut whole = body.clone();
        whole.0.extend(foreign.0.clone());
        let mut carried = self.put(client, &whole, &intended).await;
        if !foreign.0.is_empty() && matches!(&carried, Carried::Answer(a) if a.status == 400) {
            let members: Vec<&str> = foreign.0.keys().map(String::as_str).collect();
            tracing::info!(
                client.id = client_id,
                "The IdP refused the update: sending it without what others have set ({})",
                members.join(", ")
            );
            carried = self.put(client, &body, &intended).await;
        }
        match carried {
            Carried::Answer(answer) => {
                self.answered(client_id, intended, &answer, drift, was_read)
                    .await
            }
            Carried::NotSent(what) => {
                tracing::warn!("{what}; the update is tried at the next start");
                Ok(UpdateOutcome::NotMade)
            }
            Carried::Unknown(what) => {
                tracing::warn!("{what}; reading whether the update was made");
                self.confirm(client_id, intended, false).await
            }
        }
    }

    async fn put(
        &self,
        client: &Registered,
        body: &ClientMetadata,
        intended: &ClientMetadata,
    ) -> Carried {
        let client_id = client.client_id.as_str();
        let intend = |state: &mut State| state.intend_update(client_id, intended.clone());
        let put = RatRequest::Update(body);
        match self.carry(put, client_id, intend).await {
            // The IdPs that know profiles are the ones that take PATCH in place of PUT.
            Carried::Answer(answer)
                if answer.status == 405 && self.dcr().client_profile.is_some() =>
            {
                let body = patch_body(body, client);
                let patch = RatRequest::Patch(&body);
                self.carry(patch, client_id, intend).await
            }
            carried => carried,
        }
    }
}

/// Why a read did not show the client.
pub(super) fn text(outcome: &ManagementOutcome) -> String {
    match outcome {
        ManagementOutcome::Unknown(what) => what.clone(),
        ManagementOutcome::NotAccepted(status)
        | ManagementOutcome::NotOffered(status)
        | ManagementOutcome::Refused(status, _) => format!("HTTP {status}"),
        ManagementOutcome::Done | ManagementOutcome::Is(_) => "success".to_owned(),
    }
}
