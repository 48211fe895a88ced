//! A store in two directories of one host.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{self, Disk, Held, HostDisk, Lock, PRIVATE, PUBLIC, ReplaceError};
use super::document::{BadDocument, Rev, State, decode, encode};
use super::{CommitError, KeyFileError, LoadError, Loaded, Store};
use crate::jose::Kid;
use crate::secret::Secret;

/// Keeps `state.json`, the revision before it, and a PEM file for each key.
#[derive(Debug)]
pub struct FileStore {
    disk: Arc<dyn Disk>,
    keys: PathBuf,
    state: PathBuf,
    /// Held for as long as the store is: one process owns a state directory.
    #[expect(dead_code, reason = "dropping it gives the lock away")]
    lock: Option<Box<dyn Held>>,
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process owns the state directory.
    #[error("{path} is locked by another bff ({owner})")]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// What the owner wrote into it.
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
            Self::Locked { .. } => {
                "stop the other one, or give this one a BFF_STATE_DIR of its own"
            }
            Self::Unusable { source, .. }
                if matches!(
                    source.kind(),
                    io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory
                ) =>
            {
                "BFF_KEYS_DIR and BFF_STATE_DIR name directories: a file lies in the way"
            }
            Self::Unusable { .. } => super::WRITABLE,
        }
    }
}

const CURRENT: &str = "state.json";
const PREVIOUS: &str = "state.previous.json";
const LOCK: &str = "bff.lock";
const ACTIVE: &str = "active.pem";

impl FileStore {
    /// Opens the store for its one owner: makes the directories if need be, takes the lock and
    /// removes what an interrupted write left behind.
    ///
    /// `owner` is what another process is told that finds the lock taken.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open(keys: &Path, state: &Path, owner: &str) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(HostDisk), keys, state, owner)
    }

    /// Like [`FileStore::open`], on another file system than that of this host.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open_on(
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
        // Keys that somebody mounts read-only are there already.
        disk::create_directory(disk.as_ref(), keys).map_err(unusable(keys))?;
        disk::create_directory(disk.as_ref(), state).map_err(unusable(state))?;
        let path = state.join(LOCK);
        let lock = match disk.lock(&path, owner).map_err(unusable(state))? {
            Lock::Held(lock) => lock,
            Lock::Taken(owner) => return Err(OpenError::Locked { path, owner }),
        };
        // A document that an earlier process left behind in its last moment is acted upon from
        // here on, so it has to stay.
        disk.sync_directory(state).map_err(unusable(state))?;
        if is_first_start(disk.as_ref(), state).map_err(unusable(state))? {
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
                Err(error) if directory == state => return Err(unusable(state)(error)),
                Err(_) => {}
            }
        }
        Ok(Self {
            disk,
            keys: keys.to_path_buf(),
            state: state.to_path_buf(),
            lock: Some(lock),
        })
    }

    /// The store as it is, to be looked at beside its owner.
    pub fn view(keys: &Path, state: &Path) -> Self {
        Self {
            disk: Arc::new(HostDisk),
            keys: keys.to_path_buf(),
            state: state.to_path_buf(),
            lock: None,
        }
    }

    fn read(&self, name: &str) -> Result<Result<(State, Rev), BadDocument>, LoadError> {
        let path = self.state.join(name);
        match self.disk.read(&path) {
            Ok(text) => match decode(&text) {
                Err(BadDocument::Version(version)) => {
                    Err(LoadError::NewerVersion { path, version })
                }
                decoded => Ok(decoded),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Err(BadDocument::Missing)),
            Err(source) => Err(LoadError::Unreadable { path, source }),
        }
    }
}

impl FileStore {
    fn replace(&self, path: &Path, contents: &[u8]) -> Result<(), ReplaceError> {
        disk::replace(self.disk.as_ref(), path, contents, PRIVATE)
    }

    fn create_key(&self, path: PathBuf, pem: &Secret) -> Result<(), KeyFileError> {
        let pem = pem.expose().as_bytes();
        match disk::create(self.disk.as_ref(), &path, pem, PRIVATE) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match self.disk.read(&path) {
                    Ok(text) if text == pem => match disk::settle(self.disk.as_ref(), &path) {
                        Err(source) if !disk::is_not_ours(&source) => {
                            Err(KeyFileError::Unwritable { path, source })
                        }
                        _ => Ok(()),
                    },
                    Ok(_) => Err(KeyFileError::Exists { path }),
                    Err(source) => Err(KeyFileError::Unreadable { path, source }),
                }
            }
            Err(source) => Err(KeyFileError::Unwritable { path, source }),
        }
    }
}

