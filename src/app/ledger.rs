//! The state in memory, never ahead of the store.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use super::PublishedJwks;
use crate::store::{BadDocument, CommitError, LoadError, Loaded, Rev, State, Store};

/// Holds the state and is the only way to change it.
///
/// Who reads it sees nothing that would not survive a crash.
#[derive(Debug)]
pub struct Ledger {
    store: Arc<dyn Store>,
    /// The revision in the store; none while it is not known.
    rev: Arc<Mutex<Option<Rev>>>,
    state: watch::Sender<Arc<State>>,
    published: watch::Sender<Arc<PublishedJwks>>,
    jwks_max_age: Duration,
    fell_back: Option<BadDocument>,
}

impl Ledger {
    /// Loads the state. Blocks.
    ///
    /// `jwks_max_age` is how long others may keep a copy of the JWK Set.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub fn load(store: Arc<dyn Store>, jwks_max_age: Duration) -> Result<Self, LoadError> {
        let Loaded {
            state,
            rev,
            fell_back,
        } = store.load()?;
        if let Some(reason) = &fell_back {
            tracing::error!(
                rev = rev.number(),
                "The state document is damaged ({reason}); the revision before it is used. What \
                 was changed last may be missing: compare with the IdP"
            );
        }
        let published = PublishedJwks::render(state.ring.as_ref(), jwks_max_age);
        Ok(Self {
            store,
            rev: Arc::new(Mutex::new(Some(rev))),
            published: watch::Sender::new(Arc::new(published)),
            jwks_max_age,
            state: watch::Sender::new(Arc::new(state)),
            fell_back,
        })
    }

    /// The state as it is now.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.borrow())
    }

    /// The JWK Set, now and after each change.
    pub fn published(&self) -> watch::Receiver<Arc<PublishedJwks>> {
        self.published.subscribe()
    }

    /// Where the state comes from.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// What was wrong with the newest document, if an older one was loaded.
    pub fn fell_back(&self) -> Option<&BadDocument> {
        self.fell_back.as_ref()
    }

    /// Changes the state, and returns once the change would survive a crash. Changes come one
    /// after the other. A change that has begun is carried out even if nobody waits for it any
    /// more.
    ///
    /// # Errors
    ///
    /// [`CommitError`]; the state here is then as it was. Where it is not known which one the
    /// store has, the next change is based on what it has by then.
    pub async fn update(&self, change: impl FnOnce(&mut State)) -> Result<(), CommitError> {
        let mut rev = Arc::clone(&self.rev).lock_owned().await;
        let (mut state, base) = match *rev {
            Some(base) => (State::clone(&self.state.borrow()), base),
            None => self.reload().await?,
        };
        change(&mut state);
        let store = Arc::clone(&self.store);
        let (states, published) = (self.state.clone(), self.published.clone());
        let max_age = self.jwks_max_age;
        blocking(move || {
            let known = rev.take();
            match commit(store.as_ref(), &state, base) {
                Ok(committed) => *rev = Some(committed),
                Err(error) => {
                    if !matches!(error, CommitError::Unknown { .. }) {
                        *rev = known;
                    }
                    return Err(error);
                }
            }
            let jwks = PublishedJwks::render(state.ring.as_ref(), max_age);
            published.send_if_modified(|served| {
                let changed = **served != jwks;
                if changed {
                    *served = Arc::new(jwks);
                }
                changed
            });
            states.send_replace(Arc::new(state));
            Ok(())
        })
        .await
    }

    async fn reload(&self) -> Result<(State, Rev), CommitError> {
        let store = Arc::clone(&self.store);
        let loaded = blocking(move || store.load()).await;
        loaded
            .map(|loaded| (loaded.state, loaded.rev))
            .map_err(|error| match error {
                LoadError::Unreadable { path, source } => CommitError::Unknown { path, source },
                LoadError::BothBad { ref path, .. } | LoadError::NewerVersion { ref path, .. } => {
                    CommitError::Unknown {
                        path: path.clone(),
                        source: io::Error::other(error),
                    }
                }
            })
    }
}

fn commit(store: &dyn Store, state: &State, base: Rev) -> Result<Rev, CommitError> {
    match store.commit(state, base) {
        Err(CommitError::Unknown { path, source }) => {
            let found = store.load().ok();
            let found = found.filter(|loaded| loaded.fell_back.is_none());
            match found.map(|loaded| loaded.rev) {
                // In place, but perhaps not for good: once more from the start, because a sync
                // that is only repeated may say yes to what is already lost.
                Some(rev) if rev == base.next() => store
                    .commit(state, rev)
                    .map_err(|_| CommitError::Unknown { path, source }),
                Some(rev) if rev == base => Err(CommitError::NotCommitted { path, source }),
                _ => Err(CommitError::Unknown { path, source }),
            }
        }
        result => result,
    }
}

/// Runs what blocks on a thread that may; a panic there goes on here.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going away, and with it everything that waits here.
            Err(_) => std::future::pending().await,
        },
    }
}
