//! The log.

use super::parse;
use super::reader::Reader;
use super::section::Section;
use super::settings::{BFF_LOG, BFF_LOG_FORMAT};

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Directives that `tracing_subscriber::EnvFilter` parses.
    pub filter: String,
    /// Whether lines are text for people rather than JSON; none means text on a terminal, JSON
    /// elsewhere.
    pub text: Option<bool>,
    /// Whether text on a terminal may have colours: `NO_COLOR` is not set.
    pub colour: bool,
}

impl Section for LogConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let filter = reader.value(BFF_LOG, parse::log_filter);
        let text = reader.optional(
            BFF_LOG_FORMAT,
            parse::choice(&[("text", true), ("json", false)]),
        );
        Some(Self {
            filter: filter?,
            text: text?,
            colour: !reader.has_variable("NO_COLOR"),
        })
    }
}
