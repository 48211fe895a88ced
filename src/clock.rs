//! Wall-clock time, as a value that a test can move.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

/// Tells the wall-clock time.
///
/// Waits are measured with `tokio::time`, which a test can pause. Times that are stored or shown,
/// or that must survive a restart, come from here.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The clock of this machine, in whole seconds: nothing here needs a finer time, and seconds
    /// are easier to read.
    pub fn system() -> Self {
        Self::new(|| {
            let now = Timestamp::now();
            Timestamp::from_second(now.as_second()).unwrap_or(now)
        })
    }

    /// A clock that asks `now` each time.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
