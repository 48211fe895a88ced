//! What the token endpoint answers to requests that cannot be accepted.

use serde::{Deserialize, Serialize};

use crate::oauth::{OAuthError, SentSecrets};

/// An answer of the token endpoint, as far as answers are compared: descriptions differ from one
/// request to the next.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TokenAnswer {
    /// The HTTP status.
    pub status: u16,
    /// `error` (RFC 6749 §5.2), where the body is JSON and has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A request that differs from a proof in one thing, and that no server must accept.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Control {
    /// The signature is one that the same key made of other claims.
    Signature,
    /// A key that was never published has signed, under a `kid` that nobody has.
    Key,
    /// The client does not exist.
    Client,
    /// The audience is another server.
    Audience,
}

/// The answers to the controls.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Controls {
    /// To [`Control::Signature`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<TokenAnswer>,
    /// To [`Control::Key`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<TokenAnswer>,
    /// To [`Control::Client`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<TokenAnswer>,
    /// To [`Control::Audience`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<TokenAnswer>,
}

/// Error codes that speak of the grant, and so of a client that was authenticated before (RFC 6749
/// §5.2). `invalid_code` is no standard's, and real servers send it.
const GRANT_ERRORS: [&str; 5] = [
    "invalid_grant",
    "invalid_code",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
];

impl TokenAnswer {
    /// What is compared of an answer.
    pub fn of(status: u16, body: &[u8]) -> Self {
        let error = OAuthError::parse(body, &SentSecrets::default()).map(|error| error.error);
        Self { status, error }
    }

    /// Whether it says anything about the request: a success, a server that is busy and one that
    /// fails do not.
    pub fn is_definite(&self) -> bool {
        !matches!(self.status, 0..=299 | 429 | 500..)
    }

    /// Whether it is about the grant.
    pub fn is_grant_error(&self) -> bool {
        let error = self.error.as_deref();
        error.is_some_and(|error| GRANT_ERRORS.contains(&error))
    }

    /// Whether it says by the standards' words that the client was not authenticated (RFC 6749
    /// §5.2, RFC 9110 §15.5.2).
    pub fn denies_authentication(&self) -> bool {
        match self.error.as_deref() {
            Some("invalid_client") => true,
            Some(_) => false,
            None => self.status == 401,
        }
    }
}

impl Control {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Signature, Self::Key, Self::Client, Self::Audience];

    /// What it is, in words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Signature => "a wrong signature",
            Self::Key => "an unknown key",
            Self::Client => "an unknown client",
            Self::Audience => "another audience",
        }
    }
}

impl Controls {
    /// The answer to one control.
    pub fn get(&self, control: Control) -> Option<&TokenAnswer> {
        match control {
            Control::Signature => self.signature.as_ref(),
            Control::Key => self.key.as_ref(),
            Control::Client => self.client.as_ref(),
            Control::Audience => self.audience.as_ref(),
        }
    }

    /// Notes the answer to one control.
    pub fn set(&mut self, control: Control, answer: TokenAnswer) {
        let place = match control {
            Control::Signature => &mut self.signature,
            Control::Key => &mut self.key,
            Control::Client => &mut self.client,
            Control::Audience => &mut self.audience,
        };
        *place = Some(answer);
    }

    /// Whether one of the controls got this answer.
    pub fn have(&self, answer: &TokenAnswer) -> bool {
        Control::ALL
            .into_iter()
            .any(|control| self.get(control) == Some(answer))
    }

    /// Takes from `older` what is missing.
    pub fn complete_with(&mut self, older: &Self) {
        for control in Control::ALL {
            if let (None, Some(answer)) = (self.get(control), older.get(control)) {
                self.set(control, answer.clone());
            }
        }
    }

    /// Only the answers that say something.
    #[must_use]
    pub fn definite(self) -> Self {
        let definite = |answer: Option<TokenAnswer>| answer.filter(TokenAnswer::is_definite);
        Self {
            signature: definite(self.signature),
            key: definite(self.key),
            client: definite(self.client),
            audience: definite(self.audience),
        }
    }
}
