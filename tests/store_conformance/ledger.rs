//! The ledger over a store in which much goes wrong.

use std::sync::Arc;
use std::time::Duration;

use bff::app::{Ledger, Restoration, UpdateError};
use bff::clock::Clock;
use bff::state::State;
use bff::store::{CommitError, Store};
use tokio::task::JoinSet;

use crate::memory::Memory;
use crate::samples::{json, mark, marks};

const SEEDS: u64 = 20;
const TASKS: u64 = 4;
const UPDATES: u64 = 50;

/// The mark of the update that is made when all is calm.
const LAST: u64 = TASKS * UPDATES;

/// Why a test takes an update back, after it has made its change.
#[derive(Debug, thiserror::Error)]
#[error("not wanted")]
struct NotWanted;

/// What became of the updates, by their marks.
#[derive(Debug, Default)]
struct Outcomes {
    acknowledged: Vec<u64>,
    /// It is known that they were not made.
    not_made: Vec<u64>,
    in_doubt: Vec<u64>,
}

#[tokio::test]
async fn an_acknowledged_update_is_made_once_and_a_refused_one_never() {
    for seed in 0..SEEDS {
        let (store, ledger, outcomes) = run(seed).await;

        update(&ledger, LAST).await.unwrap();

        let state = store.load().unwrap().state;
        let made = marks(&state);
        let times = |mark: &u64| made.iter().filter(|made| *made == mark).count();
        let acknowledged = outcomes.acknowledged.iter().chain(&[LAST]);
        let complaint = format!("seed {seed}: {outcomes:?} of {made:?}");
        assert!(
            acknowledged.map(times).all(|times| times == 1),
            "{complaint}"
        );
        assert!(
            outcomes.not_made.iter().map(times).all(|times| times == 0),
            "{complaint}"
        );
        assert!(
            outcomes.in_doubt.iter().map(times).all(|times| times <= 1),
            "{complaint}"
        );
        assert_eq!(json(&ledger.state()), json(&state), "{complaint}");
        assert!(ledger.doubt().is_none(), "{complaint}");
    }
}

#[tokio::test]
async fn what_others_have_committed_is_never_overwritten() {
    for seed in 0..SEEDS {
        let (store, ledger, _) = run(seed).await;

        update(&ledger, LAST).await.unwrap();

        let made = marks(&store.load().unwrap().state);
        let mut foreign = store.foreign();
        foreign.retain(|mark| !made.contains(mark));
        assert!(foreign.is_empty(), "seed {seed}: {foreign:?} are lost");
    }
}

#[tokio::test]
async fn after_a_conflict_or_a_doubt_the_next_update_works_without_a_restart() {
    let (mut conflicts, mut doubts) = (0, 0);

    for seed in 0..SEEDS {
        let (store, ledger) = open(seed);
        for number in (0..UPDATES * 2)
            .step_by(2)
            .filter(|number| !is_refused(*number))
        {
            match update(&ledger, number).await {
                Err(UpdateError::Commit(CommitError::Conflict { .. })) => conflicts += 1,
                Err(UpdateError::Commit(CommitError::Unknown { .. })) => doubts += 1,
                _ => continue,
            }
            store.calm(true);
            let next = ledger.record(|state| mark(state, number + 1)).await;
            next.unwrap_or_else(|error| panic!("seed {seed}, update {number}: {error:?}"));
            assert!(marks(&store.load().unwrap().state).contains(&(number + 1)));
            store.calm(false);
        }
    }

    assert!(
        conflicts > 0 && doubts > 0,
        "{conflicts} conflicts, {doubts} doubts"
    );
}

#[tokio::test]
async fn what_others_commit_is_followed_and_built_upon() {
    let (store, ledger) = open(0);
    store.calm(true);
    store.commit_by_another();

    ledger.follow().await.unwrap();
    assert_eq!(marks(&ledger.state()), store.foreign());
    store.commit_by_another();
    update(&ledger, 1).await.unwrap();

    let mut all = store.foreign();
    all.push(1);
    assert_eq!(marks(&ledger.state()), all);
    assert_eq!(marks(&store.load().unwrap().state), all);
}

fn open(seed: u64) -> (Arc<Memory>, Arc<Ledger>) {
    let store = Arc::new(Memory::seeded(seed));
    store.calm(true);
    let restoration = Restoration::new(Clock::system(), Vec::new());
    let kept = Arc::clone(&store) as Arc<dyn Store>;
    let ledger = Ledger::load(kept, Duration::ZERO, restoration).unwrap();
    store.calm(false);
    (store, Arc::new(ledger))
}

/// Many updates by several tasks at once, and then all is calm.
async fn run(seed: u64) -> (Arc<Memory>, Arc<Ledger>, Outcomes) {
    let (store, ledger) = open(seed);
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let ledger = Arc::clone(&ledger);
        tasks.spawn(async move {
            let mut outcomes = Vec::new();
            for number in task * UPDATES..(task + 1) * UPDATES {
                outcomes.push((number, update(&ledger, number).await));
            }
            outcomes
        });
    }
    let mut outcomes = Outcomes::default();
    for (number, outcome) in tasks.join_all().await.into_iter().flatten() {
        outcomes.note(number, &outcome);
    }
    store.calm(true);
    (store, ledger, outcomes)
}

async fn update(ledger: &Ledger, number: u64) -> Result<(), UpdateError<NotWanted>> {
    let change = |state: &mut State| {
        mark(state, number);
        if is_refused(number) {
            Err(NotWanted)
        } else {
            Ok(())
        }
    };
    ledger.update(change).await
}

fn is_refused(number: u64) -> bool {
    number % 10 == 7
}

impl Outcomes {
    fn note(&mut self, mark: u64, outcome: &Result<(), UpdateError<NotWanted>>) {
        let marks = match outcome {
            Ok(()) => &mut self.acknowledged,
            Err(UpdateError::Commit(CommitError::Unknown { .. })) => &mut self.in_doubt,
            Err(_) => &mut self.not_made,
        };
        marks.push(mark);
    }
}
