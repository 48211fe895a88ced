//! Registering and managing the client (RFC 7591 §3, RFC 7592 §2).

use jiff::Timestamp;
use serde_json::Value;

use crate::oauth::{ClientMetadata, EndpointUrl, InitialAccessToken, Management};
use crate::registration::RawAnswer;
use crate::transport::{Answer, HttpClient, Method, SendError};

/// Registers at one IdP (RFC 7591 §3).
#[derive(Clone, Debug)]
pub struct DcrClient {
    http: HttpClient,
    registration_endpoint: EndpointUrl,
}

impl DcrClient {
    /// A client of the `registration_endpoint` from the IdP's metadata (RFC 8414 §2).
    pub fn new(http: HttpClient, registration_endpoint: EndpointUrl) -> Self {
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
    /// [`SendError::NotSent`] is safe to repeat; after [`SendError::Unknown`] a client may exist
    /// whose credentials are lost.
    pub async fn register(
        &self,
        metadata: &ClientMetadata,
        iat: Option<InitialAccessToken>,
        now: impl Fn() -> Timestamp,
    ) -> Result<RawAnswer, (SendError, Option<InitialAccessToken>)> {
        let mut request = self
            .http
            .request(Method::POST, self.registration_endpoint.as_str())
            .json(&Value::Object(metadata.0.clone()));
        if let Some(InitialAccessToken(iat)) = &iat {
            request = request.bearer(iat);
        }
        match request.send().await {
            Ok(answer) => Ok(raw(&answer, now())),
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
        self.send(Method::GET, None, now).await
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
        self.send(Method::PUT, Some(body), now).await
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
        self.send(Method::PATCH, Some(body), now).await
    }

    /// Deletes the client (RFC 7592 §2.3).
    ///
    /// # Errors
    ///
    /// [`SendError`]; after [`SendError::Unknown`] it may be gone.
    pub async fn delete(&self, now: impl Fn() -> Timestamp) -> Result<RawAnswer, SendError> {
        self.send(Method::DELETE, None, now).await
    }

    async fn send(
        &self,
        method: Method,
        body: Option<&ClientMetadata>,
        now: impl Fn() -> Timestamp,
    ) -> Result<RawAnswer, SendError> {
        let mut request = self
            .http
            .request(method, self.management.uri.as_str())
            .bearer(&self.management.token);
        if let Some(body) = body {
            request = request.json(&Value::Object(body.0.clone()));
        }
        let answer = request.send().await?;
        Ok(raw(&answer, now()))
    }
}

fn raw(answer: &Answer, received_at: Timestamp) -> RawAnswer {
    RawAnswer {
        sent: answer.sent.clone(),
        location: answer.location.clone(),
        challenge: answer.challenge.clone(),
        retry_after_s: answer.retry_after.map(|pause| pause.as_secs()),
        ..RawAnswer::new(answer.status, answer.bytes(), received_at)
    }
}
