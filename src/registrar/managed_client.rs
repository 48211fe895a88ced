//! The client at the IdP, compared with what the configuration and the keys call for.

use super::unstored_rat::UnstoredRat;
use crate::app::App;
use crate::config::{DcrConfig, IdpConfig};
use crate::idp::IdpAdminClient;
use crate::oauth::{InitialAccessToken, Management};
use crate::planning::Wanted;
use crate::registration::{Desired, Drift, RedirectUpdate, Registered, TokenFingerprint};
use crate::state::State;
use crate::transport::HttpClient;

/// The client at the IdP, which can be read and changed where the IdP lets us (RFC 7592).
///
/// Borrowed for one piece of work; `management.rs`, `rat_request.rs` and `update.rs` have the requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct ManagedClient<'a> {
    pub(super) app: &'a App,
    pub(super) idp: &'a IdpConfig,
    pub(super) http: &'a HttpClient,
    pub(super) unstored: &'a UnstoredRat,
}

impl ManagedClient<'_> {
    pub(super) fn dcr(&self) -> &DcrConfig {
        &self.app.config.dcr
    }

    pub(super) fn wanted(&self) -> Wanted<'_> {
        Wanted {
            dcr: self.dcr(),
            idp: self.idp,
        }
    }

    /// The registration that the configuration and the keys call for. None without a key.
    pub(super) fn desired(&self, state: &State) -> Option<Desired> {
        self.wanted().desired(state)
    }

    /// What has drifted, as far as it is known without asking the IdP.
    pub(super) fn drift(&self, state: &State) -> Drift {
        match (state.registration(), self.desired(state)) {
            (Some(client), Some(desired)) => {
                Drift::between(&desired.metadata(), client, None, self.redirects())
            }
            _ => Drift::default(),
        }
    }

    /// Whether the IdP has declined to change this client to what is desired, or does not accept
    /// the tokens for it.
    pub(super) fn has_declined(&self, state: &State) -> bool {
        match (state.registration(), self.desired(state)) {
            (Some(client), Some(desired)) => {
                client.has_declined(&desired.metadata(), self.app.clock.now())
                    || self.has_refused_tokens(state)
            }
            _ => false,
        }
    }

    /// Whether the IdP has refused the tokens that we have, so that presenting them again is left
    /// to an order, another day, or a change.
    pub(super) fn has_refused_tokens(&self, state: &State) -> bool {
        match (state.registration(), self.desired(state)) {
            (Some(client), Some(desired)) => {
                let now = self.app.clock.now();
                client.has_refused(&self.tokens(client), &desired.metadata(), now)
            }
            _ => false,
        }
    }

    /// What we can present for a change of `client`.
    pub(super) fn tokens(&self, client: &Registered) -> TokenFingerprint {
        let administrator = self.dcr().idp_admin_token.as_ref();
        TokenFingerprint::of_management(client.management.as_ref(), administrator)
    }

    pub(super) fn redirects(&self) -> RedirectUpdate {
        self.wanted().redirects()
    }

    /// The initial access token of the configuration.
    pub(super) fn configured_token(&self) -> Option<InitialAccessToken> {
        self.app.initial_token.token()
    }

    /// The IdP's administration, if we have an administrator's token.
    pub(super) fn idp_admin(&self) -> Option<IdpAdminClient> {
        let token = self.dcr().idp_admin_token.clone()?;
        let base_url = self.idp.admin_base_url.clone();
        Some(IdpAdminClient::new(self.http.clone(), base_url, token))
    }
}

/// The client, and access to the RFC 7592 methods for it.
pub(super) fn managed(client: Option<&Registered>) -> Option<(&Registered, &Management)> {
    let client = client?;
    Some((client, client.management.as_ref()?))
}
