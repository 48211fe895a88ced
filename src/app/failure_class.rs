//! Who has to act after a failure.

/// What kind of failure it is, for the exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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
