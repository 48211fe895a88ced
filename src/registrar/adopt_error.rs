//! Why a client was not adopted.

use crate::app::Class;
use crate::registration::{InvalidAdoptee, Proof};

/// Why a client was not adopted. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// What was named is no client.
    #[error(transparent)]
    Invalid(#[from] InvalidAdoptee),
    /// The IdP does not accept our key as that client's.
    #[error("the IdP does not accept key `{}` as client `{client_id}`{}; nothing was changed",
        .proof.kid, said(.proof))]
    NotAccepted {
        /// The client.
        client_id: String,
        /// The proof that failed.
        proof: Box<Proof>,
    },
    /// The registration could not be read with the token that was given.
    #[error("client `{client_id}` could not be read: {what}; nothing was changed")]
    NotRead {
        /// The client.
        client_id: String,
        /// What was received.
        what: String,
    },
    /// The URI is that of another client.
    #[error("the registration_client_uri is that of client `{found}`, not of `{client_id}`")]
    OtherClient {
        /// The client that was named.
        client_id: String,
        /// The client that the IdP names.
        found: String,
    },
    /// The URI is on another server.
    #[error("the registration_client_uri is not on the origin of {endpoint}")]
    OtherOrigin {
        /// The registration endpoint.
        endpoint: String,
    },
    /// The IdP does not accept the token.
    #[error(
        "the IdP does not accept the registration access token of client `{client_id}` (HTTP \
         {status}); nothing was changed"
    )]
    TokenNotAccepted {
        /// The client.
        client_id: String,
        /// Its answer.
        status: u16,
    },
    /// The IdP did not answer the proof.
    #[error("the IdP did not say whether it accepts key `{}` as client `{client_id}`{}; nothing was \
        changed", .proof.kid, said(.proof))]
    Unproven {
        /// The client.
        client_id: String,
        /// The proof.
        proof: Box<Proof>,
    },
}

impl AdoptError {
    /// Who has to act.
    pub fn class(&self) -> Class {
        match self {
            Self::Invalid(_) | Self::OtherOrigin { .. } => Class::Configuration,
            Self::NotAccepted { .. } | Self::OtherClient { .. } | Self::TokenNotAccepted { .. } => {
                Class::NotAccepted
            }
            Self::NotRead { .. } | Self::Unproven { .. } => Class::Unavailable,
        }
    }

    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Invalid(error) => error.hint(),
            Self::NotAccepted { .. } => {
                "the client at the IdP must have our keys: set its jwks_uri to \
                 /.well-known/jwks.json below BFF_BASE_URL, or name another client"
            }
            Self::NotRead { .. } => {
                "check the IdP's health and --registration-client-uri, then order it again; the \
                 read may have ended the token"
            }
            Self::OtherClient { .. } => {
                "give the --registration-client-uri and the token of the client that is to be adopted"
            }
            Self::OtherOrigin { .. } => {
                "give the registration_client_uri as the IdP does; a token goes to the IdP that \
                 registers alone (DCR_REGISTRATION_ENDPOINT)"
            }
            Self::TokenNotAccepted { .. } => {
                "have the IdP's administrator renew the token, or adopt the client without one"
            }
            Self::Unproven { .. } => {
                "check the IdP's health and OIDC_TOKEN_URL, then order it again"
            }
        }
    }
}

fn said(proof: &Proof) -> String {
    match &proof.said {
        Some(said) => format!(" ({said})"),
        None => String::new(),
    }
}
