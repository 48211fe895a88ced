//! The directories of keys and state, owned by one process.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::directory_lock::DirectoryLock;
use super::open_error::OpenError;
use crate::disk::{self, Disk, OwnFiles};

/// The directories of keys and state, which this process owns until this is dropped.
#[derive(Debug)]
pub struct Directories {
    disk: Arc<dyn Disk>,
    files: OwnFiles,
    keys: PathBuf,
    state: PathBuf,
    #[expect(dead_code, reason = "dropping it releases the locks")]
    lock: DirectoryLock,
}

/// The documents of the state, by which a first start is told from a later one.
const DOCUMENTS: [&str; 2] = ["state.json", "state.previous.json"];

impl Directories {
    /// Makes the directories if need be, takes the lock, and removes what an interrupted write
    /// left behind. Where there are documents already, nothing of that needs a volume that can be
    /// written.
    ///
    /// `owner` is shown to another process that finds the lock taken.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open(
        disk: Arc<dyn Disk>,
        keys: &Path,
        state: &Path,
        owner: &str,
    ) -> Result<Self, OpenError> {
        let unusable = |path: &Path| {
            let path = path.to_path_buf();
            move |source| OpenError::Unusable {
                path: path.clone(),
                source,
            }
        };
        // Keys that are mounted read-only are there already.
        disk::create_directory(disk.as_ref(), keys).map_err(unusable(keys))?;
        disk::create_directory(disk.as_ref(), state).map_err(unusable(state))?;
        let is_first = is_first_start(disk.as_ref(), state).map_err(unusable(state))?;
        let lock = DirectoryLock::take(disk.as_ref(), keys, state, owner, is_first)?;
        let is_writable = disk.is_writable(state);
        if !is_writable {
            tracing::error!(
                path = %state.display(),
                "{} cannot be written, so that nothing can be registered, renewed or rotated; \
                 hint: mount it so that the user that runs bff can write",
                state.display()
            );
        }
        // A document that an earlier process wrote just before it ended is used from here on, so it
        // has to be durable. What cannot be written has not been written just now.
        match disk.sync_directory(state) {
            Err(error) if is_writable => return Err(unusable(state)(error)),
            _ => {}
        }
        if is_first {
            for directory in [state, keys] {
                disk::anchor(disk.as_ref(), directory).map_err(unusable(directory))?;
            }
        }
        for directory in [state, keys] {
            match disk::sweep(disk.as_ref(), directory) {
                Ok(swept) => {
                    for path in swept {
                        tracing::info!(path = %path.display(), "Removed an unfinished file");
                    }
                }
                Err(error) if directory == state && is_writable => {
                    return Err(unusable(state)(error));
                }
                Err(_) => {}
            }
        }
        let files = OwnFiles::new(Arc::clone(&disk));
        for directory in BTreeSet::from([state, keys]) {
            let secured = files.secure_directory(directory, None);
            secured.map_err(unusable(directory))?;
        }
        Ok(Self {
            files,
            disk,
            keys: keys.to_path_buf(),
            state: state.to_path_buf(),
            lock,
        })
    }

    /// Lets the members of a group list the keys directory; who may read a key is up to the store.
    ///
    /// # Errors
    ///
    /// [`OpenError::Group`] if this process could not give a file to that group.
    pub fn share(&self, group: Option<u32>) -> Result<(), OpenError> {
        let Some(group) = group else {
            return Ok(());
        };
        let unusable = |source| OpenError::Unusable {
            path: self.keys.clone(),
            source,
        };
        let user = self.disk.user().map_err(unusable)?;
        let keys = self.disk.open_directory(&self.keys).map_err(unusable)?;
        if !disk::can_give(keys.as_ref(), group, &user).map_err(unusable)? {
            return Err(OpenError::Group { group });
        }
        let secured = self.files.secure_directory(&self.keys, Some(group));
        secured.map_err(unusable)
    }

    /// The names of the PEM files in them, without `.pem`, sorted. Symbolic links are left out.
    ///
    /// # Errors
    ///
    /// Any I/O error.
    pub fn pem_files(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for directory in [&self.keys, &self.state] {
            for path in self.disk.list(directory)? {
                let is_pem = path.extension().is_some_and(|extension| extension == "pem");
                if is_pem && self.disk.read_link(&path).is_err() {
                    let stem = path.file_stem().map(|stem| stem.to_string_lossy());
                    names.extend(stem.map(String::from));
                }
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }
}

/// Whether nothing has been committed yet.
fn is_first_start(disk: &dyn Disk, state: &Path) -> io::Result<bool> {
    for document in DOCUMENTS {
        if disk.kind(&state.join(document))?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;
    use crate::disk::HostDisk;

    #[test]
    fn a_second_owner_is_refused_and_told_who_the_first_is() {
        let directory = tempfile::tempdir().unwrap();
        let first = open(directory.path(), "a").unwrap();

        let error = open(directory.path(), "b").unwrap_err();
        assert!(error.to_string().contains("(a)"), "{error}");

        drop(first);
        open(directory.path(), "b").unwrap();
    }

    #[test]
    fn whoever_removes_the_lock_file_lets_nobody_in() {
        let directory = tempfile::tempdir().unwrap();
        let first = open(directory.path(), "a").unwrap();
        fs::remove_file(directory.path().join("bff.lock")).unwrap();

        let error = open(directory.path(), "b").unwrap_err();
        assert!(matches!(error, OpenError::Locked { .. }), "{error}");

        drop(first);
        open(directory.path(), "b").unwrap();
    }

    #[test]
    fn two_services_cannot_share_a_keys_directory() {
        let root = tempfile::tempdir().unwrap();
        let [keys, one, other] = ["keys", "one", "other"].map(|name| root.path().join(name));
        let disk = || Arc::new(HostDisk);
        let first = Directories::open(disk(), &keys, &one, "a").unwrap();

        let error = Directories::open(disk(), &keys, &other, "b").unwrap_err();
        assert!(error.to_string().contains("keys is locked"), "{error}");

        drop(first);
        Directories::open(disk(), &keys, &other, "b").unwrap();
    }

    #[test]
    fn one_directory_under_two_names_is_one_directory() {
        let root = tempfile::tempdir().unwrap();
        let (keys, alias) = (root.path().join("keys"), root.path().join("alias"));
        fs::create_dir(&keys).unwrap();
        std::os::unix::fs::symlink("keys", &alias).unwrap();

        Directories::open(Arc::new(HostDisk), &keys, &alias, "a").unwrap();
    }

    #[test]
    fn an_interrupted_write_is_swept_at_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let leftover = directory.path().join(".state.json.0badcafe.bff-tmp");
        fs::write(&leftover, "{").unwrap();
        fs::write(directory.path().join(".gitkeep"), "").unwrap();

        let _directories = open(directory.path(), "a").unwrap();

        assert!(!leftover.exists());
        assert!(directory.path().join(".gitkeep").exists());
    }

    #[test]
    fn directories_that_others_can_write_are_closed_to_them() {
        let directory = tempfile::tempdir().unwrap();
        let mode = |mode| fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode));
        mode(0o777).unwrap();

        let directories = open(directory.path(), "a").unwrap();

        let found = fs::metadata(directory.path()).unwrap();
        assert_eq!(found.mode() & 0o7777, 0o755);
        mode(0o700).unwrap();
        directories.share(Some(found.gid())).unwrap();
        let found = fs::metadata(directory.path()).unwrap();
        assert_eq!(found.mode() & 0o7777, 0o750);
    }

    fn open(directory: &Path, owner: &str) -> Result<Directories, OpenError> {
        Directories::open(Arc::new(HostDisk), directory, directory, owner)
    }
}