impl Store for FileStore {
    fn load(&self) -> Result<Loaded, LoadError> {
        let current = match self.read(CURRENT)? {
            Ok((state, rev)) => {
                return Ok(Loaded {
                    state,
                    rev,
                    fell_back: None,
                });
            }
            Err(bad) => bad,
        };
        match (current, self.read(PREVIOUS)?) {
            (BadDocument::Missing, Err(BadDocument::Missing)) => Ok(Loaded {
                state: State::default(),
                rev: Rev::default(),
                fell_back: None,
            }),
            (current, Ok((state, rev))) => Ok(Loaded {
                state,
                rev,
                fell_back: Some(current),
            }),
            (current, Err(previous)) => Err(LoadError::BothBad {
                path: self.state.join(CURRENT),
                current,
                previous,
            }),
        }
    }

    fn commit(&self, state: &State, base: Rev) -> Result<Rev, CommitError> {
        let path = self.state.join(CURRENT);
        let not_committed = |source| CommitError::NotCommitted {
            path: path.clone(),
            source,
        };
        let loaded = self.load().map_err(|error| match error {
            LoadError::Unreadable { source, .. } => not_committed(source),
            other => not_committed(io::Error::other(other)),
        })?;
        if loaded.rev != base {
            return Err(CommitError::Conflict {
                base,
                found: loaded.rev,
            });
        }
        let rev = base.next();
        let text = encode(state, rev).map_err(|error| not_committed(error.into()))?;
        // A document that could not be read is no revision to go back to.
        if base != Rev::default() && loaded.fell_back.is_none() {
            let old = encode(&loaded.state, base).map_err(|error| not_committed(error.into()))?;
            self.replace(&self.state.join(PREVIOUS), &old)
                .map_err(|error| {
                    let (ReplaceError::Before(source) | ReplaceError::Unclear(source)) = error;
                    not_committed(source)
                })?;
        }
        match self.replace(&path, &text) {
            Ok(()) => Ok(rev),
            Err(ReplaceError::Before(source)) => Err(not_committed(source)),
            Err(ReplaceError::Unclear(source)) => Err(CommitError::Unknown { path, source }),
        }
    }

