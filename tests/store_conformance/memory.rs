//! A store in memory in which, by a seed, much goes wrong.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bff::jose::Kid;
use bff::secret::Secret;
use bff::state::{Rev, State};
use bff::store::{CommitError, KeyStoreError, LoadError, Loaded, Place, Store};

use crate::samples;
use crate::site::Site;
use crate::steps::Random;

const NAME: &str = "the row of this identity";
const HINT: &str = "see that the database is there";

/// How many seeds a property is tried with.
const SEEDS: usize = 100;

/// How many calls one kind of weather lasts. A ledger that decides anew five times must meet more
/// conflicts than that.
const LENGTHS: [usize; 4] = [1, 1, 1, 16];

/// The first mark of those who commit in between.
const FOREIGN: u64 = 1_000_000;

/// A promise that is broken on purpose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flaw {
    CommitsWithoutComparing,
    LosesTheStateInDoubt,
    NamesAnotherRevision,
    OverwritesKeys,
    SeesNoChange,
}

/// What happens to the calls of a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Weather {
    /// Nothing.
    Clear,
    /// They fail before they have an effect.
    Failing,
    /// They take effect, and their answers are lost.
    AnswersLost,
    /// They are lost, and nobody can tell.
    CallsLost,
    /// Somebody else commits before each.
    Crowded,
}

/// A handle of the store.
#[derive(Debug)]
pub(crate) struct Memory {
    kept: Arc<Mutex<Kept>>,
    flaw: Option<Flaw>,
    /// `None` in eternal sunshine.
    forecast: Option<Mutex<Forecast>>,
}

#[derive(Debug)]
struct Forecast {
    random: Random,
    weather: Weather,
    left: usize,
    /// Nothing happens while this is set.
    is_calm: bool,
}

#[derive(Debug, Default)]
struct Kept {
    /// The state as JSON; none before the first commit.
    text: Option<Secret>,
    rev: Rev,
    keys: BTreeMap<Kid, Secret>,
    /// What others have committed.
    foreign: Vec<u64>,
}

impl Memory {
    pub(crate) fn site(flaw: Option<Flaw>) -> Box<dyn Site> {
        Box::new(Self {
            kept: Arc::default(),
            flaw,
            forecast: None,
        })
    }

    /// An empty store with the weather of this seed.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self {
            kept: Arc::default(),
            flaw: None,
            forecast: Some(Forecast::new(seed)),
        }
    }

    /// Lets nothing happen, or lets everything go on.
    pub(crate) fn calm(&self, is_calm: bool) {
        if let Some(forecast) = &self.forecast {
            lock(forecast).is_calm = is_calm;
        }
    }

    /// The marks that others have left.
    pub(crate) fn foreign(&self) -> Vec<u64> {
        lock(&self.kept).foreign.clone()
    }

    /// Lets somebody else commit.
    pub(crate) fn commit_by_another(&self) {
        lock(&self.kept).commit_by_another();
    }

    fn handle(&self, forecast: Option<Mutex<Forecast>>) -> Arc<dyn Store> {
        Arc::new(Self {
            kept: Arc::clone(&self.kept),
            flaw: self.flaw,
            forecast,
        })
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// What the weather makes of this call, and what is kept by then.
    fn call(&self) -> (Weather, MutexGuard<'_, Kept>) {
        let weather = self.forecast.as_ref().map(|forecast| lock(forecast).next());
        let weather = weather.unwrap_or(Weather::Clear);
        let mut kept = lock(&self.kept);
        if weather == Weather::Crowded {
            kept.commit_by_another();
        }
        (weather, kept)
    }

    /// What is kept, for a call that reads. Such a call is only lost where all fail.
    fn read(&self) -> Result<MutexGuard<'_, Kept>, LoadError> {
        match self.call() {
            (Weather::Failing, _) => Err(unreadable("the connection was refused")),
            (_, kept) => Ok(kept),
        }
    }
}

impl Forecast {
    fn new(seed: u64) -> Mutex<Self> {
        Mutex::new(Self {
            random: Random::new(seed),
            weather: Weather::Clear,
            left: 0,
            is_calm: false,
        })
    }

    fn next(&mut self) -> Weather {
        if self.is_calm {
            return Weather::Clear;
        }
        if self.left == 0 {
            self.left = LENGTHS[self.random.below(LENGTHS.len())];
            self.weather = match self.random.below(6) {
                0 => Weather::Failing,
                1 => Weather::AnswersLost,
                2 => Weather::CallsLost,
                3 => Weather::Crowded,
                _ => Weather::Clear,
            };
        }
        self.left -= 1;
        self.weather
    }
}

impl Kept {
    fn replace(&mut self, text: String) -> Rev {
        self.text = Some(Secret::new(text));
        self.rev = self.rev.next();
        self.rev
    }

    fn state(&self) -> serde_json::Result<State> {
        let text = self.text.as_ref();
        text.map_or_else(|| Ok(State::default()), |text| decode(text.expose()))
    }

    fn commit_by_another(&mut self) {
        let mark = FOREIGN + u64::try_from(self.foreign.len()).unwrap();
        self.foreign.push(mark);
        let state = samples::marked(&self.state().unwrap(), mark);
        self.replace(serde_json::to_string(&state).unwrap());
    }
}

