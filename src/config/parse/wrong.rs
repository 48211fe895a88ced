//! Why a text is not a valid value of its setting, and how an error shows it.

/// Why a text is not a valid value of its setting.
#[derive(Debug)]
pub(in crate::config) struct Wrong {
    pub(in crate::config) problem: String,
    /// Whether the text is shown too: not where it may hold a password.
    pub(in crate::config) shown: bool,
}

impl Wrong {
    /// Completes "expected …, got …".
    pub(in crate::config) fn expected(what: impl AsRef<str>) -> Self {
        Self {
            problem: format!("expected {}", what.as_ref()),
            shown: true,
        }
    }

    /// The same with one more way to write it.
    pub(in crate::config) fn or(mut self, other: &str) -> Self {
        self.problem = format!("{}, or {other}", self.problem);
        self
    }

    /// The whole message; the text is not shown.
    pub(in crate::config) fn because(problem: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            shown: false,
        }
    }
}

/// How much of a wrong value is shown, in characters.
const SHOWN: usize = 80;

/// Text as an error shows it: on one line, shortened, without control characters.
pub(in crate::config) fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// The same between quotes.
pub(in crate::config) fn quoted(text: &str) -> String {
    format!("\"{}\"", shown(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_shown_on_one_line_and_shortened() {
        let text = format!("a\n\u{1b}\"{}", "é".repeat(200));

        let quoted = quoted(&text);

        assert!(quoted.starts_with(r#""a\n\u{1b}\"é"#), "{quoted}");
        assert!(quoted.ends_with("é…\""), "{quoted}");
    }
}
