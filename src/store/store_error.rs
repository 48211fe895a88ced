//! Why something could not be loaded or kept. Each error has the hint of the store that it is from.

use std::io;

use super::bad_document::BadDocument;
use super::place::Place;
use crate::state::Rev;

/// Why there is no state to work with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Neither the document nor the revision before it can be used.
    #[error("neither {place} ({current}) nor the revision before it ({previous}) can be used")]
    BothBad {
        /// The document.
        place: Place,
        /// What is wrong with it.
        current: BadDocument,
        /// What is wrong with the revision before.
        previous: BadDocument,
        /// What an operator can do.
        hint: &'static str,
    },
    /// A document that a newer version of this program has written in the format that this one
    /// knows.
    #[error("{place} is intact, and this bff does not know all that is in it")]
    NewerContents {
        /// The document.
        place: Place,
    },
    /// A document that a newer version of this program has written.
    #[error("{place} has format version {version}, which this bff does not know")]
    NewerVersion {
        /// The document.
        place: Place,
        /// Its version.
        version: u64,
    },
    /// The document cannot be read.
    #[error("cannot read {place}")]
    Unreadable {
        /// The document.
        place: Place,
        /// Why.
        source: io::Error,
        /// What an operator can do.
        hint: &'static str,
    },
}

/// Why a commit did not simply succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Another process has committed since; its state is in place.
    #[error("another process has changed the state: it is at revision {found}, not {base}")]
    Conflict {
        /// The revision the change was based on.
        base: Rev,
        /// The revision in place.
        found: Rev,
    },
    /// The state in place is the old one.
    #[error("cannot write {place}")]
    NotCommitted {
        /// What could not be written.
        place: Place,
        /// Why.
        source: io::Error,
        /// What an operator can do.
        hint: &'static str,
    },
    /// The new state may be in place: load again before deciding anything.
    #[error("cannot tell whether {place} was written")]
    Unknown {
        /// The document.
        place: Place,
        /// Why.
        source: io::Error,
        /// What an operator can do.
        hint: &'static str,
    },
}

/// Why a private key could not be read or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyStoreError {
    /// Another key is kept under this key ID.
    #[error("{place} exists with other contents")]
    Exists {
        /// Where.
        place: Place,
    },
    /// No key is kept under this key ID.
    #[error("{place} is missing")]
    Missing {
        /// Where it was looked for.
        place: Place,
        /// What an operator can do.
        hint: &'static str,
    },
    /// The key cannot be read.
    #[error("cannot read {place}")]
    Unreadable {
        /// Where.
        place: Place,
        /// Why.
        source: io::Error,
        /// What an operator can do.
        hint: &'static str,
    },
    /// The key cannot be written.
    #[error("cannot write {place}")]
    Unwritable {
        /// Where.
        place: Place,
        /// Why.
        source: io::Error,
        /// What an operator can do.
        hint: &'static str,
    },
}

impl LoadError {
    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::BothBad { hint, .. } | Self::Unreadable { hint, .. } => hint,
            Self::NewerContents { .. } | Self::NewerVersion { .. } => {
                "run the version of bff that wrote it, or a newer one"
            }
        }
    }

    /// Whether the document is as a newer version of this program has written it, so that the
    /// program has to be exchanged and not the document.
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::NewerContents { .. } | Self::NewerVersion { .. })
    }
}

impl CommitError {
    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "stop the other process, or give each its own BFF_STATE_DIR",
            Self::NotCommitted { hint, .. } | Self::Unknown { hint, .. } => hint,
        }
    }
}

impl KeyStoreError {
    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "choose another key ID (BFF_KID), or move that file away",
            Self::Missing { hint, .. }
            | Self::Unreadable { hint, .. }
            | Self::Unwritable { hint, .. } => hint,
        }
    }
}
