//! Text that others wrote, as it is shown.

use std::fmt::Write as _;

use url::form_urlencoded::byte_serialize;

use crate::secret::Secret;

/// Longest text that is shown whole, in characters.
const MAX_TEXT: usize = 300;

/// Shortest beginning of a secret that counts as a repetition of it, in bytes: servers cut tokens
/// before they quote them.
const MIN_BEGINNING: usize = 12;

const REDACTED: &str = "[REDACTED]";

/// The secrets of a request, which its answer may repeat.
///
/// They are taken out of what is shown, and stay in what is stored.
#[derive(Clone, Debug, Default)]
pub struct SentSecrets(Vec<Secret>);

impl SentSecrets {
    /// Adds one.
    pub fn add(&mut self, secret: &Secret) {
        if !secret.expose().is_empty() {
            self.0.push(secret.clone());
        }
    }

    /// A text as it is shown, without these secrets.
    pub fn shown(&self, text: &str) -> String {
        shown_text(&self.redacted(text))
    }

    /// A text without these secrets, whole or cut, verbatim or as in a form.
    pub fn redacted(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            let plain = secret.expose();
            let encoded: String = byte_serialize(plain.as_bytes()).collect();
            if encoded != plain {
                text = without(&text, &encoded);
            }
            text = without(&text, plain);
        }
        text
    }
}

impl FromIterator<Secret> for SentSecrets {
    fn from_iter<I: IntoIterator<Item = Secret>>(secrets: I) -> Self {
        let mut sent = Self::default();
        secrets.into_iter().for_each(|secret| sent.add(&secret));
        sent
    }
}

/// Text that others wrote, for a log, an error, a terminal, a field or the name of a file: on one
/// line, without characters that act on where it is shown, and cut to a sane length, which is then
/// said.
pub fn shown_text(text: &str) -> String {
    let mut shown = String::new();
    let text = text.trim();
    for character in text.chars().take(MAX_TEXT) {
        match character {
            '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}' => shown.push(' '),
            character if is_odd(character) => shown.extend(character.escape_unicode()),
            character => shown.push(character),
        }
    }
    let length = text.chars().count();
    if length > MAX_TEXT {
        // Writing to a text does not fail.
        let _ = write!(shown, "… ({length} characters)");
    }
    shown
}

/// Whether a character acts on a terminal or an editor, or cannot be seen: controls, separators of
/// lines, what turns the direction of writing (Unicode Standard Annex 9), spaces of no width, tags.
pub fn is_odd(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Takes out each place where `text` repeats `secret` or, up to the end of the word, a beginning
/// of it.
fn without(text: &str, secret: &str) -> String {
    let mut left = String::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let same = common_beginning(rest, secret);
        let repeated = if same == secret.len() {
            same
        } else if same >= MIN_BEGINNING {
            let more = rest.get(same..).unwrap_or_default();
            same + more.find(|c| !is_of_a_token(c)).unwrap_or(more.len())
        } else {
            left.push(character);
            rest = rest.get(character.len_utf8()..).unwrap_or_default();
            continue;
        };
        left.push_str(REDACTED);
        rest = rest.get(repeated..).unwrap_or_default();
    }
    left
}

/// How much of `secret` `text` begins with, in bytes of whole characters.
fn common_beginning(text: &str, secret: &str) -> usize {
    let pairs = text.chars().zip(secret.chars());
    let same = pairs.take_while(|(a, b)| a == b);
    same.map(|(character, _)| character.len_utf8()).sum()
}

/// Whether a character can stand in a bearer token (RFC 6750 §2.1).
fn is_of_a_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._~+/=".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_acts_on_where_it_is_shown() {
        let odd = (0..=0x0011_0000).filter_map(char::from_u32);
        let odd: Vec<char> = odd.filter(|c| is_odd(*c)).collect();
        for needed in [
            '\0', '\n', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{2028}',
        ] {
            assert!(odd.contains(&needed), "{needed:?}");
        }

        for character in odd {
            let shown = shown_text(&format!("a{character}b"));

            assert!(!shown.chars().any(is_odd), "{character:?}: {shown:?}");
            assert!(shown.starts_with('a') && shown.ends_with('b'), "{shown:?}");
        }
        assert_eq!(shown_text("a\u{1b}[31m\nb"), "a\\u{1b}[31m b");
        assert_eq!(shown_text("Überraschung 😀"), "Überraschung 😀");
    }

    #[test]
    fn what_is_cut_says_how_long_it_was() {
        assert_eq!(shown_text(&"é".repeat(300)), "é".repeat(300));

        let shown = shown_text(&"é".repeat(100_000));

        assert!(shown.ends_with("é… (100000 characters)"), "{shown}");
        assert!(shown.chars().count() < 330);
    }

    #[test]
    fn a_secret_is_taken_out_whole_or_cut_plain_or_encoded() {
        let token = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln/bmF0+dXJl==";
        let sent: SentSecrets = [Secret::new(token), Secret::new("iat-1")]
            .into_iter()
            .collect();
        let encoded: String = byte_serialize(token.as_bytes()).collect();
        for (text, expected) in [
            (format!("no `{token}`!"), "no `[REDACTED]`!"),
            (format!("no {encoded}&x"), "no [REDACTED]&x"),
            ("no eyJhbGciOiJFUz...".to_owned(), "no [REDACTED]"),
            (
                "token iat-1 and iat-1".to_owned(),
                "token [REDACTED] and [REDACTED]",
            ),
            ("iat-2, eyJ, e30".to_owned(), "iat-2, eyJ, e30"),
        ] {
            assert_eq!(sent.redacted(&text), expected, "{text}");
        }
        let long = format!("{}{token}", "x".repeat(290));
        assert!(!sent.shown(&long).contains("eyJ"));
    }
}
