//! How a command ends.

use std::process::ExitCode;

use anyhow::Error;

use super::output;
use crate::app::{Class, Panicked, ReencryptError};
use crate::config::ConfigErrors;
use crate::idp::IdpAdminError;
use crate::registrar::{BootstrapError, EndpointsError};
use crate::service::ServiceError;
use crate::store::{KeyStoreError, LoadError};

/// Exit codes, after `sysexits.h`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// The command line makes no sense.
    CommandLine,
    /// A setting has to change.
    Configuration,
    /// A check or an action failed.
    Failure,
    /// A token or a key was not accepted.
    NotAccepted,
    /// All went well.
    Success,
    /// The IdP is not there, or not well.
    Unavailable,
}

/// An error on its way to the operator.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The code to exit with.
    pub(crate) exit: Exit,
    /// What went wrong.
    pub(crate) error: Error,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// Whether the log has told it already.
    pub(super) reported: bool,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::CommandLine => 64,
            Exit::Unavailable => 69,
            Exit::NotAccepted => 77,
            Exit::Configuration => 78,
        })
    }
}

impl Failure {
    /// A failure with a way out.
    pub(super) fn new(exit: Exit, error: impl Into<Error>, hint: impl Into<String>) -> Self {
        Self {
            exit,
            error: error.into(),
            hint: Some(hint.into()),
            reported: false,
        }
    }

    /// Tells the operator on standard error, unless the log has.
    pub(super) fn report(&self) {
        if !self.reported {
            output::report(&self.error, self.hint.as_deref());
        }
    }
}

impl From<Class> for Exit {
    fn from(class: Class) -> Self {
        match class {
            Class::Configuration => Self::Configuration,
            Class::Failure => Self::Failure,
            Class::NotAccepted => Self::NotAccepted,
            Class::Unavailable => Self::Unavailable,
        }
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        let (exit, hint) = (error.class().into(), error.hint());
        Self::new(exit, error, hint)
    }
}

impl From<BootstrapError> for Failure {
    fn from(error: BootstrapError) -> Self {
        ServiceError::from(error).into()
    }
}

impl From<EndpointsError> for Failure {
    fn from(error: EndpointsError) -> Self {
        BootstrapError::from(error).into()
    }
}

impl From<Panicked> for Failure {
    fn from(panicked: Panicked) -> Self {
        BootstrapError::from(panicked).into()
    }
}

impl From<ReencryptError> for Failure {
    fn from(error: ReencryptError) -> Self {
        let exit = match &error {
            ReencryptError::Passphrase { .. } => Exit::Configuration,
            ReencryptError::Load(error) if error.is_newer() => Exit::Configuration,
            _ => Exit::Failure,
        };
        let hint = error.hint();
        Self::new(exit, error, hint)
    }
}

impl From<IdpAdminError> for Failure {
    fn from(error: IdpAdminError) -> Self {
        let exit = match &error {
            IdpAdminError::NotAccepted { .. } => Exit::NotAccepted,
            IdpAdminError::Unreachable(error) if error.hint().is_some() => Exit::Configuration,
            IdpAdminError::Unreachable(_) => Exit::Unavailable,
            IdpAdminError::Refused { status, .. } if *status >= 500 => Exit::Unavailable,
            _ => Exit::Failure,
        };
        let hint = error.hint();
        Self::new(exit, error, hint)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let exit = if error.is_newer() {
            Exit::Configuration
        } else {
            Exit::Failure
        };
        let hint = error.hint();
        Self::new(exit, error, hint)
    }
}

impl From<KeyStoreError> for Failure {
    fn from(error: KeyStoreError) -> Self {
        let hint = error.hint();
        Self::new(Exit::Failure, error, hint)
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::new(
            Exit::Configuration,
            Error::msg(format!("the configuration has mistakes\n{errors}")),
            "config/bff.toml documents every setting; nothing was started",
        )
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self {
            exit: Exit::Failure,
            error: error.into(),
            hint: None,
            reported: false,
        }
    }
}
