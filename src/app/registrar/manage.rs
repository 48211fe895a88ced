//! Reading the registration, and keeping the means to do so (RFC 7592).

use url::Url;

use super::Registrar;
use crate::app::{BootstrapError, chain};
use crate::idp::ManagementClient;
use crate::oauth::{ClientInformation, ClientMetadata, Management};
use crate::registration::{Drift, Event, Managed, Registered, Unmanageable};

/// What the IdP said when it was asked for the registration.
#[derive(Debug)]
pub(super) enum Read {
    /// What it has.
    Has(ClientMetadata),
    /// That it does not know the token, or the client.
    NotAccepted,
    /// That it does not show a client to itself.
    NotOffered(u16),
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

    /// Reads the registration (RFC 7592 §2.1). A new token is stored before anything else.
    pub(super) async fn read(&self) -> Result<Read, BootstrapError> {
        let state = self.app.ledger.state();
        let Some((registered, management)) = managed(state.registration.as_ref()) else {
            return Ok(Read::Nothing("there are no means to".to_owned()));
        };
        let client = ManagementClient::new(self.http.clone(), management.clone());
        let answer = match client.read(|| self.app.clock.now()).await {
            Ok(answer) => answer,
            Err(error) => return Ok(Read::Nothing(chain(&error))),
        };
        match Managed::of(&answer) {
            Managed::Is(information) if information.client_id != registered.client_id => {
                Ok(Read::Nothing(format!(
                    "the answer is about another client, `{}`",
                    information.client_id
                )))
            }
            Managed::Is(information) => {
                self.take_management(&information).await?;
                Ok(Read::Has(information.metadata))
            }
            Managed::NotAccepted(_) => Ok(Read::NotAccepted),
            Managed::NotOffered(status) => Ok(Read::NotOffered(status)),
            _ => Ok(Read::Nothing(format!("HTTP {}", answer.status))),
        }
    }

    /// The token is not valid any more, and cannot be renewed from here.
    pub(super) async fn not_accepted(&self) -> Result<(), BootstrapError> {
        let what = "it does not accept the registration access token (it was renewed elsewhere, \
                    an answer that brought a new one was lost, or BFF_STATE_DIR is older than \
                    the last change)";
        self.unmanageable(what, None).await
    }

    /// Keeps the client and its token, and leaves the registration as it is. An update that is
    /// `declined` is not asked for again.
    pub(super) async fn unmanageable(
        &self,
        what: &str,
        declined: Option<ClientMetadata>,
    ) -> Result<(), BootstrapError> {
        let now = self.app.clock.now();
        let detail = what.to_owned();
        self.app
            .ledger
            .update(|state| {
                if let Some(registered) = &mut state.registration {
                    // An update that may have been made is still to be found out about.
                    if declined.is_some() {
                        registered.unconfirmed = None;
                    }
                    let before = registered.unmanageable.take();
                    let client_id = Some(registered.client_id.as_str());
                    if before.is_none() {
                        state
                            .journal
                            .add(now, Event::Unmanageable, client_id, detail);
                    }
                    let since = before.map_or(now, |before| before.since);
                    registered.unmanageable = Some(Unmanageable { since, declined });
                }
            })
            .await?;
        tracing::warn!(
            "The registration cannot be changed from here: {what}. The client goes on working; \
             to change it, set BOOTSTRAP_ADMIN_TOKEN (its token is then renewed) and restart, or \
             change it at the IdP, or register anew with a fresh DCR_IAT and \
             DCR_FORCE_REPLACE=true"
        );
        Ok(())
    }

    /// Has the registration access token renewed, if we may. Says whether there is a new one.
    pub(super) async fn renew(&self) -> Result<bool, BootstrapError> {
        let state = self.app.ledger.state();
        let here = |registered: &&Registered| registered.issuer == self.idp.issuer;
        let (Some(admin), Some(registered)) =
            (self.admin(), state.registration.as_ref().filter(here))
        else {
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
        let held = registered.management.as_ref().map(|held| &held.uri);
        let told = renewed.uri.and_then(|uri| Url::parse(&uri).ok());
        let Some(uri) = told
            .filter(|uri| self.is_of_the_idp(uri, held))
            .or_else(|| held.cloned())
        else {
            tracing::warn!(
                "The IdP has renewed the registration access token without saying where it is \
                 of use (registration_client_uri): the client cannot be changed from here"
            );
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
                    registered.unmanageable = None;
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

    /// Whether a token may go to `uri`: it is where the one before went, or the IdP's own.
    fn is_of_the_idp(&self, uri: &Url, held: Option<&Url>) -> bool {
        [held, Some(&self.idp.base_url), Some(&self.idp.issuer_url)]
            .into_iter()
            .flatten()
            .any(|known| known.origin() == uri.origin())
    }

    /// Stores the token that an answer brought, and where it is of use. What is absent is
    /// unchanged (standards.md MGT-21).
    async fn take_management(&self, information: &ClientInformation) -> Result<(), BootstrapError> {
        let state = self.app.ledger.state();
        let Some(registered) = &state.registration else {
            return Ok(());
        };
        let mut taken = registered.clone();
        renew_management(&mut taken, information);
        let same =
            |a: &Management, b: &Management| a.uri == b.uri && a.token.expose() == b.token.expose();
        let unchanged = match (&registered.management, &taken.management) {
            (Some(held), Some(taken)) => same(held, taken),
            _ => true,
        };
        if unchanged {
            return Ok(());
        }
        self.change(|registered| registered.management = taken.management)
            .await
    }

    pub(super) async fn change(
        &self,
        change: impl FnOnce(&mut Registered),
    ) -> Result<(), BootstrapError> {
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

/// Takes over the token, and its URI where that is on the same origin as before: a token sent
/// elsewhere is given away (standards.md MGT-03).
pub(super) fn renew_management(registered: &mut Registered, information: &ClientInformation) {
    let (Some(management), Some(token)) = (
        &mut registered.management,
        &information.registration_access_token,
    ) else {
        return;
    };
    management.token = token.clone();
    let uri = information.registration_client_uri.as_deref();
    let uri = uri.and_then(|uri| Url::parse(uri).ok());
    if let Some(uri) = uri.filter(|uri| uri.origin() == management.uri.origin()) {
        management.uri = uri;
    }
}

/// The client with the means to manage it.
pub(super) fn managed(registered: Option<&Registered>) -> Option<(&Registered, &Management)> {
    let registered = registered?;
    Some((registered, registered.management.as_ref()?))
}
