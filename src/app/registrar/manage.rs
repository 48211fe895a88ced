//! Reading, updating and keeping the means to do so (RFC 7592).

use url::Url;

use super::Registrar;
use crate::app::{BootstrapError, chain};
use crate::idp::ManagementClient;
use crate::oauth::{ClientInformation, ClientMetadata, Management};
use crate::registration::{
    Drift, Event, Managed, RawAnswer, RedirectUpdate, Registered, update_body,
};

/// What the IdP said when it was asked for the registration.
#[derive(Debug)]
pub(super) enum Read {
    /// What it has.
    Has(ClientMetadata),
    /// That it does not know the token, or the client.
    NotAccepted,
    /// Nothing that tells anything.
    Nothing(String),
}

impl Registrar {
    /// Compares with what the IdP has, if it lets us see it.
    pub(super) async fn check_drift(&self) -> Result<Drift, BootstrapError> {
        let read = self.read().await?;
        let state = self.app.ledger.state();
        let Some(registered) = &state.registration else {
            return Ok(Drift::default());
        };
        let desired = self.desired().metadata();
        let idp = match &read {
            Read::Has(metadata) => Some(metadata),
            _ => None,
        };
        let drift = Drift::between(&desired, registered, idp, self.redirects());
        if idp.is_some() {
            self.app
                .status
                .set_drift(drift.clone(), self.app.clock.now());
        }
        Ok(drift)
    }

    /// Changes the registration at the IdP. A change that it does not let us make is told, and
    /// is no reason to stop.
    pub(super) async fn update(&self, drift: &Drift) -> Result<(), BootstrapError> {
        let mut idp = None;
        // Whose redirect URIs may not be ours to take away has to be asked for first.
        if matches!(
            self.redirects(),
            RedirectUpdate::Auto | RedirectUpdate::Merge
        ) {
            let mut read = self.read().await?;
            if matches!(read, Read::NotAccepted) && self.renew().await? {
                read = self.read().await?;
            }
            match read {
                Read::Has(metadata) => idp = Some(metadata),
                Read::NotAccepted => return self.not_accepted().await,
                Read::Nothing(what) => tracing::info!(
                    "The registration could not be read before its update ({what}): going by \
                     what the IdP last said"
                ),
            }
        }
        let state = self.app.ledger.state();
        let Some((registered, management)) = managed(state.registration.as_ref()) else {
            return Ok(());
        };
        let desired = self.desired().metadata();
        let body = update_body(&desired, registered, idp.as_ref(), self.redirects());
        let intended = desired.clone();
        self.change(|registered| registered.unconfirmed = Some(intended))
            .await?;
        let client = ManagementClient::new(self.http.clone(), management.clone());
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
        let now = || self.app.clock.now();
        let mut sent = client.update(&body, now).await;
        // The IdPs that know profiles are the ones that take PATCH in place of PUT.
        if matches!(&sent, Ok(answer) if answer.status == 405)
            && self.dcr().client_profile.is_some()
        {
            sent = client.patch(&body, now).await;
        }
        match sent {
            Ok(answer) => self.updated(desired, &answer, drift).await,
            Err(error) if error.is_not_sent() => {
                self.change(|registered| registered.unconfirmed = None)
                    .await?;
                tracing::warn!("{error}: the update is left for the next start");
                Ok(())
            }
            Err(error) => {
                tracing::warn!(
                    "{}: whether the update was made has to be found out",
                    chain(&error)
                );
                self.confirm_update().await
            }
        }
    }

