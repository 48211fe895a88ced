//! What the operator asks and orders.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use openssl::memcmp;
use openssl::sha::sha256;
use serde::Deserialize;
use serde_json::{Value, json};

use super::AppState;
use super::problem::Problem;
use super::rotate;
use crate::app::{App, Backoff, BootstrapError, Class, Registrar, Rotator};
use crate::keyring::{KeyRing, RotationPolicy};
use crate::registration::{Attempt, Orphan, Registered};
use crate::store;

/// The routes below `/admin`, each behind the administrator's token.
pub(super) fn routes(app: &Arc<App>) -> Router<AppState> {
    Router::new()
        .route("/status", get(status))
        .route("/register", post(register))
        .merge(rotate::routes())
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(from_fn_with_state(Arc::clone(app), authorize))
}

/// Lets through who has the administrator's token (RFC 6750 §2.1).
async fn authorize(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Some(token) = &app.config.listen.admin_token else {
        let detail = "no administrator's token is configured: set BFF_ADMIN_TOKEN (or \
                      BFF_ADMIN_TOKEN_FILE) and restart";
        return Problem::new(StatusCode::FORBIDDEN, detail).into_response();
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
    let detail = "send `Authorization: Bearer` with the value of BFF_ADMIN_TOKEN";
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, detail).into_response();
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
async fn status(State(app): State<Arc<App>>, State(rotator): State<Arc<Rotator>>) -> Json<Value> {
    let drift = app.status.drift();
    let seen = without_nulls(json!({
        "last_checked_at": drift.as_ref().map(|(_, checked_at)| checked_at),
        "drift": drift.as_ref().map(|(drift, _)| drift),
    }));
    let mut status = describe(&app.ledger.state(), seen, Some(rotator.policy()));
    if let Value::Object(members) = &mut status {
        members.insert("rotation".to_owned(), json!(rotator.status()));
        if let Some(proof) = app.status.proof() {
            members.insert("proof".to_owned(), json!(proof));
        }
    }
    Json(status)
}

/// The answer of `GET /admin/status` as far as the state tells; `seen` is what else is known of
/// the registration, and `policy` tells when a key leaves the set.
pub fn describe(state: &store::State, seen: Value, policy: Option<&RotationPolicy>) -> Value {
    let orphan = |orphan: &Orphan| json!({"issuer": orphan.issuer, "client_id": orphan.client_id, "since": orphan.since});
    let mut registration = registration(state.registration.as_ref(), state.attempt.as_ref());
    if let (Value::Object(members), Value::Object(seen)) = (&mut registration, seen) {
        members.extend(seen);
    }
    json!({
        "keys": state.ring.as_ref().map(|ring| keys(ring, policy)).unwrap_or_default(),
        "rotation": state.ring.as_ref().map(rotation),
        "registration": registration,
        "orphans": state.orphans.iter().map(orphan).collect::<Vec<_>>(),
        "journal": state.journal,
    })
}

fn keys(ring: &KeyRing, policy: Option<&RotationPolicy>) -> Vec<Value> {
    ring.keys()
        .map(|(key, state)| {
            without_nulls(json!({
                "kid": key.jwk.kid,
                "alg": key.jwk.alg,
                "state": state,
                "created_at": key.created_at,
                "published_at": key.published_at,
                "signs_since": key.signs_since,
                "retires_at": policy.and_then(|policy| ring.retires_at(key, policy)),
            }))
        })
        .collect()
}

fn rotation(ring: &KeyRing) -> Value {
    match ring.next() {
        Some(next) => json!({"phase": "prepublished", "kid": next.jwk.kid}),
        None => json!({"phase": "steady"}),
    }
}

fn registration(registered: Option<&Registered>, attempt: Option<&Attempt>) -> Value {
    match (registered, attempt) {
        (Some(registered), _) => without_nulls(json!({
            "state": if registered.is_manageable() { "registered" } else { "unmanageable" },
            "issuer": registered.issuer,
            "client_id": registered.client_id,
            "registered_at": registered.registered_at,
            "gone_since": registered.gone_since,
        })),
        (None, Some(attempt)) => json!({
            "state": "attempt", "issuer": attempt.issuer, "started_at": attempt.started_at,
        }),
        (None, None) => json!({"state": "none"}),
    }
}

#[derive(Deserialize)]
struct RegisterQuery {
    #[serde(default)]
    dry_run: bool,
}

/// Runs the bootstrap again now, or says what it would do.
async fn register(
    State(app): State<Arc<App>>,
    State(registrar): State<Option<Arc<Registrar>>>,
    Query(query): Query<RegisterQuery>,
) -> Response {
    let Some(registrar) = registrar else {
        let detail = "registration is off: set DCR_ENABLED and IDP_BASE_URL, then restart";
        return Problem::new(StatusCode::CONFLICT, detail).into_response();
    };
    tracing::info!(
        dry_run = query.dry_run,
        "Audit: registration ordered through /admin/register"
    );
    let shutdown = app.shutdown.clone();
    if query.dry_run {
        let rehearsal = shutdown.see_through(async move { registrar.rehearse().await });
        return match rehearsal.await {
            Ok(rehearsal) => Json(rehearsal).into_response(),
            Err(error) => failed(&error),
        };
    }
    let backoff = Backoff::until(app.config.dcr.bootstrap_timeout, &shutdown);
    let bootstrap = shutdown.see_through(async move { registrar.bootstrap(backoff).await });
    match tokio::time::timeout(PATIENCE, bootstrap).await {
        Ok(Ok(())) => {
            let state = app.ledger.state();
            let registered = state.registration.as_ref();
            Json(registration(registered, state.attempt.as_ref())).into_response()
        }
        Ok(Err(error)) => failed(&error),
        Err(_) => {
            let body = json!({"state": "running", "see": "/admin/status"});
            (StatusCode::ACCEPTED, Json(body)).into_response()
        }
    }
}

/// How long an order is waited for before it is said to be under way; below the time limit of
/// a request.
const PATIENCE: Duration = Duration::from_secs(8);

fn failed(error: &BootstrapError) -> Response {
    let status = match error.class() {
        Class::Unavailable => StatusCode::BAD_GATEWAY,
        Class::Failure | Class::NotAccepted | Class::Configuration => StatusCode::CONFLICT,
    };
    Problem::new(status, format!("{}; {}", error.chain(), error.hint())).into_response()
}

fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.retain(|_, value| !value.is_null());
    }
    value
}
