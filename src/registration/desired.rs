//! What we ask to be registered as.

use serde_json::{Map, Value, json};

use crate::jose::Algorithm;
use crate::oauth::ClientMetadata;
use crate::secret::Secret;

/// The registration that the configuration and the keys call for.
#[derive(Clone, Debug)]
pub struct Desired {
    /// The expected issuer, code point for code point.
    pub issuer: String,
    /// Wished `client_id`, sent only if set.
    pub client_id: Option<String>,
    /// `client_name` (RFC 7591 §2).
    pub client_name: String,
    /// `client_profile`, which some IdPs know; sent only if set.
    pub client_profile: Option<String>,
    /// `redirect_uris`, character for character.
    pub redirect_uris: Vec<String>,
    /// `grant_types`.
    pub grant_types: Vec<String>,
    /// `scope`.
    pub scope: Option<String>,
    /// `token_endpoint_auth_signing_alg`.
    pub alg: Algorithm,
    /// How the IdP learns our keys.
    pub jwks: JwksMember,
    /// `software_statement` (RFC 7591 §2.3).
    pub software_statement: Option<Secret>,
    /// Merged in last; a member that is null is left out.
    pub extra: Map<String, Value>,
}

/// One of the two ways to name our keys, never both (RFC 7591 §2).
#[derive(Clone, Debug)]
pub enum JwksMember {
    /// `jwks_uri`: the IdP fetches them.
    Uri(String),
    /// `jwks`: they are sent along.
    Value(Value),
}

impl Desired {
    /// The metadata to send (RFC 7591 §2).
    ///
    /// `token_endpoint_auth_method` and `grant_types` are always there: the defaults of RFC 7591 §2
    /// are not what we mean. A member that would be empty is left out, since servers refuse an
    /// empty `response_types`.
    pub fn metadata(&self) -> ClientMetadata {
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| {
            members.insert(name.to_owned(), value);
        };
        if let Some(client_id) = &self.client_id {
            put("client_id", json!(client_id));
        }
        put("client_name", json!(self.client_name));
        if let Some(profile) = &self.client_profile {
            put("client_profile", json!(profile));
        }
        put("token_endpoint_auth_method", json!("private_key_jwt"));
        put("token_endpoint_auth_signing_alg", json!(self.alg));
        match &self.jwks {
            JwksMember::Uri(uri) => put("jwks_uri", json!(uri)),
            JwksMember::Value(jwks) => put("jwks", jwks.clone()),
        }
        put("grant_types", json!(self.grant_types));
        if self.has_code_flow() {
            put("response_types", json!(["code"]));
        }
        if !self.redirect_uris.is_empty() {
            put("redirect_uris", json!(self.redirect_uris));
        }
        if let Some(scope) = &self.scope {
            put("scope", json!(scope));
        }
        if let Some(statement) = &self.software_statement {
            put("software_statement", json!(statement.expose()));
        }
        for (name, value) in &self.extra {
            if is_empty(value) {
                members.shift_remove(name);
            } else {
                members.insert(name.clone(), value.clone());
            }
        }
        members.retain(|_, value| !is_empty(value));
        ClientMetadata(members)
    }

    /// Whether there is a grant with a response type (RFC 7591 §2.1).
    fn has_code_flow(&self) -> bool {
        let mut grants = self.grant_types.iter();
        grants.any(|grant| grant == "authorization_code")
    }
}

/// Whether a member with this value says nothing.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_without_redirects_asks_for_no_response_type() {
        let metadata = Desired {
            grant_types: vec!["client_credentials".to_owned()],
            ..desired()
        }
        .metadata();

        assert!(!metadata.0.contains_key("response_types"));
        assert_eq!(metadata.get("redirect_uris"), None);
    }

    #[test]
    fn extra_members_win_and_an_empty_one_takes_one_away() {
        let Value::Object(extra) = json!({
            "client_name": "Shop", "scope": null, "response_types": [], "contacts": [], "x": false,
        }) else {
            unreachable!()
        };
        let metadata = Desired { extra, ..desired() }.metadata();

        assert_eq!(metadata.text("client_name"), Some("Shop"));
        for name in ["scope", "response_types", "contacts"] {
            assert!(!metadata.0.contains_key(name), "{name}");
        }
        assert_eq!(metadata.get("x"), Some(&json!(false)));
    }

    fn desired() -> Desired {
        Desired {
            issuer: "https://idp.example".to_owned(),
            client_id: None,
            client_name: "bff-server".to_owned(),
            client_profile: None,
            redirect_uris: Vec::new(),
            grant_types: vec!["authorization_code".to_owned()],
            scope: Some("openid".to_owned()),
            alg: Algorithm::ES256,
            jwks: JwksMember::Uri("https://bff.example/.well-known/jwks.json".to_owned()),
            software_statement: None,
            extra: Map::new(),
        }
    }
}
