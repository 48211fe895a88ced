//! What every store promises; `tests/store_conformance` holds each of them to it.

use std::fmt;

use super::bad_document::BadDocument;
use super::revisions_file::Revision;
use super::store_error::{CommitError, KeyStoreError, LoadError};
use crate::jose::Kid;
use crate::secret::Secret;
use crate::state::{Rev, State};

/// Keeps one [`State`] and the private keys that it names.
///
/// All calls block: make them from a thread for blocking work.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The state and its revision; an empty state at revision 0 where there is none yet.
    ///
    /// # Errors
    ///
    /// [`LoadError`]; nothing has been changed then.
    fn load(&self) -> Result<Loaded, LoadError>;

    /// As [`Store::load`], by the one that is going to commit: what a crash kept from being
    /// written beside the state is written. That this fails is told, and is no error.
    ///
    /// # Errors
    ///
    /// [`LoadError`]; nothing has been changed then.
    fn begin(&self) -> Result<Loaded, LoadError> {
        self.load()
    }

    /// Replaces the state of revision `base`, and returns once the new one would survive a loss of
    /// power.
    ///
    /// # Errors
    ///
    /// [`CommitError`] says whether the new state may be in place.
    fn commit(&self, state: &State, base: Rev) -> Result<Rev, CommitError>;

    /// Makes sure that there is room for one commit of a document that is `bytes` larger than the
    /// present one. The room is kept until it is used by a commit that finds no other, until
    /// [`Store::release`], or until the program ends; it replaces room that was kept before.
    ///
    /// # Errors
    ///
    /// [`CommitError::NotCommitted`], if there is no such room.
    fn reserve(&self, bytes: usize) -> Result<(), CommitError>;

    /// Gives up what [`Store::reserve`] keeps.
    fn release(&self);

    /// The revision in place, if it is newer than `seen`, or the revision `seen` is damaged. Asked
    /// at every tick, so that a change by another process is noticed.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    fn watch(&self, seen: Rev) -> Result<Option<Rev>, LoadError>;

    /// The PEM of a private key.
    ///
    /// # Errors
    ///
    /// [`KeyStoreError`].
    fn read_key(&self, kid: &Kid) -> Result<Secret, KeyStoreError>;

    /// Stores the PEM of a private key durably. Storing the same PEM again is not an error.
    ///
    /// # Errors
    ///
    /// [`KeyStoreError`], also if another key is kept under this key ID.
    fn write_key(&self, kid: &Kid, pem: &Secret) -> Result<(), KeyStoreError>;
}

/// What a store held.
#[derive(Debug)]
pub struct Loaded {
    /// The state.
    pub state: State,
    /// Its revision.
    pub rev: Rev,
    /// Why this is not the newest revision: the newest could not be read, and the one before it
    /// took its place.
    pub fell_back: Option<BadDocument>,
    /// A later revision that was in place before this one: an older document took its place.
    pub later: Option<Revision>,
}
