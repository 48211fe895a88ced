//! What the configuration calls for at one IdP, and what follows from it; nothing is asked.

use jiff::Timestamp;
use serde_json::json;

use crate::config::{DcrConfig, IdpConfig, JwksMode, RedirectUpdateMode};
use crate::jose::{Algorithm, PublicJwk};
use crate::keyring::KeyRing;
use crate::registration::{
    Desired, Drift, Inputs, JwksMember, Plan, RedirectUpdate, TokenFingerprint, TokenTarget, plan,
};
use crate::state::State;

/// The configuration of a client at one IdP.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The client.
    pub dcr: &'a DcrConfig,
    /// The IdP.
    pub idp: &'a IdpConfig,
}

impl Wanted<'_> {
    /// The registration that the configuration and the keys call for. None without a key.
    pub fn desired(&self, state: &State) -> Option<Desired> {
        let ring = state.ring()?;
        let alg = state.projections().wanted_algorithm();
        let published: Vec<_> = KeyRing::published(ring).collect();
        Some(self.with_keys(alg.unwrap_or(ring.current().jwk.alg), &published))
    }

    /// The same for these keys.
    pub fn with_keys(&self, alg: Algorithm, keys: &[&PublicJwk]) -> Desired {
        let dcr = self.dcr;
        let jwks = if let (JwksMode::Uri, Some(uri)) = (&dcr.jwks, &dcr.jwks_uri) {
            JwksMember::Uri(uri.as_str().to_owned())
        } else {
            JwksMember::Value(json!({"keys": keys}))
        };
        Desired {
            issuer: self.idp.issuer.clone(),
            client_id: dcr.client_id.clone(),
            client_name: dcr.client_name.clone(),
            client_profile: dcr.client_profile.clone(),
            redirect_uris: dcr.redirect_uris.clone(),
            grant_types: dcr.grant_types.clone(),
            scope: dcr.scope.clone(),
            alg,
            jwks,
            software_statement: dcr.software_statement.clone(),
            extra: dcr.extra_metadata.clone(),
        }
    }

    /// What has drifted, by what the IdP last said that it has.
    pub fn last_drift(&self, state: &State) -> Drift {
        match (state.registration(), self.desired(state)) {
            (Some(client), Some(desired)) => {
                let seen = client.seen.as_ref().map(|seen| &seen.metadata);
                Drift::between(&desired.metadata(), client, seen, self.redirects())
            }
            _ => Drift::default(),
        }
    }

    /// How redirect URIs are updated.
    pub fn redirects(&self) -> RedirectUpdate {
        match self.dcr.redirect_update_mode {
            RedirectUpdateMode::Auto => RedirectUpdate::Auto,
            RedirectUpdateMode::Merge => RedirectUpdate::Merge,
            RedirectUpdateMode::None => RedirectUpdate::None,
            RedirectUpdateMode::Replace => RedirectUpdate::Replace,
        }
    }

    /// What to do about the client in `state`, whose drift is `drift`. `declined` says that the IdP
    /// has declined to correct it, `ordered` that an operator asks.
    pub fn plan(
        &self,
        state: &State,
        target: TokenTarget,
        token: Option<&TokenFingerprint>,
        (drift, declined): (Drift, bool),
        (ordered, now): (bool, Timestamp),
    ) -> Plan {
        let desired = self.desired(state);
        let inputs = Inputs {
            target,
            client_id: self.dcr.client_id.as_deref(),
            asked: desired
                .map(|desired| desired.metadata())
                .unwrap_or_default(),
            token,
            can_mint: self.dcr.idp_admin_token.is_some(),
            force_replace: self.dcr.force_replace,
            ordered,
            declined,
            drift,
            now,
        };
        plan(state.stored(), &inputs)
    }
}
