//! The endpoints of the IdP: discovered, remembered or configured.

use std::fs;

use super::endpoints_error::{EndpointsError, TOKEN};
use crate::config::IdpConfig;
use crate::idp::{DiscoveryError, discover};
use crate::jose::Algorithm;
use crate::oauth::{EndpointUrl, InvalidUrl, ServerMetadata, shown_text, shown_url};
use crate::state::State;
use crate::transport::HttpClient;

/// The endpoints of one IdP, discovered or configured.
#[derive(Clone, Debug)]
pub(super) struct Endpoints {
    /// Where clients register.
    pub(super) registration: Endpoint,
    /// Where clients authenticate.
    pub(super) token: Endpoint,
    /// The algorithms the IdP takes; empty if it does not say.
    pub(super) algorithms: Vec<String>,
}

/// An address that was found, and what may be wrong with it.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    name: &'static str,
    spelt: String,
    url: Result<EndpointUrl, NotUsable>,
}

/// Why there is no address.
#[derive(Clone, Debug)]
enum NotUsable {
    Invalid(InvalidUrl),
    Missing,
}

impl Endpoint {
    /// The address, if it can be used.
    pub(super) fn url(&self) -> Result<EndpointUrl, EndpointsError> {
        let name = self.name;
        self.url.clone().map_err(|why| match why {
            NotUsable::Invalid(reason) => EndpointsError::Endpoint {
                name,
                url: shown_url(&self.spelt),
                reason,
            },
            NotUsable::Missing => EndpointsError::NoEndpoint { name },
        })
    }

    /// The address exactly as the IdP spells it, since some compare `aud` as a string.
    pub(super) fn as_spelt(&self) -> &str {
        &self.spelt
    }

    fn configured(name: &'static str, url: &EndpointUrl) -> Self {
        Self {
            name,
            spelt: url.as_str().to_owned(),
            url: Ok(url.clone()),
        }
    }

    fn discovered(name: &'static str, spelt: Option<&str>, idp: &IdpConfig) -> Self {
        Self {
            name,
            spelt: spelt.unwrap_or_default().to_owned(),
            url: match spelt {
                Some(spelt) => usable(spelt, idp).map_err(NotUsable::Invalid),
                None => Err(NotUsable::Missing),
            },
        }
    }
}

/// An endpoint that the IdP names. One that is reached by https has no business to send a token
/// elsewhere in the clear, on this machine neither.
fn usable(spelt: &str, idp: &IdpConfig) -> Result<EndpointUrl, InvalidUrl> {
    let url = EndpointUrl::parse(spelt, idp.allow_insecure_http)?;
    if idp.base_url.is_https() && !url.is_https() && !idp.allow_insecure_http {
        return Err(InvalidUrl::Insecure);
    }
    Ok(url)
}

/// A client with the configured trust anchors.
///
/// # Errors
///
/// [`EndpointsError`] if they cannot be read, or TLS cannot be set up.
pub fn http_client(idp: &IdpConfig) -> Result<HttpClient, EndpointsError> {
    let anchors = match &idp.ca_file {
        Some(path) => Some(
            fs::read(path).map_err(|source| EndpointsError::TrustAnchors {
                path: path.clone(),
                source,
            })?,
        ),
        None => None,
    };
    Ok(HttpClient::new(anchors.as_deref())?)
}

/// Asks the IdP for its metadata; configured endpoints take precedence. Returns the metadata too,
/// where there is any.
pub(super) async fn find(
    http: &HttpClient,
    idp: &IdpConfig,
) -> Result<(Endpoints, Option<ServerMetadata>), EndpointsError> {
    let enough = |metadata: &ServerMetadata| {
        let token = idp.token_endpoint.is_some() || metadata.token_endpoint.is_some();
        let registration = &metadata.registration_endpoint;
        token && (idp.registration_endpoint.is_some() || registration.is_some())
    };
    match discover(http, &idp.base_url, &idp.issuer, enough).await {
        Ok(metadata) => {
            let methods = &metadata.token_endpoint_auth_methods_supported;
            if !methods.is_empty() && !methods.iter().any(|method| method == "private_key_jwt") {
                tracing::warn!(
                    "The IdP's metadata lists {} for its token endpoint, not private_key_jwt; hint: \
                     enable private_key_jwt for clients in the IdP's settings: bff authenticates \
                     with nothing else",
                    shown_text(&methods.join(", "))
                );
            }
            Ok((Endpoints::of(idp, &metadata), Some(metadata)))
        }
        // The metadata of another issuer is never ignored (RFC 8414 §3.3).
        Err(error @ DiscoveryError::IssuerMismatch { .. }) => Err(error.into()),
        Err(error) => match &idp.token_endpoint {
            Some(token) if !error.is_outage() || idp.registration_endpoint.is_some() => {
                tracing::info!("{error}; using the configured endpoints");
                Ok((Endpoints::configured(idp, token), None))
            }
            _ => Err(error.into()),
        },
    }
}

