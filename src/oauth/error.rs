//! What a server says when it says no.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An OAuth error object (RFC 6749 §5.2, RFC 7591 §3.2.2).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct OAuthError {
    /// One of the registered error codes.
    pub error: String,
    /// A sentence for the developer, in the server's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_description: Option<String>,
}

/// Longest text of a server that is repeated to an operator, in characters.
const MAX_TEXT: usize = 300;

impl OAuthError {
    /// Reads an error out of a body, whatever its content type; `None` if it holds none.
    ///
    /// Texts are cut to a sane length and lose their control characters.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(tidy);
        Some(Self {
            error: text("error").filter(|error| !error.is_empty())?,
            error_description: text("error_description").filter(|text| !text.is_empty()),
        })
    }
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

fn tidy(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_TEXT)
        .collect()
}

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
            assert_eq!(OAuthError::parse(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn a_server_cannot_break_the_line_it_is_quoted_on() {
        let body = br#"{"error":"invalid_client","error_description":"a\nb\u001b[31m","x":1}"#;

        let error = OAuthError::parse(body).unwrap();

        assert_eq!(error.to_string(), "invalid_client (a b [31m)");
    }
}
