//! The policy file: who may register, and as what.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;

/// The file that the repository ships, which is also the default.
const SHIPPED: &str = include_str!("../../config/idp/dcr_config.yaml");

/// The content of `dcr_config.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What holds for every client.
    pub policy: Policy,
    /// Templates that a request may name as `client_profile`.
    #[serde(default)]
    pub client_profiles: BTreeMap<String, ClientProfile>,
}

/// What holds for every client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one switch of the file"
)]
pub struct Policy {
    /// Whether registration needs an initial access token (RFC 7591 §3).
    pub require_initial_access_token: bool,
    /// The scopes a client may ask for.
    pub allowed_scopes: Vec<String>,
    /// The grant types a client may ask for.
    pub allowed_grant_types: Vec<String>,
    /// The algorithms of client assertions, advertised in the discovery document.
    pub allowed_signing_algs: Vec<String>,
    /// Whether redirect URIs may be `http:` on loopback.
    pub allow_http_loopback_redirects: bool,
    /// Whether `jwks_uri` may be `http:`.
    pub allow_http_jwks_uri: bool,
    /// Whether `jwks_uri` is fetched before the registration is accepted.
    pub fetch_jwks_at_registration: bool,
    /// Whether a `client_id` in the request is honoured.
    pub allow_chosen_client_id: bool,
}

/// A template for clients.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientProfile {
    /// The only authentication method such a client may have.
    pub token_endpoint_auth_method: String,
    /// The default, and the most it may ask for.
    pub grant_types: Vec<String>,
    /// The default.
    pub response_types: Vec<String>,
    /// The default, if there is one.
    #[serde(default)]
    pub scope: Option<String>,
}

impl Config {
    /// The policy that the repository ships.
    ///
    /// # Errors
    ///
    /// The shipped file is not valid, which a test rules out.
    pub fn shipped() -> Result<Self, ConfigError> {
        Self::parse(SHIPPED)
    }

    /// Reads YAML.
    ///
    /// # Errors
    ///
    /// The text is not YAML, a member is missing, or one is not known.
    pub fn parse(yaml: &str) -> Result<Self, ConfigError> {
        serde_saphyr::from_str(yaml).map_err(|error| ConfigError(error.to_string()))
    }

    /// Reads a YAML file.
    ///
    /// # Errors
    ///
    /// As for [`Config::parse`], or the file cannot be read.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let yaml = std::fs::read_to_string(path)
            .map_err(|error| ConfigError(format!("{}: {error}", path.display())))?;
        Self::parse(&yaml).map_err(|error| ConfigError(format!("{}: {error}", path.display())))
    }
}

/// Why a policy file was not accepted.
#[derive(Debug)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_policy_has_the_profile_that_operators_know() {
        let config = Config::shipped().unwrap();

        let profile = &config.client_profiles["code-flow-pkjwt"];
        assert_eq!(profile.token_endpoint_auth_method, "private_key_jwt");
        assert!(config.policy.require_initial_access_token);
    }

    #[test]
    fn an_unknown_member_of_the_policy_is_named() {
        let error = Config::parse("policy: {allowed_scope: []}").unwrap_err();

        assert!(error.to_string().contains("allowed_scope"), "{error}");
    }
}
