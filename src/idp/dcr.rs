//! Registering and managing the client (RFC 7591 §3, RFC 7592 §2).

use jiff::Timestamp;
use reqwest::Url;
use reqwest::header::{ACCEPT, CONTENT_TYPE};

use super::{Answer, HttpClient, SendError};
use crate::oauth::{ClientMetadata, InitialAccessToken, Management};
use crate::registration::RawAnswer;

/// Registers at one IdP.
#[derive(Clone, Debug)]
pub struct DcrClient {
    http: HttpClient,
    registration_endpoint: Url,
}

impl DcrClient {
    /// A client of the `registration_endpoint` from the IdP's metadata (RFC 8414 §2).
    pub fn new(http: HttpClient, registration_endpoint: Url) -> Self {
        Self {
            http,
            registration_endpoint,
        }
    }

    /// Registers a new client (RFC 7591 §3.1).
    ///
    /// Each call that reaches the IdP may create a client, so this is never repeated here.
    /// `iat` is taken by value because the IdP may accept it only once; it comes back if the
    /// request was certainly not sent.
    ///
    /// # Errors
    ///
    /// [`SendError::NotSent`] is safe to repeat; after [`SendError::Unknown`] a client may
    /// exist that nobody holds the credentials of.
    pub async fn register(
        &self,
        metadata: &ClientMetadata,
        iat: Option<InitialAccessToken>,
        now: impl Fn() -> Timestamp,
    ) -> Result<RawAnswer, (SendError, Option<InitialAccessToken>)> {
        let body = serde_json::to_vec(metadata).unwrap_or_default();
        let mut request = self
            .http
            .post(&self.registration_endpoint)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .body(body);
        if let Some(InitialAccessToken(iat)) = &iat {
            request = request.bearer_auth(iat.expose());
        }
        let secret = iat.as_ref().map(|InitialAccessToken(iat)| iat);
        match self.http.send(request, secret).await {
            Ok(answer) => Ok(RawAnswer::new(answer.status, answer.bytes(), now())),
            Err(error) if error.is_not_sent() => Err((error, iat)),
            Err(error) => Err((error, None)),
        }
    }

    /// Deletes a client (RFC 7592 §2.3).
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub async fn delete(&self, management: &Management) -> Result<Answer, SendError> {
        let request = self
            .http
            .delete(&management.uri)
            .header(ACCEPT, "application/json")
            .bearer_auth(management.token.expose());
        self.http.send(request, Some(&management.token)).await
    }
}
