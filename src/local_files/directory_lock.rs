//! Keeps a second process out of the directories of keys and state.

use std::io;
use std::path::Path;

use super::open_error::OpenError;
use crate::disk::{Disk, Held, Lock};

/// The directories are ours until this is dropped.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    #[expect(dead_code, reason = "dropping them releases the locks")]
    held: Vec<Box<dyn Held>>,
}

/// Where the owner's name is, and what the release before locks.
const FILE: &str = "bff.lock";

impl DirectoryLock {
    /// Takes the locks of the state directory, and of a keys directory that can be written: one
    /// that is mounted read-only can serve several. `is_first` says that there is no document yet,
    /// so that a directory that cannot be written is of no use.
    ///
    /// # Errors
    ///
    /// [`OpenError::Locked`] or [`OpenError::Unusable`].
    pub(super) fn take(
        disk: &dyn Disk,
        keys: &Path,
        state: &Path,
        owner: &str,
        is_first: bool,
    ) -> Result<Self, OpenError> {
        let mut held = Vec::new();
        held.extend(directory(disk, state, state)?);
        let path = state.join(FILE);
        match disk.lock(&path, owner) {
            Ok(Lock::Held(lock)) => held.push(lock),
            Ok(Lock::Taken(owner)) => return Err(OpenError::Locked { path, owner }),
            // The lock of the directory is enough.
            Err(error) if !is_first && !held.is_empty() && cannot_write(&error) => {}
            Err(error) if !is_first && !disk.is_writable(state) => tracing::warn!(
                path = %state.display(),
                "{} cannot be locked ({error}), which keeps no second bff out; hint: do not start \
                 another one with it",
                state.display()
            ),
            Err(source) => return Err(unusable(state, source)),
        }
        let is_apart = !disk
            .is_same(keys, state)
            .map_err(|source| unusable(keys, source))?;
        if is_apart && disk.is_writable(keys) {
            held.extend(directory(disk, keys, state)?);
        }
        Ok(Self { held })
    }
}

/// The lock of a directory; `None` where there are no such locks.
fn directory(
    disk: &dyn Disk,
    path: &Path,
    state: &Path,
) -> Result<Option<Box<dyn Held>>, OpenError> {
    match disk
        .lock_directory(path)
        .map_err(|source| unusable(path, source))?
    {
        Some(Lock::Held(lock)) => Ok(Some(lock)),
        Some(Lock::Taken(_)) => Err(OpenError::Locked {
            path: path.to_path_buf(),
            owner: owner(disk, path, state),
        }),
        None => Ok(None),
    }
}

/// Who has the lock of a directory, as far as is known: the owner of one keys directory can have
/// its lock file elsewhere.
fn owner(disk: &dyn Disk, path: &Path, state: &Path) -> String {
    let text = if path == state {
        disk.read(&state.join(FILE)).unwrap_or_default()
    } else {
        Vec::new()
    };
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    if text.is_empty() {
        "owner not known".to_owned()
    } else {
        text
    }
}

fn cannot_write(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::StorageFull
    )
}

fn unusable(path: &Path, source: io::Error) -> OpenError {
    OpenError::Unusable {
        path: path.to_path_buf(),
        source,
    }
}