    async fn updated(
        &self,
        desired: ClientMetadata,
        answer: &RawAnswer,
        drift: &Drift,
    ) -> Result<(), BootstrapError> {
        match Managed::of(answer) {
            Managed::Is(information) => {
                self.take(&information, Some(desired), drift).await?;
                self.report_granted();
                Ok(())
            }
            // Success without a word can be no success: seeing is believing.
            Managed::Done | Managed::Unknown(_) => self.confirm_update().await,
            Managed::NotAccepted(_) => self.not_accepted().await,
            Managed::NotOffered(status) => {
                self.change(|registered| {
                    registered.unconfirmed = None;
                    registered.management = None;
                })
                .await?;
                self.unmanageable(&format!("it answers HTTP {status} to an update"))
                    .await
            }
            Managed::Refused(status, error) => {
                self.change(|registered| registered.unconfirmed = None)
                    .await?;
                let error = error.map(|error| format!(": {error}")).unwrap_or_default();
                tracing::error!(
                    "The IdP refused the update (HTTP {status}{error}): the client stays as it \
                     was; change the settings of {} to what the IdP allows",
                    drift.members().join(", ")
                );
                Ok(())
            }
        }
    }

    /// Finds out what became of an update whose answer is not known.
    pub(super) async fn confirm_update(&self) -> Result<(), BootstrapError> {
        let state = self.app.ledger.state();
        let Some(sent) = state
            .registration
            .as_ref()
            .and_then(|registered| registered.unconfirmed.clone())
        else {
            return Ok(());
        };
        match self.read().await? {
            Read::Has(idp) => {
                let state = self.app.ledger.state();
                let made = state.registration.as_ref().is_some_and(|registered| {
                    let sent_now = Registered {
                        sent: sent.clone(),
                        granted: ClientMetadata::default(),
                        ..registered.clone()
                    };
                    Drift::between(&sent, &sent_now, Some(&idp), self.redirects()).is_empty()
                });
                self.change(|registered| {
                    registered.unconfirmed = None;
                    if made {
                        registered.sent = sent;
                    }
                })
                .await?;
                if made {
                    tracing::info!("The update was made after all");
                } else {
                    tracing::warn!("The update was not made; it is tried at the next start");
                }
                Ok(())
            }
            Read::NotAccepted => self.not_accepted().await,
            Read::Nothing(what) => {
                tracing::warn!(
                    "Whether the update was made is not known ({what}): it is found out at the \
                     next start"
                );
                Ok(())
            }
        }
    }

    /// Reads the registration (RFC 7592 §2.1). A new token is stored before anything else.
    pub(super) async fn read(&self) -> Result<Read, BootstrapError> {
        let state = self.app.ledger.state();
        let Some((_, management)) = managed(state.registration.as_ref()) else {
            return Ok(Read::Nothing("there are no means to".to_owned()));
        };
        let client = ManagementClient::new(self.http.clone(), management.clone());
        let answer = match client.read(|| self.app.clock.now()).await {
            Ok(answer) => answer,
            Err(error) => return Ok(Read::Nothing(chain(&error))),
        };
        match Managed::of(&answer) {
            Managed::Is(information) => {
                self.take_token(&information).await?;
                Ok(Read::Has(information.metadata))
            }
            Managed::NotAccepted(_) => Ok(Read::NotAccepted),
            _ => Ok(Read::Nothing(format!("HTTP {}", answer.status))),
        }
    }

    /// The token is not valid any more: somebody else has it renewed, an answer was lost, or the
    /// client is gone. Which of these it is, the proof tells.
    async fn not_accepted(&self) -> Result<(), BootstrapError> {
        if self.renew().await? {
            tracing::info!("The registration access token was renewed: the update comes next");
            return Ok(());
        }
        let what = "it does not accept the registration access token any more";
        self.unmanageable(what).await
    }

    /// Keeps the client and gives up managing it.
    async fn unmanageable(&self, what: &str) -> Result<(), BootstrapError> {
        let now = self.app.clock.now();
        let detail = what.to_owned();
        self.app
            .ledger
            .update(|state| {
                if let Some(registered) = &mut state.registration {
                    registered.management = None;
                    registered.unconfirmed = None;
                    let client_id = Some(registered.client_id.as_str());
                    state
                        .journal
                        .add(now, Event::Unmanageable, client_id, detail);
                }
            })
            .await?;
        tracing::warn!(
            "The registration cannot be changed from here any more: {what}. The client goes on \
             working; to change it again, set BOOTSTRAP_ADMIN_TOKEN and restart, or change it at \
             the IdP"
        );
        Ok(())
    }

