//! A store in two directories of one host.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::zeroize::Zeroizing;

use super::bad_document::BadDocument;
use super::damaged_files::keep_aside;
use super::encoding::{decode, encode};
use super::place::Place;
use super::reserve::{Reserve, is_no_room};
use super::revisions_file::RevisionsFile;
use super::store_error::{CommitError, KeyStoreError, LoadError};
use super::store_trait::{Loaded, Store};
use crate::disk::{self, Access, Disk, NotAFile, OwnFiles, PRIVATE, ReplaceError};
use crate::jose::Kid;
use crate::secret::Secret;
use crate::state::{Rev, State};

/// Keeps `state.json`, the revision before it, a line for each commit in `state.revisions`, and a
/// PEM file for each key.
///
/// It has one writer: the process that holds the lock of its directory.
#[derive(Debug)]
pub struct FileStore {
    disk: Arc<dyn Disk>,
    files: OwnFiles,
    /// Who may read a private key.
    access: Access,
    keys: PathBuf,
    state: PathBuf,
    /// One write at a time: each looks first.
    writing: Mutex<Writing>,
}

const CURRENT: &str = "state.json";
const PREVIOUS: &str = "state.previous.json";

/// The hint of every failed write.
pub(crate) const WRITABLE: &str = "let the user that runs bff write to BFF_STATE_DIR and \
                                   BFF_KEYS_DIR, and check that the disk is neither full nor \
                                   mounted read-only";

/// The hint where there is no room.
pub(crate) const FULL: &str = "make room on the volume of BFF_STATE_DIR, or raise its quota; the \
                               state is as it was";

/// The hint where the document cannot be read.
pub(crate) const READABLE: &str = "let the user that runs bff read it; BFF_STATE_DIR (default \
                                   BFF_KEYS_DIR) names the directory";

pub(crate) const BOTH_BAD: &str = "nothing was changed: restore BFF_STATE_DIR from a backup, or \
                                   move both documents away to start with the keys alone";

pub(crate) const KEY_READABLE: &str = "let the user that runs bff read it (BFF_KEYS_DIR)";

pub(crate) const KEY_MISSING: &str = "restore the file from a backup of BFF_KEYS_DIR; without it, \
                                      the registered client cannot authenticate";

/// What the writes of one process have to know of each other.
#[derive(Debug)]
struct Writing {
    reserve: Reserve,
    revisions: RevisionsFile,
}

/// A document with the bytes it was read from.
struct Document {
    text: Zeroizing<Vec<u8>>,
    state: State,
    rev: Rev,
}

impl FileStore {
    /// The store in these directories, which exist.
    pub fn new(disk: Arc<dyn Disk>, keys: &Path, state: &Path) -> Self {
        Self {
            files: OwnFiles::new(Arc::clone(&disk)),
            disk,
            access: PRIVATE,
            keys: keys.to_path_buf(),
            state: state.to_path_buf(),
            writing: Mutex::new(Writing {
                reserve: Reserve::default(),
                revisions: RevisionsFile::of(state),
            }),
        }
    }

    /// The same store, in which this group may read private keys.
    #[must_use]
    pub fn with_group(self, group: Option<u32>) -> Self {
        Self {
            access: Access::of_key(group),
            ..self
        }
    }