const REGISTRATION: &str = "registration_endpoint";

impl Endpoints {
    /// Those of the configuration, with the default registration endpoint.
    fn configured(idp: &IdpConfig, token: &EndpointUrl) -> Self {
        let registration = idp
            .registration_endpoint
            .clone()
            .unwrap_or_else(|| idp.fallback_registration_endpoint());
        Self {
            registration: Endpoint::configured(REGISTRATION, &registration),
            token: Endpoint::configured(TOKEN, token),
            algorithms: Vec::new(),
        }
    }

    /// Those that are known without asking: of the metadata that the IdP last served, or configured
    /// completely.
    pub(super) fn last(idp: &IdpConfig, state: &State) -> Option<Self> {
        let known = state.idp(&idp.issuer);
        match known.and_then(|known| known.metadata.as_ref()) {
            Some(metadata) => Some(Self::of(idp, metadata)),
            None => match (&idp.registration_endpoint, &idp.token_endpoint) {
                (Some(_), Some(token)) => Some(Self::configured(idp, token)),
                _ => None,
            },
        }
    }

    /// The same for the key that signs.
    pub(super) fn alias_in(&self, state: &State) -> Option<Algorithm> {
        self.alias_of(state.ring()?.current().jwk.alg)
    }

    /// The other name of `alg`, where the IdP lists only that one (RFC 9864).
    pub(super) fn alias_of(&self, alg: Algorithm) -> Option<Algorithm> {
        let lists = |alg: Algorithm| self.algorithms.iter().any(|one| one == alg.name());
        alg.alias().filter(|alias| lists(*alias) && !lists(alg))
    }

    /// Those of the metadata; configured endpoints take precedence.
    pub(super) fn of(idp: &IdpConfig, metadata: &ServerMetadata) -> Self {
        let endpoint = |name, configured: &Option<EndpointUrl>, discovered: &Option<String>| {
            match configured {
                Some(url) => Endpoint::configured(name, url),
                None => Endpoint::discovered(name, discovered.as_deref(), idp),
            }
        };
        Self {
            registration: endpoint(
                REGISTRATION,
                &idp.registration_endpoint,
                &metadata.registration_endpoint,
            ),
            token: endpoint(TOKEN, &idp.token_endpoint, &metadata.token_endpoint),
            algorithms: metadata
                .token_endpoint_auth_signing_alg_values_supported
                .clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Env, Overrides};

    fn idp(base_url: &str, insecure: &str) -> IdpConfig {
        let env = Env::from([
            ("IDP_BASE_URL", base_url),
            ("BFF_ALLOW_INSECURE_HTTP", insecure),
            ("BFF_BASE_URL", "https://bff.example"),
            ("DCR_GRANT_TYPES", "client_credentials"),
        ]);
        let config = Config::load(&env, None, &Overrides::default()).unwrap();
        config.idp.unwrap()
    }

    #[test]
    fn an_idp_reached_by_https_cannot_lead_a_token_to_http_on_this_machine() {
        let named = "http://127.0.0.1:8002/token";
        let metadata = ServerMetadata {
            issuer: "https://idp.example".to_owned(),
            token_endpoint: Some(named.to_owned()),
            registration_endpoint: Some("https://idp.example/register".to_owned()),
            token_endpoint_auth_methods_supported: Vec::new(),
            token_endpoint_auth_signing_alg_values_supported: Vec::new(),
        };
        for (base_url, insecure, usable) in [
            ("https://idp.example", "false", false),
            ("https://idp.example", "true", true),
            ("http://127.0.0.1:8002", "false", true),
        ] {
            let endpoints = Endpoints::of(&idp(base_url, insecure), &metadata);

            let token = endpoints.token.url();
            assert_eq!(token.is_ok(), usable, "{base_url} {insecure}");
            assert!(endpoints.registration.url().is_ok());
            if let Err(error) = token {
                assert!(error.to_string().contains(named), "{error}");
                assert!(error.hint().contains("https"), "{}", error.hint());
            }
        }
    }

    #[test]
    fn an_endpoint_that_is_missing_is_named_with_its_setting_alone() {
        let body =
            br#"{"issuer":"https://idp.example","token_endpoint":"","registration_endpoint":7}"#;
        let metadata = ServerMetadata::parse(body).unwrap();
        let endpoints = Endpoints::of(&idp("https://idp.example", "false"), &metadata);

        for (endpoint, ours, other) in [
            (
                &endpoints.token,
                "OIDC_TOKEN_URL",
                "DCR_REGISTRATION_ENDPOINT",
            ),
            (
                &endpoints.registration,
                "DCR_REGISTRATION_ENDPOINT",
                "OIDC_TOKEN_URL",
            ),
        ] {
            let error = endpoint.url().unwrap_err();
            assert!(!error.to_string().contains("``"), "{error}");
            assert!(error.hint().contains(ours) && !error.hint().contains(other));
        }
    }
}
