//! Why there is no answer.

use std::error::Error;

use super::failure_cause::FailureCause;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection was made: the request was not sent.
    #[error("cannot connect to {url}")]
    NotSent {
        /// Where it was to go.
        url: String,
        /// Why it did not.
        source: Box<dyn Error + Send + Sync>,
        /// The same, as far as it is known.
        cause: FailureCause,
    },
    /// The request was sent, and no complete answer was received.
    #[error("incomplete response from {url}")]
    Unknown {
        /// Where it went.
        url: String,
        /// What came instead.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl SendError {
    /// Why there was no connection, as far as it is known.
    pub fn cause(&self) -> FailureCause {
        match self {
            Self::NotSent { cause, .. } => *cause,
            Self::Unknown { .. } => FailureCause::Other,
        }
    }

    /// What an operator has to change, where waiting cannot help.
    pub fn hint(&self) -> Option<&'static str> {
        self.cause().hint()
    }

    /// Whether the request was certainly not sent, so that it can be sent again.
    pub fn is_not_sent(&self) -> bool {
        matches!(self, Self::NotSent { .. })
    }
}
