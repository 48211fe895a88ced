//! An answer, read to its end.

use std::time::Duration;

use jiff::Timestamp;

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
    /// The body; can hold tokens.
    pub body: Secret,
}

impl Answer {
    /// The body's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.body.expose().as_bytes()
    }
}