impl Store for Memory {
    fn load(&self) -> Result<Loaded, LoadError> {
        let kept = self.read()?;
        let state = kept.state();
        let state =
            state.map_err(|error| unreadable(&format!("it ends in column {}", error.column())))?;
        Ok(Loaded {
            state,
            rev: kept.rev,
            fell_back: None,
            later: None,
        })
    }

    fn commit(&self, state: &State, base: Rev) -> Result<Rev, CommitError> {
        let (weather, mut kept) = self.call();
        let is_compared = !self.has(Flaw::CommitsWithoutComparing);
        if is_compared && kept.rev != base {
            match weather {
                Weather::Failing => return Err(not_committed("the connection was refused")),
                Weather::AnswersLost | Weather::CallsLost => return Err(in_doubt()),
                Weather::Clear | Weather::Crowded => {}
            }
            let found = kept.rev;
            let is_wrong = self.has(Flaw::NamesAnotherRevision);
            let found = if is_wrong { found.next() } else { found };
            return Err(CommitError::Conflict { base, found });
        }
        let text = encode(state).ok_or_else(|| not_committed("it could not be read back"))?;
        match weather {
            Weather::Clear | Weather::Crowded => Ok(kept.replace(text)),
            Weather::Failing => Err(not_committed("the connection was refused")),
            Weather::AnswersLost => {
                kept.replace(text);
                Err(in_doubt())
            }
            Weather::CallsLost => {
                if self.has(Flaw::LosesTheStateInDoubt) {
                    kept.text = None;
                }
                Err(in_doubt())
            }
        }
    }

    fn watch(&self, seen: Rev) -> Result<Option<Rev>, LoadError> {
        let rev = self.read()?.rev;
        Ok((rev != seen && !self.has(Flaw::SeesNoChange)).then_some(rev))
    }

    /// It has all the room that there is.
    fn reserve(&self, _bytes: usize) -> Result<(), CommitError> {
        match self.call() {
            (Weather::Failing, _) => Err(not_committed("the connection was refused")),
            _ => Ok(()),
        }
    }

    fn release(&self) {}

    fn read_key(&self, kid: &Kid) -> Result<Secret, KeyStoreError> {
        let place = place(kid);
        let kept = match self.call() {
            (Weather::Failing, _) => {
                return Err(KeyStoreError::Unreadable {
                    place,
                    source: io::ErrorKind::ConnectionRefused.into(),
                    hint: HINT,
                });
            }
            (_, kept) => kept,
        };
        let pem = kept.keys.get(kid).cloned();
        pem.ok_or(KeyStoreError::Missing { place, hint: HINT })
    }

    fn write_key(&self, kid: &Kid, pem: &Secret) -> Result<(), KeyStoreError> {
        let place = place(kid);
        let (weather, mut kept) = self.call();
        let unwritable = |place| KeyStoreError::Unwritable {
            place,
            source: io::ErrorKind::ConnectionReset.into(),
            hint: HINT,
        };
        if matches!(weather, Weather::Failing | Weather::CallsLost) {
            return Err(unwritable(place));
        }
        match kept.keys.get(kid) {
            Some(there) if there.expose() == pem.expose() => {}
            Some(_) if !self.has(Flaw::OverwritesKeys) => {
                return Err(KeyStoreError::Exists { place });
            }
            _ => drop(kept.keys.insert(kid.clone(), pem.clone())),
        }
        match weather {
            Weather::AnswersLost => Err(unwritable(place)),
            _ => Ok(()),
        }
    }
}

impl Site for Memory {
    fn open(&self) -> Arc<dyn Store> {
        self.handle(None)
    }

    fn open_failing(&self, number: usize) -> Option<Arc<dyn Store>> {
        let seed = u64::try_from(number).unwrap();
        (number < SEEDS).then(|| self.handle(Some(Forecast::new(seed))))
    }

    fn is_shared(&self) -> bool {
        true
    }

    /// It outlives the programs.
    fn lose_power(&self) {}

    fn spoil(&self) {
        let mut kept = lock(&self.kept);
        let text = kept.text.take().unwrap();
        kept.text = Some(Secret::new(&text.expose()[..text.expose().len() / 2]));
    }

    fn strays(&self) -> Vec<String> {
        Vec::new()
    }

    fn name(&self) -> String {
        NAME.to_owned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn encode(state: &State) -> Option<String> {
    let text = serde_json::to_string(state).ok()?;
    let read = decode(&text).ok()?;
    (samples::json(&read) == samples::json(state)).then_some(text)
}

fn decode(text: &str) -> serde_json::Result<State> {
    serde_json::from_str(text)
}

fn place(kid: &Kid) -> Place {
    Place::new(format!("{NAME}, key `{kid}`"))
}

fn unreadable(why: &str) -> LoadError {
    LoadError::Unreadable {
        place: Place::new(NAME),
        source: io::Error::other(why),
        hint: HINT,
    }
}

fn not_committed(why: &str) -> CommitError {
    CommitError::NotCommitted {
        place: Place::new(NAME),
        source: io::Error::other(why),
        hint: HINT,
    }
}

fn in_doubt() -> CommitError {
    CommitError::Unknown {
        place: Place::new(NAME),
        source: io::ErrorKind::ConnectionReset.into(),
        hint: HINT,
    }
}
