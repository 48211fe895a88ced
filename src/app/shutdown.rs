//! Stopping: first politely, then not.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Tells the tasks when to stop, and waits for them.
///
/// `soft` asks tasks to finish their present work, `hard` to stop at once. All tasks of the service
/// are spawned here, so that a stop waits for each of them.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
}

/// A task panicked; the message is on standard error.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a task of the service panicked")]
pub struct Panicked;

/// The signals that ask a process to end.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Shutdown {
    /// How long present work may take after the first signal.
    pub const GRACE: Duration = Duration::from_secs(10);

    /// Nothing has been asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Spawns a task that the end waits for.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Starts `work` now and runs it to its end, even if the caller stops waiting: a request to the
    /// IdP must not be cut off before its answer.
    ///
    /// # Errors
    ///
    /// [`Panicked`] if the work did.
    pub fn see_through<T, W>(
        &self,
        work: W,
    ) -> impl Future<Output = Result<T, Panicked>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: Future<Output = T> + Send + 'static,
    {
        let task = self.tasks.spawn(work);
        async move {
            match task.await {
                Ok(result) => Ok(result),
                Err(error) if error.is_panic() => Err(Panicked),
                // The runtime is shutting down: this task is not polled again.
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Asks everything to come to an end.
    pub fn begin(&self) {
        self.soft.cancel();
    }

    /// Completes when an end has been asked for.
    pub async fn begun(&self) {
        self.soft.cancelled().await;
    }

    /// Completes when what still runs has to stop at once.
    pub async fn aborted(&self) {
        self.hard.cancelled().await;
    }

    /// Waits for the tasks: until they are done, [`Shutdown::GRACE`] is over, or `impatience`
    /// completes. Says whether all of them ended.
    pub async fn finish(&self, impatience: impl Future<Output = ()>) -> bool {
        self.begin();
        self.tasks.close();
        let done = tokio::select! {
            () = self.tasks.wait() => true,
            () = tokio::time::sleep(Self::GRACE) => false,
            () = impatience => false,
        };
        self.hard.cancel();
        done
    }
}

impl Signals {
    /// Handles the signals from now on: the first process of a container has no default action for
    /// them.
    ///
    /// # Errors
    ///
    /// Any I/O error of the registration.
    pub fn take() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Completes at the next one.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_work_at_hand_but_not_for_ever() {
        let quick = Shutdown::new();
        quick.spawn(tokio::time::sleep(Shutdown::GRACE / 2));
        assert!(quick.finish(std::future::pending()).await);

        let slow = Shutdown::new();
        slow.spawn(tokio::time::sleep(Shutdown::GRACE * 2));
        assert!(!slow.finish(std::future::pending()).await);
    }

    #[tokio::test]
    async fn who_waits_for_work_that_panics_is_told() {
        let shutdown = Shutdown::new();

        let seen = shutdown.see_through(async { panic!("on purpose") });

        assert_eq!(seen.await, Err::<(), _>(Panicked));
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_ends_the_waiting() {
        let shutdown = Shutdown::new();
        shutdown.spawn(std::future::pending());

        assert!(!shutdown.finish(std::future::ready(())).await);

        shutdown.aborted().await;
    }
}
