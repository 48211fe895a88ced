//! A store that has no room left when the test wants it.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use bff::jose::Kid;
use bff::secret::Secret;
use bff::state::{Rev, State};
use bff::store::{CommitError, FileStore, KeyStoreError, LoadError, Loaded, Place, Store};

/// Commits as often as it may, and then refuses.
#[derive(Debug)]
pub(crate) struct ScarceStore {
    inner: FileStore,
    left: AtomicUsize,
}

impl ScarceStore {
    pub(crate) fn over(inner: FileStore) -> Self {
        let left = AtomicUsize::new(usize::MAX);
        Self { inner, left }
    }

    pub(crate) fn fail_all(&self) {
        self.fail_after(0);
    }

    pub(crate) fn fail_after(&self, commits: usize) {
        self.left.store(commits, Ordering::Relaxed);
    }

    pub(crate) fn fail_none(&self) {
        self.fail_after(usize::MAX);
    }
}

impl Store for ScarceStore {
    fn load(&self) -> Result<Loaded, LoadError> {
        self.inner.load()
    }

    fn commit(&self, state: &State, base: Rev) -> Result<Rev, CommitError> {
        let one_less = |left: usize| left.checked_sub(1);
        if self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_err()
        {
            return Err(CommitError::NotCommitted {
                place: Place::new("the state"),
                source: io::ErrorKind::StorageFull.into(),
                hint: "free some space",
            });
        }
        self.inner.commit(state, base)
    }

    fn reserve(&self, bytes: usize) -> Result<(), CommitError> {
        self.inner.reserve(bytes)
    }

    fn release(&self) {
        self.inner.release();
    }

    fn watch(&self, seen: Rev) -> Result<Option<Rev>, LoadError> {
        self.inner.watch(seen)
    }

    fn read_key(&self, kid: &Kid) -> Result<Secret, KeyStoreError> {
        self.inner.read_key(kid)
    }

    fn write_key(&self, kid: &Kid, pem: &Secret) -> Result<(), KeyStoreError> {
        self.inner.write_key(kid, pem)
    }
}
