//! Authenticating at the token endpoint (RFC 6749 §3.2, RFC 7523 §2.2).

use crate::oauth::{CLIENT_ASSERTION_TYPE, EndpointUrl};
use crate::secret::Secret;
use crate::transport::{Answer, HttpClient, Method, SendError};

/// Authenticates at one token endpoint.
#[derive(Clone, Debug)]
pub struct TokenClient {
    http: HttpClient,
    token_endpoint: EndpointUrl,
}

/// An authorization code, and who redeems it.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the names are those of the RFCs")]
pub struct CodeRedemption<'a> {
    pub code: &'a str,
    pub code_verifier: &'a str,
    pub redirect_uri: Option<&'a str>,
    pub client_id: &'a str,
    pub assertion: &'a Secret,
}

impl TokenClient {
    /// A client of the `token_endpoint` from the IdP's metadata (RFC 8414 §2).
    pub fn new(http: HttpClient, token_endpoint: EndpointUrl) -> Self {
        Self {
            http,
            token_endpoint,
        }
    }

    /// Redeems an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5).
    ///
    /// The form always carries `client_id`, which some servers need beside the assertion.
    ///
    /// # Errors
    ///
    /// [`SendError`]. Repeat it with a new assertion only: a `jti` is good for one request.
    pub async fn redeem(&self, redemption: &CodeRedemption<'_>) -> Result<Answer, SendError> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", redemption.code),
            ("code_verifier", redemption.code_verifier),
            ("client_id", redemption.client_id),
            ("client_assertion_type", CLIENT_ASSERTION_TYPE),
            ("client_assertion", redemption.assertion.expose()),
        ];
        form.extend(redemption.redirect_uri.map(|uri| ("redirect_uri", uri)));
        self.http
            .request(Method::POST, self.token_endpoint.as_str())
            .form(form)
            .holding(redemption.assertion)
            .send()
            .await
    }
}
