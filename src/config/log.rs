//! The log.

use super::Section;
use super::parse;
use super::reader::Reader;
use super::settings::{BFF_LOG, BFF_LOG_FORMAT};

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Directives that `tracing_subscriber::EnvFilter` parses.
    pub filter: String,
    /// How a line looks; none means text on a terminal, JSON elsewhere.
    pub format: Option<LogFormat>,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

impl Section for LogConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let filter = reader.value(BFF_LOG, parse::log_filter);
        let format = reader.optional(BFF_LOG_FORMAT, |text| {
            parse::choice(
                text,
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
            )
        });
        Some(Self {
            filter: filter?,
            format: format?,
        })
    }
}
