//! Finding the endpoints (OpenID Connect Discovery 1.0 §4, RFC 8414 §3).

use std::time::Duration;

use crate::oauth::{EndpointUrl, InvalidMetadata, ServerMetadata, well_known_locations};
use crate::transport::{HttpClient, Method, SendError};

/// Why there is no metadata to work with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// The document is another issuer's: nothing of it may be used (RFC 8414 §3.3).
    #[error("{location} is the metadata of `{found}`, not of `{expected}`")]
    IssuerMismatch {
        /// Where it was found.
        location: String,
        /// The issuer in it.
        found: String,
        /// The issuer that is configured.
        expected: String,
    },
    /// There is something, but no metadata.
    #[error("{location} did not return authorization server metadata: {reason}")]
    Malformed {
        /// Where it was found.
        location: String,
        /// What is wrong with it.
        reason: InvalidMetadata,
    },
    /// None of the well-known locations holds a document.
    #[error("no authorization server metadata at {}", .locations.join(", "))]
    NotFound {
        /// Where it was looked for, with what was answered there.
        locations: Vec<String>,
    },
    /// The IdP is not up, or not well.
    #[error("{location} answers HTTP {status}")]
    NotReady {
        /// Where it was asked.
        location: String,
        /// What it answered.
        status: u16,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The IdP cannot be reached.
    #[error(transparent)]
    Unreachable(#[from] SendError),
}

impl DiscoveryError {
    /// Whether asking again later can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NotReady { .. } => true,
            Self::Unreachable(error) => error.hint().is_none(),
            _ => false,
        }
    }

    /// The pause that the IdP asks for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotReady { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        if let Self::Unreachable(error) = self
            && let Some(hint) = error.hint()
        {
            return hint;
        }
        match self {
            Self::IssuerMismatch { .. } => {
                "if this is the right IdP, set OIDC_ISSUER to its `issuer` exactly as in the \
                 metadata, each slash included"
            }
            Self::Malformed { .. } | Self::NotFound { .. } => {
                "check IDP_BASE_URL; for an IdP without discovery set DCR_REGISTRATION_ENDPOINT \
                 and OIDC_TOKEN_URL"
            }
            Self::NotReady { .. } | Self::Unreachable(_) => {
                "check IDP_BASE_URL, the network and the IdP's health (for a private CA: \
                 BFF_CA_FILE); BFF_BOOTSTRAP_TIMEOUT says how long a start waits for it"
            }
        }
    }
}

/// Fetches the metadata of the server at `base_url`, whose issuer must be `issuer`, code point
/// for code point.
///
/// # Errors
///
/// [`DiscoveryError`]; [`DiscoveryError::is_transient`] says whether to ask again.
pub async fn discover(
    http: &HttpClient,
    base_url: &EndpointUrl,
    issuer: &str,
) -> Result<ServerMetadata, DiscoveryError> {
    let mut tried = Vec::new();
    for url in well_known_locations(base_url) {
        let answer = http.request(Method::GET, url.as_str()).send().await?;
        let location = url.to_string();
        match answer.status {
            200 => match ServerMetadata::parse(answer.bytes()) {
                Ok(metadata) if metadata.issuer == issuer => return Ok(metadata),
                Ok(metadata) => {
                    return Err(DiscoveryError::IssuerMismatch {
                        location,
                        found: metadata.issuer,
                        expected: issuer.to_owned(),
                    });
                }
                // A web application may answer any path with its own page.
                Err(InvalidMetadata::NotAnObject) => {
                    tried.push(format!("{location} (no JSON)"));
                }
                Err(reason) => return Err(DiscoveryError::Malformed { location, reason }),
            },
            status @ (429 | 500..) => {
                return Err(DiscoveryError::NotReady {
                    location,
                    status,
                    retry_after: answer.retry_after,
                });
            }
            status => tried.push(format!("{location} (HTTP {status})")),
        }
    }
    Err(DiscoveryError::NotFound { locations: tried })
}
