//! The log: one line per event on standard error.

use std::error::Error;
use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// Starts logging, once per process.
///
/// `filter` holds directives of `EnvFilter`. `text` asks for lines of text (`true`) or of JSON
/// (`false`); without it they are text on a terminal, and JSON elsewhere. Text on a terminal has
/// colours if `colour` permits them. Standard output stays free for what a command is asked to
/// print.
///
/// # Errors
///
/// If the filter does not parse, or if a logger is set already.
pub fn init(
    filter: &str,
    text: Option<bool>,
    colour: bool,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let filter: EnvFilter = filter.parse()?;
    let terminal = io::stderr().is_terminal();
    let builder = fmt().with_env_filter(filter).with_writer(io::stderr);
    if text.unwrap_or(terminal) {
        builder
            .with_ansi(colour && terminal)
            .with_target(false)
            .try_init()
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init()
    }
}