    fn turn(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, name: &str) -> Result<Result<Document, BadDocument>, LoadError> {
        let path = self.state.join(name);
        let place = || Place::file(&path);
        match self.files.read(&path, PRIVATE) {
            Ok(text) => match decode(&text) {
                Ok((state, rev)) => Ok(Ok(Document { text, state, rev })),
                Err(BadDocument::Version(version)) => Err(LoadError::NewerVersion {
                    place: place(),
                    version,
                }),
                Err(BadDocument::Contents) => Err(LoadError::NewerContents { place: place() }),
                Err(bad) => Ok(Err(bad)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Err(BadDocument::Missing)),
            Err(source) => Err(LoadError::Unreadable {
                place: place(),
                hint: hint(&source, READABLE),
                source,
            }),
        }
    }

    /// The newest document that can be used, and what is wrong with a newer one; `None` where
    /// there is none yet.
    fn newest(&self) -> Result<(Option<Document>, Option<BadDocument>), LoadError> {
        let current = match self.read(CURRENT)? {
            Ok(document) => return Ok((Some(document), None)),
            Err(bad) => bad,
        };
        match (current, self.read(PREVIOUS)?) {
            (BadDocument::Missing, Err(BadDocument::Missing)) => Ok((None, None)),
            (current, Ok(document)) => Ok((Some(document), Some(current))),
            (current, Err(previous)) => Err(LoadError::BothBad {
                place: Place::file(&self.state.join(CURRENT)),
                current,
                previous,
                hint: BOTH_BAD,
            }),
        }
    }

    fn keep_damaged(&self, path: &Path) -> io::Result<()> {
        let aside = keep_aside(self.disk.as_ref(), path)?;
        tracing::error!(
            path = %aside.display(),
            "{} was damaged and is kept as {}; hint: docs/restore.md",
            path.display(),
            aside.display()
        );
        Ok(())
    }

    fn replace(&self, path: &Path, contents: &[u8]) -> Result<(), ReplaceError> {
        disk::replace_own(self.disk.as_ref(), path, contents, PRIVATE)
    }

    fn try_commit(&self, state: &State, base: Rev) -> Result<Rev, CommitError> {
        let path = self.state.join(CURRENT);
        let not_committed = |source| CommitError::NotCommitted {
            place: Place::file(&path),
            hint: hint_of_write(&source),
            source,
        };
        let (document, fell_back) = self.newest().map_err(|error| match error {
            LoadError::Unreadable { source, .. } => not_committed(source),
            other => CommitError::NotCommitted {
                place: Place::file(&path),
                hint: other.hint(),
                source: io::Error::other(other),
            },
        })?;
        let found = document.as_ref().map(|found| found.rev).unwrap_or_default();
        if found != base {
            return Err(CommitError::Conflict { base, found });
        }
        let rev = base.next();
        let text = encode(state, rev).map_err(|error| not_committed(io::Error::other(error)))?;
        match (document, fell_back) {
            (Some(document), None) => self
                .replace(&self.state.join(PREVIOUS), &document.text)
                .map_err(|error| not_committed(error.into_io()))?,
            (_, None | Some(BadDocument::Missing)) => {}
            // The revision before stays what it is, and the damaged document is no revision.
            (_, Some(_)) => self.keep_damaged(&path).map_err(not_committed)?,
        }
        match self.replace(&path, &text) {
            Ok(()) => Ok(rev),
            Err(ReplaceError::Before(source)) => Err(not_committed(source)),
            Err(ReplaceError::Unclear(source)) => Err(CommitError::Unknown {
                place: Place::file(&path),
                source,
                hint: WRITABLE,
            }),
        }
    }

    /// The length of a file of the state; none if it cannot be read.
    fn length(&self, name: &str) -> usize {
        let text = self.files.read(&self.state.join(name), PRIVATE);
        text.map_or(0, |text| text.len())
    }

    /// Whether this very PEM is kept at `path`; it is then made durable.
    fn keeps(&self, path: &Path, pem: &[u8]) -> Result<bool, KeyStoreError> {
        let place = Place::file(path);
        match self.files.read(path, self.access) {
            Ok(text) if *text == pem => match disk::settle(self.disk.as_ref(), path) {
                Err(source) if !disk::is_not_ours(&source) => Err(unwritable(path, source)),
                _ => Ok(true),
            },
            Ok(_) => Err(KeyStoreError::Exists { place }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(KeyStoreError::Unreadable {
                place,
                hint: hint(&source, KEY_READABLE),
                source,
            }),
        }
    }

    /// Writes the file of a key that is kept here anew: the same key, encrypted in another way.
    ///
    /// # Errors
    ///
    /// [`KeyStoreError`]; the file is as it was, or as it should be.
    pub fn rewrap_key(&self, kid: &Kid, pem: &Secret) -> Result<(), KeyStoreError> {
        let _turn = self.turn();
        let name = file_name(kid);
        let mut path = self.keys.join(&name);
        let there = self.disk.kind(&path);
        if there.map_err(|source| unwritable(&path, source))?.is_none() {
            path = self.state.join(&name);
        }
        let pem = pem.expose().as_bytes();
        disk::replace_own(self.disk.as_ref(), &path, pem, self.access)
            .map_err(|error| unwritable(&path, error.into_io()))
    }

    fn create_key(&self, path: &Path, pem: &[u8]) -> io::Result<()> {
        disk::create_exclusive(self.disk.as_ref(), path, pem, self.access)
    }
}

/// What an operator can do about a failed write of the state.
fn hint_of_write(error: &io::Error) -> &'static str {
    if is_no_room(error) { FULL } else { WRITABLE }
}

/// What an operator can do about this error, or else this.
fn hint(error: &io::Error, otherwise: &'static str) -> &'static str {
    if NotAFile::is_reason(error) {
        NotAFile::HINT
    } else {
        otherwise
    }
}

fn unwritable(path: &Path, source: io::Error) -> KeyStoreError {
    KeyStoreError::Unwritable {
        place: Place::file(path),
        source,
        hint: WRITABLE,
    }
}

impl Store for FileStore {
    fn load(&self) -> Result<Loaded, LoadError> {
        // Before the document: who commits meanwhile must not make it look old.
        let last = RevisionsFile::of(&self.state).last(&self.files);
        let (document, fell_back) = self.newest()?;
        let is_there = document.is_some();
        let (state, rev) = document
            .map(|document| (document.state, document.rev))
            .unwrap_or_default();
        Ok(Loaded {
            state,
            rev,
            fell_back,
            // Who moves all documents away begins anew.
            later: last.filter(|last| is_there && last.rev > rev),
        })
    }

    fn begin(&self) -> Result<Loaded, LoadError> {
        let loaded = self.load()?;
        let is_newest = loaded.later.is_none() && loaded.fell_back.is_none();
        if is_newest && loaded.rev > Rev::default() {
            let mut writing = self.turn();
            let revisions = &mut writing.revisions;
            revisions.note(self.disk.as_ref(), &self.files, loaded.rev, &loaded.state);
        }
        Ok(loaded)
    }

    fn commit(&self, state: &State, base: Rev) -> Result<Rev, CommitError> {
        let mut writing = self.turn();
        let disk = self.disk.as_ref();
        let result = match self.try_commit(state, base) {
            Err(CommitError::NotCommitted { ref source, .. })
                if is_no_room(source) && writing.reserve.free(disk) =>
            {
                self.try_commit(state, base)
            }
            result => result,
        };
        if let Ok(rev) = result {
            writing.revisions.note(disk, &self.files, rev, state);
        }
        result
    }

    fn reserve(&self, bytes: usize) -> Result<(), CommitError> {
        let mut writing = self.turn();
        let length = self.length(CURRENT);
        let documents = [length, length.saturating_add(bytes)];
        let reserve = &mut writing.reserve;
        reserve
            .take(self.disk.as_ref(), &self.state, documents)
            .map_err(|source| CommitError::NotCommitted {
                place: Place::file(&self.state),
                hint: hint_of_write(&source),
                source,
            })
    }

    fn release(&self) {
        self.turn().reserve.free(self.disk.as_ref());
    }

    fn watch(&self, seen: Rev) -> Result<Option<Rev>, LoadError> {
        let (document, damage) = self.newest()?;
        let rev = document.map(|document| document.rev).unwrap_or_default();
        let lost = damage.is_some() && rev < seen;
        Ok((rev > seen || lost).then_some(rev))
    }

    fn read_key(&self, kid: &Kid) -> Result<Secret, KeyStoreError> {
        let name = file_name(kid);
        let path = self.keys.join(&name);
        let mut found = self.files.read(&path, self.access);
        if is_missing(&found) {
            found = self.files.read(&self.state.join(&name), self.access);
        }
        let place = Place::file(&path);
        match found {
            Ok(text) => Ok(Secret::new(String::from_utf8_lossy(&text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(KeyStoreError::Missing {
                place,
                hint: KEY_MISSING,
            }),
            Err(source) => Err(KeyStoreError::Unreadable {
                place,
                hint: hint(&source, KEY_READABLE),
                source,
            }),
        }
    }

    fn write_key(&self, kid: &Kid, pem: &Secret) -> Result<(), KeyStoreError> {
        let _turn = self.turn();
        let (name, pem) = (file_name(kid), pem.expose().as_bytes());
        let (path, other) = (self.keys.join(&name), self.state.join(&name));
        if self.keeps(&path, pem)? || self.keeps(&other, pem)? {
            return Ok(());
        }
        match self.create_key(&path, pem) {
            // Keys that are mounted read-only: new ones lie beside the state.
            Err(error) if path != other && is_read_only(&error) => self
                .create_key(&other, pem)
                .map_err(|source| unwritable(&other, source)),
            result => result.map_err(|source| unwritable(&path, source)),
        }
    }
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

fn is_missing<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::super::encoding::seal;
    use super::*;
    use crate::disk::HostDisk;

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
    fn the_last_few_damaged_documents_are_kept_aside_as_they_were() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let commit = || {
            let rev = store.load().unwrap().rev;
            store.commit(&State::default(), rev).unwrap();
        };
        commit();
        commit();

        for number in 1..=7 {
            fs::write(directory.path().join(CURRENT), format!("damage {number}")).unwrap();
            commit();
            commit();
        }

        let kept = |number: usize| {
            directory
                .path()
                .join(format!("state.damaged-{number}.json"))
        };
        for number in 3..=7 {
            let text = fs::read_to_string(kept(number)).unwrap();
            assert_eq!(text, format!("damage {number}"));
        }
        assert!(!kept(2).exists() && !kept(8).exists());
    }

    #[test]
    fn a_damaged_document_is_left_where_it_is_by_a_reader() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let rev = store.commit(&State::default(), Rev::default()).unwrap();
        store.commit(&State::default(), rev).unwrap();
        fs::write(directory.path().join(CURRENT), "{").unwrap();

        store.load().unwrap();
        store.watch(rev).unwrap();

        assert_eq!(fs::read(directory.path().join(CURRENT)).unwrap(), b"{");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_document_that_is_intact_and_not_understood_is_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let rev = store.commit(&State::default(), Rev::default()).unwrap();
        store.commit(&State::default(), rev).unwrap();
        let path = directory.path().join(CURRENT);
        let newer = br#"{"version": 2, "rev": 2, "journal": "kept elsewhere"
}"#;
        let newer = seal(newer.to_vec()).unwrap();
        fs::write(&path, &newer).unwrap();

        let error = store.load().unwrap_err();
        let refused = store.commit(&State::default(), rev).unwrap_err();

        assert!(error.is_newer(), "{error}");
        assert_eq!(refused.hint(), error.hint());
        assert_eq!(fs::read(path).unwrap(), newer);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
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
        assert_eq!(names, ["k1.pem", CURRENT, "state.revisions"]);
    }

    #[test]
    fn what_others_may_read_is_closed_to_them_when_it_is_opened() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let kid: Kid = "k1".parse().unwrap();
        store.commit(&State::default(), Rev::default()).unwrap();
        store.write_key(&kid, &Secret::new("pem")).unwrap();
        // As a kubelet leaves the files of a volume with an `fsGroup`.
        let paths = ["k1.pem", CURRENT].map(|name| directory.path().join(name));
        for path in &paths {
            fs::set_permissions(path, fs::Permissions::from_mode(0o660)).unwrap();
        }

        store.load().unwrap();
        store.read_key(&kid).unwrap();

        for path in &paths {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        }
    }

    #[test]
    fn the_group_of_the_keys_reads_keys_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let group = fs::metadata(directory.path()).unwrap().gid();
        let kid: Kid = "k1".parse().unwrap();
        open(directory.path())
            .write_key(&kid, &Secret::new("pem"))
            .unwrap();

        let store = open(directory.path()).with_group(Some(group));
        store.commit(&State::default(), Rev::default()).unwrap();
        store.read_key(&kid).unwrap();
        store
            .write_key(&"k2".parse().unwrap(), &Secret::new("pem"))
            .unwrap();

        for (name, expected) in [("k1.pem", 0o640), ("k2.pem", 0o640), (CURRENT, 0o600)] {
            let found = fs::metadata(directory.path().join(name)).unwrap();
            assert_eq!(found.mode() & 0o777, expected, "{name}");
            assert_eq!(found.gid(), group, "{name}");
        }
        open(directory.path()).read_key(&kid).unwrap();
        let found = fs::metadata(directory.path().join("k1.pem")).unwrap();
        assert_eq!(found.mode() & 0o777, 0o600);
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_refused_and_is_not_the_absence_of_one() {
        let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = open(directory.path());
        let target = other.path().join("theirs");
        for exists in [false, true] {
            if exists {
                fs::write(&target, "theirs").unwrap();
            }
            for name in ["k1.pem", CURRENT] {
                let path = directory.path().join(name);
                symlink(&target, &path).unwrap();

                let hint = if name == CURRENT {
                    store.load().unwrap_err().hint()
                } else {
                    store.read_key(&"k1".parse().unwrap()).unwrap_err().hint()
                };

                assert_eq!(hint, NotAFile::HINT, "{name}");
                fs::remove_file(path).unwrap();
            }
        }
    }

    #[test]
    fn the_keys_of_a_mounted_kubernetes_secret_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let hidden = directory.path().join("..2026_11_24");
        fs::create_dir(&hidden).unwrap();
        fs::write(hidden.join("k1.pem"), "one").unwrap();
        symlink("..2026_11_24", directory.path().join("..data")).unwrap();
        symlink("..data/k1.pem", directory.path().join("k1.pem")).unwrap();

        let key = open(directory.path()).read_key(&"k1".parse().unwrap());

        assert_eq!(key.unwrap().expose(), "one");
    }

    #[test]
    fn a_key_file_never_changes() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let kid: Kid = "k1".parse().unwrap();
        store.write_key(&kid, &Secret::new("one")).unwrap();

        store.write_key(&kid, &Secret::new("one")).unwrap();
        let error = store.write_key(&kid, &Secret::new("two")).unwrap_err();

        assert!(matches!(error, KeyStoreError::Exists { .. }), "{error}");
        assert_eq!(store.read_key(&kid).unwrap().expose(), "one");
    }

    fn open(directory: &Path) -> FileStore {
        FileStore::new(Arc::new(HostDisk), directory, directory)
    }
}
