//! The state in memory, never ahead of the store.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use super::blocking::blocking;
use super::published::PublishedJwks;
use super::restoration::{Restoration, tell_damage};
use crate::state::{Rev, State};
use crate::store::{BadDocument, CommitError, LoadError, Store};

/// Holds the state and is the only way to change it.
///
/// A reader sees only what has been committed.
#[derive(Debug)]
pub struct Ledger {
    store: Arc<dyn Store>,
    /// The revision in the store; none while it is not known.
    rev: Arc<Mutex<Option<Rev>>>,
    views: Views,
    fell_back: Arc<OnceLock<BadDocument>>,
    restoration: Arc<Restoration>,
}

/// What others see of the state.
#[derive(Clone, Debug)]
struct Views {
    state: watch::Sender<View>,
    published: watch::Sender<Arc<PublishedJwks>>,
    jwks_max_age: Duration,
}

#[derive(Clone, Debug)]
struct View {
    state: Arc<State>,
    /// Its revision.
    rev: Rev,
    /// The state that may be in place instead, after a commit whose outcome is not known.
    doubt: Option<Arc<State>>,
}

/// Why the state was not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError<E: Error + 'static> {
    /// It could not be committed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The transition was refused.
    #[error(transparent)]
    Refused(E),
}

impl From<UpdateError<Infallible>> for CommitError {
    fn from(error: UpdateError<Infallible>) -> Self {
        match error {
            UpdateError::Commit(error) => error,
            UpdateError::Refused(never) => match never {},
        }
    }
}

/// How often a change is decided again because another process has committed.
const CONFLICTS: u32 = 5;

