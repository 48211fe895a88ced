//! Where the identity is kept. The only module that writes files.
//!
//! Nothing else in the program knows where the state lives: it is loaded and committed as
//! one document through [`Store`].

mod disk;
mod document;
mod files;

pub use disk::Disk;
pub use disk::DiskFile;
pub use disk::Held;
pub use disk::HostDisk;
pub use disk::Lock;
pub use document::BadDocument;
pub use document::Rev;
pub use document::State;
pub use files::FileStore;
pub use files::OpenError;
pub use files::write_private_file;
pub use files::write_public_file;

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::jose::Kid;
use crate::secret::Secret;

/// Keeps one [`State`] and the private keys that it names.
///
/// All calls block: make them from a thread that may.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The state and its revision; an empty state at revision 0 where there is none yet.
    ///
    /// # Errors
    ///
    /// [`LoadError`]; nothing has been changed then.
    fn load(&self) -> Result<Loaded, LoadError>;

    /// Replaces the state of revision `base`, and returns once the new one would survive a
    /// loss of power.
    ///
    /// # Errors
    ///
    /// [`CommitError`] says whether the new state may be in place.
    fn commit(&self, state: &State, base: Rev) -> Result<Rev, CommitError>;

    /// The PEM of a private key.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`].
    fn read_key(&self, kid: &Kid) -> Result<Secret, KeyFileError>;

    /// The names under which private keys are kept, as [`Kid::file_stem`] makes them, and of
    /// other PEM files that lie among them; sorted.
    ///
    /// # Errors
    ///
    /// Any I/O error.
    fn key_names(&self) -> io::Result<Vec<String>>;

    /// Lets the name `active.pem` lead to the PEM of a key, from one moment to the next.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`]; the name then leads where it did before.
    fn activate(&self, kid: &Kid) -> Result<(), KeyFileError>;

    /// Keeps the PEM of a private key for good. Repeating it with the same PEM is no error.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`], also if another key is kept under this name.
    fn write_key(&self, kid: &Kid, pem: &Secret) -> Result<(), KeyFileError>;
}

/// What a store held.
#[derive(Debug)]
pub struct Loaded {
    /// The state.
    pub state: State,
    /// Its revision.
    pub rev: Rev,
    /// Why this is not the newest revision: the newest could not be read, and the one before
    /// it took its place.
    pub fell_back: Option<BadDocument>,
}

/// Why there is no state to work with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Neither the document nor the revision before it can be used.
    #[error("{path} is not usable ({current}), nor is the revision before it ({previous})")]
    BothBad {
        /// The document.
        path: PathBuf,
        /// What is wrong with it.
        current: BadDocument,
        /// What is wrong with the revision before.
        previous: BadDocument,
    },
    /// A document that a newer version of this program has written.
    #[error("{path} has format version {version}, which this bff does not know")]
    NewerVersion {
        /// The document.
        path: PathBuf,
        /// Its version.
        version: u64,
    },
    /// The document cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The document.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why a commit did not simply succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Somebody else has committed since. The state in place is theirs.
    #[error("the state was changed by somebody else: it is at revision {found}, not {base}")]
    Conflict {
        /// The revision the change was based on.
        base: Rev,
        /// The revision in place.
        found: Rev,
    },
    /// The state in place is the old one.
    #[error("cannot write {path}")]
    NotCommitted {
        /// What could not be written.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The new state may be in place: load again before deciding anything.
    #[error("cannot tell whether {path} was written")]
    Unknown {
        /// The document.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why a private key could not be read or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// There is a file of that name with other contents.
    #[error("{path} exists and holds something else")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// There is no file of that name.
    #[error("there is no {path}")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {path}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl LoadError {
    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::BothBad { .. } => {
                "nothing was changed: restore the state directory (BFF_STATE_DIR) from a backup, \
                 or move both documents away to start with the keys alone"
            }
            Self::NewerVersion { .. } => "run the version of bff that wrote it, or a newer one",
            Self::Unreadable { .. } => {
                "let the user that runs bff read it; BFF_STATE_DIR (default BFF_KEYS_DIR) names \
                 the directory"
            }
        }
    }
}

impl CommitError {
    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "something replaced the state under a running bff; restart it",
            Self::NotCommitted { .. } | Self::Unknown { .. } => WRITABLE,
        }
    }
}

impl KeyFileError {
    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "name the key otherwise (BFF_KID), or move that file away",
            Self::Missing { .. } => {
                "restore the file from a backup of BFF_KEYS_DIR; without it, the registered \
                 client cannot authenticate"
            }
            Self::Unreadable { .. } => "let the user that runs bff read it (BFF_KEYS_DIR)",
            Self::Unwritable { .. } => WRITABLE,
        }
    }
}

/// The hint of every failed write.
const WRITABLE: &str = "let the user that runs bff write to BFF_STATE_DIR and BFF_KEYS_DIR, and \
                        see that the disk is neither full nor mounted read-only";
