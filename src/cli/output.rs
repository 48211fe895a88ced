//! Everything that is printed.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is where the program prints"
)]

use std::io::{self, IsTerminal as _};

use anyhow::Error;

/// Prints a result on standard output.
pub(super) fn line(text: &str) {
    println!("{text}");
}

/// Prints a remark on standard error.
pub(super) fn note(text: &str) {
    eprintln!("{text}");
}

/// How far something is, on standard error: one line that changes on a terminal, else a line for
/// each change.
#[derive(Debug)]
pub(super) struct Progress {
    on_terminal: bool,
    last: String,
}

impl Progress {
    /// Nothing is shown yet.
    pub(super) fn new() -> Self {
        Self {
            on_terminal: io::stderr().is_terminal(),
            last: String::new(),
        }
    }

    /// Shows how far it is.
    pub(super) fn show(&mut self, text: &str) {
        if text == self.last {
            return;
        }
        if self.on_terminal {
            eprint!("\r\x1b[K{text}");
        } else {
            eprintln!("{text}");
        }
        text.clone_into(&mut self.last);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.on_terminal && !self.last.is_empty() {
            eprint!("\r\x1b[K");
        }
    }
}

/// Prints a warning on standard error.
pub(super) fn warn(text: &str) {
    eprintln!("warning: {text}");
}

/// Prints an error with its causes, then what to do about it.
pub(super) fn report(error: &Error, hint: Option<&str>) {
    eprintln!("error: {error}");
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        let text = cause.to_string();
        if text != last {
            eprintln!("  caused by: {text}");
        }
        last = text;
    }
    if let Some(hint) = hint {
        eprintln!("\nhint: {hint}");
    }
}
