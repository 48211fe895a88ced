//! A running `bff` as an HTTP peer, for the commands that ask or order it.

use std::net::SocketAddr;

use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

use super::{HttpClient, SendError};
use crate::secret::Secret;

/// The interface of a running service below `/admin`.
#[derive(Clone, Debug)]
pub struct ServiceClient {
    http: HttpClient,
    address: SocketAddr,
    token: Secret,
}

/// What the service said.
#[derive(Clone, Debug)]
pub struct ServiceAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body; null if it was none.
    pub body: Value,
}

impl ServiceClient {
    /// A client of the service at `address`, authorized by `token`.
    pub fn new(http: HttpClient, address: SocketAddr, token: Secret) -> Self {
        Self {
            http,
            address,
            token,
        }
    }

    /// Asks for `path`.
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub async fn get(&self, path: &str) -> Result<ServiceAnswer, SendError> {
        let request = self.http.plain(reqwest::Method::GET, &self.url(path));
        self.send(request).await
    }

    /// Orders something at `path`.
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<ServiceAnswer, SendError> {
        let request = self
            .http
            .plain(reqwest::Method::POST, &self.url(path))
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
        self.send(request).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<ServiceAnswer, SendError> {
        let request = request.bearer_auth(self.token.expose());
        let answer = self.http.send(request, Some(&self.token)).await?;
        Ok(ServiceAnswer {
            status: answer.status,
            body: serde_json::from_slice(answer.bytes()).unwrap_or_default(),
        })
    }
}
