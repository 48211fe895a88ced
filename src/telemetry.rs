//! The log: one line per event on standard error.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::oauth::is_odd;

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
    let builder = fmt().with_env_filter(filter);
    if text.unwrap_or(terminal) {
        let colour = colour && terminal;
        let form = Form::Text { colour };
        builder
            .with_writer(move || Lines(form))
            .with_ansi(colour)
            .with_target(false)
            .try_init()
    } else {
        builder
            .with_writer(|| Lines(Form::Json))
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init()
    }
}

#[derive(Clone, Copy)]
enum Form {
    Json,
    Text { colour: bool },
}

/// Standard error, on which an event cannot leave its line, whoever wrote a part of it.
struct Lines(Form);

impl io::Write for Lines {
    /// Takes a whole event.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = on_one_line(&String::from_utf8_lossy(event), self.0);
        io::stderr().write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn on_one_line(event: &str, form: Form) -> String {
    let mut line = String::with_capacity(event.len());
    for character in event.strip_suffix('\n').unwrap_or(event).chars() {
        match (character, form) {
            // The formatter escapes those of a message, and the others are its colours.
            ('\u{1b}', Form::Text { colour: true }) => line.push(character),
            ('\n', Form::Text { .. }) => line.push_str("\\n"),
            (character, Form::Text { .. }) if is_odd(character) => {
                line.extend(character.escape_unicode());
            }
            // It can only be in a string (RFC 8259 §7).
            (character, Form::Json) if is_odd(character) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing to a text does not fail.
                    let _ = write!(line, "\\u{unit:04x}");
                }
            }
            (character, _) => line.push(character),
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stays_on_its_line_and_json_stays_json() {
        let odd = "a\u{85}\u{202e}\u{2028}\u{e0041}é";
        let event = format!("{}\n", serde_json::json!({"message": odd}));

        let line = on_one_line(&event, Form::Json);

        assert!(!line.trim_end_matches('\n').chars().any(is_odd), "{line}");
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["message"], odd);
        assert_eq!(
            on_one_line("a\nb\u{1b}[1m\u{9b}c\n", Form::Text { colour: false }),
            "a\\nb\\u{1b}[1m\\u{9b}c\n"
        );
        assert_eq!(
            on_one_line("\u{1b}[1ma\u{1b}[0m\n", Form::Text { colour: true }),
            "\u{1b}[1ma\u{1b}[0m\n"
        );
    }
}
