//! Authenticating at the token endpoint (RFC 6749 §3.2, RFC 7523 §2.2).

use url::Url;

use crate::oauth::CLIENT_ASSERTION_TYPE;
use crate::secret::Secret;
use crate::transport::{Answer, HttpClient, Method, SendError};

/// Authenticates at one token endpoint.
#[derive(Clone, Debug)]
pub struct TokenClient {
    http: HttpClient,
    token_endpoint: Url,
}

impl TokenClient {
    /// A client of the `token_endpoint` from the IdP's metadata (RFC 8414 §2).
    pub fn new(http: HttpClient, token_endpoint: Url) -> Self {
        Self {
            http,
            token_endpoint,
        }
    }

    /// Redeems an authorization code (RFC 6749 §4.1.3), here always a made-up one: the answer
    /// tells whether the client was authenticated.
    ///
    /// The form always carries `client_id`, which some servers need beside the assertion.
    ///
    /// # Errors
    ///
    /// [`SendError`]. Repeat it with a new assertion only: a `jti` is good for one request.
    pub async fn redeem(
        &self,
        code: &str,
        redirect_uri: Option<&str>,
        client_id: &str,
        assertion: &Secret,
    ) -> Result<Answer, SendError> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", client_id),
            ("client_assertion_type", CLIENT_ASSERTION_TYPE),
            ("client_assertion", assertion.expose()),
        ];
        form.extend(redirect_uri.map(|redirect_uri| ("redirect_uri", redirect_uri)));
        self.http
            .request(Method::POST, self.token_endpoint.as_str())
            .form(form)
            .redacting(Some(assertion))
            .send()
            .await
    }
}
