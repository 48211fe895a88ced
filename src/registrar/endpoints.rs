//! The endpoints of the IdP: discovered, remembered or configured.

use std::fs;

use super::endpoints_error::EndpointsError;
use crate::config::IdpConfig;
use crate::idp::{DiscoveryError, discover};
use crate::oauth::{EndpointUrl, InvalidUrl, ServerMetadata, shown_url};
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
                Some(spelt) => {
                    EndpointUrl::parse(spelt, idp.allow_insecure_http).map_err(NotUsable::Invalid)
                }
                None => Err(NotUsable::Missing),
            },
        }
    }
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
    match discover(http, &idp.base_url, &idp.issuer).await {
        Ok(metadata) => {
            let methods = &metadata.token_endpoint_auth_methods_supported;
            if !methods.is_empty() && !methods.iter().any(|method| method == "private_key_jwt") {
                tracing::warn!(
                    "The IdP's metadata offers {} at its token endpoint, not private_key_jwt",
                    methods.join(", ")
                );
            }
            Ok((Endpoints::of(idp, &metadata), Some(metadata)))
        }
        // The metadata of another issuer is never ignored (RFC 8414 §3.3).
        Err(error @ DiscoveryError::IssuerMismatch { .. }) => Err(error.into()),
        Err(error) => match &idp.token_endpoint {
            Some(token) if !error.is_transient() || idp.registration_endpoint.is_some() => {
                tracing::info!("{error}; using the configured endpoints");
                let registration = idp
                    .registration_endpoint
                    .clone()
                    .unwrap_or_else(|| idp.fallback_registration_endpoint());
                let endpoints = Endpoints {
                    registration: Endpoint::configured(REGISTRATION, &registration),
                    token: Endpoint::configured(TOKEN, token),
                    algorithms: Vec::new(),
                };
                Ok((endpoints, None))
            }
            _ => Err(error.into()),
        },
    }
}

const REGISTRATION: &str = "registration_endpoint";
const TOKEN: &str = "token_endpoint";

impl Endpoints {
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
