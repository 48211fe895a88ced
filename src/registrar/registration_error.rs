//! Why a registration did not come about.

use crate::app::Class;
use crate::idp::IdpAdminError;
use crate::registration::{Refused, RefusedBecause};
use crate::transport::SendError;

/// Why a registration did not come about. Variants by what has to be done about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistrationError {
    /// The algorithm of our key is none of those that the IdP takes.
    #[error("the key signs with {alg}, and the IdP supports only {}", .offered.join(", "))]
    AlgorithmNotOffered {
        /// Ours.
        alg: String,
        /// `token_endpoint_auth_signing_alg_values_supported`.
        offered: Vec<String>,
    },
    /// No initial access token could be minted.
    #[error("no initial access token could be minted")]
    Mint(#[from] IdpAdminError),
    /// The registration could not be sent.
    #[error("the registration was not sent")]
    NotSent(#[source] SendError),
    /// The registration was sent, and its outcome is not known.
    #[error("the outcome of the registration at {endpoint} is unknown: {what}")]
    OutcomeUnknown {
        /// Where it was sent.
        endpoint: String,
        /// What was received instead of an answer.
        what: String,
    },
    /// The IdP refused the registration.
    #[error("the IdP refused the registration: {refused}")]
    Refused {
        /// Its answer.
        refused: Refused,
        /// Whether an initial access token went with the request.
        with_token: bool,
    },
    /// The IdP registered a client that cannot authenticate with a key.
    #[error(
        "the IdP registered `{client_id}` with token_endpoint_auth_method {granted}, not \
         private_key_jwt{}", if *.deleted { "; it was deleted again" } else { "" }
    )]
    Unusable {
        /// The client.
        client_id: String,
        /// What was granted.
        granted: String,
        /// Whether the client is gone again.
        deleted: bool,
    },
}

impl RegistrationError {
    /// Who has to act.
    pub fn class(&self) -> Class {
        match self {
            Self::Mint(IdpAdminError::Unreachable(error)) | Self::NotSent(error)
                if error.hint().is_some() =>
            {
                Class::Configuration
            }
            Self::Mint(IdpAdminError::Unreachable(_))
            | Self::NotSent(_)
            | Self::OutcomeUnknown { .. } => Class::Unavailable,
            Self::Refused { refused, .. } => match refused.because {
                RefusedBecause::Policy | RefusedBecause::Rights | RefusedBecause::Token => {
                    Class::NotAccepted
                }
                RefusedBecause::RateLimit => Class::Unavailable,
                _ => Class::Configuration,
            },
            Self::Mint(IdpAdminError::NotAccepted { .. }) => Class::NotAccepted,
            Self::AlgorithmNotOffered { .. } => Class::Configuration,
            Self::Mint(_) | Self::Unusable { .. } => Class::Failure,
        }
    }

    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::AlgorithmNotOffered { .. } => {
                "set BFF_SIGNING_ALG to one of these that fits the key, or name another key in \
                 BFF_JWT_SIGNING_KEY"
            }
            Self::Mint(error) => error.hint(),
            Self::NotSent(error) if error.hint().is_some() => error.hint().unwrap_or_default(),
            Self::NotSent(_) => {
                "no token was spent: check the network and the IdP's health (for a private CA: \
                 BFF_CA_FILE), then start again"
            }
            Self::OutcomeUnknown { .. } => {
                "a client may exist: take it over with `bff register --adopt`, or delete it at the \
                 IdP and set a fresh DCR_IAT from `bff mint-iat`; nothing is sent again"
            }
            Self::Refused {
                refused,
                with_token: false,
            } if refused.because == RefusedBecause::Token => {
                "no initial access token is set: mint one with `bff mint-iat` and set it as DCR_IAT"
            }
            Self::Refused { refused, .. } => refused.hint(),
            Self::Unusable { .. } => {
                "allow private_key_jwt for dynamically registered clients at the IdP (its policy \
                 or DCR_CLIENT_PROFILE), then mint a fresh token with `bff mint-iat` for DCR_IAT"
            }
        }
    }
}
