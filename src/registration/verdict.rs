//! Whether the IdP accepts our key, from what its token endpoint says.

use crate::oauth::OAuthError;

/// What an answer of the token endpoint to a made-up authorization code says about the client
/// authentication that came with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The client was authenticated: the answer is about the code.
    Accepted,
    /// The answer may come from before or after the authentication.
    Ambiguous(String),
    /// The client was not authenticated.
    Rejected(String),
    /// The answer says nothing: the IdP is not well, or busy.
    Unknown(String),
}

impl Verdict {
    /// Reads an answer (RFC 6749 §5.2).
    ///
    /// Only what some server is known to say on one side of the authentication alone is
    /// decided here; the rest is [`Verdict::Ambiguous`], and a comparison has to tell.
    pub fn of(status: u16, body: &[u8]) -> Self {
        let error = OAuthError::parse(body);
        let code = error.as_ref().map(|error| error.error.as_str());
        let said = match &error {
            Some(error) => format!("HTTP {status}: {error}"),
            None if body.is_empty() => format!("HTTP {status} with an empty body"),
            None => format!("HTTP {status} without an OAuth error"),
        };
        match (status, code) {
            (429 | 500.., _) => Self::Unknown(said),
            (_, Some("invalid_client")) | (401, _) => Self::Rejected(said),
            (200..=299, _) | (_, Some("invalid_grant" | "invalid_code")) => Self::Accepted,
            (400 | 403, _) => Self::Ambiguous(said),
            _ => Self::Unknown(said),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_real_servers_are_told_apart() {
        let of = |status, body: &str| Verdict::of(status, body.as_bytes());

        assert_eq!(of(400, r#"{"error":"invalid_grant"}"#), Verdict::Accepted);
        assert_eq!(of(403, r#"{"error":"invalid_code"}"#), Verdict::Accepted);
        assert!(matches!(
            of(401, r#"{"error":"invalid_client"}"#),
            Verdict::Rejected(_)
        ));
        assert!(matches!(
            of(400, r#"{"error":"invalid_client"}"#),
            Verdict::Rejected(_)
        ));
        assert!(matches!(of(401, ""), Verdict::Rejected(_)));
        assert!(matches!(of(403, ""), Verdict::Ambiguous(_)));
        assert!(matches!(
            of(400, r#"{"error":"unsupported_grant_type"}"#),
            Verdict::Ambiguous(_)
        ));
        assert!(matches!(of(500, r#"{"error":"x"}"#), Verdict::Unknown(_)));
        assert!(matches!(of(503, ""), Verdict::Unknown(_)));
        assert!(matches!(of(429, ""), Verdict::Unknown(_)));
        assert!(matches!(of(302, ""), Verdict::Unknown(_)));
    }
}
