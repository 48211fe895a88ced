//! Stopping: first politely, then not.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Tells the tasks when to stop, and waits for them.
///
/// `soft` asks tasks to finish their present work, `hard` to stop at once. All tasks of the service
/// are spawned here, so that a stop waits for each of them.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    effects: TaskTracker,
}

/// Held while a request is under way that may have an effect at the IdP, until its answer is
/// stored: the end waits for it.
#[derive(Debug)]
#[must_use]
pub struct Effect {
    _token: TaskTrackerToken,
}

/// The service stops: nothing that may have an effect is begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("stopped before it was done")]
pub struct Stopping;

/// A task panicked; the message is on standard error.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a task of the service panicked")]
pub struct Panicked;

/// The signals that ask a process to end.
#[derive(Debug)]
pub struct Signals {
    hang_up: Signal,
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
}

impl Shutdown {
    /// How long work without an effect at the IdP may take after the first signal.
    pub const GRACE: Duration = Duration::from_secs(10);

    /// How long the end waits at most: the time limit of a request, and time to store its answer.
    pub const LONGEST: Duration = Duration::from_secs(40);

    /// How long a task may take to end after its effect.
    const LAST: Duration = Duration::from_secs(1);

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

    /// Begins what may have an effect at the IdP.
    ///
    /// # Errors
    ///
    /// [`Stopping`] if an end has been asked for.
    pub fn effect(&self) -> Result<Effect, Stopping> {
        // Taken first: an end that is asked for in between either sees it or prevents it.
        let effect = Effect {
            _token: self.effects.token(),
        };
        if self.soft.is_cancelled() {
            return Err(Stopping);
        }
        Ok(effect)
    }

    /// Asks everything to come to an end.
    pub fn begin(&self) {
        self.soft.cancel();
    }

    /// Whether an end has been asked for.
    pub fn is_begun(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Completes when an end has been asked for.
    pub async fn begun(&self) {
        self.soft.cancelled().await;
    }

    /// Completes when what still runs has to stop at once.
    pub async fn aborted(&self) {
        self.hard.cancelled().await;
    }

    /// Waits for the tasks: until they are done, until [`Shutdown::GRACE`] is over and no
    /// [`Effect`] is under way, or `impatience` completes. Says whether all of them ended.
    pub async fn finish(&self, impatience: impl Future<Output = ()>) -> bool {
        self.begin();
        self.tasks.close();
        self.effects.close();
        let done = tokio::select! {
            () = self.tasks.wait() => true,
            () = self.patience() => false,
            () = impatience => false,
        };
        self.hard.cancel();
        done
    }

    async fn patience(&self) {
        tokio::time::sleep(Self::GRACE).await;
        if self.effects.is_empty() {
            return;
        }
        let left = Self::LONGEST.saturating_sub(Self::GRACE);
        if tokio::time::timeout(left, self.effects.wait())
            .await
            .is_ok()
        {
            tokio::time::sleep(Self::LAST).await;
        }
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
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Completes at the next one.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.hang_up.recv() => "SIGHUP",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.quit.recv() => "SIGQUIT",
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

    #[tokio::test(start_paused = true)]
    async fn what_may_have_an_effect_is_waited_for_longer_but_not_for_ever() {
        for (takes, ends) in [
            (Shutdown::LONGEST.mul_f32(0.9), true),
            (Shutdown::LONGEST * 2, false),
        ] {
            let shutdown = Shutdown::new();
            let effect = shutdown.effect().unwrap();
            shutdown.spawn(async move {
                tokio::time::sleep(takes).await;
                drop(effect);
            });

            assert_eq!(shutdown.finish(std::future::pending()).await, ends);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn other_work_is_cut_off_while_an_effect_is_waited_for_no_longer_than_that() {
        let shutdown = Shutdown::new();
        let effect = shutdown.effect().unwrap();
        shutdown.spawn(std::future::pending());
        shutdown.spawn(async move {
            tokio::time::sleep(Shutdown::GRACE * 2).await;
            drop(effect);
        });
        let before = tokio::time::Instant::now();

        assert!(!shutdown.finish(std::future::pending()).await);

        assert_eq!(before.elapsed(), Shutdown::GRACE * 2 + Shutdown::LAST);
    }

    #[test]
    fn nothing_that_may_have_an_effect_begins_after_the_signal() {
        let shutdown = Shutdown::new();

        shutdown.begin();

        assert_eq!(shutdown.effect().err(), Some(Stopping));
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
