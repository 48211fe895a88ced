//! The HTTP surface.

mod admin;
mod health;
mod jwks;
mod problem;
mod rotate;
mod server;

pub use admin::describe;
pub use server::serve;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use jiff::Timestamp;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use crate::app::{App, PublishedJwks, Registrar, Rotator};
use crate::metrics::{self, Metrics};

/// Longest body of a request, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// Longest time for a request, once its header is read.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What handlers may name; each takes the piece it needs.
#[derive(Clone, Debug, FromRef)]
struct AppState {
    app: Arc<App>,
    jwks: watch::Receiver<Arc<PublishedJwks>>,
    metrics: Arc<Metrics>,
    registrar: Option<Arc<Registrar>>,
    rotator: Arc<Rotator>,
    answered: rotate::Answered,
}

/// The parts of the service that the HTTP surface shows and orders.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The service.
    pub app: Arc<App>,
    /// Who registers; none if registration is off.
    pub registrar: Option<Arc<Registrar>>,
    /// Who rotates.
    pub rotator: Arc<Rotator>,
}

/// What anybody may call, and with `admin` also what belongs to the operator.
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

/// What belongs to the operator, for a listener of its own.
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
        .with_state(AppState {
            app: Arc::clone(&parts.app),
            jwks: parts.app.ledger.published(),
            metrics: Arc::clone(&parts.app.metrics),
            registrar: parts.registrar.clone(),
            rotator: Arc::clone(&parts.rotator),
            answered: rotate::Answered::default(),
        })
        .layer(RequestBodyLimitLayer::new(MAX_BODY))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            TIMEOUT,
        ))
        .layer(CatchPanicLayer::new())
        .layer(axum::middleware::map_response(problem::dress))
}

/// Answers what is counted, as `OpenMetrics` text.
async fn metrics(
    State(metrics): State<Arc<Metrics>>,
    State(app): State<Arc<App>>,
    State(rotator): State<Arc<Rotator>>,
) -> Response {
    metrics.ready.set(i64::from(app.status.is_ready()));
    let rotation = rotator.status();
    metrics.rotating.set(i64::from(rotation.phase != "steady"));
    metrics.rejections.set(i64::from(rotation.rejections));
    metrics
        .earliest_promotion
        .set(rotation.earliest_promotion.map_or(0, Timestamp::as_second));
    metrics.keys.clear();
    if let Some(ring) = &app.ledger.state().ring {
        for (key, state) in ring.keys() {
            let labels = metrics::Key {
                kid: key.jwk.kid.to_string(),
                state: state.word().to_owned(),
            };
            let created = key.created_at.as_second();
            metrics.keys.get_or_create(&labels).set(created);
        }
    }
    match metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
