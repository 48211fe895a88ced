//! What a server says when it says no.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::shown_text::SentSecrets;

/// An OAuth error object (RFC 6749 §5.2, RFC 7591 §3.2.2).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct OAuthError {
    /// One of the registered error codes.
    pub error: String,
    /// A sentence for the developer, in the server's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_description: Option<String>,
}

impl OAuthError {
    /// Reads an error out of a body, whatever its content type; `None` if it holds none.
    ///
    /// Its texts are as they are shown, without the secrets that were `sent`.
    pub fn parse(body: &[u8], sent: &SentSecrets) -> Option<Self> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let text = |name: &str| {
            let text = value.get(name).and_then(Value::as_str)?;
            Some(sent.shown(text))
        };
        Some(Self {
            error: text("error").filter(|error| !error.is_empty())?,
            error_description: text("error_description").filter(|text| !text.is_empty()),
        })
    }

    /// Reads the error of a `WWW-Authenticate` field with a Bearer challenge (RFC 6750 §3).
    pub fn of_challenge(challenge: &str, sent: &SentSecrets) -> Option<Self> {
        let (scheme, parameters) = challenge.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let text = |name: &str| quoted(parameters, name).map(|text| sent.shown(&text));
        Some(Self {
            error: text("error").filter(|error| !error.is_empty())?,
            error_description: text("error_description").filter(|text| !text.is_empty()),
        })
    }
}

/// The value of one parameter of a challenge (RFC 9110 §11.2), quoted or not.
fn quoted(parameters: &str, name: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        let (found, after) = rest.split_once('=')?;
        let found = found.trim_matches([',', ' ', '\t']);
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            None => {
                let end = after.find([',', ' ']).unwrap_or(after.len());
                let (value, next) = after.split_at(end);
                (value.to_owned(), next)
            }
            Some(after) => quoted_string(after)?,
        };
        if found.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = next;
    }
}

/// The text up to the closing quotation mark, and what is behind it.
fn quoted_string(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(index + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            character => value.push(character),
        }
    }
    None
}

impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)?;
        match &self.error_description {
            Some(description) => write!(f, " ({description})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for OAuthError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_no_oauth_error_is_none() {
        for body in [
            "",
            "<html>",
            "[]",
            "\"x\"",
            "{}",
            r#"{"error":7}"#,
            r#"{"error":""}"#,
        ] {
            assert_eq!(
                OAuthError::parse(body.as_bytes(), &SentSecrets::default()),
                None,
                "{body}"
            );
        }
    }

    #[test]
    fn the_error_of_a_challenge_is_read_wherever_it_stands() {
        let of = |text: &str| {
            let error = OAuthError::of_challenge(text, &SentSecrets::default());
            error.map(|error| error.to_string())
        };

        let challenge = r#"Bearer realm="a, error=\"x\"", error="insufficient_scope", error_description="token lacks dcr:create""#;
        assert_eq!(
            of(challenge).as_deref(),
            Some("insufficient_scope (token lacks dcr:create)")
        );
        assert_eq!(
            of("bearer error=invalid_token").as_deref(),
            Some("invalid_token")
        );
        for text in [
            "Basic realm=\"x\"",
            "Bearer",
            "Bearer realm=\"x",
            "Bearer realm=\"x\"",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn a_server_cannot_break_the_line_it_is_quoted_on() {
        let body = br#"{"error":"invalid_client","error_description":"a\nb\u001b[31m","x":1}"#;

        let error = OAuthError::parse(body, &SentSecrets::default()).unwrap();

        assert_eq!(error.to_string(), "invalid_client (a b\\u{1b}[31m)");
    }
}
