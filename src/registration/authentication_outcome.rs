//! Whether the IdP accepts our key, from what its token endpoint answers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::jose::Kid;
use crate::oauth::OAuthError;

/// What the token endpoint's answer to a made-up authorization code says about the client
/// authentication that came with it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthenticationOutcome {
    /// The client was authenticated: the answer is about the code.
    Accepted,
    /// This IdP answers a wrong signature as it answers a right one.
    Inconclusive,
    /// The client was not authenticated.
    Rejected,
    /// There was no answer, or one that says nothing about the key: the IdP is down or busy.
    Unknown,
}

/// The result of a proof: one authentication with one key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Proof {
    /// When it was made.
    pub at: Timestamp,
    /// The key it was made with.
    pub kid: Kid,
    /// What came of it.
    pub outcome: AuthenticationOutcome,
    /// The `aud` that was accepted, or tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// What the IdP answered, if it did not accept the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// Whether the IdP's clock and ours are too far apart for an assertion.
    #[serde(skip)]
    pub clocks_differ: bool,
}

impl AuthenticationOutcome {
    /// Reads an answer (RFC 6749 §5.2); `None` if it may come from before the authentication as
    /// well as from after it, so that only a control can tell.
    ///
    /// Decides only on answers that servers are known to give on one side of the authentication.
    pub fn of(status: u16, body: &[u8]) -> Option<Self> {
        let error = OAuthError::parse(body);
        let code = error.as_ref().map(|error| error.error.as_str());
        match (status, code) {
            (429 | 500.., _) => Some(Self::Unknown),
            (_, Some("invalid_client")) | (401, _) => Some(Self::Rejected),
            (200..=299, _) | (_, Some("invalid_grant" | "invalid_code")) => Some(Self::Accepted),
            (400 | 403, _) => None,
            _ => Some(Self::Unknown),
        }
    }

    /// Reads an undecided answer beside that of the control, the same request with a wrong
    /// signature. `same` says whether both texts are equal.
    pub fn compared(control: Option<Self>, same: bool) -> Self {
        match control {
            Some(Self::Unknown) => Self::Unknown,
            None if same => Self::Inconclusive,
            _ => Self::Accepted,
        }
    }

    /// The outcome in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Inconclusive => "inconclusive",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }
}

/// An answer of the token endpoint in words, for a log line.
pub fn token_answer_text(status: u16, body: &[u8]) -> String {
    match OAuthError::parse(body) {
        Some(error) => format!("HTTP {status}: {error}"),
        None if body.is_empty() => format!("HTTP {status} with an empty body"),
        None => format!("HTTP {status} without an OAuth error"),
    }
}

#[cfg(test)]
mod tests {
    use super::AuthenticationOutcome::{Accepted, Inconclusive, Rejected, Unknown};
    use super::*;

    #[test]
    fn answers_of_real_servers_are_told_apart() {
        let table = [
            (400, r#"{"error":"invalid_grant"}"#, Some(Accepted)),
            (403, r#"{"error":"invalid_code"}"#, Some(Accepted)),
            (401, r#"{"error":"invalid_client"}"#, Some(Rejected)),
            (400, r#"{"error":"invalid_client"}"#, Some(Rejected)),
            (401, "", Some(Rejected)),
            (403, "", None),
            (400, r#"{"error":"unsupported_grant_type"}"#, None),
            (500, r#"{"error":"x"}"#, Some(Unknown)),
            (503, "", Some(Unknown)),
            (429, "", Some(Unknown)),
            (302, "", Some(Unknown)),
        ];

        for (status, body, outcome) in table {
            let read = AuthenticationOutcome::of(status, body.as_bytes());
            assert_eq!(read, outcome, "{status} {body}");
        }
    }

    #[test]
    fn an_undecided_answer_is_decided_by_the_control() {
        let compared = AuthenticationOutcome::compared;

        assert_eq!(compared(None, true), Inconclusive);
        assert_eq!(compared(None, false), Accepted);
        assert_eq!(compared(Some(Rejected), false), Accepted);
        assert_eq!(compared(Some(Unknown), false), Unknown);
    }
}
