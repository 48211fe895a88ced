//! A registration that the IdP refused (RFC 7591 §3.2.2).

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use url::Url;

use super::fingerprint::TokenFingerprint;
use super::record::RawAnswer;
use crate::oauth::{ClientMetadata, OAuthError, answer_text, shown_url};

/// A refusal, in the IdP's words and ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The IdP's error, where the body or the challenge held one.
    pub error: Option<OAuthError>,
    /// What it says otherwise, as it is shown.
    pub said: Option<Box<str>>,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// How long the IdP asks to wait, in seconds (RFC 9110 §10.2.3).
    pub retry_after_s: Option<u64>,
    /// What it comes down to.
    pub because: RefusedBecause,
}

/// The reason of a refusal: what an operator has to change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefusedBecause {
    /// The client we wish for exists already.
    ClientExists,
    /// The address is not a registration endpoint.
    Endpoint,
    /// The IdP could not fetch the set at `jwks_uri`, or does not accept it.
    JwksUri,
    /// Some member of the metadata.
    Metadata,
    /// A policy of the IdP, which says no more.
    Policy,
    /// A proxy before the IdP knows the endpoint by another scheme, host, port or final slash.
    Proxy,
    /// Too many requests.
    RateLimit,
    /// A redirect URI.
    RedirectUri,
    /// The initial access token is valid, and does not permit a registration.
    Rights,
    /// A scope.
    Scope,
    /// The software statement.
    SoftwareStatement,
    /// The initial access token.
    Token,
}

/// How a registration that made no client is remembered.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RefusalKind {
    /// The token was refused: with this one it is not tried again.
    Token,
    /// The request was, or a policy is against it: somebody may mend that at the IdP.
    Request,
    /// A client was made that cannot authenticate with a key.
    Unusable,
}

/// A registration that made no client that is of use. It is kept, so that a restart with nothing
/// changed does not repeat it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RefusedRegistration {
    /// The issuer asked.
    pub issuer: String,
    /// The initial access token that was sent, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenFingerprint>,
    /// Whether that token was minted for the purpose.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub minted: bool,
    /// What was asked for.
    pub asked: ClientMetadata,
    /// What it comes down to.
    pub kind: RefusalKind,
    /// What the IdP said.
    pub said: String,
    /// When it was refused.
    pub at: Timestamp,
    /// For how many seconds the same request is not sent again without an order.
    pub pause_s: u64,
}

impl RefusedRegistration {
    /// When the same request may be sent again without an order.
    pub fn again_at(&self) -> Timestamp {
        let pause = i64::try_from(self.pause_s).map(SignedDuration::from_secs);
        let again_at = pause
            .ok()
            .and_then(|pause| self.at.saturating_add(pause).ok());
        again_at.unwrap_or(self.at)
    }
}

/// The pause after a refusal of the request: somebody has to change something first.
const PAUSE_S: u64 = 3_600;

/// The pause after 429 without `Retry-After`.
const RATE_LIMIT_PAUSE_S: u64 = 60;

/// The longest pause that is granted to an IdP.
const LONGEST_PAUSE_S: u64 = 86_400;

impl Refused {
    /// Reads a refusal. `endpoint` is the address that was asked.
    pub(super) fn of(endpoint: &str, answer: &RawAnswer) -> Self {
        let status = answer.status;
        let (body, sent) = (answer.body.expose().as_bytes(), &answer.sent);
        let challenge = answer.challenge.as_deref();
        let error =
            OAuthError::parse(body, sent).or_else(|| OAuthError::of_challenge(challenge?, sent));
        let said = answer_text(status, body, challenge, sent)
            .filter(|_| error.is_none())
            .map(String::into_boxed_str);
        let because = match answer.location.as_deref() {
            Some(location) if (300..400).contains(&status) && is_proxy(endpoint, location) => {
                RefusedBecause::Proxy
            }
            _ => because(status, error.as_ref()),
        };
        Self {
            status,
            error,
            said,
            location: answer
                .location
                .as_deref()
                .map(|location| sent.redacted(&shown_url(location))),
            retry_after_s: answer.retry_after_s,
            because,
        }
    }

    /// For how many seconds the same request is not sent again without an order.
    pub fn pause_s(&self) -> u64 {
        if self.because == RefusedBecause::RateLimit {
            let pause_s = self.retry_after_s.unwrap_or(RATE_LIMIT_PAUSE_S);
            return pause_s.clamp(1, LONGEST_PAUSE_S);
        }
        PAUSE_S
    }

    /// How it is remembered.
    pub fn kind(&self) -> RefusalKind {
        match self.because {
            RefusedBecause::Token => RefusalKind::Token,
            _ => RefusalKind::Request,
        }
    }
}

/// Whether a redirect leads to the same endpoint by another scheme, host, port or final slash: a
/// proxy has answered it, and the registration never reached the IdP.
pub(super) fn is_proxy(endpoint: &str, location: &str) -> bool {
    let Ok(endpoint) = Url::parse(endpoint) else {
        return false;
    };
    let Ok(target) = endpoint.join(location) else {
        return false;
    };
    let path = |url: &Url| url.path().trim_end_matches('/').to_owned();
    target != endpoint && path(&target) == path(&endpoint) && target.query() == endpoint.query()
}

