//! What the operator asks and orders.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use openssl::memcmp;
use openssl::sha::sha256;
use serde_json::{Value, json};

use super::AppState;
use super::problem::Problem;
use crate::app::App;
use crate::keyring::Ring;
use crate::registration::{Attempt, Registered};

/// The routes below `/admin`, each behind the administrator's token.
pub(super) fn routes(app: &Arc<App>) -> Router<AppState> {
    Router::new()
        .route("/status", get(status))
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(from_fn_with_state(Arc::clone(app), authorize))
}

/// Lets through who has the administrator's token (RFC 6750 §2.1).
async fn authorize(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Some(token) = &app.config.listen.admin_token else {
        let problem = Problem {
            status: StatusCode::FORBIDDEN,
            detail: "no administrator's token is configured: set BFF_ADMIN_TOKEN (or \
                     BFF_ADMIN_TOKEN_FILE) and restart"
                .to_owned(),
        };
        return problem.into_response();
    };
    let given = bearer(request.headers());
    if given.is_some_and(|given| same(given, token.expose())) {
        return next.run(request).await;
    }
    // RFC 6750 §3: no error code where no credentials were sent.
    let challenge = if given.is_some() {
        r#"Bearer realm="bff admin", error="invalid_token""#
    } else {
        r#"Bearer realm="bff admin""#
    };
    let mut response = Problem {
        status: StatusCode::UNAUTHORIZED,
        detail: "send `Authorization: Bearer` with the value of BFF_ADMIN_TOKEN".to_owned(),
    }
    .into_response();
    response.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static(challenge),
    );
    response
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start())
}

/// Compares digests, so that the time says nothing about the token, nor about its length.
fn same(given: &str, token: &str) -> bool {
    memcmp::eq(&sha256(given.as_bytes()), &sha256(token.as_bytes()))
}

/// Where everything stands; no secrets.
async fn status(State(app): State<Arc<App>>) -> Json<Value> {
    let state = app.ledger.state();
    Json(without_nulls(json!({
        "keys": state.ring.as_ref().map(keys).unwrap_or_default(),
        "rotation": {"phase": "steady"},
        "registration": registration(state.registration.as_ref(), state.attempt.as_ref()),
        "orphans": state.orphans.iter().map(|orphan| json!({
            "issuer": orphan.issuer, "client_id": orphan.client_id, "since": orphan.since,
        })).collect::<Vec<_>>(),
        "proof": app.status.proof(),
        "journal": state.journal,
    })))
}

fn keys(ring: &Ring) -> Vec<Value> {
    ring.keys()
        .map(|(key, state)| {
            without_nulls(json!({
                "kid": key.jwk.kid,
                "alg": key.jwk.alg,
                "state": state,
                "created_at": key.created_at,
                "published_at": key.published_at,
                "signs_since": key.signs_since,
            }))
        })
        .collect()
}

fn registration(registered: Option<&Registered>, attempt: Option<&Attempt>) -> Value {
    match (registered, attempt) {
        (Some(registered), _) => json!({
            "state": if registered.management.is_some() { "registered" } else { "unmanageable" },
            "issuer": registered.issuer,
            "client_id": registered.client_id,
            "registered_at": registered.registered_at,
        }),
        (None, Some(attempt)) => json!({"state": "attempt", "issuer": attempt.issuer}),
        (None, None) => json!({"state": "none"}),
    }
}

fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.retain(|_, value| !value.is_null());
    }
    value
}