impl Ledger {
    /// Loads the state. Blocks.
    ///
    /// `jwks_max_age` is how long others may keep a copy of the JWK Set. A state that is not the
    /// newest that there was is marked, as `restoration` says; where that cannot be committed, it
    /// is the first thing that is.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub fn load(
        store: Arc<dyn Store>,
        jwks_max_age: Duration,
        restoration: Restoration,
    ) -> Result<Self, LoadError> {
        let loaded = store.begin()?;
        let damaged = OnceLock::new();
        if let Some(reason) = &loaded.fell_back {
            drop(damaged.set(reason.clone()));
        }
        let found = loaded.rev;
        let (state, in_place) = restoration.go_on(store.as_ref(), loaded);
        let rev = in_place.unwrap_or(found);
        let published = PublishedJwks::render(state.ring(), jwks_max_age);
        let view = View {
            state: Arc::new(state),
            rev,
            doubt: None,
        };
        Ok(Self {
            store,
            rev: Arc::new(Mutex::new(in_place)),
            views: Views {
                state: watch::Sender::new(view),
                published: watch::Sender::new(Arc::new(published)),
                jwks_max_age,
            },
            fell_back: Arc::new(damaged),
            restoration: Arc::new(restoration),
        })
    }

    /// The state as it is now.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.views.state.borrow().state)
    }

    /// The state that may be in place instead, while the outcome of a commit is not known.
    pub fn doubt(&self) -> Option<Arc<State>> {
        self.views.state.borrow().doubt.clone()
    }

    /// The JWK Set, now and after each change.
    pub fn published(&self) -> watch::Receiver<Arc<PublishedJwks>> {
        self.views.published.subscribe()
    }

    /// Where the state comes from.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// What was wrong with the newest document, if an older one was loaded.
    pub fn fell_back(&self) -> Option<&BadDocument> {
        self.fell_back.get()
    }

    /// Carries out a transition, and returns its result once it is durable.
    ///
    /// Transitions come one after the other. Once its commit has begun, a transition is carried out
    /// even if the caller stops waiting. If another process has committed in the meantime, the
    /// state is loaded again and the transition is decided again.
    ///
    /// # Errors
    ///
    /// [`UpdateError`]; the state in memory is then unchanged. If it is not known which revision
    /// the store has, the next transition loads it first.
    pub async fn update<T, E: Error + 'static>(
        &self,
        mut change: impl FnMut(&mut State) -> Result<T, E>,
    ) -> Result<T, UpdateError<E>> {
        let mut rev = Arc::clone(&self.rev).lock_owned().await;
        let mut conflicts = 0;
        loop {
            if rev.is_none() {
                rev = self.reload(rev).await?;
            }
            let mut state = State::clone(&self.state());
            let outcome = change(&mut state).map_err(UpdateError::Refused)?;
            let committed;
            (rev, committed) = self.commit(rev, state).await;
            match committed {
                Ok(()) => return Ok(outcome),
                Err(CommitError::Conflict { .. }) if conflicts < CONFLICTS => conflicts += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Carries out a transition that cannot be refused.
    ///
    /// # Errors
    ///
    /// [`CommitError`]; see [`Ledger::update`].
    pub async fn record<T>(
        &self,
        mut change: impl FnMut(&mut State) -> T,
    ) -> Result<T, CommitError> {
        let change = |state: &mut State| Ok::<T, Infallible>(change(state));
        Ok(self.update(change).await?)
    }

    /// Makes sure that the store has room for one commit of a state whose text is `bytes` longer.
    /// It is kept until that commit needs it, or until [`Ledger::release`].
    ///
    /// # Errors
    ///
    /// [`CommitError`], if there is no such room.
    pub async fn reserve(&self, bytes: usize) -> Result<(), CommitError> {
        let store = Arc::clone(&self.store);
        blocking(move || store.reserve(bytes)).await
    }

    /// Gives up the room that [`Ledger::reserve`] keeps.
    pub async fn release(&self) {
        let store = Arc::clone(&self.store);
        blocking(move || store.release()).await;
    }

    /// Loads the state again if the store has another revision, or if its revision is not known.
    ///
    /// # Errors
    ///
    /// [`CommitError`]; the state in memory is then unchanged.
    pub async fn follow(&self) -> Result<(), CommitError> {
        let rev = Arc::clone(&self.rev).lock_owned().await;
        let stale = match *rev {
            None => true,
            Some(seen) => {
                let store = Arc::clone(&self.store);
                blocking(move || store.watch(seen))
                    .await
                    .map_err(unknown)?
                    .is_some()
            }
        };
        if stale {
            self.reload(rev).await?;
        }
        Ok(())
    }

    async fn reload(
        &self,
        mut rev: OwnedMutexGuard<Option<Rev>>,
    ) -> Result<OwnedMutexGuard<Option<Rev>>, CommitError> {
        let (store, views) = (Arc::clone(&self.store), self.views.clone());
        let damaged = Arc::clone(&self.fell_back);
        let restoration = Arc::clone(&self.restoration);
        blocking(move || {
            let loaded = store.load().map_err(unknown)?;
            *rev = Some(loaded.rev);
            if let Some(reason) = &loaded.fell_back {
                drop(damaged.set(reason.clone()));
            }
            if loaded.rev < views.rev() {
                // What is in memory is newer, and nothing is missing from it.
                if let Some(reason) = &loaded.fell_back {
                    tell_damage(reason, loaded.rev);
                }
                // Nobody commits an older revision: the document was damaged or exchanged.
                tracing::error!(
                    rev = loaded.rev.number(),
                    "The state in place is older than the one in memory, which is written again: \
                     something else has written to BFF_STATE_DIR"
                );
                let state = State::clone(&views.state.borrow().state);
                if let Ok(committed) = store.commit(&state, loaded.rev) {
                    *rev = Some(committed);
                }
                let shown = rev.unwrap_or(loaded.rev);
                views.show(state, shown);
                return Ok(rev);
            }
            tracing::warn!(
                rev = loaded.rev.number(),
                "Loaded the state again: another revision than expected is in place"
            );
            let found = loaded.rev;
            let state;
            (state, *rev) = restoration.go_on(store.as_ref(), loaded);
            views.show(state, rev.unwrap_or(found));
            Ok(rev)
        })
        .await
    }

    async fn commit(
        &self,
        mut rev: OwnedMutexGuard<Option<Rev>>,
        state: State,
    ) -> (OwnedMutexGuard<Option<Rev>>, Result<(), CommitError>) {
        let (store, views) = (Arc::clone(&self.store), self.views.clone());
        blocking(move || {
            // Unknown until the store has answered, even after a panic.
            let base = rev.take().unwrap_or_default();
            let committed = match commit(store.as_ref(), &state, base) {
                Ok(committed) => {
                    *rev = Some(committed);
                    views.show(state, committed);
                    Ok(())
                }
                Err(error) => {
                    match &error {
                        CommitError::NotCommitted { .. } => *rev = Some(base),
                        CommitError::Conflict { .. } => {}
                        CommitError::Unknown { .. } => views.doubt(state),
                    }
                    Err(error)
                }
            };
            (rev, committed)
        })
        .await
    }
}

impl Views {
    fn rev(&self) -> Rev {
        self.state.borrow().rev
    }

    fn show(&self, state: State, rev: Rev) {
        let jwks = PublishedJwks::render(state.ring(), self.jwks_max_age);
        self.published.send_if_modified(|served| {
            let changed = **served != jwks;
            if changed {
                *served = Arc::new(jwks);
            }
            changed
        });
        self.state.send_replace(View {
            state: Arc::new(state),
            rev,
            doubt: None,
        });
    }

    fn doubt(&self, state: State) {
        self.state
            .send_modify(|view| view.doubt = Some(Arc::new(state)));
    }
}

fn commit(store: &dyn Store, state: &State, base: Rev) -> Result<Rev, CommitError> {
    match store.commit(state, base) {
        Err(error @ CommitError::Unknown { .. }) => {
            let found = store.load().ok();
            match found.filter(|loaded| loaded.fell_back.is_none()) {
                // In place, but perhaps not durable. It is written again from the start, because a
                // repeated sync may report success for data that is already lost.
                Some(found) if found.rev == base.next() && is_same(&found.state, state) => {
                    store.commit(state, found.rev).map_err(|_| error)
                }
                Some(found) if found.rev == base => Err(not_committed(error)),
                // The revision after the base is another process's, so this one was not made.
                Some(found) if found.rev == base.next() => Err(CommitError::Conflict {
                    base,
                    found: found.rev,
                }),
                // Others have committed since, perhaps on top of this one.
                _ => Err(error),
            }
        }
        result => result,
    }
}

/// Whether a state is the one that was to be committed, and not that of another process.
fn is_same(found: &State, state: &State) -> bool {
    let text = |state| serde_json::to_vec(state).ok();
    text(found) == text(state)
}

fn not_committed(error: CommitError) -> CommitError {
    match error {
        CommitError::Unknown {
            place,
            source,
            hint,
        } => CommitError::NotCommitted {
            place,
            source,
            hint,
        },
        error => error,
    }
}

/// A state that cannot be loaded: which revision is in place is not known.
fn unknown(error: LoadError) -> CommitError {
    match error {
        LoadError::Unreadable {
            place,
            source,
            hint,
        } => CommitError::Unknown {
            place,
            source,
            hint,
        },
        LoadError::BothBad {
            ref place, hint, ..
        } => CommitError::Unknown {
            place: place.clone(),
            source: io::Error::other(error),
            hint,
        },
        LoadError::NewerContents { ref place } | LoadError::NewerVersion { ref place, .. } => {
            CommitError::Unknown {
                place: place.clone(),
                hint: error.hint(),
                source: io::Error::other(error),
            }
        }
    }
}
