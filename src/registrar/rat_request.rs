//! Requests that carry the registration access token (RFC 7592 §2), none of which loses it.

use super::managed_client::{ManagedClient, managed};
use crate::app::chain;
use crate::idp::ManagementClient;
use crate::oauth::{ClientMetadata, EndpointUrl, shown_url};
use crate::registration::{RatNews, RawAnswer};
use crate::state::{ClientRefusal, State};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum RatRequest<'a> {
    Patch(&'a ClientMetadata),
    Read,
    Update(&'a ClientMetadata),
}

/// What came of it.
pub(super) enum Carried {
    /// This answer; what it says of the token is stored.
    Answer(RawAnswer),
    /// Nothing was sent, for this reason.
    NotSent(String),
    /// The IdP may have done what was asked.
    Unknown(String),
}

impl ManagedClient<'_> {
    /// Sends a request for our client. That the token leaves is committed first, together with
    /// what `intend` notes; what the answer says of the token is stored before the answer is given
    /// to the caller.
    pub(super) async fn carry(
        &self,
        request: RatRequest<'_>,
        client_id: &str,
        intend: impl Fn(&mut State) -> Result<(), ClientRefusal>,
    ) -> Carried {
        let ledger = &self.app.ledger;
        // Some IdPs renew the token with each answer.
        let Ok(_effect) = self.app.shutdown.effect() else {
            return Carried::NotSent("the service stops".to_owned());
        };
        let was_read = matches!(request, RatRequest::Read);
        if !was_read && ledger.state().restored().is_some() {
            return Carried::NotSent(
                "the state is older than the last change: run `bff register --after-restore`"
                    .to_owned(),
            );
        }
        if let Err(why) = self.unstored.store(ledger).await {
            return Carried::NotSent(why);
        }
        let in_doubt = ledger.state().rat_marker(client_id).is_some();
        let leaves_at = self.app.clock.now();
        let leave = |state: &mut State| {
            state.rat_leaves(client_id, leaves_at)?;
            intend(state)
        };
        // Committed even where a marker is there: it shows that the store can take the next token.
        if let Err(error) = ledger.update(leave).await {
            return Carried::NotSent(format!(
                "the registration access token is not sent while its successor cannot be stored: {}",
                chain(&error)
            ));
        }
        let state = ledger.state();
        let Some((client, management)) = managed(state.registration()) else {
            return Carried::NotSent("there is no registration access token".to_owned());
        };
        let requests = ManagementClient::new(self.http.clone(), management.clone());
        let now = || self.app.clock.now();
        let answer = match request {
            RatRequest::Patch(body) => requests.patch(body, now).await,
            RatRequest::Read => requests.read(now).await,
            RatRequest::Update(body) => requests.update(body, now).await,
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.is_not_sent() => {
                let undo = |state: &mut State| {
                    if !was_read {
                        state.update_not_made(client_id)?;
                    }
                    if in_doubt {
                        Ok(())
                    } else {
                        state.rat_stays(client_id)
                    }
                };
                if let Err(error) = ledger.update(undo).await {
                    tracing::warn!(
                        "Cannot record that a request was not sent: {}; the registration is read \
                         before it is changed",
                        chain(&error)
                    );
                }
                return Carried::NotSent(error.to_string());
            }
            Err(error) => return Carried::Unknown(chain(&error)),
        };
        let Some(news) = RatNews::of(&answer, client_id, &client.sent, was_read) else {
            return Carried::Answer(answer);
        };
        let told = news.access.registration_client_uri.as_deref();
        if let Some(told) = told.filter(|told| !is_on_origin_of(told, &management.uri)) {
            tracing::warn!(
                client.id = client_id,
                "The IdP names a registration_client_uri on another origin ({}): the registration \
                 access token is not sent there; hint: have the IdP name the address that \
                 IDP_BASE_URL has",
                shown_url(told)
            );
        }
        match self.unstored.put(client_id, news, ledger).await {
            Ok(()) => Carried::Answer(answer),
            Err(why) => Carried::Unknown(why),
        }
    }
}

/// A token that is sent to another origin is disclosed.
fn is_on_origin_of(told: &str, held: &EndpointUrl) -> bool {
    // Whether `http:` is permitted follows from the origin.
    EndpointUrl::parse(told, true).is_ok_and(|told| told.origin() == held.origin())
}
