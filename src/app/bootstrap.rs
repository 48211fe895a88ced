//! Why a bootstrap ended without a usable registration.

use std::io;
use std::path::PathBuf;

use crate::idp::{AdminError, ClientError, DiscoveryError, SendError};
use crate::jose::SignError;
use crate::registration::{Reason, Refused, RefusedBecause};
use crate::store::CommitError;

use super::Proof;

/// The end of a bootstrap that did not reach a usable registration.
///
/// Variants by what has to be done about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// The algorithm of our key is none of those that the IdP takes.
    #[error("the key signs with {alg}, and the IdP takes only {}", .offered.join(", "))]
    AlgorithmNotOffered {
        /// Ours.
        alg: String,
        /// `token_endpoint_auth_signing_alg_values_supported`.
        offered: Vec<String>,
    },
    /// The state could not be changed.
    #[error("the state cannot be stored")]
    Commit(#[from] CommitError),
    /// The extra trust anchors, or TLS as a whole.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The endpoints are not known.
    #[error("the IdP's endpoints cannot be found out")]
    Discovery(#[from] DiscoveryError),
    /// An endpoint that cannot be used as it is.
    #[error("the IdP's {name} `{url}` cannot be used: {reason}")]
    Endpoint {
        /// Its name in the metadata.
        name: &'static str,
        /// What the metadata says.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No initial access token could be minted.
    #[error("no initial access token could be minted")]
    Mint(#[from] AdminError),
    /// `SKIP_DCR_BOOTSTRAP`, and nothing is stored.
    #[error("there is no stored registration, and registering is switched off")]
    NothingStored,
    /// The registration could not be sent.
    #[error("the registration was not sent")]
    NotSent(#[source] SendError),
    /// The registration was sent, and what came of it is not known.
    #[error("the outcome of the registration at {endpoint} is unknown: {what}")]
    OutcomeUnknown {
        /// Where it was sent.
        endpoint: String,
        /// What was received instead of an answer.
        what: String,
    },
    /// Only an operator can decide.
    #[error("{0}")]
    Plan(Reason),
    /// The IdP does not accept the key.
    #[error("the IdP does not accept key `{}` of client `{client_id}`{}", .proof.kid, said(.proof))]
    Rejected {
        /// The client.
        client_id: String,
        /// The proof that failed.
        proof: Box<Proof>,
        /// Whether anybody has fetched the JWK Set since the start.
        fetched: bool,
        /// Whether the client was registered just now.
        fresh: bool,
    },
    /// The IdP refused the registration.
    #[error("the IdP refused the registration: {refused}")]
    Refused {
        /// Its answer.
        refused: Refused,
        /// Whether an initial access token went with the request.
        with_token: bool,
    },
    /// No assertion could be made.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The client to be replaced could not be deleted.
    #[error(
        "client `{client_id}` has to go before it can be replaced, and was not deleted: {what}"
    )]
    StillThere {
        /// The client.
        client_id: String,
        /// What the IdP said.
        what: String,
    },
    /// The extra trust anchors cannot be read.
    #[error("cannot read {}", .path.display())]
    TrustAnchors {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The IdP did not answer the proof.
    #[error("the IdP did not say whether it accepts key `{}`{}", .0.kid, said(.0))]
    Unproven(Box<Proof>),
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

/// What kind of failure it is, for the exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// The configuration, here or at the IdP, has to change.
    Configuration,
    /// Something failed.
    Failure,
    /// A token or a key was not accepted.
    NotAccepted,
    /// The IdP is not there, or not well.
    Unavailable,
}

impl BootstrapError {
    /// What kind of failure it is.
    pub fn class(&self) -> Class {
        match self {
            Self::Discovery(error) if error.is_transient() => Class::Unavailable,
            Self::NotSent(_) | Self::OutcomeUnknown { .. } | Self::Unproven(_) => {
                Class::Unavailable
            }
            Self::Refused { refused, .. } => match refused.because {
                RefusedBecause::Token => Class::NotAccepted,
                RefusedBecause::RateLimit => Class::Unavailable,
                _ => Class::Configuration,
            },
            Self::Rejected { .. }
            | Self::Mint(AdminError::NotAccepted { .. })
            | Self::Plan(Reason::ClientGone { .. }) => Class::NotAccepted,
            Self::Mint(AdminError::Unreachable(_)) => Class::Unavailable,
            Self::AlgorithmNotOffered { .. }
            | Self::Client(_)
            | Self::Discovery(_)
            | Self::Endpoint { .. }
            | Self::NothingStored
            | Self::TrustAnchors { .. }
            | Self::Plan(Reason::IssuerChanged { .. }) => Class::Configuration,
            Self::Commit(_)
            | Self::Mint(_)
            | Self::Plan(_)
            | Self::Sign(_)
            | Self::StillThere { .. }
            | Self::Unusable { .. } => Class::Failure,
        }
    }

    /// Whether trying again, without anybody changing anything, can help and does no harm.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::OutcomeUnknown { .. } => false,
            // An IdP that has not fetched our keys yet, or remembers that it could not.
            Self::Rejected { .. } => true,
            _ => self.class() == Class::Unavailable,
        }
    }

    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::AlgorithmNotOffered { .. } => {
                "set BFF_SIGNING_ALG to one of these that fits the key, or start with another key"
            }
            Self::Commit(error) => error.hint(),
            Self::Client(_) | Self::TrustAnchors { .. } => {
                "check BFF_CA_FILE: PEM certificates, the root's among them"
            }
            Self::Discovery(error) => error.hint(),
            Self::Endpoint { .. } => {
                "set DCR_REGISTRATION_ENDPOINT and OIDC_TOKEN_URL; for plain http in a container \
                 network, BFF_ALLOW_INSECURE_HTTP=true"
            }
            Self::Mint(error) => error.hint(),
            Self::NothingStored => {
                "set SKIP_DCR_BOOTSTRAP=false to register, or restore BFF_STATE_DIR from a backup"
            }
            Self::NotSent(_) => {
                "nothing was spent: check the network and the IdP's health (for a private CA: \
                 BFF_CA_FILE), then start again"
            }
            Self::OutcomeUnknown { .. } => {
                "a client may exist: look for it at the IdP and delete it, then mint a fresh \
                 token with `bff mint-iat` and set it as DCR_IAT; until then nothing is sent again"
            }
            Self::Plan(reason) => reason.hint(),
            Self::Refused {
                refused,
                with_token: false,
            } if refused.because == RefusedBecause::Token => {
                "no initial access token is set: mint one with `bff mint-iat` and set it as DCR_IAT"
            }
            Self::Refused { refused, .. } => refused.hint(),
            Self::Rejected { proof, .. } if proof.clocks_differ => {
                "let both clocks follow the same time (NTP): an assertion is good for a minute, \
                 and the IdP judges it by its own clock; then start again"
            }
            Self::Rejected {
                fetched: false,
                fresh: true,
                ..
            } => {
                "nobody has fetched our JWK Set since this start: the IdP probably cannot or will \
                 not reach BFF_BASE_URL (or DCR_JWKS_URI); make it reachable from the IdP's host, \
                 or set DCR_JWKS=value"
            }
            Self::Rejected { fetched: false, .. } => {
                "nobody has fetched our JWK Set since this start: if the IdP cannot or will not \
                 reach BFF_BASE_URL (or DCR_JWKS_URI), make it reachable from the IdP's host, or \
                 set DCR_JWKS=value; see at the IdP whether the client still exists; if it is \
                 gone, mint a token with `bff mint-iat` and set DCR_IAT with \
                 DCR_FORCE_REPLACE=true; if BFF_KEYS_DIR or BFF_STATE_DIR was restored, both must \
                 be from the same time"
            }
            Self::Rejected { fresh: false, .. } => {
                "authentication method, private key and published JWK Set must be one pair: check \
                 that the client still exists at the IdP, that the IdP can reach the JWK Set, and \
                 that BFF_KEYS_DIR and BFF_STATE_DIR are from the same time; if the client is gone, \
                 mint a token with `bff mint-iat` and set DCR_IAT with DCR_FORCE_REPLACE=true"
            }
            Self::Rejected { .. } => {
                "authentication method, private key and published JWK Set must be one pair: see \
                 what the IdP's log says of the client assertion; BFF_ASSERTION_AUDIENCE and \
                 BFF_SIGNING_ALG change it"
            }
            Self::Sign(_) => "see that the machine has memory and /dev/urandom",
            Self::StillThere { .. } => {
                "delete the client at the IdP, or set BOOTSTRAP_ADMIN_TOKEN to have its token \
                 renewed, or wish for another DCR_CLIENT_ID (or none)"
            }
            Self::Unproven(_) => "check the IdP's health and OIDC_TOKEN_URL, then start again",
            Self::Unusable { .. } => {
                "allow private_key_jwt for dynamically registered clients at the IdP (its policy \
                 or DCR_CLIENT_PROFILE), then mint a fresh token with `bff mint-iat` for DCR_IAT"
            }
        }
    }

    /// The error with its causes, on one line.
    pub fn chain(&self) -> String {
        super::chain(self)
    }
}

fn said(proof: &Proof) -> String {
    match &proof.said {
        Some(said) => format!(": {said}"),
        None => String::new(),
    }
}
