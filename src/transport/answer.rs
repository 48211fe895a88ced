//! An answer, read to its end.

use std::time::Duration;

use jiff::Timestamp;

use crate::oauth::{OAuthError, SentSecrets, answer_text};
use crate::secret::Secret;

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The IdP's clock (RFC 9110 §6.6.1).
    pub date: Option<Timestamp>,
    /// `Location` (RFC 9110 §10.2.2).
    pub location: Option<String>,
    /// `WWW-Authenticate` (RFC 9110 §11.6.1).
    pub challenge: Option<String>,
    /// `Retry-After` (RFC 9110 §10.2.3), a day at most.
    pub retry_after: Option<Duration>,
    /// The body as received; can hold tokens.
    pub body: Secret,
    /// What it may repeat, and what is not to be shown.
    pub sent: SentSecrets,
}

impl Answer {
    /// The body's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.body.expose().as_bytes()
    }

    /// The OAuth error in the body, as it is shown.
    pub fn error(&self) -> Option<OAuthError> {
        OAuthError::parse(self.bytes(), &self.sent)
    }

    /// What it says, as it is shown; nothing of a success.
    pub fn text(&self) -> Option<String> {
        let challenge = self.challenge.as_deref();
        answer_text(self.status, self.bytes(), challenge, &self.sent)
    }
}
