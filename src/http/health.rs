//! Health, for machines and for people. Sends no request.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::app::{App, Bootstrap, Unsettled};
use crate::registration::AuthenticationOutcome;
use crate::rotator::Rotator;

/// The levels of `/healthz`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// All is well.
    Ok,
    /// The keys are served, and something else is not as it should be.
    Degraded,
    /// The service cannot do its work.
    Failing,
}

/// 200 as long as the process answers.
pub(super) async fn livez() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

/// 200 with a registered client whose key the IdP accepts, or with registration off.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Response {
    let (_, registration) = registration(&app);
    let (status, word) = if app.is_ready() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    let body = json!({"status": word, "registration": registration});
    (status, Json(body)).into_response()
}

/// Everything at a glance: 503 only if the service cannot do its work until an operator acts.
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
        ("projections", projections(&app)),
        ("tasks", tasks(&app)),
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
    match app.ledger.state().ring() {
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
    if app.ledger.doubt().is_some() {
        let error = "the outcome of the last write of the state is unknown";
        let hint = "check the disk of BFF_STATE_DIR; the state is read again every minute";
        return (Level::Degraded, json!({"error": error, "hint": hint}));
    }
    let state = app.ledger.state();
    let mut unsettled = Unsettled::of(&state).into_iter();
    match unsettled.find(|unsettled| matches!(unsettled, Unsettled::Restored { .. })) {
        None => (Level::Ok, json!({})),
        Some(restored) => {
            let (error, hint) = (restored.to_string(), restored.hint());
            (Level::Degraded, json!({"error": error, "hint": hint}))
        }
    }
}

/// What is known of the client, and beside it what is being tried.
fn registration(app: &App) -> (Level, Value) {
    let state = app.ledger.state();
    let client_id = state.registration().map(|r| r.client_id.as_str());
    let (standing, retry) = (app.condition.standing(), app.condition.retry());
    let registered = client_id.map(|_| "registered");
    let (level, word) = match &standing {
        Bootstrap::Off => return (Level::Ok, json!({"state": "off"})),
        Bootstrap::Ready => (Level::Ok, registered.unwrap_or("none")),
        Bootstrap::Starting { .. } => (Level::Degraded, registered.unwrap_or("starting")),
        Bootstrap::Failed { .. } if client_id.is_some() || retry.is_some() => {
            (Level::Degraded, registered.unwrap_or("failed"))
        }
        Bootstrap::Failed { .. } => (Level::Failing, "failed"),
    };
    let unsettled: Vec<_> = Unsettled::of(&state)
        .into_iter()
        .filter(|unsettled| !matches!(unsettled, Unsettled::Restored { .. }))
        .map(Unsettled::report)
        .collect();
    let level = if unsettled.is_empty() {
        level
    } else {
        level.max(Level::Degraded)
    };
    let mut check = Map::from_iter([
        ("state".to_owned(), json!(word)),
        ("retrying".to_owned(), json!(retry.is_some())),
    ]);
    let mut tell = |name: &str, value: Option<Value>| {
        check.extend(value.map(|value| (name.to_owned(), value)));
    };
    tell("client_id", client_id.map(|client_id| json!(client_id)));
    tell("step", app.condition.step().map(|step| json!(step)));
    if let Bootstrap::Failed { error, hint, .. } = &standing {
        tell("last_error", Some(json!(error)));
        tell("hint", Some(json!(hint)));
    }
    tell(
        "unsettled",
        (!unsettled.is_empty()).then(|| json!(unsettled)),
    );
    tell("attempts", retry.map(|retry| json!(retry.attempts)));
    tell("next_try", retry.map(|retry| json!(retry.next_try)));
    (level, Value::Object(check))
}

fn proof(app: &App) -> (Level, Value) {
    match app.condition.proof() {
        None => (Level::Ok, json!({"outcome": "none yet"})),
        // An IdP that has not answered says nothing against the key.
        Some(proof)
            if matches!(
                proof.outcome,
                AuthenticationOutcome::Accepted | AuthenticationOutcome::Unknown
            ) =>
        {
            (Level::Ok, json!(proof))
        }
        Some(proof) => (Level::Degraded, json!(proof)),
    }
}

/// What the IdP still has to be told.
fn projections(app: &App) -> (Level, Value) {
    match app.ledger.state().projections().open() {
        open if open.is_empty() => (Level::Ok, json!({})),
        open => (Level::Degraded, json!({"not_yet_at_the_idp": open})),
    }
}

/// Background tasks that had to be started again.
fn tasks(app: &App) -> (Level, Value) {
    let tasks = app.supervision.tasks();
    let restarted: Map<String, Value> = tasks
        .into_iter()
        .filter(|(_, report)| report.panics > 0)
        .map(|(name, report)| {
            let value = json!({"panics": report.panics, "last_panic_at": report.last_panic_at});
            (name.to_owned(), value)
        })
        .collect();
    if restarted.is_empty() {
        return (Level::Ok, json!({}));
    }
    let hint = "report it as a defect of bff, with the log of that time; a restart clears this";
    (
        Level::Degraded,
        json!({"restarted": restarted, "hint": hint}),
    )
}

fn rotation(rotator: &Rotator) -> (Level, Value) {
    let status = rotator.report();
    let level = if status.rejections > 0 {
        Level::Degraded
    } else {
        Level::Ok
    };
    (level, json!(status))
}
