//! The real program as a child process, a development IdP beside it, and a volume for it.

#![allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "each test binary uses a part; a test fails by panicking"
)]

pub(crate) mod cases;
pub(crate) mod child;
pub(crate) mod environment;
pub(crate) mod http;
pub(crate) mod log;
pub(crate) mod port;
pub(crate) mod volume;
pub(crate) mod world;

use std::path::PathBuf;
use std::time::Duration;

/// How long anything may take before a test gives it up; far more than it needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The passphrase of the encrypted keys among the fixtures.
pub(crate) const PASSPHRASE: &str = "for-tests-only";

/// A key among the fixtures.
pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/keys")).join(name)
}

/// Decides when something happens that may happen at any time, such as a kill.
pub(crate) async fn after(moment: Duration) {
    tokio::time::sleep(moment).await;
}

/// Lets time go by on the paused clock, as fast as what is under way comes to rest.
pub(crate) async fn elapse(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Looks again and again until `condition` holds.
pub(crate) async fn eventually<T>(what: &str, condition: impl AsyncFnMut() -> Option<T>) -> T {
    let mut condition = condition;
    let look = async {
        loop {
            if let Some(found) = condition().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look)
        .await
        .unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}
