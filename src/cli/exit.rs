//! How a command ends.

use std::process::ExitCode;

use anyhow::Error;

use super::output;
use crate::app::{BootstrapError, Class, StartError};
use crate::config::ConfigErrors;
use crate::store::CommitError;

/// Exit codes, after `sysexits.h`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
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
pub struct Failure {
    /// The code to exit with.
    pub exit: Exit,
    /// What went wrong.
    pub error: Error,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether the log has told it already.
    pub reported: bool,
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
    pub fn new(exit: Exit, error: impl Into<Error>, hint: impl Into<String>) -> Self {
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

    /// Tells it in the log, as one event.
    pub(super) fn log(mut self) -> Self {
        let hint = self.hint.as_deref().unwrap_or("see the cause");
        let error = output::one_line(&self.error);
        tracing::error!(hint, "{error}; hint: {hint}");
        self.reported = true;
        self
    }
}

impl From<BootstrapError> for Failure {
    fn from(error: BootstrapError) -> Self {
        let exit = match error.class() {
            Class::Configuration => Exit::Configuration,
            Class::Failure => Exit::Failure,
            Class::NotAccepted => Exit::NotAccepted,
            Class::Unavailable => Exit::Unavailable,
        };
        let hint = error.hint();
        Self::new(exit, error, hint)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let exit = match &error {
            StartError::Keys(error) if error.is_configuration() => Exit::Configuration,
            _ => Exit::Failure,
        };
        let hint = error.hint();
        Self::new(exit, error, hint)
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
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
