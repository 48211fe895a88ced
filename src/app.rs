//! The running service but for its HTTP surface: tasks, wiring, readiness, shutdown.

mod backoff;
mod bootstrap;
mod endpoints;
mod keys;
mod ledger;
mod prover;
mod published;
mod registrar;
mod rotator;
mod shutdown;
mod status;

pub use backoff::Backoff;
pub use bootstrap::BootstrapError;
pub use bootstrap::Class;
pub use endpoints::http_client;
pub use keys::Keys;
pub use keys::KeysError;
pub use ledger::Ledger;
pub use prover::Proof;
pub use prover::ProofOutcome;
pub use prover::Prover;
pub use prover::Subject;
pub use prover::assertion;
pub use published::PublishedJwks;
pub use registrar::Registrar;
pub use registrar::Rehearsal;
pub use rotator::Mode;
pub use rotator::Order;
pub use rotator::RotateError;
pub use rotator::RotationStatus;
pub use rotator::Rotator;
pub use shutdown::Shutdown;
pub use shutdown::Signals;
pub use status::Bootstrap;
pub use status::Level;
pub use status::Status;

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::store::{CommitError, FileStore, LoadError, OpenError, Store};

/// The service with its store open and its keys loaded, before it has called anybody.
#[derive(Debug)]
pub struct App {
    /// The configuration it runs with.
    pub config: Arc<Config>,
    /// The state.
    pub ledger: Arc<Ledger>,
    /// The private keys.
    pub keys: Arc<Keys>,
    /// How it is going.
    pub status: Arc<Status>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Clock,
    /// Where tasks are spawned, and told to stop.
    pub shutdown: Shutdown,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no key to sign with.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The state cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl StartError {
    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Keys(error) => error.hint(),
            Self::Load(error) => error.hint(),
            Self::Open(error) => error.hint(),
        }
    }
}

impl App {
    /// Opens the store and loads the keys, or makes the first one.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing is half done then.
    pub async fn open(config: Config, clock: Clock) -> Result<Self, StartError> {
        let store = FileStore::open(&config.keys.keys_dir, &config.keys.state_dir, &owner())?;
        Self::open_with(Arc::new(store), config, clock).await
    }

    /// Like [`App::open`], with a store that is open already.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing is half done then.
    pub async fn open_with(
        store: Arc<dyn Store>,
        config: Config,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let ledger = Ledger::load(store, config.rotation.jwks_max_age)?;
        let ledger = Arc::new(ledger);
        let keys = Arc::new(Keys::open(&ledger, &config.keys, &clock).await?);
        Ok(Self {
            status: Arc::new(Status::new(config.dcr.enabled)),
            config: Arc::new(config),
            ledger,
            keys,
            metrics: Arc::new(Metrics::new()),
            clock,
            shutdown: Shutdown::new(),
        })
    }

    /// Notes that the JWK Set can be fetched from now on.
    ///
    /// # Errors
    ///
    /// Those of [`Ledger::update`].
    pub async fn serving(&self) -> Result<(), CommitError> {
        let max_age = self.config.rotation.jwks_max_age;
        let state = self.ledger.state();
        if !state
            .ring
            .as_ref()
            .is_some_and(|ring| ring.is_stale(max_age))
        {
            return Ok(());
        }
        let now = self.clock.now();
        self.ledger
            .update(|state| {
                if let Some(ring) = &mut state.ring {
                    ring.served(now, max_age);
                }
            })
            .await
    }

    /// Lets `active.pem` lead to the key that signs, for an application that reads it itself.
    pub async fn show_active_key(&self) {
        let store = Arc::clone(self.ledger.store());
        let kid = self.keys.current().kid().clone();
        if let Err(error) = ledger::blocking(move || store.activate(&kid)).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "active.pem does not lead to the key that signs ({error}): an application that \
                 reads it goes on with the one before; {}",
                error.hint()
            );
        }
    }
}

/// An error with its causes, on one line, none said twice.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

/// What another process is told that finds the state directory taken.
fn owner() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("process {} on {}", std::process::id(), host.trim())
}
