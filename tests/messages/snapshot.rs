//! Every message that an operator can meet, compared with `tests/messages/messages.txt`, where it
//! can be read as one text.
//!
//! Part of the library's own tests, because an error outside the crate cannot be matched
//! exhaustively: a new variant does not compile here until it has a sample.

mod commands;
mod configuration;
mod identity;
mod keys;

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use crate::app::{Class, chain};
use crate::cli::Exit;

const REWRITE: &str = "BFF_UPDATE_MESSAGES=1 cargo test -p bff --lib messages";

#[test]
fn every_message_is_as_it_was_read_last() {
    let now = [
        identity::messages(),
        keys::messages(),
        commands::messages(),
        configuration::messages(),
    ]
    .concat();

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages/messages.txt");
    if is_in_environment("BFF_UPDATE_MESSAGES") {
        std::fs::write(&path, &now).unwrap();
    }
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    if let Some((line, before, now)) = first_difference(&before, &now) {
        panic!(
            "messages.txt line {line}:\n  there: {before}\n  now:   {now}\nread it aloud, then run \
             {REWRITE}"
        );
    }
}

#[test]
fn no_hint_is_longer_than_a_line_of_the_log() {
    let all = [identity::messages(), keys::messages(), commands::messages()].concat();

    let hints = all
        .lines()
        .filter_map(|line| line.trim().strip_prefix("hint: "));
    let long: Vec<_> = hints.filter(|hint| hint.chars().count() > 160).collect();

    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn the_first_difference_is_found_wherever_it_is() {
    assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
    assert_eq!(first_difference("a\nb", "a\nc"), Some((2, "b", "c")));
    assert_eq!(first_difference("a", "a\nb"), Some((2, "", "b")));
    assert_eq!(first_difference("a\nb", "a"), Some((2, "b", "")));
}

/// The number of the first line that differs, as it was and as it is.
fn first_difference<'a>(before: &'a str, now: &'a str) -> Option<(usize, &'a str, &'a str)> {
    let (mut before, mut now) = (before.lines(), now.lines());
    for line in 1.. {
        match (before.next(), now.next()) {
            (None, None) => return None,
            (one, other) if one == other => {}
            (one, other) => return Some((line, one.unwrap_or(""), other.unwrap_or(""))),
        }
    }
    None
}

#[expect(clippy::disallowed_methods, reason = "not a setting of the program")]
fn is_in_environment(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

/// Samples of an enum by variant. The match has no arm for the rest, so a variant without a sample
/// does not compile.
macro_rules! samples {
    ($enum:ident { $($variant:ident: [$($sample:expr),+ $(,)?])+ }) => {{
        let variant = |sample: &$enum| match sample {
            $($enum::$variant { .. } => stringify!($variant),)+
        };
        let samples: Vec<(&'static str, $enum)> =
            vec![$($((stringify!($variant), $sample),)+)+];
        for (name, sample) in &samples {
            assert_eq!(*name, variant(sample));
        }
        (stringify!($enum), samples)
    }};
}
use samples;

/// The name of a type, and samples of it with their variants.
type Samples<T> = (&'static str, Vec<(&'static str, T)>);

/// One heading, then each sample with what an operator sees of it.
fn section<T>((name, samples): Samples<T>, entry: impl Fn(&T) -> Entry) -> String {
    let mut text = format!("== {name}\n");
    for (variant, sample) in &samples {
        let entry = entry(sample);
        writeln!(text, "\n{variant}").unwrap();
        let lines = [
            ("message", entry.message),
            ("hint", entry.hint),
            ("exit", entry.exit),
            ("status", entry.status),
        ];
        for (name, line) in lines {
            if let Some(line) = line {
                writeln!(text, "  {name}: {line}").unwrap();
            }
        }
    }
    text.push('\n');
    text
}

/// What an operator sees.
#[derive(Default)]
struct Entry {
    message: Option<String>,
    hint: Option<String>,
    exit: Option<String>,
    status: Option<String>,
}

impl Entry {
    /// An error with its causes.
    fn of(error: &dyn Error) -> Self {
        Self::text(chain(error))
    }

    fn text(message: impl Into<String>) -> Self {
        Self {
            message: Some(message.into()),
            ..Self::default()
        }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    fn status(self, status: u16) -> Self {
        Self {
            status: Some(status.to_string()),
            ..self
        }
    }

    fn class(self, class: Class) -> Self {
        self.exit(class.into())
    }

    fn exit(self, exit: Exit) -> Self {
        let code = format!("{:?}", ExitCode::from(exit));
        let code: String = code.chars().filter(char::is_ascii_digit).collect();
        Self {
            exit: Some(format!("{code} ({exit:?})")),
            ..self
        }
    }
}
