//! The identity survives whatever happens at whichever step.
//!
//! Each scenario is run once without faults, which numbers its steps: every operation on the
//! disk, every request to the IdP, every fetch of the JWK Set. Then it is run again for each
//! step and each thing that can go wrong there, the disk loses what was not synced, and the
//! program is started again until all is as it should be.
//!
//! A point is run with seed 0, and every fifth one also with seed 1, where a second step goes
//! wrong. `BFF_CRASH_SEEDS` is the number of seeds with which all of them are run instead;
//! `BFF_CRASH_ONLY` chooses points: those whose name holds these words.
//!
//! Every seventh point is also run with one odd answer of the IdP. Such a run need not end well, but
//! what is promised whatever the IdP answers has to hold. `BFF_CRASH_CONTENTS` is the number of odd
//! answers with which all points are run instead.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong by panicking, and spawns what it likes"
)]

#[allow(dead_code, reason = "shared with another test")]
mod bench;
mod contents;
mod disk;
#[allow(dead_code, reason = "shared with another test")]
mod net;
#[allow(dead_code, reason = "shared with another test")]
mod program;
mod record;
mod reencrypt;
mod scenario;
mod steps;
#[path = "../support/mod.rs"]
mod support;
mod tally;
#[allow(dead_code, reason = "shared with another test")]
mod truth;
mod varied;
mod world;

use std::fmt;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::bench::{Bench, on_a_bench, say};
use crate::disk::Promise;
use crate::program::End;
use crate::record::Wrong;
use crate::scenario::{SCENARIOS, Scenario};
use crate::steps::{Fault, Random, Step, Target};
use crate::tally::{Came, Tally};
use crate::varied::{Contents, Varied};
use crate::world::{Broken, World};

/// The longest that one point may take.
const LONGEST: Duration = Duration::from_secs(20);

/// By default one point of so many is run with seed 1 too. The number has no divisor in common with
/// the number of faults of any kind of step, so that each fault has its turn.
const SECOND_SEED_EVERY: usize = 5;

/// One step of one scenario, and what goes wrong there.
#[derive(Clone, Debug)]
struct Point {
    scenario: usize,
    number: usize,
    step: Step,
    fault: Fault,
    seed: u64,
    /// An answer that is changed besides.
    varied: Option<Varied>,
}

#[test]
fn nothing_is_lost_doubled_or_torn_whichever_step_goes_wrong() {
    let mut points = points(Broken::default(), seeds(), Contents::asked(), &SCENARIOS);
    let only = std::env::var("BFF_CRASH_ONLY").ok();
    match &only {
        Some(only) => points.retain(|point| point.name(&SCENARIOS).contains(only)),
        None => are_enough(&points),
    }
    assert!(!points.is_empty(), "no point has {only:?} in its name");

    let (tallies, complaints) = run(&points, Broken::default(), &SCENARIOS);

    let mut total = Tally::default();
    for (scenario, tally) in SCENARIOS.iter().zip(&tallies) {
        say(&format!("{}: {}", scenario.name, tally.summary()));
        total.add(tally);
    }
    say(&format!("total: {}", total.summary()));
    let shown = complaints.len().min(40);
    assert!(complaints.is_empty(), "{}", complaints[..shown].join("\n"));
    let second = points.iter().filter(|point| point.has_second_fault());
    assert!(
        only.is_some() || total.twice * 2 >= second.count(),
        "the second fault does not happen: {}",
        total.summary()
    );
    let varied = points.iter().filter(|point| point.varied.is_some());
    assert!(
        only.is_some() || total.odd * 2 >= varied.count(),
        "answers are not odd: {}",
        total.summary()
    );
}

/// Fails if a scenario has no points, or all together have fewer than `.ci/floors` asks for.
#[track_caller]
fn are_enough(points: &[Point]) {
    let floors = concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/floors");
    let floors = std::fs::read_to_string(floors).unwrap();
    let varied = points.iter().filter(|point| point.varied.is_some()).count();
    let first = points.iter().filter(|point| point.seed == 0).count() - varied;
    for (prefix, number) in [("crash-points=", first), ("crash-contents=", varied)] {
        let mut lines = floors.lines();
        let floor = lines.find_map(|line| line.strip_prefix(prefix)).unwrap();
        assert!(
            number >= floor.parse().unwrap(),
            "{number} points, and .ci/floors asks for {prefix}{floor}"
        );
    }
    for (number, scenario) in SCENARIOS.iter().enumerate() {
        let has_points = points.iter().any(|point| point.scenario == number);
        assert!(has_points, "no points: {}", scenario.name);
    }
}