    fn read_key(&self, kid: &Kid) -> Result<Secret, KeyFileError> {
        let name = file_name(kid);
        let path = self.keys.join(&name);
        let mut found = self.disk.read(&path);
        if is_missing(&found) {
            found = self.disk.read(&self.state.join(&name));
        }
        match found {
            Ok(text) => Ok(Secret::new(String::from_utf8_lossy(&text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(KeyFileError::Missing { path })
            }
            Err(source) => Err(KeyFileError::Unreadable { path, source }),
        }
    }

    fn key_names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for directory in [&self.keys, &self.state] {
            for path in self.disk.list(directory)? {
                let is_pem = path.extension().is_some_and(|extension| extension == "pem");
                if is_pem && self.disk.read_link(&path).is_err() {
                    names.extend(
                        path.file_stem()
                            .map(|name| name.to_string_lossy().into_owned()),
                    );
                }
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn activate(&self, kid: &Kid) -> Result<(), KeyFileError> {
        let name = file_name(kid);
        let directory = if self.disk.exists(&self.keys.join(&name)).unwrap_or(false) {
            &self.keys
        } else {
            &self.state
        };
        let path = directory.join(ACTIVE);
        disk::link(self.disk.as_ref(), &path, Path::new(&name))
            .map_err(|source| KeyFileError::Unwritable { path, source })
    }

    fn write_key(&self, kid: &Kid, pem: &Secret) -> Result<(), KeyFileError> {
        let name = file_name(kid);
        match self.create_key(self.keys.join(&name), pem) {
            // Keys that are mounted read-only: new ones lie beside the state.
            Err(KeyFileError::Unwritable { source, .. })
                if self.keys != self.state && is_read_only(&source) =>
            {
                self.create_key(self.state.join(&name), pem)
            }
            result => result,
        }
    }
}

/// Writes a new file that its owner alone can read.
///
/// # Errors
///
/// Any I/O error; `AlreadyExists` if there is a file of that name.
pub fn write_private_file(path: &Path, contents: &Secret) -> io::Result<()> {
    disk::create(&HostDisk, path, contents.expose().as_bytes(), PRIVATE)
}

/// Writes a file that everybody can read, in place of the one that was there.
///
/// # Errors
///
/// Any I/O error.
pub fn write_public_file(path: &Path, contents: &[u8]) -> io::Result<()> {
    disk::replace(&HostDisk, path, contents, PUBLIC).map_err(|error| {
        let (ReplaceError::Before(error) | ReplaceError::Unclear(error)) = error;
        error
    })
}

/// Whether nothing has been committed yet.
fn is_first_start(disk: &dyn Disk, state: &Path) -> io::Result<bool> {
    Ok(!disk.exists(&state.join(CURRENT))? && !disk.exists(&state.join(PREVIOUS))?)
}

fn file_name(kid: &Kid) -> String {
    format!("{}.pem", kid.file_stem())
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
    )
}

fn is_missing(result: &io::Result<Vec<u8>>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_second_owner_is_refused_and_told_who_the_first_is() {
        let directory = tempfile::tempdir().unwrap();
        let first = open(directory.path());

        let error = FileStore::open(directory.path(), directory.path(), "b").unwrap_err();
        assert!(error.to_string().contains("(a)"), "{error}");

        drop(first);
        FileStore::open(directory.path(), directory.path(), "b").unwrap();
    }

    #[test]
    fn a_commit_on_an_old_revision_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let first = store.commit(&State::default(), Rev::default()).unwrap();
        store.commit(&State::default(), first).unwrap();

        let error = store.commit(&State::default(), first).unwrap_err();

        assert!(matches!(error, CommitError::Conflict { .. }), "{error}");
        assert_eq!(store.load().unwrap().rev, first.next());
    }

    #[test]
    fn a_damaged_document_gives_way_to_the_revision_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let first = store.commit(&State::default(), Rev::default()).unwrap();
        let second = store.commit(&State::default(), first).unwrap();
        fs::write(directory.path().join(CURRENT), "").unwrap();

        let loaded = store.load().unwrap();
        assert_eq!(loaded.rev, first);
        assert!(loaded.fell_back.is_some());

        assert_eq!(store.commit(&loaded.state, loaded.rev).unwrap(), second);
        assert!(store.load().unwrap().fell_back.is_none());
    }

    #[test]
    fn two_damaged_documents_stop_everything_and_are_left_as_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        for name in [CURRENT, PREVIOUS] {
            fs::write(directory.path().join(name), "{").unwrap();
        }

        assert!(matches!(store.load(), Err(LoadError::BothBad { .. })));
        assert!(store.commit(&State::default(), Rev::default()).is_err());

        for name in [CURRENT, PREVIOUS] {
            assert_eq!(fs::read(directory.path().join(name)).unwrap(), b"{");
        }
    }

    #[test]
    fn what_is_written_is_for_the_owner_alone_and_nothing_is_left_behind() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let kid: Kid = "k1".parse().unwrap();

        store.commit(&State::default(), Rev::default()).unwrap();
        store.write_key(&kid, &Secret::new("pem")).unwrap();

        let mut names = Vec::new();
        for entry in fs::read_dir(directory.path()).unwrap() {
            let entry = entry.unwrap();
            names.push(entry.file_name().into_string().unwrap());
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{entry:?}");
        }
        names.sort();
        assert_eq!(names, [LOCK, "k1.pem", CURRENT]);
    }

    #[test]
    fn a_key_file_never_changes() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let kid: Kid = "k1".parse().unwrap();
        store.write_key(&kid, &Secret::new("one")).unwrap();

        store.write_key(&kid, &Secret::new("one")).unwrap();
        let error = store.write_key(&kid, &Secret::new("two")).unwrap_err();

        assert!(matches!(error, KeyFileError::Exists { .. }), "{error}");
        assert_eq!(store.read_key(&kid).unwrap().expose(), "one");
    }

    #[test]
    fn an_interrupted_write_is_swept_at_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let leftover = directory.path().join(".state.json.0badcafe.bff-tmp");
        fs::write(&leftover, "{").unwrap();
        fs::write(directory.path().join(".gitkeep"), "").unwrap();

        let _store = open(directory.path());

        assert!(!leftover.exists());
        assert!(directory.path().join(".gitkeep").exists());
    }

    fn open(directory: &Path) -> FileStore {
        FileStore::open(directory, directory, "a").unwrap()
    }
}
