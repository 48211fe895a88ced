//! The IdP's own interface for administrators, where tokens are minted.

use serde_json::{Map, Value, json};

use crate::oauth::{EndpointUrl, InitialAccessToken, OAuthError, percent_encoded};
use crate::secret::Secret;
use crate::transport::{HttpClient, Method, SendError};

/// Mints tokens at one IdP.
#[derive(Clone, Debug)]
pub struct IdpAdminClient {
    http: HttpClient,
    base_url: EndpointUrl,
    token: Secret,
}

/// The initial access token that is asked for; the IdP decides what is left out.
#[derive(Clone, Debug, Default)]
pub struct MintRequest {
    /// A name for it in the IdP's records.
    pub label: Option<String>,
    /// Its lifetime in seconds.
    pub expires_in: Option<u64>,
    /// How many registrations it is good for.
    pub max_uses: Option<u32>,
}

/// A fresh initial access token.
#[derive(Debug)]
pub struct MintedToken {
    /// The token.
    pub token: InitialAccessToken,
    /// When it expires, in the IdP's words.
    pub expires: Option<String>,
}

/// A fresh registration access token (RFC 7592 §3), with its URI where the IdP says it.
#[derive(Debug)]
pub struct Renewed {
    /// The token.
    pub token: Secret,
    /// `registration_client_uri`.
    pub uri: Option<String>,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdpAdminError {
    /// The answer holds no token.
    #[error("{url} answered HTTP {status}, but no token")]
    NoToken {
        /// Where it was asked.
        url: String,
        /// What it answered.
        status: u16,
    },
    /// The administrator's token was not accepted.
    #[error("{url} did not accept the administrator's token: HTTP {status}")]
    NotAccepted {
        /// Where it was asked.
        url: String,
        /// What it answered.
        status: u16,
    },
    /// The IdP refused.
    #[error("{url} refused the request: HTTP {status}{}", .error.as_ref().map(|e| format!(": {e}")).unwrap_or_default())]
    Refused {
        /// Where it was asked.
        url: String,
        /// What it answered.
        status: u16,
        /// The error in the body, where there was one.
        error: Option<OAuthError>,
    },
    /// There was no answer.
    #[error("the IdP could not be asked for a token")]
    Unreachable(#[from] SendError),
}

impl IdpAdminError {
    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoToken { .. } => {
                "set IDP_ADMIN_BASE_URL to where the IdP has /dcr/initial-access-tokens"
            }
            Self::NotAccepted { .. } => {
                "check BOOTSTRAP_ADMIN_TOKEN, and that it may mint initial access tokens"
            }
            Self::Refused {
                status: 404 | 405, ..
            } => {
                "set IDP_ADMIN_BASE_URL to where the IdP has /dcr/initial-access-tokens, or mint \
                 the token in the IdP's own console and set it as DCR_IAT"
            }
            Self::Refused { .. } => {
                "change --label, --expires-in or --max-uses to what the IdP allows"
            }
            Self::Unreachable(error) if error.hint().is_some() => error.hint().unwrap_or_default(),
            Self::Unreachable(_) => "check IDP_ADMIN_BASE_URL and the network",
        }
    }
}

impl IdpAdminClient {
    /// A client of the interface at `base_url`, authorized by `token`.
    pub fn new(http: HttpClient, base_url: EndpointUrl, token: Secret) -> Self {
        Self {
            http,
            base_url,
            token,
        }
    }

    /// Mints an initial access token (how it is issued is out of scope of RFC 7591 §3).
    ///
    /// The number of uses goes out under both names that servers know it by.
    ///
    /// # Errors
    ///
    /// [`IdpAdminError`]. After [`IdpAdminError::Unreachable`] a token may have been minted and
    /// lost.
    pub async fn mint_initial_access_token(
        &self,
        wanted: &MintRequest,
    ) -> Result<MintedToken, IdpAdminError> {
        let mut body = Map::new();
        if let Some(label) = &wanted.label {
            body.insert("label".to_owned(), json!(label));
        }
        if let Some(expires_in) = wanted.expires_in {
            body.insert("expires_in".to_owned(), json!(expires_in));
        }
        if let Some(max_uses) = wanted.max_uses {
            body.insert("max_uses".to_owned(), json!(max_uses));
            body.insert("max_usages".to_owned(), json!(max_uses));
        }
        let body = self
            .post(self.base_url.append("/dcr/initial-access-tokens"), body)
            .await?;
        let token = body.text(&["token", "initial_access_token", "iat"])?;
        Ok(MintedToken {
            token: InitialAccessToken(Secret::new(token)),
            expires: body.text(&["expires_at"]).ok(),
        })
    }

    /// Renews the registration access token of a client: the one before is void then.
    ///
    /// # Errors
    ///
    /// [`IdpAdminError`].
    pub async fn renew_registration_access_token(
        &self,
        client_id: &str,
    ) -> Result<Renewed, IdpAdminError> {
        let client_id = percent_encoded(client_id);
        let url = self
            .base_url
            .append(&format!("/dcr/clients/{client_id}/tokens"));
        let body = self.post(url, Map::new()).await?;
        let token = body.text(&["registration_access_token", "token"])?;
        Ok(Renewed {
            token: Secret::new(token),
            uri: body.text(&["registration_client_uri"]).ok(),
        })
    }

    async fn post(
        &self,
        url: EndpointUrl,
        body: Map<String, Value>,
    ) -> Result<Body, IdpAdminError> {
        let answer = self
            .http
            .request(Method::POST, url.as_str())
            .bearer(&self.token)
            .json(&Value::Object(body))
            .redacting(Some(&self.token))
            .send()
            .await?;
        let (url, status) = (url.to_string(), answer.status);
        match status {
            200 | 201 => Ok(Body {
                members: serde_json::from_slice(answer.bytes()).unwrap_or_default(),
                url,
                status,
            }),
            401 | 403 => Err(IdpAdminError::NotAccepted { url, status }),
            202..=399 => Err(IdpAdminError::NoToken { url, status }),
            _ => Err(IdpAdminError::Refused {
                url,
                status,
                error: OAuthError::parse(answer.bytes()),
            }),
        }
    }
}

/// A JSON answer, with the URL and status for the error about a missing member.
struct Body {
    members: Value,
    url: String,
    status: u16,
}

impl Body {
    fn text(&self, names: &[&str]) -> Result<String, IdpAdminError> {
        names
            .iter()
            .find_map(|name| self.members.get(name).and_then(Value::as_str))
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .ok_or_else(|| IdpAdminError::NoToken {
                url: self.url.clone(),
                status: self.status,
            })
    }
}