#[test]
fn a_disk_that_forgets_its_directories_is_noticed() {
    let broken = Broken {
        promise: Promise::DirectorySync,
        ..Broken::default()
    };

    let tally = enumerate_broken("no directory fsync", broken);

    assert!(tally.lost > 0);
}

#[test]
fn a_disk_that_forgets_its_files_is_noticed() {
    let broken = Broken {
        promise: Promise::FileSync,
        ..Broken::default()
    };

    let tally = enumerate_broken("no file fsync", broken);

    assert!(tally.torn > 0);
}

#[test]
fn an_answer_that_is_used_before_it_is_stored_is_noticed() {
    let broken = Broken {
        lagging: true,
        ..Broken::default()
    };

    let tally = enumerate_broken("used before it is stored", broken);

    assert!(tally.lost > 0);
    assert!(tally.doubled > 0);
}

#[test]
fn an_odd_answer_that_is_used_before_it_is_stored_is_noticed() {
    let broken = Broken {
        lagging: true,
        ..Broken::default()
    };
    let scenarios = &SCENARIOS[..1];
    let mut points = points(broken, Seeds::All(0), Contents::OneInSeven, scenarios);
    points.retain(|point| point.varied.is_some());

    let (tallies, _) = run(&points, broken, scenarios);

    let tally = &tallies[0];
    say(&format!("odd, used before stored: {}", tally.summary()));
    assert!(tally.lost + tally.unkept > 0);
}

/// Every fourth point of the first scenario is enough to see that all is not well.
fn enumerate_broken(name: &str, broken: Broken) -> Tally {
    let scenarios = &SCENARIOS[..1];
    let mut points = points(broken, Seeds::All(1), Contents::All(0), scenarios);
    let mut index = 0;
    points.retain(|_| {
        index += 1;
        index % 4 == 0
    });
    let (mut tallies, _) = run(&points, broken, scenarios);
    let tally = tallies.remove(0);
    say(&format!("{name}: {}", tally.summary()));
    tally
}

#[test]
fn a_restart_writes_nothing_and_an_update_writes_once() {
    on_a_bench(async |bench| {
        for (name, writes) in [("restart", &[] as &[&str]), ("update", &["PUT"])] {
            let scenario = SCENARIOS.iter().find(|s| s.name == name).unwrap();
            let mut world = World::new(bench, *scenario, Broken::default()).await;
            let mut random = Random::new(0);

            let (end, _) = world.interrupted(Target::Nothing, &mut random).await;

            assert!(matches!(end, End::Ready), "{end:?}");
            assert_eq!(world.writes(), writes, "{name}");
        }
    });
}

#[test]
fn a_registered_service_starts_on_a_full_disk() {
    on_a_bench(async |bench| {
        let scenario = SCENARIOS.iter().find(|s| s.name == "restart").unwrap();
        let mut world = World::new(bench, *scenario, Broken::default()).await;
        world.fill_disk();
        let mut random = Random::new(0);

        let (end, _) = world.interrupted(Target::Nothing, &mut random).await;

        assert!(matches!(end, End::Ready), "{end:?}");
        assert_eq!(world.writes(), [] as [&str; 0]);
        assert_eq!(world.found(), []);
    });
}

#[test]
fn a_registered_service_starts_on_a_volume_that_can_only_be_read() {
    on_a_bench(async |bench| {
        let scenario = SCENARIOS.iter().find(|s| s.name == "restart").unwrap();
        let mut world = World::new(bench, *scenario, Broken::default()).await;

        let (end, _) = world.read_only().await;

        assert!(matches!(end, End::Ready), "{end:?}");
        assert_eq!(world.writes(), [] as [&str; 0]);
        assert_eq!(world.found(), []);
    });
}

/// Runs the points; what was found by scenario, and in words.
fn run(points: &[Point], broken: Broken, scenarios: &[Scenario]) -> (Vec<Tally>, Vec<String>) {
    let next = AtomicUsize::new(0);
    let tallies = Mutex::new(vec![Tally::default(); scenarios.len()]);
    let complaints = Mutex::new(Vec::new());
    let work = || {
        on_a_bench(async |bench| {
            while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                let run = point.run(bench, broken, scenarios[point.scenario]);
                let came = tokio::time::timeout(LONGEST, run).await;
                let came = came.unwrap_or_else(|_| Came {
                    found: vec![Wrong::Stuck("it hangs".to_owned())],
                    ..Came::default()
                });
                let mut tallies = tallies.lock().unwrap();
                tallies[point.scenario].count(&came);
                // What comes after the first follows from it.
                if let Some(wrong) = came.found.first() {
                    let complaint = format!("{}: {wrong:?}", point.name(scenarios));
                    complaints.lock().unwrap().push(complaint);
                }
            }
        });
    };
    thread::scope(|scope| {
        // More than there are processors: most of the time goes by waiting.
        for _ in 0..8 * thread::available_parallelism().unwrap().get() {
            scope.spawn(work);
        }
    });
    (
        tallies.into_inner().unwrap(),
        complaints.into_inner().unwrap(),
    )
}

