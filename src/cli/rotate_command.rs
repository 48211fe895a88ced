//! `bff rotate`.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::command_error::CommandError;
use super::context::{Context, block_on};
use super::exit::Failure;
use super::output::{self, Progress};
use super::running_service::RunningService;
use crate::app::{RotationReport, StatusReport};
use crate::config::ListenConfig;
use crate::jose::{Algorithm, Kid};
use crate::keyring::KeyState;
use crate::rotator::Mode;

/// Without a flag, a new key is published, and after a wait proven and promoted.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Arguments {
    /// Does not wait until every copy of the JWK Set is renewed; the proof stays.
    #[arg(long, conflicts_with = "compromised")]
    now: bool,
    /// The private keys may be known to others: a new key signs at once, all others leave the set.
    #[arg(long)]
    compromised: bool,
    /// Also where the IdP cannot be told of the new key: it gets the JWK Set by hand.
    #[arg(long, requires = "compromised")]
    even_if_unpublished: bool,
    /// The algorithm of the new key (default: that of the present one).
    #[arg(long)]
    alg: Option<Algorithm>,
    /// Shows where a rotation stands, and begins none.
    #[arg(long, conflicts_with_all = ["now", "compromised", "alg"])]
    show: bool,
    /// Waits until the new key signs, and shows how it goes.
    #[arg(long)]
    wait: bool,
}

/// Pause between two reads of a rotation that is waited for.
const LOOK: Duration = Duration::from_secs(1);

pub(super) fn command(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let listen = context.read::<ListenConfig>()?;
    let service = RunningService::of(&listen)?;
    block_on(run(context, arguments, &service))?
}

async fn run(
    context: &Context,
    arguments: &Arguments,
    service: &RunningService,
) -> Result<(), Failure> {
    let report: RotationReport = if arguments.show {
        service.get("/admin/rotate").await?
    } else {
        service.post("/admin/rotate", &order(arguments)).await?
    };
    if context.json {
        output::line(&json!(report).to_string());
    } else {
        output::line(&line(&report));
        if let Some(note) = &report.note {
            output::note(note);
        }
    }
    match &report.kid {
        Some(kid) if arguments.wait && !arguments.compromised => follow(service, kid).await,
        _ => Ok(()),
    }
}

fn order(arguments: &Arguments) -> Value {
    let mode = match (arguments.now, arguments.compromised) {
        (_, true) => Mode::Compromised,
        (true, false) => Mode::Now,
        (false, false) => Mode::Scheduled,
    };
    let alg = arguments.alg.map(|alg| ("alg", json!(alg)));
    let unpublished = arguments.even_if_unpublished;
    let unpublished = unpublished.then(|| ("even_if_unpublished", json!(true)));
    let members = [Some(("mode", json!(mode))), alg, unpublished];
    let members = members.into_iter().flatten();
    members
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Shows each change of where it stands until `kid` signs.
async fn follow(service: &RunningService, kid: &Kid) -> Result<(), Failure> {
    let mut progress = Progress::new();
    loop {
        let report: RotationReport = service.get("/admin/rotate").await?;
        if report.kid.as_ref() != Some(kid) {
            drop(progress);
            return conclude(service, kid).await;
        }
        progress.show(&line(&report));
        tokio::time::sleep(LOOK).await;
    }
}

async fn conclude(service: &RunningService, kid: &Kid) -> Result<(), Failure> {
    let report: StatusReport = service.get("/admin/status").await?;
    let mut keys = report.keys.iter();
    if keys.any(|key| key.state == KeyState::Current && key.kid == *kid) {
        output::note(&format!("key `{kid}` signs now"));
        return Ok(());
    }
    Err(CommandError::NotPromoted(kid.clone()).into())
}

fn line(report: &RotationReport) -> String {
    let mut parts = vec![report.phase.word().to_owned()];
    parts.extend(report.kid.as_ref().map(|kid| format!("key {kid}")));
    parts.extend(
        report
            .waiting_for
            .map(|what| format!("waiting for {}", what.word())),
    );
    parts.extend(
        report
            .earliest_promotion
            .map(|earliest| format!("signs from {earliest}")),
    );
    if report.rejections > 0 {
        parts.push(format!("rejected {} times", report.rejections));
    }
    parts.join("  ")
}
