//! What is counted, as `OpenMetrics` text.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;

use crate::app::{App, Phase};
use crate::keyring::KeyRing;
use crate::metrics::{self, Gauges, Metrics};
use crate::rotator::Rotator;

/// `GET /metrics`.
pub(super) async fn metrics(
    State(metrics): State<Arc<Metrics>>,
    State(app): State<Arc<App>>,
    State(rotator): State<Arc<Rotator>>,
) -> Response {
    let rotation = rotator.report();
    let state = app.ledger.state();
    let keys = state.ring().into_iter().flat_map(KeyRing::keys);
    let gauges = Gauges {
        keys: keys
            .map(|(key, state)| {
                let labels = metrics::Key {
                    kid: key.jwk.kid.to_string(),
                    state: state.word().to_owned(),
                };
                (labels, key.created_at.as_second())
            })
            .collect(),
        ready: app.is_ready(),
        rotating: rotation.phase != Phase::Steady,
        rejections: i64::from(rotation.rejections),
        earliest_promotion: rotation.earliest_promotion.map_or(0, Timestamp::as_second),
    };
    match metrics.render(&gauges) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
