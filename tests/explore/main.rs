//! Random histories: configurations, orders, faults, odd answers, clocks and disks.
//!
//! One seed is one history. After each of its operations the documents, the log and the IdP's own
//! books are compared; at the end nothing is changed any more, and restarts have to have no effect.
//! A history in which something is wrong is shortened and printed.
//!
//! `BFF_EXPLORE_SECONDS` is for how long new seeds are tried, `BFF_EXPLORE_FROM` the first of them;
//! `BFF_EXPLORE_SEED` tries only this one. `BFF_EXPLORE_RESTARTS` is the number of restarts that are
//! watched at the end of each, 20 if it is not set.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong by panicking, and spawns what it likes"
)]

#[allow(dead_code, reason = "shared with another test")]
#[path = "../crash/bench.rs"]
mod bench;
#[path = "../crash/contents.rs"]
mod contents;
#[allow(dead_code, reason = "shared with another test")]
#[path = "../crash/disk.rs"]
mod disk;
mod explored;
mod history;
#[allow(dead_code, reason = "shared with another test")]
#[path = "../crash/net.rs"]
mod net;
#[allow(dead_code, reason = "shared with another test")]
#[path = "../crash/program.rs"]
mod program;
#[allow(dead_code, reason = "shared with another test")]
#[path = "../crash/record.rs"]
mod record;
mod shorter;
#[allow(dead_code, reason = "shared with another test")]
#[path = "../crash/steps.rs"]
mod steps;
#[path = "../support/mod.rs"]
mod support;
#[path = "../crash/truth.rs"]
mod truth;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::bench::{on_a_bench, say};
use crate::explored::explore;
use crate::history::History;
use crate::shorter::shorter;

/// How many seeds a test run tries, and how many restarts it watches, if it is not told.
const SEEDS: u64 = 60;
const RESTARTS: u64 = 20;

#[test]
fn no_history_loses_doubles_or_disturbs_anything() {
    let (first, last, end) = extent();
    let restarts = number("BFF_EXPLORE_RESTARTS").unwrap_or(RESTARTS);
    let restarts = usize::try_from(restarts).unwrap();
    let next = AtomicU64::new(first);
    let complaints = Mutex::new(Vec::new());
    let work = || {
        on_a_bench(async |bench| {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= last || end.is_some_and(|end| Instant::now() > end) {
                    return;
                }
                let history = History::of(seed);
                let Some(wrong) = explore(bench, &history, restarts).await else {
                    continue;
                };
                let (history, wrong) = shorter(bench, history, wrong, restarts).await;
                let complaint = format!("seed {seed}: {wrong}\n{history}");
                say(&complaint);
                complaints.lock().unwrap().push(complaint);
            }
        });
    };
    thread::scope(|scope| {
        // More than there are processors: some of the time goes by waiting.
        for _ in 0..4 * thread::available_parallelism().unwrap().get() {
            scope.spawn(work);
        }
    });
    let tried = next.into_inner().min(last) - first;
    say(&format!("histories from seed {first} on: {tried}"));
    let complaints = complaints.into_inner().unwrap();
    assert!(complaints.is_empty(), "{} seeds", complaints.len());
}

fn number(name: &str) -> Option<u64> {
    Some(std::env::var(name).ok()?.parse().unwrap())
}

/// The first seed, the one after the last, and when to end at the latest.
fn extent() -> (u64, u64, Option<Instant>) {
    if let Some(seed) = number("BFF_EXPLORE_SEED") {
        return (seed, seed + 1, None);
    }
    let first = number("BFF_EXPLORE_FROM").unwrap_or(0);
    match number("BFF_EXPLORE_SECONDS") {
        Some(seconds) => {
            let end = Instant::now() + Duration::from_secs(seconds);
            (first, u64::MAX, Some(end))
        }
        None => (first, first + SEEDS, None),
    }
}
