//! Why a bootstrap ended without a usable registration.

use std::time::Duration;

use super::adopt_error::AdoptError;
use super::endpoints_error::EndpointsError;
use super::proof_error::ProofError;
use super::registration_error::RegistrationError;
use crate::app::{Class, FailureReport, Panicked, Stopping, UpdateError, chain};
use crate::config::ConfigError;
use crate::idp::IdpAdminError;
use crate::registration::{Blocked, RefusalKind};
use crate::state::ClientRefusal;
use crate::store::CommitError;

/// The end of a bootstrap that did not reach a usable registration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// A client was not adopted.
    #[error(transparent)]
    Adopt(#[from] AdoptError),
    /// Only an operator can decide.
    #[error("{0}")]
    Blocked(Blocked),
    /// The state could not be changed.
    #[error("the state cannot be stored")]
    Commit(#[from] CommitError),
    /// The endpoints are not known.
    #[error(transparent)]
    Endpoints(#[from] EndpointsError),
    /// The initial access token that is configured is not there.
    #[error("{0}")]
    NoToken(Box<ConfigError>),
    /// A task of the service panicked.
    #[error(transparent)]
    Panicked(#[from] Panicked),
    /// It is not shown that the IdP accepts the key.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The state has changed in between.
    #[error(transparent)]
    Refused(ClientRefusal),
    /// No client was registered.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// The service stops.
    #[error(transparent)]
    Stopping(#[from] Stopping),
}

impl From<UpdateError<ClientRefusal>> for BootstrapError {
    fn from(error: UpdateError<ClientRefusal>) -> Self {
        match error {
            UpdateError::Commit(error) => Self::Commit(error),
            UpdateError::Refused(error) => Self::Refused(error),
        }
    }
}

impl From<IdpAdminError> for BootstrapError {
    fn from(error: IdpAdminError) -> Self {
        RegistrationError::from(error).into()
    }
}

impl BootstrapError {
    /// Who has to act.
    pub fn class(&self) -> Class {
        match self {
            Self::Blocked(
                Blocked::ClientGone { .. }
                | Blocked::RequestRefused { .. }
                | Blocked::TokenRefused { .. }
                | Blocked::TokenSpent,
            ) => Class::NotAccepted,
            Self::Blocked(Blocked::IssuerChanged { .. }) | Self::NoToken(_) => Class::Configuration,
            Self::Blocked(_)
            | Self::Commit(_)
            | Self::Panicked(_)
            | Self::Refused(_)
            | Self::Stopping(_) => Class::Failure,
            Self::Adopt(error) => error.class(),
            Self::Endpoints(error) => error.class(),
            Self::Proof(error) => error.class(),
            Self::Registration(error) => error.class(),
        }
    }

    /// Whether a retry with nothing changed can help and does no harm.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Registration(RegistrationError::OutcomeUnknown { .. }) => false,
            Self::Registration(RegistrationError::Refused { refused, .. }) => {
                refused.kind() == RefusalKind::Request
            }
            // The IdP's policy may be changed meanwhile, and the pause is remembered. The IdP may not
            // have fetched our keys yet, or may remember a failed fetch.
            Self::Blocked(Blocked::RequestRefused { .. })
            | Self::Proof(ProofError::Rejected { .. }) => true,
            Self::Endpoints(error) => error.is_transient(),
            _ => self.class() == Class::Unavailable,
        }
    }

    /// Whether it says nothing against the stored registration, which then goes on serving and
    /// signing: the IdP is down, or refused something else.
    pub fn spares_the_registration(&self) -> bool {
        !matches!(
            self,
            Self::Blocked(Blocked::ClientGone { .. } | Blocked::IssuerChanged { .. })
                | Self::Proof(
                    ProofError::Algorithm(_)
                        | ProofError::NoClient
                        | ProofError::NoSigner(_)
                        | ProofError::Rejected { .. }
                )
        )
    }

    /// The pause that the IdP asks for before it is asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Blocked(Blocked::RequestRefused { left_s, .. }) => {
                Some(Duration::from_secs(*left_s))
            }
            Self::Registration(RegistrationError::Refused { refused, .. }) => {
                Some(Duration::from_secs(refused.pause_s()))
            }
            Self::Endpoints(error) => error.retry_after(),
            Self::Proof(ProofError::Unproven(proof)) => proof.retry_after,
            _ => None,
        }
    }

    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Adopt(error) => error.hint(),
            Self::Blocked(reason) => reason.hint(),
            Self::Commit(error) => error.hint(),
            Self::Endpoints(error) => error.hint(),
            Self::NoToken(_) => {
                "put a token from `bff mint-iat` into that file, or set DCR_IAT, to register"
            }
            Self::Panicked(_) => "report this as a defect of bff, with the log before it",
            Self::Proof(error) => error.hint(),
            Self::Refused(_) => "start again; `bff status` shows what is registered",
            Self::Registration(error) => error.hint(),
            Self::Stopping(_) => "start `bff serve`, or run the command again, to go on",
        }
    }

    /// The error as it is reported to who ordered the bootstrap.
    pub fn report(&self) -> FailureReport {
        FailureReport {
            error: self.chain(),
            hint: self.hint().to_owned(),
            class: self.class(),
        }
    }

    /// The error with its causes, on one line.
    pub fn chain(&self) -> String {
        chain(self)
    }
}
