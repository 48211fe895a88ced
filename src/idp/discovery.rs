//! Finding the endpoints (OpenID Connect Discovery 1.0 §4, RFC 8414 §3).

use std::time::Duration;

use crate::oauth::{
    EndpointUrl, InvalidMetadata, ServerMetadata, not_json_text, shown_text, shown_url,
    well_known_locations,
};
use crate::transport::{Answer, HttpClient, Method, SendError};

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
    /// None of the well-known locations holds a document.
    #[error("no authorization server metadata at {}", .locations.join(", "))]
    NotFound {
        /// Where it was looked for, with what was answered there.
        locations: Vec<String>,
    },
    /// The IdP is not up, or not well.
    #[error("{location} answers HTTP {status}{}", .said.as_ref().map(|said| format!(": {said}")).unwrap_or_default())]
    NotReady {
        /// Where it was asked.
        location: String,
        /// What it answered.
        status: u16,
        /// What it said, as it is shown.
        said: Option<String>,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The IdP cannot be reached.
    #[error(transparent)]
    Unreachable(#[from] SendError),
}

impl DiscoveryError {
    /// Whether asking again later can help: what stands before an IdP that comes up answers in its
    /// place, with 404 or a page of its own.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::IssuerMismatch { .. } => false,
            Self::NotFound { .. } | Self::NotReady { .. } => true,
            Self::Unreachable(error) => error.hint().is_none(),
        }
    }

    /// Whether the IdP is down, as far as can be told; otherwise it is looked for in the wrong
    /// place.
    pub fn is_outage(&self) -> bool {
        self.is_transient() && !matches!(self, Self::NotFound { .. })
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
            Self::NotFound { .. } => {
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
/// for code point, in each document.
///
/// The values of OpenID Connect count; RFC 8414 fills gaps, and is asked only while the metadata is
/// not `enough`.
///
/// # Errors
///
/// [`DiscoveryError`]; [`DiscoveryError::is_transient`] says whether to ask again.
pub async fn discover(
    http: &HttpClient,
    base_url: &EndpointUrl,
    issuer: &str,
    enough: impl Fn(&ServerMetadata) -> bool,
) -> Result<ServerMetadata, DiscoveryError> {
    let mut tried = Vec::new();
    let mut found: Option<ServerMetadata> = None;
    for url in well_known_locations(base_url) {
        let asked = http.request(Method::GET, url.as_str()).send().await;
        let read = asked
            .map_err(DiscoveryError::from)
            .and_then(|answer| metadata_of(&url, &answer, issuer));
        match (read, found.take()) {
            (Ok(MetadataAnswer::Metadata(metadata)), earlier) => {
                let metadata = match earlier {
                    Some(earlier) => earlier.completed_by(metadata),
                    None => metadata,
                };
                if enough(&metadata) {
                    return Ok(metadata);
                }
                found = Some(metadata);
            }
            (Ok(MetadataAnswer::Nothing(what)), earlier) => {
                tried.push(format!("{url} ({what})"));
                found = earlier;
            }
            // What is known is used: the gap may be of no importance.
            (Err(error), Some(earlier)) => {
                tracing::debug!("{error}; what is missing is looked for elsewhere");
                found = Some(earlier);
            }
            (Err(error), None) => return Err(error),
        }
    }
    found.ok_or(DiscoveryError::NotFound { locations: tried })
}

/// What one answer to the question for metadata holds.
#[derive(Debug)]
pub enum MetadataAnswer {
    /// Metadata of the issuer that is configured.
    Metadata(ServerMetadata),
    /// What was there in its place.
    Nothing(String),
}

/// Reads one answer.
///
/// # Errors
///
/// [`DiscoveryError`] for the metadata of another issuer, and for an IdP that is busy or fails.
pub fn metadata_of(
    url: &EndpointUrl,
    answer: &Answer,
    issuer: &str,
) -> Result<MetadataAnswer, DiscoveryError> {
    let location = url.to_string();
    let what = match answer.status {
        200 => match ServerMetadata::parse(answer.bytes()) {
            Ok(metadata) if metadata.issuer == issuer => {
                return Ok(MetadataAnswer::Metadata(metadata));
            }
            Ok(metadata) => {
                return Err(DiscoveryError::IssuerMismatch {
                    location,
                    found: shown_text(&metadata.issuer),
                    expected: issuer.to_owned(),
                });
            }
            Err(InvalidMetadata::NotAnObject) => not_json_text(answer.bytes(), &answer.sent),
            Err(reason) => reason.to_string(),
        },
        status @ (408 | 429 | 500..) => {
            return Err(DiscoveryError::NotReady {
                location,
                status,
                said: answer.text(),
                retry_after: answer.retry_after,
            });
        }
        status => match (&answer.location, answer.text()) {
            (Some(elsewhere), _) => format!("HTTP {status} to {}", shown_url(elsewhere)),
            (None, Some(said)) => format!("HTTP {status}: {said}"),
            (None, None) => format!("HTTP {status}"),
        },
    };
    Ok(MetadataAnswer::Nothing(what))
}
