//! Authorization server metadata (RFC 8414, OpenID Connect Discovery 1.0).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::endpoint_url::EndpointUrl;
use super::shown_text::shown_text;

/// Longest list that is read of a document, in items.
const MAX_ITEMS: usize = 100;

/// What we read of an authorization server's metadata (RFC 8414 §2).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServerMetadata {
    /// The issuer identifier, code point for code point.
    pub issuer: String,
    /// Where client assertions are accepted, exactly as the document spells it: some servers
    /// compare `aud` with these very characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<String>,
    /// Where clients register (RFC 7591 §3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_endpoint: Option<String>,
    /// Empty where the server does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// Empty where the server does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_endpoint_auth_signing_alg_values_supported: Vec<String>,
}

/// A document that is not server metadata.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidMetadata {
    /// There is no issuer in it.
    #[error("a JSON object without `issuer`")]
    NoIssuer,
    /// It is not a JSON object.
    #[error("no JSON object")]
    NotAnObject,
}

impl ServerMetadata {
    /// Reads a document.
    ///
    /// # Errors
    ///
    /// [`InvalidMetadata`] unless it is a JSON object with an `issuer`.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidMetadata> {
        let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
            return Err(InvalidMetadata::NotAnObject);
        };
        let text = |name: &str| {
            let text = members.get(name).and_then(Value::as_str);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        // They are shown, and compared with names that have no odd characters.
        let list = |name: &str| {
            let items = members.get(name).and_then(Value::as_array);
            let texts = items.into_iter().flatten().filter_map(Value::as_str);
            texts.take(MAX_ITEMS).map(shown_text).collect()
        };
        Ok(Self {
            issuer: text("issuer").ok_or(InvalidMetadata::NoIssuer)?,
            token_endpoint: text("token_endpoint"),
            registration_endpoint: text("registration_endpoint"),
            token_endpoint_auth_methods_supported: list("token_endpoint_auth_methods_supported"),
            token_endpoint_auth_signing_alg_values_supported: list(
                "token_endpoint_auth_signing_alg_values_supported",
            ),
        })
    }

    /// The same with what `other`, a document of the same issuer, says beyond it.
    #[must_use]
    pub fn completed_by(self, other: Self) -> Self {
        let list = |own: Vec<String>, other| if own.is_empty() { other } else { own };
        Self {
            issuer: self.issuer,
            token_endpoint: self.token_endpoint.or(other.token_endpoint),
            registration_endpoint: self.registration_endpoint.or(other.registration_endpoint),
            token_endpoint_auth_methods_supported: list(
                self.token_endpoint_auth_methods_supported,
                other.token_endpoint_auth_methods_supported,
            ),
            token_endpoint_auth_signing_alg_values_supported: list(
                self.token_endpoint_auth_signing_alg_values_supported,
                other.token_endpoint_auth_signing_alg_values_supported,
            ),
        }
    }
}

/// Where the metadata of the server at `base` may be, in the order to ask.
///
/// OpenID Connect appends its well-known part to the path (Discovery §4), RFC 8414 §3.1 inserts its
/// own before it, and servers do both with either.
pub fn well_known_locations(base: &EndpointUrl) -> Vec<EndpointUrl> {
    let path = base.path().trim_end_matches('/');
    [
        format!("{path}/.well-known/openid-configuration"),
        format!("/.well-known/openid-configuration{path}"),
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("{path}/.well-known/oauth-authorization-server"),
    ]
    .into_iter()
    .fold(Vec::new(), |mut locations, path| {
        let location = base.with_path(&path);
        if !locations.contains(&location) {
            locations.push(location);
        }
        locations
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oidc_appends_the_well_known_part_and_rfc_8414_inserts_it() {
        let table = [
            (
                "https://example.com",
                vec![
                    "https://example.com/.well-known/openid-configuration",
                    "https://example.com/.well-known/oauth-authorization-server",
                ],
            ),
            (
                "https://example.com/issuer1/",
                vec![
                    "https://example.com/issuer1/.well-known/openid-configuration",
                    "https://example.com/.well-known/openid-configuration/issuer1",
                    "https://example.com/.well-known/oauth-authorization-server/issuer1",
                    "https://example.com/issuer1/.well-known/oauth-authorization-server",
                ],
            ),
        ];

        for (base, expected) in table {
            let locations = well_known_locations(&EndpointUrl::parse(base, false).unwrap());
            let locations: Vec<&str> = locations.iter().map(EndpointUrl::as_str).collect();
            assert_eq!(locations, expected);
        }
    }

    #[test]
    fn endpoints_keep_their_spelling() {
        let body = br#"{"issuer":"http://h","token_endpoint":"http://h//api/oidc/token","x":[]}"#;

        let metadata = ServerMetadata::parse(body).unwrap();

        assert_eq!(
            metadata.token_endpoint.as_deref(),
            Some("http://h//api/oidc/token")
        );
    }
}
