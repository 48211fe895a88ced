//! Who has to act after a failure.

use serde::{Deserialize, Serialize};

/// What kind of failure it is, for the exit code.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The configuration, here or at the IdP, has to change.
    Configuration,
    /// Something failed.
    Failure,
    /// A token or a key was not accepted.
    NotAccepted,
    /// The IdP is not available.
    Unavailable,
}
