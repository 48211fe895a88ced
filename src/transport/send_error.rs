//! Why there is no answer.

use std::error::Error;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection was made: nobody has seen the request.
    #[error("cannot connect to {url}")]
    NotSent {
        /// Where it was to go.
        url: String,
        /// Why it did not.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The request left, and no whole answer came back.
    #[error("incomplete response from {url}")]
    Unknown {
        /// Where it went.
        url: String,
        /// What came instead.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl SendError {
    /// Whether nobody has seen the request, so that it can be sent again.
    pub fn is_not_sent(&self) -> bool {
        matches!(self, Self::NotSent { .. })
    }
}
