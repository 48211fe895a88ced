//! What the operator asks and orders.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use openssl::memcmp;
use openssl::sha::sha256;

use super::app_state::AppState;
use super::problem::Problem;
use super::refusal::Refusal;
use super::time_limits::limited;
use super::{register_order, rotate};
use crate::app::{App, StatusReport};
use crate::rotator::Rotator;

/// The routes below `/admin`, each behind the administrator's token.
pub(super) fn routes(app: &Arc<App>) -> Router<AppState> {
    Router::new()
        .route("/status", get(status))
        .route("/register", post(register_order::register))
        .merge(rotate::routes())
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(from_fn(limited))
        .layer(from_fn_with_state(Arc::clone(app), authorize))
}

/// Lets a request through that carries the administrator's token (RFC 6750 §2.1).
async fn authorize(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Some(token) = &app.config.listen.admin_token else {
        return Problem::from(Refusal::NoAdminToken).into_response();
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
    let mut response = Problem::from(Refusal::NotAuthorized).into_response();
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
async fn status(
    State(app): State<Arc<App>>,
    State(rotator): State<Arc<Rotator>>,
) -> Json<StatusReport> {
    let report = StatusReport::of(&app.ledger.state(), Some(rotator.policy()));
    Json(report.with(&app.condition, rotator.report()))
}
