//! Which path is whose.

use axum::Router;
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;

use super::app_state::{AppState, Parts};
use super::metrics_text::metrics;
use super::time_limits::MAX_BODY;
use super::{admin, health, jwks, problem};

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
    let orders = admin::routes(&parts.app);
    Router::new()
        .route("/metrics", get(metrics))
        .nest("/admin", orders.layer(RequestBodyLimitLayer::new(MAX_BODY)))
}

/// The public routes read no body and wait for nothing: limits would only cost time there.
fn finish(router: Router<AppState>, parts: &Parts) -> Router {
    router
        .with_state(AppState::of(parts))
        .layer(CatchPanicLayer::new())
        .layer(axum::middleware::map_response(problem::dress))
}
