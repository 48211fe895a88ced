//! Changing the registration (RFC 7592 §2.2), and finding out whether that was done.

use super::Registrar;
use super::manage::{Read, managed, renew_management};
use crate::app::{BootstrapError, chain};
use crate::idp::{ManagementClient, SendError};
use crate::oauth::{ClientInformation, ClientMetadata, Management};
use crate::registration::{
    Drift, Event, Managed, RawAnswer, RedirectUpdate, Registered, has_arrived, recorded,
    update_body,
};

/// How an update ended.
enum Tried {
    /// The IdP has what it was asked for, or what it put in its place.
    Made,
    /// The token is not valid.
    NotAccepted,
    /// Not, or not as far as is known; the log has told why.
    NotMade,
}

/// What is known of the answer to an update.
#[derive(Clone, Copy)]
enum Answered {
    /// There was none.
    Not,
    /// Success, without a word about the client.
    Success,
}

impl Registrar {
    /// Changes the registration at the IdP, and says whether that was done. A change that it
    /// does not let us make is told, and is no reason to stop.
    pub(super) async fn update(&self, drift: &Drift) -> Result<bool, BootstrapError> {
        let mut tried = self.try_update(drift).await?;
        if matches!(tried, Tried::NotAccepted) && self.renew().await? {
            tried = self.try_update(drift).await?;
        }
        if matches!(tried, Tried::NotAccepted) {
            self.not_accepted().await?;
        }
        Ok(matches!(tried, Tried::Made))
    }

    async fn try_update(&self, drift: &Drift) -> Result<Tried, BootstrapError> {
        let mut idp = None;
        // Redirect URIs that may not be ours to take away have to be asked for first.
        if self.redirects() != RedirectUpdate::Replace {
            match self.read().await? {
                Read::Has(metadata) => idp = Some(metadata),
                Read::NotAccepted => return Ok(Tried::NotAccepted),
                Read::Nothing(what) if self.redirects() == RedirectUpdate::Merge => {
                    tracing::warn!(
                        "The registration could not be read ({what}), and an update might take \
                         away what others have added: it is left for the next start"
                    );
                    return Ok(Tried::NotMade);
                }
                Read::Nothing(what) => going_by_the_last_word(&what),
                Read::NotOffered(status) => going_by_the_last_word(&format!("HTTP {status}")),
            }
        }
        let state = self.app.ledger.state();
        let Some((registered, management)) = managed(state.registration.as_ref()) else {
            return Ok(Tried::NotMade);
        };
        let desired = self.desired().metadata();
        let body = update_body(&desired, registered, idp.as_ref(), self.redirects());
        let intended = recorded(desired, registered, self.redirects());
        let was_read = idp.is_some();
        self.change(|registered| {
            registered.unconfirmed = Some(intended.clone());
            if let Some(idp) = idp {
                registered.granted = idp;
            }
        })
        .await?;
        tracing::info!(
            client.id = %registered.client_id,
            "Updating client `{}`: {}",
            registered.client_id,
            if drift.is_empty() {
                "unchanged, so that the IdP fetches the JWK Set again".to_owned()
            } else {
                drift.to_string()
            }
        );
        match self.put(management, &body).await {
            Ok(answer) => self.updated(intended, &answer, drift, was_read).await,
            Err(error) if error.is_not_sent() => {
                self.not_updated().await?;
                tracing::warn!("{error}: the update is left for the next start");
                Ok(Tried::NotMade)
            }
            Err(error) => {
                tracing::warn!(
                    "{}: whether the update was made has to be found out",
                    chain(&error)
                );
                self.confirm(intended, Answered::Not).await
            }
        }
    }

    async fn put(
        &self,
        management: &Management,
        body: &ClientMetadata,
    ) -> Result<RawAnswer, SendError> {
        let client = ManagementClient::new(self.http.clone(), management.clone());
        let now = || self.app.clock.now();
        let answer = client.update(body, now).await?;
        // The IdPs that know profiles are the ones that take PATCH in place of PUT.
        if answer.status == 405 && self.dcr().client_profile.is_some() {
            return client.patch(body, now).await;
        }
        Ok(answer)
    }

    async fn updated(
        &self,
        intended: ClientMetadata,
        answer: &RawAnswer,
        drift: &Drift,
        was_read: bool,
    ) -> Result<Tried, BootstrapError> {
        match Managed::of(answer) {
            Managed::Is(information) if self.is_ours(&information) => {
                self.take(&information, intended, drift).await?;
                self.report_granted();
                return Ok(Tried::Made);
            }
            // Success without a word can be no success: seeing is believing.
            Managed::Done => return self.confirm(intended, Answered::Success).await,
            Managed::Is(_) | Managed::Unknown(_) => {
                tracing::warn!(
                    "HTTP {} to an update, and nothing usable about the client: whether it was \
                     made has to be found out",
                    answer.status
                );
                return self.confirm(intended, Answered::Not).await;
            }
            // A token that was good for a read just now is not the reason.
            Managed::NotAccepted(_) if !was_read => {
                self.not_updated().await?;
                return Ok(Tried::NotAccepted);
            }
            Managed::NotAccepted(status) | Managed::NotOffered(status) => {
                let what = format!("it answers HTTP {status} to an update");
                self.unmanageable(&what, Some(self.desired().metadata()))
                    .await?;
            }
            Managed::Refused(status, error) => {
                self.not_updated().await?;
                let error = error.map(|error| format!(": {error}")).unwrap_or_default();
                tracing::error!(
                    "The IdP refused the update (HTTP {status}{error}): the client stays as it \
                     was; change {} to what the IdP allows",
                    drift.settings().join(", ")
                );
            }
        }
        Ok(Tried::NotMade)
    }

