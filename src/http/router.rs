//! Which path is whose.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use super::app_state::{AppState, Parts};
use super::metrics_text::metrics;
use super::{admin, health, jwks, problem};

/// Longest body of a request, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// Longest time for a request, once its header is read.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The public routes, and with `admin` also those of the operator.
pub fn router(parts: &Parts, admin: bool) -> Router {
    let router = Router::new()
        .route("/.well-known/jwks.json", get(jwks::jwks))
        .route("/healthz", get(health::healthz))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz));
    if admin {
        finish(router.merge(operator_routes(parts)), parts)
    } else {
        finish(router, parts)
    }
}

/// The routes of the operator, for a listener of their own.
pub fn admin_router(parts: &Parts) -> Router {
    finish(operator_routes(parts), parts)
}

fn operator_routes(parts: &Parts) -> Router<AppState> {
    Router::new()
        .route("/metrics", get(metrics))
        .nest("/admin", admin::routes(&parts.app))
}

fn finish(router: Router<AppState>, parts: &Parts) -> Router {
    router
        .with_state(AppState::of(parts))
        .layer(RequestBodyLimitLayer::new(MAX_BODY))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            TIMEOUT,
        ))
        .layer(CatchPanicLayer::new())
        .layer(axum::middleware::map_response(problem::dress))
}
