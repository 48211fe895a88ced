//! Everything that is printed.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is where the program prints"
)]

use anyhow::Error;

/// Prints a result on standard output.
pub(super) fn line(text: &str) {
    println!("{text}");
}

/// Prints a remark on standard error.
pub(super) fn note(text: &str) {
    eprintln!("{text}");
}

/// Replaces the last line of standard error, which is a terminal.
pub(super) fn progress(text: &str) {
    eprint!("\r\x1b[K{text}");
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
