//! Registering and managing the client (RFC 7591 §3, RFC 7592 §2).

use jiff::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{RequestBuilder, Url};
use serde_json::Value;

use super::{HttpClient, SendError};
use crate::oauth::{ClientMetadata, InitialAccessToken, Management};
use crate::registration::RawAnswer;

/// Registers at one IdP (RFC 7591 §3).
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
        let mut request = json(self.http.post(&self.registration_endpoint), metadata)
            .header(ACCEPT, "application/json");
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
}

/// Manages one client where the IdP lets it (RFC 7592 §2).
#[derive(Clone, Debug)]
pub struct ManagementClient {
    http: HttpClient,
    management: Management,
}

impl ManagementClient {
    /// A client of the `registration_client_uri` in `management`, which is used exactly as it
    /// was given; its token goes nowhere else.
    pub fn new(http: HttpClient, management: Management) -> Self {
        Self { http, management }
    }

    /// Reads the registration (RFC 7592 §2.1). The answer can bring a new token, and the old
    /// one is then void.
    ///
    /// # Errors
    ///
    /// [`SendError`]; after [`SendError::Unknown`] the token may be void.
    pub async fn read(&self, now: impl Fn() -> Timestamp) -> Result<RawAnswer, SendError> {
        let request = self.http.get(&self.management.uri);
        self.send(request, now).await
    }

    /// Replaces the registration by `body`, which has to be complete (RFC 7592 §2.2). The
    /// answer can bring a new token, and the old one is then void.
    ///
    /// # Errors
    ///
    /// [`SendError`]; after [`SendError::Unknown`] the update may be done and the token void.
    pub async fn update(
        &self,
        body: &ClientMetadata,
        now: impl Fn() -> Timestamp,
    ) -> Result<RawAnswer, SendError> {
        self.send(json(self.http.put(&self.management.uri), body), now)
            .await
    }

    /// Like [`ManagementClient::update`], for servers that know the method `PATCH` only.
    ///
    /// # Errors
    ///
    /// Those of [`ManagementClient::update`].
    pub async fn patch(
        &self,
        body: &ClientMetadata,
        now: impl Fn() -> Timestamp,
    ) -> Result<RawAnswer, SendError> {
        self.send(json(self.http.patch(&self.management.uri), body), now)
            .await
    }

    /// Deletes the client (RFC 7592 §2.3).
    ///
    /// # Errors
    ///
    /// [`SendError`]; after [`SendError::Unknown`] it may be gone.
    pub async fn delete(&self, now: impl Fn() -> Timestamp) -> Result<RawAnswer, SendError> {
        let request = self.http.delete(&self.management.uri);
        self.send(request, now).await
    }

    async fn send(
        &self,
        request: RequestBuilder,
        now: impl Fn() -> Timestamp,
    ) -> Result<RawAnswer, SendError> {
        let token = &self.management.token;
        let request = request
            .header(ACCEPT, "application/json")
            .bearer_auth(token.expose());
        // The answer may repeat the token as the one that is valid, so it is not blotted out.
        let answer = self.http.send(request, None).await?;
        Ok(RawAnswer::new(answer.status, answer.bytes(), now()))
    }
}

fn json(request: RequestBuilder, body: &ClientMetadata) -> RequestBuilder {
    request
        .header(CONTENT_TYPE, "application/json")
        .body(Value::Object(body.0.clone()).to_string())
}
