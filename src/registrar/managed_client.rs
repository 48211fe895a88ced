//! The client at the IdP, compared with what the configuration and the keys call for.

use serde_json::json;

use super::unstored_rat::UnstoredRat;
use crate::app::App;
use crate::config::{DcrConfig, IdpConfig, JwksMode, RedirectUpdateMode};
use crate::idp::IdpAdminClient;
use crate::keyring::KeyRing;
use crate::oauth::{InitialAccessToken, Management};
use crate::registration::{
    Desired, Drift, JwksMember, RedirectUpdate, Registered, TokenFingerprint,
};
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

    /// The registration that the configuration and the keys call for. None without a key.
    pub(super) fn desired(&self, state: &State) -> Option<Desired> {
        let dcr = self.dcr();
        let ring = state.ring()?;
        let jwks = if let (JwksMode::Uri, Some(uri)) = (&dcr.jwks, &dcr.jwks_uri) {
            JwksMember::Uri(uri.as_str().to_owned())
        } else {
            let keys: Vec<_> = KeyRing::published(ring).collect();
            JwksMember::Value(json!({"keys": keys}))
        };
        let alg = state.projections().wanted_algorithm();
        Some(Desired {
            issuer: self.idp.issuer.clone(),
            client_id: dcr.client_id.clone(),
            client_name: dcr.client_name.clone(),
            client_profile: dcr.client_profile.clone(),
            redirect_uris: dcr.redirect_uris.clone(),
            grant_types: dcr.grant_types.clone(),
            scope: dcr.scope.clone(),
            alg: alg.unwrap_or(ring.current().jwk.alg),
            jwks,
            software_statement: dcr.software_statement.clone(),
            extra: dcr.extra_metadata.clone(),
        })
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

    /// What has drifted, by what the IdP last said that it has.
    pub(super) fn last_drift(&self, state: &State) -> Drift {
        match (state.registration(), self.desired(state)) {
            (Some(client), Some(desired)) => {
                let seen = client.seen.as_ref().map(|seen| &seen.metadata);
                Drift::between(&desired.metadata(), client, seen, self.redirects())
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
        match self.dcr().redirect_update_mode {
            RedirectUpdateMode::Auto => RedirectUpdate::Auto,
            RedirectUpdateMode::Merge => RedirectUpdate::Merge,
            RedirectUpdateMode::None => RedirectUpdate::None,
            RedirectUpdateMode::Replace => RedirectUpdate::Replace,
        }
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
