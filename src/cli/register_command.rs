//! `bff register`.

use std::sync::Arc;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::context::{Context, block_on_all, start_log};
use super::exit::{Exit, Failure};
use super::output;
use super::running_service::RunningService;
use crate::app::{App, OpenAppError, RegistrationReport, Signals};
use crate::clock::Clock;
use crate::config::{Config, ListenConfig};
use crate::local_files::OpenError;
use crate::registrar::{PlanReport, Registrar};
use crate::service::{self, ServiceError};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Says what would be done and what has drifted, and does nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What became of an order.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
enum Ordered {
    /// It is done.
    Done(RegistrationReport),
    /// It is under way in the service, or there is nothing to tell.
    Other(Value),
}

pub(super) fn command(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let config = context.load()?;
    start_log(&config.log)?;
    if !config.dcr.enabled {
        return Err(Failure::new(
            Exit::Configuration,
            anyhow::anyhow!("registration is off"),
            "set IDP_BASE_URL, and DCR_ENABLED=true if it is false",
        ));
    }
    if arguments.dry_run {
        let report = block_on_all(dry_run(config))??;
        print_plan(context, &report);
    } else {
        let ordered = block_on_all(register(config))??;
        print_ordered(context, &ordered);
    }
    Ok(())
}

/// Through the running service, which owns the state; else in this process.
async fn dry_run(config: Config) -> Result<PlanReport, Failure> {
    let listen = config.listen.clone();
    let app = match App::open(config, Clock::system()).await {
        Err(OpenAppError::Open(OpenError::Locked { .. })) => {
            let service = RunningService::of(&listen)?;
            let path = "/admin/register?dry_run=true";
            return service.post(path, &json!({})).await;
        }
        opened => Arc::new(opened.map_err(ServiceError::from)?),
    };
    let idp = app.config.idp.clone().ok_or_else(|| {
        let error = anyhow::anyhow!("no IdP is configured");
        Failure::new(Exit::Configuration, error, "set IDP_BASE_URL")
    })?;
    Ok(Registrar::new(app, idp)?.dry_run().await?)
}

async fn register(mut config: Config) -> Result<Ordered, Failure> {
    // The caller of this command waits for its end.
    config.dcr.allow_failure = false;
    let listen: ListenConfig = config.listen.clone();
    let mut signals = Signals::take()?;
    let running = match service::start(config, Clock::system()).await {
        Err(ServiceError::Open(OpenAppError::Open(OpenError::Locked { .. }))) => {
            let service = RunningService::of(&listen)?;
            return service.post("/admin/register", &json!({})).await;
        }
        running => running?,
    };
    let result = tokio::select! {
        result = running.order() => result.map_err(Failure::from),
        signal = signals.next() => Err(Failure::new(
            Exit::Failure,
            anyhow::anyhow!("stopped by {signal}"),
            "`bff status` shows what was done; run the command again to go on",
        )),
    };
    let app = Arc::clone(&running.app);
    let again = async {
        signals.next().await;
    };
    running.stop(again).await;
    result?;
    Ok(Ordered::Done(RegistrationReport::of(&app.ledger.state())))
}

fn print_plan(context: &Context, report: &PlanReport) {
    if context.json {
        output::line(&json!(report).to_string());
        return;
    }
    output::line(&format!("plan: {}: {}", report.plan, report.summary));
    for drifted in &report.diff.0 {
        output::line(&format!("  {}", drifted.member));
        for (label, value) in [
            ("desired", &drifted.desired),
            ("last sent", &drifted.sent),
            ("at the IdP", &drifted.idp),
        ] {
            let value = value.as_ref().map_or_else(|| "-".to_owned(), plain);
            output::line(&format!("    {label:<10}  {value}"));
        }
    }
    if let Some(hint) = &report.hint {
        output::note(&format!("hint: {hint}"));
    }
}

fn print_ordered(context: &Context, ordered: &Ordered) {
    match ordered {
        Ordered::Done(RegistrationReport {
            client_id: Some(client_id),
            issuer: Some(issuer),
            ..
        }) if !context.json => output::line(&format!("client `{client_id}` at {issuer}")),
        ordered => output::line(&json!(ordered).to_string()),
    }
}

/// A text without its quotation marks.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
