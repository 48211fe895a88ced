//! What is counted, as `OpenMetrics` text.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;

use crate::app::{App, Phase};
use crate::metrics::{self, Metrics};
use crate::rotator::Rotator;

/// `GET /metrics`.
pub(super) async fn metrics(
    State(metrics): State<Arc<Metrics>>,
    State(app): State<Arc<App>>,
    State(rotator): State<Arc<Rotator>>,
) -> Response {
    metrics.ready.set(i64::from(app.is_ready()));
    let rotation = rotator.report();
    metrics
        .rotating
        .set(i64::from(rotation.phase != Phase::Steady));
    metrics.rejections.set(i64::from(rotation.rejections));
    metrics
        .earliest_promotion
        .set(rotation.earliest_promotion.map_or(0, Timestamp::as_second));
    metrics.keys.clear();
    if let Some(ring) = app.ledger.state().ring() {
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
