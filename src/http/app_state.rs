//! What handlers can name.

use std::sync::Arc;

use axum::extract::FromRef;
use tokio::sync::watch;

use super::rotate_answers::RotateAnswers;
use crate::app::{App, PublishedJwks};
use crate::metrics::Metrics;
use crate::registrar::Registrar;
use crate::rotator::Rotator;

/// The parts of the service that the HTTP interface shows and orders.
#[derive(Clone, Debug)]
pub struct Parts {
    /// What the tasks share.
    pub app: Arc<App>,
    /// Registers; none if registration is off.
    pub registrar: Option<Arc<Registrar>>,
    /// Rotates.
    pub rotator: Arc<Rotator>,
}

/// What handlers can extract; each takes the part it needs.
#[derive(Clone, Debug, FromRef)]
pub(super) struct AppState {
    app: Arc<App>,
    jwks: watch::Receiver<Arc<PublishedJwks>>,
    metrics: Arc<Metrics>,
    registrar: Option<Arc<Registrar>>,
    rotator: Arc<Rotator>,
    answers: RotateAnswers,
}

impl AppState {
    pub(super) fn of(parts: &Parts) -> Self {
        Self {
            app: Arc::clone(&parts.app),
            jwks: parts.app.ledger.published(),
            metrics: Arc::clone(&parts.app.metrics),
            registrar: parts.registrar.clone(),
            rotator: Arc::clone(&parts.rotator),
            answers: RotateAnswers::default(),
        }
    }
}
