//! `bff status`.

use jiff::Timestamp;
use serde_json::json;

use super::context::{Context, block_on, stored};
use super::exit::Failure;
use super::output;
use super::running_service::RunningService;
use crate::app::{StatusReport, Unsettled};
use crate::config::{KeysConfig, ListenConfig};

pub(super) fn command(context: &Context) -> Result<(), Failure> {
    let (keys, listen) = context.read::<(KeysConfig, ListenConfig)>()?;
    let report = match from_service(&listen) {
        Some(report) => report,
        // No service runs, or it may not be asked: the store has most of it.
        None => StatusReport::of(&stored(&keys)?, None),
    };
    if context.json {
        output::line(&json!(report).to_string());
    } else {
        print(&report);
    }
    Ok(())
}

fn from_service(listen: &ListenConfig) -> Option<StatusReport> {
    listen.admin_token.as_ref()?;
    let service = RunningService::of(listen).ok()?;
    block_on(service.get("/admin/status")).ok()?.ok()
}

fn print(report: &StatusReport) {
    let time = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), |t| t.to_string());
    let text = |text: &Option<String>| text.as_deref().unwrap_or("-").to_owned();
    let registration = &report.registration;
    output::line(&format!(
        "registration  {}  client {}  at {}  since {}",
        registration.state.word(),
        text(&registration.client_id),
        text(&registration.issuer),
        time(registration.registered_at),
    ));
    if let Some(step) = &registration.under_way {
        output::line(&format!("  under way   {step}"));
    }
    if let Some(failure) = &registration.failure {
        output::line(&format!(
            "  failed      {}; hint: {}",
            failure.error, failure.hint
        ));
    }
    if let Some(order) = report.orders.first() {
        let failure = order.failure.as_ref();
        output::line(&format!(
            "last order    {}  at {}  {}",
            order.state.word(),
            order.ordered_at,
            failure.map_or("-", |failure| failure.error.as_str()),
        ));
    }
    for unsettled in &report.unsettled {
        // The list of these has more room for them.
        if !matches!(unsettled.what, Unsettled::Orphan { .. }) {
            output::line(&format!(
                "unsettled     {}; hint: {}",
                unsettled.text, unsettled.hint
            ));
        }
    }
    for drifted in registration.drift.iter().flat_map(|drift| &drift.0) {
        output::line(&format!("  drifted     {drifted}"));
    }
    if let Some(refused) = &registration.update_refused {
        output::line(&format!(
            "  refused     the update of {}: HTTP {} {}",
            refused.at, refused.status, refused.said
        ));
    }
    for projection in &report.projections {
        output::line(&format!(
            "  pending     the IdP does not have the present {} yet, since {}",
            projection.member,
            time(projection.open_since),
        ));
    }
    for key in &report.keys {
        output::line(&format!(
            "key           {:<8}  {}  {}  published {}",
            key.state.word(),
            key.alg,
            key.kid,
            time(key.published_at),
        ));
    }
    if let Some(proof) = &report.proof {
        output::line(&format!(
            "last proof    {}  at {}  {}",
            proof.outcome.word(),
            proof.at,
            text(&proof.said),
        ));
    }
    for orphan in &report.orphans {
        output::line(&format!(
            "orphan        client {} at {} since {}: delete it at the IdP",
            orphan.client_id, orphan.issuer, orphan.since,
        ));
    }
    for entry in report.journal.entries() {
        output::line(&format!(
            "journal       {}  {}  {}  {}",
            entry.at,
            json!(entry.event).as_str().unwrap_or("-"),
            text(&entry.client_id),
            entry.detail,
        ));
    }
}
