//! Health, for machines and for people. Calls nobody.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::app::{App, Bootstrap, Level, ProofOutcome, Rotator};

/// 200 as long as the process answers.
pub(super) async fn livez() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

/// 200 with an active published key and a usable registration, or with registration off.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Response {
    let (_, registration) = registration(&app);
    let (status, word) = if app.status.is_ready() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    let body = json!({"status": word, "registration": registration});
    (status, Json(body)).into_response()
}

/// Everything at a glance: 503 only if an operator has to act before the service is of use.
pub(super) async fn healthz(
    State(app): State<Arc<App>>,
    State(rotator): State<Arc<Rotator>>,
) -> Response {
    let mut overall = Level::Ok;
    let mut checks = Map::new();
    for (name, (level, mut check)) in [
        ("keys", keys(&app)),
        ("state", state(&app)),
        ("registration", registration(&app)),
        ("proof", proof(&app)),
        ("rotation", rotation(&rotator)),
    ] {
        overall = overall.max(level);
        if let Value::Object(members) = &mut check {
            members.insert("status".to_owned(), json!(level));
        }
        checks.insert(name.to_owned(), check);
    }
    let status = match overall {
        Level::Ok | Level::Degraded => StatusCode::OK,
        Level::Failing => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = json!({"status": overall, "checks": checks});
    (status, Json(body)).into_response()
}

fn keys(app: &App) -> (Level, Value) {
    match &app.ledger.state().ring {
        Some(ring) => {
            let current = &ring.current().jwk;
            let check = json!({
                "current": current.kid,
                "alg": current.alg,
                "published": ring.published().count(),
            });
            (Level::Ok, check)
        }
        None => (Level::Failing, json!({"error": "there is no key"})),
    }
}

fn state(app: &App) -> (Level, Value) {
    match app.ledger.fell_back() {
        None => (Level::Ok, json!({})),
        Some(reason) => {
            let error = format!("the newest state document was damaged ({reason})");
            let hint = "what was changed last may be missing: compare with the IdP, then restart";
            (Level::Degraded, json!({"error": error, "hint": hint}))
        }
    }
}

fn registration(app: &App) -> (Level, Value) {
    let state = app.ledger.state();
    let client_id = state.registration.as_ref().map(|r| r.client_id.as_str());
    match app.status.bootstrap() {
        Bootstrap::Off => (Level::Ok, json!({"state": "off"})),
        Bootstrap::Ready => {
            let check = json!({"state": "registered", "client_id": client_id});
            (Level::Ok, check)
        }
        Bootstrap::Starting { step } => {
            let check = json!({"state": "starting", "step": step});
            (Level::Degraded, check)
        }
        Bootstrap::Failed {
            error,
            hint,
            transient,
        } => {
            let level = if transient || client_id.is_some() {
                Level::Degraded
            } else {
                Level::Failing
            };
            let check = json!({
                "state": "failed", "error": error, "hint": hint, "retrying": transient,
            });
            (level, check)
        }
    }
}

fn proof(app: &App) -> (Level, Value) {
    match app.status.proof() {
        None => (Level::Ok, json!({"outcome": "none yet"})),
        Some(proof) if proof.outcome == ProofOutcome::Accepted => (Level::Ok, json!(proof)),
        Some(proof) => (Level::Degraded, json!(proof)),
    }
}

fn rotation(rotator: &Rotator) -> (Level, Value) {
    let status = rotator.status();
    let level = if status.rejections > 0 {
        Level::Degraded
    } else {
        Level::Ok
    };
    (level, json!(status))
}
