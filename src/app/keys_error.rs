//! Why there is no key to sign with.

use std::io;
use std::path::PathBuf;

use super::ledger::UpdateError;
use crate::jose::{Kid, LoadKeyError, MakeKeyError};
use crate::state::RingRefusal;
use crate::store::{CommitError, KeyStoreError};

/// Why there is no key to sign with, or no new one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The state could not be changed.
    #[error("cannot store which key signs")]
    Commit(#[from] CommitError),
    /// The file of a key in the ring does not hold a usable key.
    #[error("the file of key `{kid}` cannot be used")]
    Damaged {
        /// The key.
        kid: Kid,
        /// Why.
        source: LoadKeyError,
    },
    /// The file of a key holds another key than the published one.
    #[error("the file of key `{kid}` holds another key than the one that is published")]
    Exchanged {
        /// The key.
        kid: Kid,
    },
    /// A private key could not be read or kept.
    #[error("the file of key `{kid}` cannot be used")]
    File {
        /// The key.
        kid: Kid,
        /// Why.
        source: KeyStoreError,
    },
    /// The configured PEM cannot be used as a signing key.
    #[error("the signing key {path} cannot be used")]
    Import {
        /// The file.
        path: PathBuf,
        /// Why.
        source: LoadKeyError,
    },
    /// A client is registered, but there is no key: a new one would not be its key.
    #[error("a client is registered, but the state names no key")]
    KeyOfClientMissing,
    /// No new key could be made.
    #[error("cannot make a signing key")]
    Make(#[from] MakeKeyError),
    /// The state refuses the key.
    #[error(transparent)]
    Refused(#[from] RingRefusal),
    /// The volume holds PEM files, and no setting names the one to sign with.
    #[error(
        "{} already holds PEM files ({}), and no setting names the one to sign with",
        .directory.display(), .names.join(", ")
    )]
    Strays {
        /// The keys directory.
        directory: PathBuf,
        /// The files, without `.pem`.
        names: Vec<String>,
    },
    /// The keys directory cannot be listed.
    #[error("cannot list {}", .directory.display())]
    Unlisted {
        /// The keys directory.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The named PEM cannot be written.
    #[error("cannot write the signing key {}", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The named PEM cannot be read.
    #[error("cannot read the signing key {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl From<UpdateError<RingRefusal>> for KeysError {
    fn from(error: UpdateError<RingRefusal>) -> Self {
        match error {
            UpdateError::Commit(error) => Self::Commit(error),
            UpdateError::Refused(error) => Self::Refused(error),
        }
    }
}

/// The hint for a key file that was changed or removed.
const RESTORE: &str = "restore the file from a backup of BFF_KEYS_DIR";

impl KeysError {
    /// Whether the configuration has to change, rather than the machine.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Import { .. } | Self::Strays { .. } | Self::Unreadable { .. }
        )
    }

    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Commit(error) => error.hint(),
            Self::Damaged { source, .. } => match source {
                LoadKeyError::BadPassphrase | LoadKeyError::PassphraseMissing => source.hint(),
                _ => RESTORE,
            },
            Self::Exchanged { .. } => RESTORE,
            Self::File { source, .. } => source.hint(),
            Self::Import { source, .. } => source.hint(),
            Self::KeyOfClientMissing | Self::Refused(_) => {
                "restore the state and the keys (BFF_STATE_DIR, BFF_KEYS_DIR) from one backup"
            }
            Self::Make(_) => "check that the machine has free memory and /dev/urandom",
            Self::Strays { .. } => {
                "name the one to sign with in BFF_JWT_SIGNING_KEY, or give this service an empty \
                 BFF_KEYS_DIR to have a key made"
            }
            Self::Unlisted { .. } => "let the user that runs bff read BFF_KEYS_DIR",
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "correct BFF_JWT_SIGNING_KEY, or make the file with `bff keys generate --out \
                 FILE`; bff makes it only as the first PEM directly in an empty BFF_KEYS_DIR"
            }
            Self::Unwritable { .. } => "let the user that runs bff write to BFF_KEYS_DIR",
            Self::Unreadable { .. } => {
                "let the user that runs bff read the file that BFF_JWT_SIGNING_KEY names"
            }
        }
    }
}
