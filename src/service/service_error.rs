//! Why the service does not run.

use std::io;
use std::net::SocketAddr;

use crate::app::{Class, OpenAppError, UpdateError, chain};
use crate::local_files::OpenError;
use crate::registrar::BootstrapError;
use crate::state::RingRefusal;
use crate::store::CommitError;

/// Why the service does not start, or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// There is no usable registration.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// The state could not be changed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The setting that names it.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Keys or state cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenAppError),
    /// The state refuses a change that a start has to make.
    #[error(transparent)]
    Refused(RingRefusal),
}

impl From<UpdateError<RingRefusal>> for ServiceError {
    fn from(error: UpdateError<RingRefusal>) -> Self {
        match error {
            UpdateError::Commit(error) => Self::Commit(error),
            UpdateError::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

impl ServiceError {
    /// Who has to act.
    pub fn class(&self) -> Class {
        match self {
            Self::Bootstrap(error) => error.class(),
            Self::Open(OpenAppError::Keys(error)) if error.is_configuration() => {
                Class::Configuration
            }
            Self::Open(OpenAppError::Open(OpenError::Group { .. })) => Class::Configuration,
            Self::Open(OpenAppError::Load(error)) if error.is_newer() => Class::Configuration,
            _ => Class::Failure,
        }
    }

    /// What an operator can do now.
    pub fn hint(&self) -> String {
        match self {
            Self::Bootstrap(error) => error.hint().to_owned(),
            Self::Commit(error) => error.hint().to_owned(),
            Self::Listen { setting, .. } => {
                format!("choose another address in {setting}, or stop what listens there already")
            }
            Self::Open(error) => error.hint().to_owned(),
            Self::Refused(_) => "restore BFF_STATE_DIR and BFF_KEYS_DIR from one backup".to_owned(),
        }
    }

    /// Logs it, as one event. Returns whether the filter of the log allows such an event.
    pub fn log(&self) -> bool {
        let hint = self.hint();
        tracing::error!("{}; hint: {hint}", chain(self));
        tracing::enabled!(tracing::Level::ERROR)
    }
}
