//! Why the directories of keys and state cannot be used.

use std::io;
use std::path::PathBuf;

/// Why the directories cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// This process may not give files to the group that may read keys.
    #[error("bff is not a member of group {group} (BFF_KEYS_GROUP), so it cannot give keys to it")]
    Group {
        /// The group.
        group: u32,
    },
    /// Another process owns the directories.
    #[error("{path} is locked by another bff ({owner})")]
    Locked {
        /// The directory, or the lock file in it.
        path: PathBuf,
        /// What the owner wrote into the lock file.
        owner: String,
    },
    /// The directory cannot be made, read or written.
    #[error("cannot use the directory {path}")]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl OpenError {
    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Group { .. } => {
                "add the user that runs bff to that group (in a container: --group-add, group_add, \
                 supplementalGroups), or change BFF_KEYS_GROUP"
            }
            Self::Locked { .. } => {
                "stop the other bff, or give each its own BFF_KEYS_DIR and BFF_STATE_DIR"
            }
            Self::Unusable { source, .. }
                if matches!(
                    source.kind(),
                    io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory
                ) =>
            {
                "a file with that name already exists where the directory should be: move it away, \
                 or change BFF_KEYS_DIR or BFF_STATE_DIR"
            }
            Self::Unusable { .. } => {
                "let the user that runs bff write to BFF_STATE_DIR and BFF_KEYS_DIR, and check \
                 that the disk is neither full nor mounted read-only"
            }
        }
    }
}
