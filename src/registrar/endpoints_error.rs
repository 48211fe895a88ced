//! Why the IdP's endpoints are not known.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::app::Class;
use crate::idp::DiscoveryError;
use crate::oauth::InvalidUrl;
use crate::transport::ClientError;

/// Why the IdP's endpoints cannot be found, or called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointsError {
    /// The extra trust anchors, or TLS as a whole.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The endpoints are not known.
    #[error("the IdP's endpoints cannot be discovered")]
    Discovery(#[from] DiscoveryError),
    /// An endpoint in the metadata that cannot be used as it is.
    #[error("the {name} in the IdP's metadata cannot be used: {reason}, got \"{url}\"")]
    Endpoint {
        /// Its name in the metadata.
        name: &'static str,
        /// What the metadata says.
        url: String,
        /// What is wrong with it.
        reason: InvalidUrl,
    },
    /// An endpoint that is not in the metadata.
    #[error("the IdP's metadata does not name its {name}")]
    NoEndpoint {
        /// Its name in the metadata.
        name: &'static str,
    },
    /// The extra trust anchors cannot be read.
    #[error("cannot read {}", .path.display())]
    TrustAnchors {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The name of the token endpoint in the metadata (RFC 8414 §2).
pub(super) const TOKEN: &str = "token_endpoint";

impl EndpointsError {
    /// Who has to act.
    pub fn class(&self) -> Class {
        match self {
            Self::Discovery(error) if error.is_outage() => Class::Unavailable,
            _ => Class::Configuration,
        }
    }

    /// Whether asking again later can help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Discovery(error) if error.is_transient())
    }

    /// The pause that the IdP asks for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Discovery(error) => error.retry_after(),
            _ => None,
        }
    }

    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Client(_) | Self::TrustAnchors { .. } => {
                "set BFF_CA_FILE to a file of PEM certificates that holds the root certificate"
            }
            Self::Discovery(error) => error.hint(),
            Self::Endpoint {
                reason: InvalidUrl::Insecure,
                ..
            } => {
                "have the IdP announce https, or set BFF_ALLOW_INSECURE_HTTP=true in a container network"
            }
            Self::Endpoint { name, .. } | Self::NoEndpoint { name } if *name == TOKEN => {
                "set OIDC_TOKEN_URL to the IdP's token endpoint"
            }
            Self::Endpoint { .. } | Self::NoEndpoint { .. } => {
                "enable dynamic client registration at the IdP, or set DCR_REGISTRATION_ENDPOINT to \
                 its registration endpoint"
            }
        }
    }
}