    /// Has the registration access token renewed, if we may. Says whether there is a new one.
    pub(super) async fn renew(&self) -> Result<bool, BootstrapError> {
        let state = self.app.ledger.state();
        let (Some(admin), Some(registered)) = (self.admin(), &state.registration) else {
            return Ok(false);
        };
        let renewed = match admin
            .renew_registration_access_token(&registered.client_id)
            .await
        {
            Ok(renewed) => renewed,
            Err(error) => {
                tracing::warn!(
                    "The registration access token could not be renewed: {error}; {}",
                    error.hint()
                );
                return Ok(false);
            }
        };
        let uri = renewed
            .uri
            .and_then(|uri| Url::parse(&uri).ok())
            .filter(|uri| uri.origin() == self.idp.base_url.origin())
            .or_else(|| registered.management.as_ref().map(|m| m.uri.clone()));
        let Some(uri) = uri else {
            return Ok(false);
        };
        let now = self.app.clock.now();
        let management = Management {
            uri,
            token: renewed.token,
        };
        self.app
            .ledger
            .update(|state| {
                if let Some(registered) = &mut state.registration {
                    registered.management = Some(management);
                    let client_id = Some(registered.client_id.as_str());
                    let detail = "renewed with BOOTSTRAP_ADMIN_TOKEN".to_owned();
                    state
                        .journal
                        .add(now, Event::TokenRenewed, client_id, detail);
                }
            })
            .await?;
        tracing::info!(
            client.id = %registered.client_id,
            "The registration access token of client `{}` was renewed",
            registered.client_id
        );
        Ok(true)
    }

    /// Stores what an update has brought: the token with the rest, in one commit.
    async fn take(
        &self,
        information: &ClientInformation,
        sent: Option<ClientMetadata>,
        drift: &Drift,
    ) -> Result<(), BootstrapError> {
        let now = self.app.clock.now();
        let token = information.registration_access_token.clone();
        let granted = information.metadata.clone();
        let detail = if drift.is_empty() {
            "sent again unchanged".to_owned()
        } else {
            format!("changed in {}", drift.members().join(", "))
        };
        tracing::info!("Client updated: {detail}");
        self.app
            .ledger
            .update(|state| {
                if let Some(registered) = &mut state.registration {
                    if let (Some(management), Some(token)) = (&mut registered.management, token) {
                        management.token = token;
                    }
                    registered.granted = granted;
                    registered.unconfirmed = None;
                    if let Some(sent) = sent {
                        registered.sent = sent;
                    }
                    let client_id = Some(registered.client_id.as_str());
                    state.journal.add(now, Event::Updated, client_id, detail);
                }
            })
            .await?;
        Ok(())
    }

    async fn take_token(&self, information: &ClientInformation) -> Result<(), BootstrapError> {
        let state = self.app.ledger.state();
        let held = managed(state.registration.as_ref()).map(|(_, held)| held.token.expose());
        match &information.registration_access_token {
            Some(token) if held != Some(token.expose()) => {
                let token = token.clone();
                self.change(|registered| {
                    if let Some(management) = &mut registered.management {
                        management.token = token;
                    }
                })
                .await
            }
            // Absent means unchanged (standards.md MGT-21).
            _ => Ok(()),
        }
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

    async fn change(&self, change: impl FnOnce(&mut Registered)) -> Result<(), BootstrapError> {
        self.app
            .ledger
            .update(|state| {
                if let Some(registered) = &mut state.registration {
                    change(registered);
                }
            })
            .await?;
        Ok(())
    }
}

/// The client with the means to manage it.
fn managed(registered: Option<&Registered>) -> Option<(&Registered, &Management)> {
    let registered = registered?;
    Some((registered, registered.management.as_ref()?))
}
