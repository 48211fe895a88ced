//! Why a change of the client was refused.

/// Why the registration is as it was.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ClientRefusal {
    /// No registration is waiting for its outcome.
    #[error("no registration is waiting for its outcome")]
    NoAttempt,
    /// No client is to take the place of another.
    #[error("no client is to take the place of another")]
    NoCandidate,
    /// There is no client.
    #[error("no client is registered")]
    NoClient,
    /// No such client is left to be deleted.
    #[error("client `{0}` is not among those that are left to be deleted")]
    NoOrphan(String),
    /// Another client took its place meanwhile.
    #[error("client `{expected}` was expected, and the state names `{found}`")]
    OtherClient {
        /// The client that the change was meant for.
        expected: String,
        /// The client in its place.
        found: String,
    },
}
