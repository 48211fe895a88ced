//! The wall clock: it goes with the time that tokio tells, can be set, and can act when it is asked.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bff::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

#[derive(Clone)]
pub(crate) struct Wall(Arc<Inner>);

struct Inner {
    start: Timestamp,
    since: Instant,
    ahead: AtomicI64,
    act: Mutex<Option<Act>>,
}

type Act = Box<dyn FnMut() -> Then + Send>;

/// What becomes of an act.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Then {
    Again,
    NeverAgain,
}

impl Wall {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            start: Timestamp::now(),
            since: Instant::now(),
            ahead: AtomicI64::new(0),
            act: Mutex::new(None),
        }))
    }

    /// The time, told to nobody.
    pub(crate) fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_secs(self.0.ahead.load(Ordering::Relaxed));
        self.0.start + self.0.since.elapsed() + ahead
    }

    pub(crate) fn set_ahead(&self, by: Duration) {
        let seconds = i64::try_from(by.as_secs()).unwrap();
        self.0.ahead.store(seconds, Ordering::Relaxed);
    }

    pub(crate) fn set_back(&self, by: Duration) {
        let seconds = i64::try_from(by.as_secs()).unwrap();
        self.0.ahead.store(-seconds, Ordering::Relaxed);
    }

    /// Acts each time before the program is told the time.
    pub(crate) fn before_telling(&self, act: impl FnMut() -> Then + Send + 'static) {
        *self.act() = Some(Box::new(act));
    }

    /// Whether there is nothing left to act.
    pub(crate) fn has_acted(&self) -> bool {
        self.act().is_none()
    }

    /// The clock of the program.
    pub(crate) fn clock(&self) -> Clock {
        let wall = self.clone();
        Clock::new(move || {
            let act = wall.act().take();
            if let Some(mut act) = act
                && act() == Then::Again
            {
                *wall.act() = Some(act);
            }
            wall.now()
        })
    }

    fn act(&self) -> std::sync::MutexGuard<'_, Option<Act>> {
        self.0.act.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
