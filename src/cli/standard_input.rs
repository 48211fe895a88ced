//! A secret on standard input.

use std::io::{self, IsTerminal as _};

use secrecy::zeroize::Zeroizing;

use crate::secret::Secret;

/// The first line of standard input; none where it is empty, or a terminal: nobody is asked there.
pub(super) fn line_of_standard_input() -> Option<Secret> {
    if io::stdin().is_terminal() {
        return None;
    }
    let mut line = Zeroizing::new(String::new());
    // What cannot be read is no token either.
    drop(io::stdin().read_line(&mut line));
    let text = line.trim();
    (!text.is_empty()).then(|| Secret::new(text))
}
