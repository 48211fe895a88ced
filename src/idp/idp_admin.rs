//! The IdP's own interface for administrators, where tokens are minted.

use serde_json::{Map, Value, json};

use crate::oauth::{EndpointUrl, InitialAccessToken, SentSecrets, not_json_text, percent_encoded};
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
    #[error("{url} answered HTTP {status}, but {instead}")]
    NoToken {
        /// Where it was asked.
        url: String,
        /// What it answered.
        status: u16,
        /// What was there in place of a token.
        instead: String,
    },
    /// The administrator's token was not accepted.
    #[error("{url} did not accept the administrator's token: HTTP {status}{}", with(.said.as_deref()))]
    NotAccepted {
        /// Where it was asked.
        url: String,
        /// What it answered.
        status: u16,
        /// What it said, as it is shown.
        said: Option<String>,
    },
    /// The IdP refused.
    #[error("{url} refused the request: HTTP {status}{}", with(.said.as_deref()))]
    Refused {
        /// Where it was asked.
        url: String,
        /// What it answered.
        status: u16,
        /// What it said, as it is shown.
        said: Option<String>,
    },
    /// There was no answer.
    #[error("the IdP could not be asked for a token")]
    Unreachable(#[from] SendError),
}

impl IdpAdminError {
    /// Whether the request has had no effect, since it did not leave.
    pub fn is_not_sent(&self) -> bool {
        matches!(self, Self::Unreachable(error) if error.is_not_sent())
    }

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
        let token = body.token(&["token", "initial_access_token", "iat"])?;
        let expires = body.text(&["expires_at"]);
        Ok(MintedToken {
            token: InitialAccessToken(token),
            expires: expires.map(|expires| body.sent.shown(expires)),
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
        let token = body.token(&["registration_access_token", "token"])?;
        let uri = body.text(&["registration_client_uri"]);
        Ok(Renewed {
            token,
            uri: uri.map(str::to_owned),
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
            .send()
            .await?;
        let (url, status) = (url.to_string(), answer.status);
        match status {
            200 | 201 => match serde_json::from_slice(answer.bytes()) {
                Ok(Value::Object(members)) => Ok(Body {
                    members,
                    url,
                    status,
                    sent: answer.sent,
                }),
                _ => Err(IdpAdminError::NoToken {
                    url,
                    status,
                    instead: format!("with {}", not_json_text(answer.bytes(), &answer.sent)),
                }),
            },
            401 | 403 => Err(IdpAdminError::NotAccepted {
                url,
                status,
                said: answer.text(),
            }),
            202..=399 => Err(IdpAdminError::NoToken {
                url,
                status,
                instead: NO_TOKEN.to_owned(),
            }),
            _ => Err(IdpAdminError::Refused {
                url,
                status,
                said: answer.text(),
            }),
        }
    }
}

/// A JSON answer, with the URL and status for the error about a missing member.
struct Body {
    members: Map<String, Value>,
    url: String,
    status: u16,
    sent: SentSecrets,
}

const NO_TOKEN: &str = "no token";

/// Longest token, in bytes: no header field could carry a longer one.
const MAX_TOKEN: usize = 8 * 1024;

/// What the IdP said, after the error itself.
fn with(said: Option<&str>) -> String {
    said.map(|said| format!(": {said}")).unwrap_or_default()
}

impl Body {
    /// A token that can be sent in a header field and printed (RFC 6750 §2.1).
    fn token(&self, names: &[&str]) -> Result<Secret, IdpAdminError> {
        let no_token = |instead: &str| IdpAdminError::NoToken {
            url: self.url.clone(),
            status: self.status,
            instead: instead.to_owned(),
        };
        let token = self.text(names).ok_or_else(|| no_token(NO_TOKEN))?;
        if token.len() > MAX_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(no_token(
                "a token that is too long or has other characters than a token",
            ));
        }
        Ok(Secret::new(token))
    }

    fn text(&self, names: &[&str]) -> Option<&str> {
        let mut texts = names
            .iter()
            .filter_map(|name| self.members.get(*name)?.as_str());
        texts.find(|text| !text.is_empty())
    }
}