/// Numbers the steps of each scenario by running it without faults.
fn points(broken: Broken, seeds: Seeds, contents: Contents, scenarios: &[Scenario]) -> Vec<Point> {
    let mut points = Vec::new();
    let mut index = 0;
    on_a_bench(async |bench| {
        for (scenario, described) in scenarios.iter().enumerate() {
            let mut world = World::new(bench, *described, broken).await;
            let mut random = Random::new(0);
            let (end, steps) = world.interrupted(Target::Nothing, &mut random).await;
            assert!(!matches!(end, End::Killed), "{}: {end:?}", described.name);
            for (number, step) in steps.iter().enumerate() {
                for &fault in step.kind.faults() {
                    let varied = |number| Some(Varied::of(index, number, &steps));
                    let plain = seeds.of(index).map(|seed| (seed, None));
                    let all = plain.chain(contents.of(index).map(|number| (0, varied(number))));
                    points.extend(all.map(|(seed, varied)| Point {
                        scenario,
                        number,
                        step: step.clone(),
                        fault,
                        seed,
                        varied,
                    }));
                    index += 1;
                }
            }
        }
    });
    points
}

impl Point {
    fn name(&self, scenarios: &[Scenario]) -> String {
        format!("{}: {self}", scenarios[self.scenario].name)
    }

    /// Misfortunes never come singly.
    fn has_second_fault(&self) -> bool {
        self.seed % 2 == 1
    }

    fn random(&self) -> Random {
        let number = u64::try_from(self.number).unwrap();
        let varied = self.varied.as_ref().map_or(0, Varied::mixed);
        let seed = number ^ (self.seed << 32) ^ ((self.fault as u64) << 48) ^ varied;
        let mut random = Random::new(seed);
        random.next();
        random
    }

    async fn run(&self, bench: &Bench, broken: Broken, scenario: Scenario) -> Came {
        if let Some(varied) = &self.varied {
            return self.run_with(bench, broken, scenario, varied).await;
        }
        let mut random = self.random();
        let mut world = World::new(bench, scenario, broken).await;
        let target = Target::Step(self.number, self.fault);
        let (_, steps) = world.interrupted(target, &mut random).await;
        let taken = steps.get(self.number).map(|step| step.what.as_str());
        assert_eq!(taken, Some(self.step.what.as_str()), "{self}: other steps");
        let mut twice = false;
        if self.has_second_fault() {
            let number = random.below(steps.len());
            let target = Target::Any(number, random.next());
            let (_, steps) = world.interrupted(target, &mut random).await;
            // The start after the first fault may have fewer steps.
            twice = steps.len() > number;
        }
        world.recover().await;
        Came {
            twice,
            odd: false,
            found: world.found(),
        }
    }

    /// An answer may change which steps are taken, so the step may be another one, or none.
    async fn run_with(
        &self,
        bench: &Bench,
        broken: Broken,
        scenario: Scenario,
        varied: &Varied,
    ) -> Came {
        let mut world = World::odd(bench, scenario, broken).await;
        world.distort(varied);
        let target = Target::Step(self.number, self.fault);
        world.interrupted(target, &mut self.random()).await;
        let mut odd = world.was_distorted();
        if world.found().is_empty() {
            odd |= world.come_to_rest().await;
        }
        Came {
            twice: false,
            odd,
            found: world.found(),
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "step {} ({}), {:?}, seed {}",
            self.number, self.step.what, self.fault, self.seed
        )?;
        match &self.varied {
            Some(varied) => write!(f, ", {varied}"),
            None => Ok(()),
        }
    }
}

/// With which seeds a point is run.
#[derive(Clone, Copy, Debug)]
enum Seeds {
    /// Each point with so many.
    All(u64),
    /// Each point with seed 0, and every fifth also with seed 1.
    OneAndAFifth,
}

impl Seeds {
    /// The seeds of the point with this index.
    fn of(self, index: usize) -> Range<u64> {
        match self {
            Self::All(seeds) => 0..seeds,
            Self::OneAndAFifth if index.is_multiple_of(SECOND_SEED_EVERY) => 0..2,
            Self::OneAndAFifth => 0..1,
        }
    }
}

fn seeds() -> Seeds {
    match std::env::var("BFF_CRASH_SEEDS") {
        Ok(seeds) => Seeds::All(seeds.parse().unwrap()),
        Err(_) => Seeds::OneAndAFifth,
    }
}
