//! Notes what the program was promised by its store.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bff::jose::Kid;
use bff::secret::Secret;
use bff::state::{Rev, State};
use bff::store::{CommitError, FileStore, KeyStoreError, LoadError, Loaded, Store};

/// What went wrong with the identity.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Wrong {
    /// Something that was acknowledged is gone, or a client exists that nobody knows of.
    Lost(String),
    /// A token was spent twice, or may have been.
    Doubled(String),
    /// A document was found half written.
    Torn(String),
    /// There is no way out.
    Stuck(String),
    /// Another promise was not kept.
    Unkept(String),
}

impl Wrong {
    pub(crate) fn what(&self) -> &str {
        let (Self::Lost(what)
        | Self::Doubled(what)
        | Self::Torn(what)
        | Self::Stuck(what)
        | Self::Unkept(what)) = self;
        what
    }
}

/// What is known of the state across the runs of one world.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    /// The state that was acknowledged last; none before the first run.
    acknowledged: Option<String>,
    /// States that may be in place as well.
    in_flight: Vec<String>,
    found: Vec<Wrong>,
}

impl Record {
    pub(crate) fn wrong(&self, wrong: Wrong) {
        self.notes().found.push(wrong);
    }

    pub(crate) fn found(&self) -> Vec<Wrong> {
        self.notes().found.clone()
    }

    /// The program has shown `state`, and so relies on it.
    pub(crate) fn shown(&self, state: &State) {
        let state = written(state);
        let mut notes = self.notes();
        if notes.in_flight.contains(&state) {
            notes.in_flight.clear();
            notes.acknowledged = Some(state);
        }
    }

    /// Compares what a start finds with what it may find.
    pub(crate) fn loaded(&self, loaded: &Result<Loaded, LoadError>) {
        match loaded {
            Ok(Loaded {
                fell_back: Some(reason),
                ..
            }) => self.wrong(Wrong::Torn(format!("state.json: {reason}"))),
            Ok(Loaded {
                later: Some(later), ..
            }) => self.wrong(Wrong::Torn(format!("revision {} was before", later.rev))),
            Err(error) if error.is_newer() || matches!(error, LoadError::BothBad { .. }) => {
                self.wrong(Wrong::Torn(error.to_string()));
            }
            _ => {}
        }
        let Ok(Loaded { state, rev, .. }) = loaded else {
            return;
        };
        let state = written(state);
        let mut notes = self.notes();
        let allowed = notes.in_flight.contains(&state)
            || notes
                .acknowledged
                .as_ref()
                .is_none_or(|acknowledged| *acknowledged == state);
        if !allowed {
            let acknowledged = notes.acknowledged.clone().unwrap_or_default();
            let what = format!(
                "revision {rev} is {} instead of {}",
                gist(&state),
                gist(&acknowledged)
            );
            notes.found.push(Wrong::Lost(what));
        }
        notes.in_flight.clear();
        notes.acknowledged = Some(state);
    }

    pub(crate) fn acknowledged(&self) -> Option<State> {
        let text = self.notes().acknowledged.clone()?;
        let state = serde_json::from_str(&text).map_err(|error| {
            let what = format!("a committed state cannot be read: {error}");
            self.wrong(Wrong::Torn(what));
        });
        state.ok()
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn written(state: &State) -> String {
    serde_json::to_string(state).unwrap()
}

/// A store that takes notes.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) store: FileStore,
    pub(crate) record: Record,
    /// Whether this run has loaded the state.
    pub(crate) begun: Mutex<bool>,
    /// What is acknowledged and not yet committed; `None` if commits are honest.
    pub(crate) lagging: Option<Mutex<Option<(State, Rev)>>>,
}

impl Recorded {
    fn really(&self, state: &State, base: Rev) -> Result<Rev, CommitError> {
        let Some(lagging) = &self.lagging else {
            return self.store.commit(state, base);
        };
        let mut lagging = lagging.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((earlier, base)) = lagging.take() {
            self.store.commit(&earlier, base)?;
        }
        *lagging = Some((state.clone(), base));
        Ok(base.next())
    }

    /// Compares what the first call of a run finds.
    fn noted(&self, loaded: Result<Loaded, LoadError>) -> Result<Loaded, LoadError> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *begun, true) {
            self.record.loaded(&loaded);
        }
        loaded
    }

    /// Commits what lags behind.
    pub(crate) fn catch_up(&self) {
        if let Some(lagging) = &self.lagging {
            let mut lagging = lagging.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((earlier, base)) = lagging.take() {
                // Who lies about commits does not mind their errors either.
                drop(self.store.commit(&earlier, base));
            }
        }
    }
}

impl Store for Recorded {
    fn load(&self) -> Result<Loaded, LoadError> {
        self.noted(self.store.load())
    }

    fn begin(&self) -> Result<Loaded, LoadError> {
        self.noted(self.store.begin())
    }

    fn commit(&self, state: &State, base: Rev) -> Result<Rev, CommitError> {
        self.record.notes().in_flight.push(written(state));
        let result = self.really(state, base);
        let mut notes = self.record.notes();
        match &result {
            Ok(_) => {
                notes.acknowledged = notes.in_flight.pop();
                notes.in_flight.clear();
            }
            Err(CommitError::Unknown { .. }) => {}
            Err(_) => {
                notes.in_flight.pop();
            }
        }
        result
    }

    fn reserve(&self, bytes: usize) -> Result<(), CommitError> {
        self.store.reserve(bytes)
    }

    fn release(&self) {
        self.store.release();
    }

    fn read_key(&self, kid: &Kid) -> Result<Secret, KeyStoreError> {
        self.store.read_key(kid)
    }

    fn watch(&self, seen: Rev) -> Result<Option<Rev>, LoadError> {
        self.store.watch(seen)
    }

    fn write_key(&self, kid: &Kid, pem: &Secret) -> Result<(), KeyStoreError> {
        self.store.write_key(kid, pem)
    }
}

/// A state without what is long about it.
fn gist(state: &str) -> String {
    let state: serde_json::Value = serde_json::from_str(state).unwrap_or_default();
    let client = &state["registration"]["client_id"];
    let attempt = &state["attempt"]["started_at"];
    let events: Vec<&serde_json::Value> = state["journal"]
        .as_array()
        .map(|entries| entries.iter().map(|entry| &entry["event"]).collect())
        .unwrap_or_default();
    format!("client {client}, attempt {attempt}, events {events:?}")
}
