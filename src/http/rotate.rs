//! Rotation, on order.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::app_state::AppState;
use super::order;
use super::problem::Problem;
use super::refusal::Refusal;
use super::rotate_answers::RotateAnswers;
use crate::app::{App, Phase, RotationReport, chain};
use crate::jose::Algorithm;
use crate::rotator::{Mode, Order, RotateError, Rotator};
use crate::state::RingRefusal;

/// `GET` and `POST /admin/rotate`.
pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/rotate", get(status).post(rotate))
}

async fn status(State(rotator): State<Arc<Rotator>>) -> Json<RotationReport> {
    Json(rotator.report())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Body {
    mode: Option<String>,
    alg: Option<String>,
    even_if_unpublished: bool,
}

/// Begins a rotation; it goes on by itself.
async fn rotate(
    State(app): State<Arc<App>>,
    State(rotator): State<Arc<Rotator>>,
    State(answers): State<RotateAnswers>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    let (order, even_if_unpublished) =
        match order::no_query(query.as_deref()).and_then(|()| parse(&body)) {
            Ok(order) => order,
            Err(refusal) => return Problem::from(refusal).into_response(),
        };
    let key = headers
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok())
        .map(str::to_owned);
    if let Some(answer) = key.as_deref().and_then(|key| answers.get(key)) {
        return (StatusCode::ACCEPTED, Json(answer)).into_response();
    }
    tracing::info!(
        order = ?order,
        even_if_unpublished,
        "Audit: rotation ordered through /admin/rotate"
    );
    let ordered = app
        .shutdown
        .see_through(async move {
            let result = if even_if_unpublished {
                rotator.order_even_if_unpublished(order).await
            } else {
                rotator.order(order).await
            };
            if let (Ok(answer), Some(key)) = (&result, key) {
                answers.put(key, answer.clone());
            }
            result
        })
        .await
        .unwrap_or_else(|panicked| Err(panicked.into()));
    match ordered {
        Ok(answer) => (StatusCode::ACCEPTED, Json(answer)).into_response(),
        Err(error) => refused(&error).into_response(),
    }
}

/// What the body is.
const BODY: &str = "the body must be empty, or a JSON object with `mode` (`scheduled`, `now`, \
                    `compromised`), `alg` and, with `compromised`, `even_if_unpublished`";

/// The order, and whether it holds even where the IdP cannot come to know the new key.
fn parse(body: &Bytes) -> Result<(Order, bool), Refusal> {
    let members = order::members(body, &["mode", "alg", "even_if_unpublished"], BODY)?;
    let body: Body = serde_json::from_value(Value::Object(members))
        .map_err(|_| Refusal::WrongBody { allowed: BODY })?;
    let mode = match body.mode.as_deref() {
        None | Some("scheduled") => Mode::Scheduled,
        Some("now") => Mode::Now,
        Some("compromised") => Mode::Compromised,
        Some(_) => return Err(Refusal::UnknownMode),
    };
    if body.even_if_unpublished && mode != Mode::Compromised {
        return Err(Refusal::WrongBody { allowed: BODY });
    }
    let alg = match body.alg.as_deref().map(str::parse::<Algorithm>) {
        None => None,
        Some(Ok(alg)) => Some(alg),
        Some(Err(_)) => return Err(Refusal::UnknownAlgorithm),
    };
    Ok((Order { mode, alg }, body.even_if_unpublished))
}

fn refused(error: &RotateError) -> Problem {
    let status = match error {
        RotateError::CannotPublish
        | RotateError::CannotReplace
        | RotateError::NoRoom(_)
        | RotateError::Refused(RingRefusal::Used(_))
        | RotateError::UnderWay { .. } => StatusCode::CONFLICT,
        RotateError::Make(_) | RotateError::Panicked(_) => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let problem = Problem::new(status, chain(error)).hint(error.hint());
    match error {
        RotateError::UnderWay { kid, seconds_left } => problem
            .with("phase", json!(Phase::Prepublished))
            .with("kid", json!(kid))
            .with("seconds_left", json!(seconds_left)),
        _ => problem,
    }
}
