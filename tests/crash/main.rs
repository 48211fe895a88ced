//! The identity survives whatever happens at whichever step.
//!
//! Each scenario is run once without faults, which numbers its steps: every operation on the
//! disk, every request to the IdP, every fetch of the JWK Set. Then it is run again for each
//! step and each thing that can go wrong there, the disk loses what was not synced, and the
//! program is started again until all is as it should be. `BFF_CRASH_SEEDS` says how often,
//! `BFF_CRASH_ONLY` which points: those whose name holds these words.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong by panicking, and spawns what it likes"
)]

mod disk;
mod net;
mod record;
mod scenario;
mod steps;
mod world;

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::disk::Promise;
use crate::record::Wrong;
use crate::scenario::{SCENARIOS, Scenario};
use crate::steps::{Fault, Random, Step, Target};
use crate::world::{Bench, Broken, End, World};

/// The longest that one point may take.
const LONGEST: Duration = Duration::from_secs(20);

/// One step of one scenario, and what goes wrong there.
#[derive(Clone, Debug)]
struct Point {
    scenario: usize,
    number: usize,
    step: Step,
    fault: Fault,
    seed: u64,
}

#[derive(Clone, Debug, Default)]
struct Tally {
    points: usize,
    lost: usize,
    doubled: usize,
    torn: usize,
    stuck: usize,
}

#[test]
fn nothing_is_lost_doubled_or_torn_whichever_step_goes_wrong() {
    let seeds = seeds(1);
    let mut points = points(Broken::default(), seeds, &SCENARIOS);
    if let Ok(only) = std::env::var("BFF_CRASH_ONLY") {
        points.retain(|point| point.name(&SCENARIOS).contains(&only));
    }

    let (tallies, complaints) = run(&points, Broken::default(), &SCENARIOS);

    let mut total = Tally::default();
    for (scenario, tally) in SCENARIOS.iter().zip(&tallies) {
        say(&format!("{}: {}", scenario.name, tally.summary(seeds)));
        total.add(tally);
    }
    say(&format!("total: {}", total.summary(seeds)));
    let shown = complaints.len().min(40);
    assert!(complaints.is_empty(), "{}", complaints[..shown].join("\n"));
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

/// Every fourth point of the first scenario is enough to see that all is not well.
fn enumerate_broken(name: &str, broken: Broken) -> Tally {
    let scenarios = &SCENARIOS[..1];
    let mut points = points(broken, 1, scenarios);
    let mut index = 0;
    points.retain(|_| {
        index += 1;
        index % 4 == 0
    });
    let (mut tallies, _) = run(&points, broken, scenarios);
    let tally = tallies.remove(0);
    say(&format!("{name}: {}", tally.summary(1)));
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

/// Runs the points; what was found by scenario, and in words.
fn run(points: &[Point], broken: Broken, scenarios: &[Scenario]) -> (Vec<Tally>, Vec<String>) {
    let next = AtomicUsize::new(0);
    let tallies = Mutex::new(vec![Tally::default(); scenarios.len()]);
    let complaints = Mutex::new(Vec::new());
    for point in points.iter().filter(|point| point.seed == 0) {
        tallies.lock().unwrap()[point.scenario].points += 1;
    }
    let work = || {
        on_a_bench(async |bench| {
            while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                let run = point.run(bench, broken, scenarios[point.scenario]);
                let found = tokio::time::timeout(LONGEST, run)
                    .await
                    .unwrap_or_else(|_| vec![Wrong::Stuck("it hangs".to_owned())]);
                let mut tallies = tallies.lock().unwrap();
                tallies[point.scenario].count(&found);
                // What comes after the first follows from it.
                if let Some(wrong) = found.first() {
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
fn points(broken: Broken, seeds: u64, scenarios: &[Scenario]) -> Vec<Point> {
    let mut points = Vec::new();
    on_a_bench(async |bench| {
        for (scenario, described) in scenarios.iter().enumerate() {
            let mut world = World::new(bench, *described, broken).await;
            let mut random = Random::new(0);
            let (end, steps) = world.interrupted(Target::Nothing, &mut random).await;
            assert!(!matches!(end, End::Killed), "{}: {end:?}", described.name);
            for (number, step) in steps.into_iter().enumerate() {
                for &fault in step.kind.faults() {
                    for seed in 0..seeds {
                        points.push(Point {
                            scenario,
                            number,
                            step: step.clone(),
                            fault,
                            seed,
                        });
                    }
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

    async fn run(&self, bench: &Bench, broken: Broken, scenario: Scenario) -> Vec<Wrong> {
        let number = u64::try_from(self.number).unwrap();
        let mut random = Random::new(number ^ (self.seed << 32) ^ ((self.fault as u64) << 48));
        random.next();
        let mut world = World::new(bench, scenario, broken).await;
        let target = Target::Step(self.number, self.fault);
        let (_, steps) = world.interrupted(target, &mut random).await;
        let taken = steps.get(self.number).map(|step| step.what.as_str());
        assert_eq!(taken, Some(self.step.what.as_str()), "{self}: other steps");
        // Misfortunes never come singly.
        if self.seed % 2 == 1 {
            let target = Target::Any(random.below(steps.len()), random.next());
            world.interrupted(target, &mut random).await;
        }
        world.recover().await;
        world.found()
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "step {} ({}), {:?}, seed {}",
            self.number, self.step.what, self.fault, self.seed
        )
    }
}

impl Tally {
    /// Counts each kind once.
    fn count(&mut self, found: &[Wrong]) {
        let any = |kind: fn(&Wrong) -> bool| usize::from(found.iter().any(kind));
        self.lost += any(|wrong| matches!(wrong, Wrong::Lost(_)));
        self.doubled += any(|wrong| matches!(wrong, Wrong::Doubled(_)));
        self.torn += any(|wrong| matches!(wrong, Wrong::Torn(_)));
        self.stuck += any(|wrong| matches!(wrong, Wrong::Stuck(_)));
    }

    fn add(&mut self, other: &Self) {
        self.points += other.points;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.torn += other.torn;
        self.stuck += other.stuck;
    }

    fn summary(&self, seeds: u64) -> String {
        let mut text = format!(
            "{} points × {seeds} seeds: {} lost, {} doubled, {} torn",
            self.points, self.lost, self.doubled, self.torn
        );
        if self.stuck > 0 {
            write!(text, ", {} stuck", self.stuck).unwrap();
        }
        text
    }
}

/// How many seeds: `BFF_CRASH_SEEDS`, else this many.
fn seeds(default: u64) -> u64 {
    std::env::var("BFF_CRASH_SEEDS").map_or(default, |seeds| seeds.parse().unwrap())
}

/// Past the test runner, which keeps what a passing test prints.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn on_a_bench(work: impl AsyncFnOnce(&Bench)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let bench = Bench::new().await;
        work(&bench).await;
    });
}
