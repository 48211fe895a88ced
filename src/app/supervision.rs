//! Background tasks that must not end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::shutdown::Shutdown;
use crate::clock::Clock;

/// Starts tasks again that panicked, and reports it.
#[derive(Clone, Debug)]
pub struct Supervision {
    tasks: Arc<Mutex<BTreeMap<&'static str, TaskReport>>>,
    shutdown: Shutdown,
    clock: Clock,
}

/// What became of one task.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TaskReport {
    /// How often it panicked and was started again.
    pub panics: u64,
    /// When it last did.
    pub last_panic_at: Option<Timestamp>,
}

/// Pause before a task is started again, doubling up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_secs(1);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

impl Supervision {
    /// No task yet.
    pub fn new(shutdown: Shutdown, clock: Clock) -> Self {
        Self {
            tasks: Arc::default(),
            shutdown,
            clock,
        }
    }

    /// Runs a task until the service stops or the task returns; one that panics is started again.
    pub fn spawn<F>(&self, name: &'static str, task: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.change(name, |_| {});
        let supervision = self.clone();
        self.shutdown.spawn(async move {
            let mut pause = PAUSE;
            while supervision.shutdown.see_through(task()).await.is_err() {
                let now = supervision.clock.now();
                supervision.change(name, |report| {
                    report.panics += 1;
                    report.last_panic_at = Some(now);
                });
                tracing::error!(
                    task = name,
                    retry_s = pause.as_secs(),
                    "The task `{name}` panicked, and is started again in {} s; hint: report this \
                     defect of bff with the lines before this one",
                    pause.as_secs()
                );
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = supervision.shutdown.begun() => return,
                }
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            }
        });
    }

    /// The tasks by name.
    pub fn tasks(&self) -> BTreeMap<&'static str, TaskReport> {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.clone()
    }

    fn change(&self, name: &'static str, change: impl FnOnce(&mut TaskReport)) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        change(tasks.entry(name).or_default());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_started_again_and_it_is_said() {
        let supervision = Supervision::new(Shutdown::new(), Clock::system());
        let runs = Arc::new(AtomicU32::new(0));

        let counted = Arc::clone(&runs);
        supervision.spawn("a task", move || {
            let run = counted.fetch_add(1, Ordering::Relaxed);
            async move { assert!(run >= 2, "on purpose") }
        });
        tokio::time::sleep(LONGEST_PAUSE).await;

        assert_eq!(runs.load(Ordering::Relaxed), 3);
        assert_eq!(supervision.tasks()["a task"].panics, 2);
        assert!(supervision.tasks()["a task"].last_panic_at.is_some());
    }
}