    fn is_ours(&self, information: &ClientInformation) -> bool {
        let state = self.app.ledger.state();
        let ours = state.registration.as_ref();
        ours.is_some_and(|ours| ours.client_id == information.client_id)
    }

    /// Finds out what became of an update that the last run sent.
    pub(super) async fn confirm_update(&self) -> Result<(), BootstrapError> {
        let state = self.app.ledger.state();
        let Some(sent) = state
            .registration
            .as_ref()
            .and_then(|registered| registered.unconfirmed.clone())
        else {
            return Ok(());
        };
        match self.confirm(sent.clone(), Answered::Not).await? {
            Tried::Made | Tried::NotMade => Ok(()),
            Tried::NotAccepted if self.renew().await? => {
                self.confirm(sent, Answered::Not).await?;
                Ok(())
            }
            // The update that is due says so.
            Tried::NotAccepted if !self.drift(state.registration.as_ref()).is_empty() => Ok(()),
            Tried::NotAccepted => self.not_accepted().await,
        }
    }

    async fn confirm(
        &self,
        sent: ClientMetadata,
        answered: Answered,
    ) -> Result<Tried, BootstrapError> {
        let idp = match self.read().await? {
            Read::Has(idp) => idp,
            Read::NotAccepted => return Ok(Tried::NotAccepted),
            Read::NotOffered(status) => {
                return self.unseen(sent, answered, &format!("HTTP {status}")).await;
            }
            Read::Nothing(what) => return self.unseen(sent, answered, &what).await,
        };
        let state = self.app.ledger.state();
        let registered = state.registration.as_ref();
        let arrived = registered.is_some_and(|before| has_arrived(&sent, before, &idp));
        let counts = arrived || matches!(answered, Answered::Success);
        let now = self.app.clock.now();
        self.app
            .ledger
            .update(|state| {
                let Some(registered) = &mut state.registration else {
                    return;
                };
                registered.unconfirmed = None;
                if !counts {
                    return;
                }
                registered.sent = sent;
                registered.granted = idp;
                registered.unmanageable = None;
                let client_id = Some(registered.client_id.as_str());
                let detail = if arrived {
                    "seen to be made"
                } else {
                    "answered with success, and nothing has changed"
                };
                let detail = detail.to_owned();
                state.journal.add(now, Event::Updated, client_id, detail);
            })
            .await?;
        match (arrived, answered) {
            (true, Answered::Success) => tracing::info!("Client updated"),
            (true, Answered::Not) => tracing::info!("The update was made after all"),
            (false, Answered::Success) => tracing::warn!(
                "The IdP says that it has made the update, and has changed nothing: it is not \
                 asked again for the same; change the client there, or the settings here"
            ),
            (false, Answered::Not) => tracing::warn!(
                "The update was not made: it is tried again, at the next start at the latest"
            ),
        }
        if counts {
            self.report_granted();
        }
        Ok(if arrived { Tried::Made } else { Tried::NotMade })
    }

    /// An update whose outcome cannot be seen: a success is taken at its word, the rest is asked
    /// for again.
    async fn unseen(
        &self,
        sent: ClientMetadata,
        answered: Answered,
        what: &str,
    ) -> Result<Tried, BootstrapError> {
        if matches!(answered, Answered::Success) {
            self.change(|registered| {
                registered.unconfirmed = None;
                registered.sent = sent;
            })
            .await?;
            tracing::info!(
                "Client updated, as the IdP says; it does not show what it has ({what})"
            );
            Ok(Tried::Made)
        } else {
            tracing::warn!(
                "Whether the update was made is not known ({what}): it is found out, or made \
                 again, at the next start"
            );
            Ok(Tried::NotMade)
        }
    }

    async fn not_updated(&self) -> Result<(), BootstrapError> {
        self.change(|registered| registered.unconfirmed = None)
            .await
    }

    /// Stores what an update has brought: the token with the rest, in one commit.
    async fn take(
        &self,
        information: &ClientInformation,
        sent: ClientMetadata,
        drift: &Drift,
    ) -> Result<(), BootstrapError> {
        let now = self.app.clock.now();
        let granted = information.metadata.clone();
        let detail = if drift.is_empty() {
            "sent again unchanged".to_owned()
        } else {
            format!("changed in {}", drift.members().join(", "))
        };
        let noted = detail.clone();
        self.app
            .ledger
            .update(|state| {
                if let Some(registered) = &mut state.registration {
                    renew_management(registered, information);
                    registered.granted = granted;
                    registered.unconfirmed = None;
                    registered.unmanageable = None;
                    registered.sent = sent;
                    let client_id = Some(registered.client_id.as_str());
                    state.journal.add(now, Event::Updated, client_id, noted);
                }
            })
            .await?;
        tracing::info!("Client updated: {detail}");
        Ok(())
    }

    /// Says where the IdP has granted something else than was asked in an update.
    fn report_granted(&self) {
        let state = self.app.ledger.state();
        let Some(registered) = &state.registration else {
            return;
        };
        let nothing_known = Registered {
            granted: ClientMetadata::default(),
            ..registered.clone()
        };
        let idp = Some(&registered.granted);
        let substituted = Drift::between(&registered.sent, &nothing_known, idp, self.redirects());
        if !substituted.is_empty() {
            tracing::warn!("The IdP granted something else than asked: {substituted}");
        }
        let method = registered.granted.text("token_endpoint_auth_method");
        if method.is_some_and(|method| method != "private_key_jwt") {
            tracing::error!(
                "The IdP has changed token_endpoint_auth_method to {}: allow private_key_jwt for \
                 this client there",
                method.unwrap_or_default()
            );
        }
    }
}

fn going_by_the_last_word(what: &str) {
    tracing::info!(
        "The registration could not be read before its update ({what}): going by what the IdP \
         last said"
    );
}
