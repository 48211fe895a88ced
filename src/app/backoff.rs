//! Waiting longer each time.

use std::time::Duration;

use openssl::rand::rand_bytes;
use tokio::time::Instant;

use super::shutdown::Shutdown;

/// Pauses between tries, doubling from [`Backoff::FIRST`] to [`Backoff::LONGEST`] and shortened by
/// up to half at random, so that instances that failed at the same time do not retry at the same
/// time.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    deadline: Option<Instant>,
    /// Whether there is only one try, which then has all the time that it needs.
    once: bool,
    shutdown: Shutdown,
}

impl Backoff {
    /// The first pause, at most.
    pub const FIRST: Duration = Duration::from_millis(500);

    /// The longest pause.
    pub const LONGEST: Duration = Duration::from_secs(30);

    /// Pauses until `limit` is over or the service stops.
    pub fn until(limit: Duration, shutdown: &Shutdown) -> Self {
        Self {
            next: Self::FIRST,
            deadline: Some(Instant::now() + limit),
            once: limit.is_zero(),
            shutdown: shutdown.clone(),
        }
    }

    /// Pauses until the service stops.
    pub fn endless(shutdown: &Shutdown) -> Self {
        Self {
            next: Self::FIRST,
            deadline: None,
            once: false,
            shutdown: shutdown.clone(),
        }
    }

    /// When a request that has no effect is given up.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline.filter(|_| !self.once)
    }

    /// Logs `failure` and waits, at least as long as the server asked for. Returns `false` if the
    /// service stops meanwhile, or, without a line and at once, if no time is left for another try.
    pub async fn try_again(&mut self, failure: &str, at_least: Option<Duration>) -> bool {
        let Some(pause) = self.next(at_least) else {
            return false;
        };
        let retry_s = pause.as_secs_f64();
        tracing::warn!(retry_s, "{failure}; trying again in {retry_s:.1} s");
        self.wait(pause).await
    }

    /// Waits, at least as long as the server asked for. Returns `false` if the service stops
    /// meanwhile, or, at once, if no time is left for another try.
    pub async fn pause(&mut self, at_least: Option<Duration>) -> bool {
        match self.next(at_least) {
            Some(pause) => self.wait(pause).await,
            None => false,
        }
    }

    /// The next pause, at least as long as the server asked for; none if no time is left.
    pub fn next(&mut self, at_least: Option<Duration>) -> Option<Duration> {
        let pause = spread(self.next).max(at_least.unwrap_or_default());
        self.next = (self.next * 2).min(Self::LONGEST);
        let Some(deadline) = self.deadline else {
            return Some(pause);
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let enough = !left.is_zero() && at_least.is_none_or(|at_least| at_least <= left);
        enough.then(|| pause.min(left))
    }

    /// Waits for such a pause. Returns `false` if the service stops meanwhile.
    pub async fn wait(&self, pause: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = self.shutdown.begun() => false,
        }
    }
}

/// Between a half and the whole of `pause`.
fn spread(pause: Duration) -> Duration {
    let mut random = [0];
    // Without randomness the pause is not shortened, which is safe.
    if rand_bytes(&mut random).is_err() {
        return pause;
    }
    let [random] = random;
    pause / 2 + pause.mul_f64(f64::from(random) / 512.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tries_go_on_until_the_limit_and_then_stop() {
        let start = Instant::now();
        let mut backoff = Backoff::until(Duration::from_mins(1), &Shutdown::new());

        let mut tries = 1;
        while backoff.pause(None).await {
            tries += 1;
        }

        assert_eq!(
            start.elapsed(),
            Duration::from_mins(1),
            "one try at the end"
        );
        assert!((6..20).contains(&tries), "{tries}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_waiting() {
        let (start, shutdown) = (Instant::now(), Shutdown::new());
        shutdown.begin();

        assert!(!Backoff::endless(&shutdown).pause(None).await);

        assert!(start.elapsed() < Backoff::FIRST);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_time_that_lies_behind_the_limit() {
        let mut backoff = Backoff::until(Duration::from_secs(10), &Shutdown::new());

        assert!(!backoff.pause(Some(Duration::from_secs(11))).await);
        assert!(backoff.pause(Some(Duration::from_secs(9))).await);
    }
}
