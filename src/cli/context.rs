//! What every command gets.

use std::path::PathBuf;

use super::command_error::CommandError;
use super::exit::Failure;
use super::output;
use crate::app::{Shutdown, Signals, store_of};
use crate::config::{Config, Env, KeysConfig, LogConfig, Overrides, Section, Sources};
use crate::state::State;
use crate::telemetry;

/// Where the configuration is from, and how to print.
pub(super) struct Context {
    pub(super) env: Env,
    pub(super) config: Option<PathBuf>,
    pub(super) overrides: Overrides,
    pub(super) json: bool,
}

impl Context {
    /// Reads the part of the configuration that a command needs.
    pub(super) fn read<S: Section>(&self) -> Result<S, Failure> {
        let sources = Sources::open(&self.env, self.config.as_deref(), &self.overrides);
        let (section, warnings) = sources.read::<S>()?;
        for warning in warnings {
            output::warn(&warning.to_string());
        }
        Ok(section)
    }

    /// Reads the whole configuration.
    pub(super) fn load(&self) -> Result<Config, Failure> {
        let config = self.config.as_deref();
        Ok(Config::load(&self.env, config, &self.overrides)?)
    }
}

/// Starts the log of a command that runs the service.
pub(super) fn start_log(config: &LogConfig) -> Result<(), Failure> {
    telemetry::init(&config.filter, config.text, config.colour)
        .map_err(|error| CommandError::Log(error.to_string()).into())
}

/// Reads the state, also while the service runs.
pub(super) fn stored(config: &KeysConfig) -> Result<State, Failure> {
    Ok(store_of(config).load()?.state)
}

/// Sees work through that may have an effect at the IdP: a signal only keeps more from beginning. A
/// second one ends it, and so does the end of its time.
pub(super) async fn under_signals<T: Send + 'static>(
    shutdown: &Shutdown,
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let mut signals = Signals::take()?;
    let stopped = async {
        let signal = signals.next().await;
        shutdown.begin();
        tokio::select! {
            _ = signals.next() => {}
            () = tokio::time::sleep(Shutdown::LONGEST) => {}
        }
        signal
    };
    tokio::select! {
        ended = shutdown.see_through(work) => ended.unwrap_or_else(|panicked| Err(panicked.into())),
        signal = stopped => Err(CommandError::Stopped(signal).into()),
    }
}

/// Threads that answer requests, whatever the number of processors.
const WORKERS: usize = 2;

/// Threads that may block at a time: for files, and for signing and making keys.
const BLOCKING: usize = 8;

/// Runs the service, on as many threads as fit the limits that are shipped for containers.
pub(super) fn block_on_all<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(BLOCKING)
        // With the defaults, whoever is beyond 256 connections that are ready waits several times
        // as long as the others: their tasks go to a queue that is looked at rarely.
        .event_interval(1024)
        .max_io_events_per_tick(256)
        .enable_all()
        .build()?;
    Ok(runtime.block_on(work))
}

/// Runs one future, for a command that does one thing.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(work))
}
