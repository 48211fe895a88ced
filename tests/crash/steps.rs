//! Numbers the steps of one start, and makes one of them go wrong.

use std::panic::resume_unwind;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// What a step does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Looks at the disk.
    Look,
    /// Changes the disk.
    Change,
    /// Writes into a file.
    Write,
    /// Sends a request to the IdP.
    Request,
    /// Answers the IdP's request for the JWK Set.
    Fetch,
}

/// What goes wrong at a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    KillBefore,
    KillAfter,
    /// The program is killed in the middle of the step.
    KillWithin,
    /// An error, and nothing is done.
    Fail,
    /// An error, and it is done all the same.
    FailAfter,
    /// An error, and half of it is done.
    FailWithin,
    /// A proxy answers 502 once it is done.
    BadGateway,
    /// All is well, and the program is killed at its next step.
    KillNext,
}

impl Kind {
    /// What can go wrong. To be killed before a step is to be killed after the one before it.
    pub(crate) fn faults(self) -> &'static [Fault] {
        use Fault::{
            BadGateway, Fail, FailAfter, FailWithin, KillAfter, KillBefore, KillNext, KillWithin,
        };
        match self {
            Self::Look => &[Fail],
            Self::Change => &[KillAfter, Fail, FailAfter],
            Self::Write => &[KillWithin, KillAfter, Fail, FailWithin],
            Self::Request => &[
                KillBefore, KillAfter, KillWithin, KillNext, Fail, FailAfter, FailWithin,
                BadGateway,
            ],
            Self::Fetch => &[KillBefore, Fail],
        }
    }
}

/// Which step is to go wrong, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    Nothing,
    Step(usize, Fault),
    /// Some fault of that step, by this number.
    Any(usize, u64),
    /// Every step that changes the disk fails.
    ReadOnly,
}

#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) kind: Kind,
    pub(crate) what: String,
}

/// The steps of one start.
#[derive(Debug)]
pub(crate) struct Steps {
    inner: Mutex<Inner>,
    killed: Notify,
}

#[derive(Debug)]
struct Inner {
    target: Target,
    taken: Vec<Step>,
    /// The program does nothing from now on.
    dead: bool,
    /// The program dies at its next step.
    doomed: bool,
}

/// What a thread of the program unwinds with when the program is killed.
#[derive(Debug)]
pub(crate) struct Killed;

impl Steps {
    pub(crate) fn new(target: Target) -> Self {
        Self {
            inner: Mutex::new(Inner {
                target,
                taken: Vec::new(),
                dead: false,
                doomed: false,
            }),
            killed: Notify::new(),
        }
    }

    /// Takes a step, and says what goes wrong with it.
    pub(crate) fn take(&self, kind: Kind, what: impl FnOnce() -> String) -> Option<Fault> {
        let mut inner = self.lock();
        if inner.dead || inner.doomed {
            inner.dead = true;
            return Some(Fault::KillBefore);
        }
        let number = inner.taken.len();
        inner.taken.push(Step { kind, what: what() });
        match inner.target {
            Target::Step(target, fault) if target == number => Some(fault),
            Target::Any(target, random) if target == number => {
                let faults = kind.faults();
                Some(faults[usize::try_from(random).unwrap() % faults.len()])
            }
            Target::ReadOnly if matches!(kind, Kind::Change | Kind::Write) => Some(Fault::Fail),
            _ => None,
        }
    }

    /// Whether the disk can only be read.
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(self.lock().target, Target::ReadOnly)
    }

    /// Kills the program: the thread that calls this unwinds.
    pub(crate) fn die(&self) -> ! {
        self.kill();
        resume_unwind(Box::new(Killed))
    }

    /// Kills the program from outside.
    pub(crate) fn kill(&self) {
        self.lock().dead = true;
        self.killed.notify_one();
    }

    pub(crate) fn doom(&self) {
        self.lock().doomed = true;
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.lock().dead
    }

    pub(crate) async fn killed(&self) {
        self.killed.notified().await;
    }

    pub(crate) fn taken(&self) -> Vec<Step> {
        self.lock().taken.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Numbers that look random and are the same for the same seed (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).unwrap();
        usize::try_from(self.next() % limit).unwrap()
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.next() & 1 == 0
    }
}
