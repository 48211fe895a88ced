//! From the configuration and the keys to what is asked for.

use std::sync::PoisonError;

use serde_json::{Value, json};

use super::Registrar;
use crate::app::endpoints::Endpoints;
use crate::config::{JwksMode, RedirectUpdateMode};
use crate::keyring::KeyRing;
use crate::registration::{Desired, Drift, JwksMember, RedirectUpdate, Registered};
use crate::store::write_public_file;

impl Registrar {
    /// The registration that the configuration and the keys call for.
    pub(super) fn desired(&self) -> Desired {
        let dcr = self.dcr();
        let state = self.app.ledger.state();
        let alg = *self.alg.lock().unwrap_or_else(PoisonError::into_inner);
        let jwks = if let (JwksMode::Uri, Some(uri)) = (&dcr.jwks, &dcr.jwks_uri) {
            JwksMember::Uri(uri.to_string())
        } else {
            let keys = state.ring.iter().flat_map(KeyRing::published);
            JwksMember::Value(json!({"keys": keys.collect::<Vec<_>>()}))
        };
        Desired {
            issuer: self.idp.issuer.clone(),
            client_id: dcr.client_id.clone(),
            client_name: dcr.client_name.clone(),
            client_profile: dcr.client_profile.clone(),
            redirect_uris: dcr.redirect_uris.clone(),
            grant_types: dcr.grant_types.clone(),
            scope: dcr.scope.clone(),
            alg: alg.unwrap_or_else(|| self.app.keys.current().alg()),
            jwks,
            software_statement: dcr.software_statement.clone(),
            extra: dcr.extra_metadata.clone(),
        }
    }

    /// What has drifted, as far as it is known without asking the IdP.
    pub(super) fn drift(&self, registered: Option<&Registered>) -> Drift {
        registered.map_or_else(Drift::default, |registered| {
            let desired = self.desired().metadata();
            Drift::between(&desired, registered, None, self.redirects())
        })
    }

    pub(super) fn redirects(&self) -> RedirectUpdate {
        match self.dcr().redirect_update_mode {
            RedirectUpdateMode::Auto => RedirectUpdate::Auto,
            RedirectUpdateMode::Merge => RedirectUpdate::Merge,
            RedirectUpdateMode::None => RedirectUpdate::None,
            RedirectUpdateMode::Replace => RedirectUpdate::Replace,
        }
    }

    /// Writes what the application beside us needs to know, none of it secret.
    pub(super) fn write_client_credentials(&self, endpoints: &Endpoints) {
        let state = self.app.ledger.state();
        let (Some(path), Some(registered)) = (&self.dcr().client_cred_path, &state.registration)
        else {
            return;
        };
        let key = self.app.keys.current();
        let credentials: Value = json!({
            "client_id": registered.client_id,
            "issuer": registered.issuer,
            "token_endpoint": endpoints.token.as_spelt(),
            "kid": key.kid(),
            "alg": key.alg(),
        });
        if let Err(error) = write_public_file(path, format!("{credentials:#}\n").as_bytes()) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                path = %path.display(),
                "Cannot write {}: let the user that runs bff write there, or change \
                 BFF_CLIENT_CRED_PATH",
                path.display()
            );
        }
    }
}
