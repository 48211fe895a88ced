//! Registration, on order.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::order;
use super::problem::Problem;
use super::refusal::Refusal;
use crate::app::{App, Backoff, Class, RegistrationReport};
use crate::registrar::{AdoptError, BootstrapError, Registrar, RegistrationOrder};
use crate::registration::{Adoptee, InvalidAdoptee};
use crate::secret::Secret;

/// How long an order is waited for before it is said to be under way; below the time limit of
/// a request.
const PATIENCE: Duration = Duration::from_secs(8);

/// What the query is.
const QUERY: &str = "the query must be empty, `dry_run=true` or `dry_run=false`";

/// What the body is.
const BODY: &str = "the body must be empty, `{\"after_restore\":true}` or `{\"adopt\":{…}}` (README.md); \
                    a dry run has an empty one, and `dry_run=true` in the query";

/// Runs the bootstrap again now, or says what it would do.
pub(super) async fn register(
    State(app): State<Arc<App>>,
    State(registrar): State<Option<Arc<Registrar>>>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    let ordered = order::switch(query.as_deref(), "dry_run", QUERY);
    let ordered = ordered.and_then(|dry_run| Ok((dry_run, ordered_by(&body, dry_run)?)));
    let (dry_run, ordered) = match ordered {
        Ok((dry_run, Ok(ordered))) => (dry_run, ordered),
        Ok((_, Err(error))) => return failed(&AdoptError::from(error).into()).into_response(),
        Err(refusal) => return Problem::from(refusal).into_response(),
    };
    let Some(registrar) = registrar else {
        return Problem::from(Refusal::RegistrationOff)
            .with("class", json!(Class::Configuration))
            .into_response();
    };
    tracing::info!(
        dry_run,
        after_restore = matches!(ordered, RegistrationOrder::AfterRestore),
        client.id = adopted(&ordered),
        "Audit: registration ordered through /admin/register"
    );
    if dry_run {
        let report = app
            .shutdown
            .see_through(async move { registrar.dry_run().await });
        return match report.await {
            Ok(report) => Json(report).into_response(),
            Err(panicked) => failed(&panicked.into()).into_response(),
        };
    }
    let order = app.condition.ordered(app.clock.now());
    let work = app.shutdown.see_through(carry_out(
        Arc::clone(&app),
        registrar,
        ordered,
        order.number,
    ));
    let Ok(ended) = tokio::time::timeout(PATIENCE, work).await else {
        let body = json!({"state": "running", "see": "/admin/status", "order": order});
        return (StatusCode::ACCEPTED, Json(body)).into_response();
    };
    match ended.unwrap_or_else(|panicked| Err(panicked.into())) {
        Ok(()) => Json(RegistrationReport::of(&app.ledger.state())).into_response(),
        Err(error) => failed(&error).into_response(),
    }
}

/// What the body orders, and what is wrong with the client that it names. A dry run has none.
fn ordered_by(
    body: &Bytes,
    dry_run: bool,
) -> Result<Result<RegistrationOrder, InvalidAdoptee>, Refusal> {
    let wrong = Refusal::WrongBody { allowed: BODY };
    let mut members = order::members(body, &["adopt", "after_restore"], BODY)?;
    match (members.remove("adopt"), members.remove("after_restore")) {
        (None, None) => Ok(Ok(RegistrationOrder::Register)),
        (None, Some(Value::Bool(true))) if !dry_run => Ok(Ok(RegistrationOrder::AfterRestore)),
        (Some(Value::Object(mut adopt)), None) if !dry_run => {
            let client_id = order::text(&mut adopt, "client_id", BODY)?.ok_or(wrong)?;
            let uri = order::text(&mut adopt, "registration_client_uri", BODY)?;
            let token = order::text(&mut adopt, "registration_access_token", BODY)?;
            if !adopt.is_empty() {
                return Err(wrong);
            }
            let adoptee = Adoptee::new(client_id, uri.as_deref(), token.map(Secret::new));
            Ok(adoptee.map(RegistrationOrder::Adopt))
        }
        _ => Err(wrong),
    }
}

/// The client that is to be adopted, for the log.
fn adopted(order: &RegistrationOrder) -> Option<&str> {
    match order {
        RegistrationOrder::Adopt(adoptee) => Some(adoptee.client_id()),
        RegistrationOrder::AfterRestore | RegistrationOrder::Register => None,
    }
}

/// Carries out an order, and notes what became of it: who ordered it may wait no longer.
async fn carry_out(
    app: Arc<App>,
    registrar: Arc<Registrar>,
    order: RegistrationOrder,
    number: u64,
) -> Result<(), BootstrapError> {
    let backoff = Backoff::until(app.config.dcr.bootstrap_timeout, &app.shutdown);
    let work = async move { Box::pin(registrar.carry_out(order, backoff)).await };
    let ended = app.shutdown.see_through(work).await;
    let ended = ended.unwrap_or_else(|panicked| Err(panicked.into()));
    let failure = ended.as_ref().err().map(BootstrapError::report);
    app.condition.order_ended(number, failure);
    ended
}

fn failed(error: &BootstrapError) -> Problem {
    let status = match error.class() {
        Class::Unavailable => StatusCode::BAD_GATEWAY,
        Class::Failure | Class::NotAccepted | Class::Configuration => StatusCode::CONFLICT,
    };
    Problem::new(status, error.chain())
        .hint(error.hint())
        .with("class", json!(error.class()))
}
