//! Error answers (RFC 6749 §5.2, RFC 6750 §3, RFC 7591 §3.2.2).

use std::io;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::fault::Verdict;

/// Why a request was not granted, as the caller is told.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    error: &'static str,
    description: String,
    challenge: Option<Challenge>,
    note: Option<Note>,
    verdict: Option<Verdict>,
}

#[derive(Clone, Copy, Debug)]
enum Challenge {
    /// No credentials came (RFC 6750 §3: then no `error`).
    Bare,
    InvalidToken,
}

/// The true reason, for the log of exchanges only.
#[derive(Clone, Debug)]
pub(crate) struct Note(pub(crate) String);

impl Refusal {
    pub(crate) fn new(
        status: StatusCode,
        error: &'static str,
        description: impl Into<String>,
    ) -> Self {
        Self {
            status,
            error,
            description: printable(&description.into()),
            challenge: None,
            note: None,
            verdict: None,
        }
    }

    /// 400 with this `error`.
    pub(crate) fn bad_request(error: &'static str, description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, description)
    }

    /// 401: no bearer token came.
    pub(crate) fn token_needed() -> Self {
        Self {
            challenge: Some(Challenge::Bare),
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                "a bearer token is needed",
            )
        }
    }

    /// 401: the bearer token is not accepted.
    pub(crate) fn invalid_token(description: impl Into<String>) -> Self {
        Self {
            challenge: Some(Challenge::InvalidToken),
            ..Self::new(StatusCode::UNAUTHORIZED, "invalid_token", description)
        }
    }

    /// 401 `invalid_client`, the same words whatever the reason, as real providers answer.
    pub(crate) fn invalid_client(reason: impl Into<String>) -> Self {
        Self {
            note: Some(Note(reason.into())),
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "invalid_client",
                "client authentication failed",
            )
        }
    }

    /// The same, as the end of an authentication.
    pub(crate) fn ending(self, verdict: Verdict) -> Self {
        Self {
            verdict: Some(verdict),
            ..self
        }
    }

    /// What a fault answers with this status.
    pub(crate) fn of_status(status: StatusCode, at_token_endpoint: bool) -> Self {
        match status {
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED if at_token_endpoint => Self {
                status,
                ..Self::invalid_client("a fault is set")
            },
            StatusCode::UNAUTHORIZED => Self::invalid_token("the token is not accepted"),
            StatusCode::FORBIDDEN => Self::new(status, "access_denied", "not permitted"),
            StatusCode::NOT_FOUND => Self::new(status, "not_found", "no such resource"),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(status, "invalid_request", "not supported"),
            _ if status.is_client_error() => Self::new(status, "invalid_request", "a fault is set"),
            _ => Self::new(status, "temporarily_unavailable", "try again later"),
        }
    }
}

impl From<io::Error> for Refusal {
    /// 500, of which the caller learns nothing more.
    fn from(cause: io::Error) -> Self {
        Self {
            note: Some(Note(cause.to_string())),
            ..Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "see the log of the development identity provider",
            )
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"error": self.error, "error_description": self.description});
        let mut response = (self.status, no_store(), Json(body)).into_response();
        let challenge = match (self.challenge, self.error) {
            (Some(Challenge::Bare), _) => Some("Bearer realm=\"dev-idp\""),
            (Some(Challenge::InvalidToken), _) => {
                Some("Bearer realm=\"dev-idp\", error=\"invalid_token\"")
            }
            (None, "invalid_client") => Some("Bearer realm=\"dev-idp\", error=\"invalid_client\""),
            (None, _) => None,
        };
        if let Some(challenge) = challenge {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        if let Some(verdict) = self.verdict {
            response.extensions_mut().insert(verdict);
        }
        if let Some(note) = self.note {
            response.extensions_mut().insert(note);
        }
        response
    }
}

/// What may stand in an `error_description`: printable ASCII without `"` and `\` (RFC 6750 §3).
fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\'))
        .take(200)
        .collect()
}

/// The headers of every answer that holds a credential, and of every error.
pub(crate) fn no_store() -> [(header::HeaderName, &'static str); 2] {
    [
        (header::CACHE_CONTROL, "no-store"),
        (header::PRAGMA, "no-cache"),
    ]
}