fn because(status: u16, error: Option<&OAuthError>) -> RefusedBecause {
    let code = error.map_or("", |error| error.error.as_str());
    let description = error
        .and_then(|error| error.error_description.as_deref())
        .unwrap_or_default()
        .to_ascii_lowercase();
    match (status, code) {
        (300..=399 | 404 | 405 | 410 | 501, "") => RefusedBecause::Endpoint,
        (429, _) => RefusedBecause::RateLimit,
        (_, "insufficient_scope") => RefusedBecause::Rights,
        (401, _) | (_, "invalid_token") => RefusedBecause::Token,
        (_, "invalid_redirect_uri") => RefusedBecause::RedirectUri,
        (_, "invalid_scope") => RefusedBecause::Scope,
        (_, "invalid_software_statement" | "unapproved_software_statement") => {
            RefusedBecause::SoftwareStatement
        }
        // The registered codes say no more than "metadata"; the description only chooses
        // which hint is shown, never what is done.
        _ if description.contains("jwks") => RefusedBecause::JwksUri,
        _ if description.contains("redirect_uri") => RefusedBecause::RedirectUri,
        _ if description.contains("scope") => RefusedBecause::Scope,
        (409, _) => RefusedBecause::ClientExists,
        (403, _) | (_, "access_denied") => RefusedBecause::Policy,
        (300..=399 | 404 | 405 | 410, _) => RefusedBecause::Endpoint,
        _ => RefusedBecause::Metadata,
    }
}

impl Refused {
    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self.because {
            RefusedBecause::ClientExists => {
                "if it is ours: `bff register --adopt`; else delete the client of that name at the \
                 IdP, or choose another DCR_CLIENT_ID (or none)"
            }
            RefusedBecause::Endpoint => {
                "this URL is not a registration endpoint: check IDP_BASE_URL, or set \
                 DCR_REGISTRATION_ENDPOINT to the IdP's registration_endpoint"
            }
            RefusedBecause::JwksUri => {
                "the IdP has to reach the JWK Set at BFF_BASE_URL (or DCR_JWKS_URI) and to accept \
                 it; try that address from the IdP's host, or set DCR_JWKS=value"
            }
            RefusedBecause::Metadata => {
                "change what the IdP does not allow: DCR_GRANT_TYPES, DCR_CLIENT_PROFILE, \
                 BFF_SIGNING_ALG, or a member in DCR_EXTRA_METADATA"
            }
            RefusedBecause::Policy => {
                "a policy of the IdP is against it: have it changed there, or set DCR_IAT to a \
                 token that may register (`bff mint-iat`), then run `bff register`"
            }
            RefusedBecause::Proxy => {
                "set DCR_REGISTRATION_ENDPOINT (or IDP_BASE_URL) to the address in Location: a \
                 proxy there redirects, and a registration must not be redirected"
            }
            RefusedBecause::RateLimit => {
                "wait for the time that the IdP names, or a few minutes, then run `bff register`"
            }
            RefusedBecause::RedirectUri => {
                "set DCR_REDIRECT_URIS to URIs that the IdP allows; if they cannot be changed for a \
                 registered client, set DCR_FORCE_REPLACE=true"
            }
            RefusedBecause::Rights => {
                "the initial access token may not register clients: set DCR_IAT to one that may \
                 (`bff mint-iat`)"
            }
            RefusedBecause::Scope => {
                "set DCR_SCOPE to scopes that the IdP allows, or add them to its policy.allowed_scopes"
            }
            RefusedBecause::SoftwareStatement => {
                "set DCR_SOFTWARE_STATEMENT to one from an issuer that the IdP trusts"
            }
            RefusedBecause::Token => {
                "the token is missing, wrong, expired or used up: mint a fresh one with \
                 `bff mint-iat` and set it as DCR_IAT"
            }
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        if let Some(location) = &self.location {
            write!(f, " (Location: {location})")?;
        }
        if let Some(retry_after_s) = self.retry_after_s {
            write!(f, " (try again in {retry_after_s} s)")?;
        }
        match (&self.error, &self.said) {
            (Some(error), _) => write!(f, ": {error}"),
            (None, Some(said)) => write!(f, ": {said}"),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_spelling_of_the_same_endpoint_is_a_proxy() {
        let endpoint = "http://idp.example/connect/register?a=1";
        for same in [
            "https://idp.example/connect/register?a=1",
            "http://idp.example:8443/connect/register?a=1",
            "//other.example/connect/register?a=1",
            "/connect/register/?a=1",
        ] {
            assert!(is_proxy(endpoint, same), "{same}");
        }
        for other in [
            endpoint,
            "/connect/register",
            "/connect/register/c1?a=1",
            "/clients/c1",
            "https://idp.example/",
            "",
            "http://[",
        ] {
            assert!(!is_proxy(endpoint, other), "{other}");
        }
    }

    #[test]
    fn a_refused_request_may_come_again_after_a_pause() {
        let pause_s = |because, retry_after_s| {
            let refused = Refused {
                status: 400,
                error: None,
                said: None,
                location: None,
                retry_after_s,
                because,
            };
            refused.pause_s()
        };

        assert_eq!(pause_s(RefusedBecause::Policy, None), 3_600);
        assert_eq!(pause_s(RefusedBecause::Policy, Some(0)), 3_600);
        assert_eq!(pause_s(RefusedBecause::RateLimit, None), 60);
        assert_eq!(pause_s(RefusedBecause::RateLimit, Some(0)), 1);
        assert_eq!(pause_s(RefusedBecause::RateLimit, Some(20)), 20);
        assert_eq!(pause_s(RefusedBecause::RateLimit, Some(u64::MAX)), 86_400);
    }
}
