//! The log: one line per event on standard error.

use std::error::Error;
use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{LogConfig, LogFormat};

/// Starts logging, once per process.
///
/// Standard output stays free for what a command is asked to print.
///
/// # Errors
///
/// If the filter does not parse, or somebody else logs already.
pub fn init(config: &LogConfig) -> Result<(), Box<dyn Error + Send + Sync>> {
    let filter: EnvFilter = config.filter.parse()?;
    let terminal = io::stderr().is_terminal();
    let text = match config.format {
        Some(format) => format == LogFormat::Text,
        None => terminal,
    };
    let builder = fmt().with_env_filter(filter).with_writer(io::stderr);
    if text {
        builder.with_ansi(terminal).with_target(false).try_init()
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init()
    }
}
