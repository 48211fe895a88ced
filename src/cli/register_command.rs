//! `bff register`.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::command_error::CommandError;
use super::context::{Context, block_on_all, start_log};
use super::exit::{Exit, Failure};
use super::output::{self, Progress};
use super::running_service::RunningService;
use super::standard_input::line_of_standard_input;
use crate::app::{
    FailureReport, OpenAppError, OrderReport, OrderState, RegistrationReport, Restoration, Signals,
    StatusReport, foreseen, store_of,
};
use crate::clock::Clock;
use crate::config::{Config, ListenConfig};
use crate::local_files::OpenError;
use crate::oauth::{InitialAccessToken, Management};
use crate::planning::{PlanReport, PlannedRequest};
use crate::registrar::{RegistrationOrder, rehearse};
use crate::registration::{Adoptee, TokenFingerprint};
use crate::service::{self, ServiceError};

/// The registration access token of a client that is adopted comes from standard input.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Says what would be done and what has drifted, and does nothing.
    #[arg(long)]
    dry_run: bool,
    /// Accepts an older state (docs/restore.md) as it is, and goes on with it.
    #[arg(long, conflicts_with_all = ["adopt", "dry_run"])]
    after_restore: bool,
    /// Takes this client over, if the IdP accepts our key as its.
    #[arg(long, value_name = "CLIENT_ID", conflicts_with = "dry_run")]
    adopt: Option<String>,
    /// Where that client is managed; its token is read from standard input.
    #[arg(long, value_name = "URI", requires = "adopt")]
    registration_client_uri: Option<String>,
}

/// How the service answers an order.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Answer {
    /// It is under way.
    UnderWay { order: OrderReport },
    /// It is done.
    Done(Box<RegistrationReport>),
}

/// Pause between two looks at an order that is under way.
const LOOK: Duration = Duration::from_secs(1);

/// How much longer than its tries an order may take: the last of them ends in this time.
const MARGIN: Duration = Duration::from_mins(1);

pub(super) fn command(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let config = context.load()?;
    start_log(&config.log)?;
    if !config.dcr.enabled {
        return Err(CommandError::RegistrationOff.into());
    }
    if arguments.dry_run {
        let report = block_on_all(dry_run(config))??;
        print_plan(context, &report);
    } else {
        let ordered = block_on_all(register(config, arguments.order()?))??;
        print_registered(context, &ordered);
    }
    Ok(())
}

/// Through the running service, which reads what the IdP has; else from what is stored. Nothing is
/// written then, and nothing is sent: a read could end the registration access token.
async fn dry_run(config: Config) -> Result<PlanReport, Failure> {
    let idp = config.idp.clone().ok_or(CommandError::NoIdp)?;
    if config.listen.admin_token.is_some() {
        let service = RunningService::of(&config.listen)?;
        let path = "/admin/register?dry_run=true";
        if let Some(report) = service.post_if_it_runs(path, &json!({})).await? {
            return Ok(report);
        }
    }
    let clock = Clock::system();
    let token = config.dcr.iat.clone().map(InitialAccessToken);
    let tokens = token.iter().map(TokenFingerprint::of).collect();
    let loaded = store_of(&config.keys).load()?;
    let mut state = Restoration::new(clock.clone(), tokens).foresee(loaded);
    let mut is_made = false;
    if state.ring().is_none() && state.registration().is_none() {
        let foreseen = foreseen(&config.keys).await.map_err(OpenAppError::from);
        let (key, made) = foreseen.map_err(ServiceError::from)?;
        // In memory alone, so that the request is complete.
        let first = state.first_key(key.public().clone(), "foreseen", clock.now());
        is_made = made && first.is_ok();
    }
    let mut report = rehearse(&config, &idp, &state, clock.now())?;
    let body = report.request.as_mut().map(|request| &mut request.body.0);
    if let Some(jwks) = body
        .and_then(|body| body.get_mut("jwks"))
        .filter(|_| is_made)
    {
        *jwks = json!("(with the key that the first start makes)");
    }
    Ok(report)
}

impl Arguments {
    fn order(&self) -> Result<RegistrationOrder, Failure> {
        if self.after_restore {
            return Ok(RegistrationOrder::AfterRestore);
        }
        let Some(client_id) = self.adopt.clone() else {
            return Ok(RegistrationOrder::Register);
        };
        let token = line_of_standard_input();
        let uri = self.registration_client_uri.as_deref();
        match Adoptee::new(client_id, uri, token) {
            Ok(adoptee) => Ok(RegistrationOrder::Adopt(adoptee)),
            Err(error) => {
                let hint = error.hint();
                Err(Failure::new(Exit::CommandLine, error, hint))
            }
        }
    }
}

async fn register(
    mut config: Config,
    wanted: RegistrationOrder,
) -> Result<RegistrationReport, Failure> {
    // The caller of this command waits for its end.
    config.dcr.allow_failure = false;
    let listen: ListenConfig = config.listen.clone();
    let limit = config.dcr.bootstrap_timeout.saturating_add(MARGIN);
    let mut signals = Signals::take()?;
    let running = match service::start(config, Clock::system()).await {
        Err(ServiceError::Open(OpenAppError::Open(OpenError::Locked { .. }))) => {
            let service = RunningService::of(&listen)?;
            return tokio::select! {
                ended = tokio::time::timeout(limit, order(&service, &wanted)) => {
                    let seconds = limit.as_secs();
                    ended.unwrap_or_else(|_| Err(CommandError::OrderTooLong { seconds }.into()))
                }
                signal = signals.next() => Err(CommandError::OrderLeft(signal).into()),
            };
        }
        running => running?,
    };
    let result = tokio::select! {
        result = running.order(wanted) => result.map_err(Failure::from),
        signal = signals.next() => Err(CommandError::Stopped(signal).into()),
    };
    let app = Arc::clone(&running.app);
    let again = async {
        signals.next().await;
    };
    running.stop(again).await;
    result?;
    Ok(RegistrationReport::of(&app.ledger.state()))
}

/// Has the service register, and waits for the end of that.
async fn order(
    service: &RunningService,
    wanted: &RegistrationOrder,
) -> Result<RegistrationReport, Failure> {
    let order = match service.post("/admin/register", &body(wanted)).await? {
        Answer::Done(report) => return Ok(*report),
        Answer::UnderWay { order } => order,
    };
    let mut progress = Progress::new();
    loop {
        let report: StatusReport = service.get("/admin/status").await?;
        let is_it = |seen: &&OrderReport| {
            (seen.number, seen.ordered_at) == (order.number, order.ordered_at)
        };
        let Some(seen) = report.orders.iter().find(is_it) else {
            return Err(CommandError::OrderForgotten.into());
        };
        match seen.state {
            OrderState::Done => return Ok(report.registration),
            OrderState::Failed => return Err(failed(seen.failure.as_ref())),
            OrderState::Running => {}
        }
        progress.show(
            report
                .registration
                .under_way
                .as_deref()
                .unwrap_or("waiting"),
        );
        tokio::time::sleep(LOOK).await;
    }
}

/// An order as the service takes it.
fn body(order: &RegistrationOrder) -> Value {
    match order {
        RegistrationOrder::Adopt(adoptee) => {
            let client_id = adoptee.client_id();
            match adoptee.management() {
                None => json!({"adopt": {"client_id": client_id}}),
                Some(Management { uri, token }) => json!({"adopt": {
                    "client_id": client_id,
                    "registration_client_uri": uri.as_str(),
                    "registration_access_token": token.expose(),
                }}),
            }
        }
        RegistrationOrder::AfterRestore => json!({"after_restore": true}),
        RegistrationOrder::Register => json!({}),
    }
}

/// The failure of an order in the service.
fn failed(failure: Option<&FailureReport>) -> Failure {
    match failure {
        Some(FailureReport { error, hint, class }) => {
            Failure::new((*class).into(), anyhow::anyhow!("{error}"), hint)
        }
        None => CommandError::OrderFailed.into(),
    }
}

fn print_plan(context: &Context, report: &PlanReport) {
    if context.json {
        output::line(&json!(report).to_string());
        return;
    }
    output::line(&format!("plan: {}: {}", report.plan, report.summary));
    if let Some(request) = &report.request {
        print_request(request);
    }
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
    if let Some(seen_at) = report.seen_at {
        output::note(&format!("what is at the IdP was last read at {seen_at}"));
    }
    if let Some(hint) = &report.hint {
        output::note(&format!("hint: {hint}"));
    }
}

fn print_request(request: &PlannedRequest) {
    let url = request.url.as_deref();
    let url = url.unwrap_or("(the registration_endpoint that the IdP will name)");
    output::line(&format!("  {} {url}", request.method));
    if let Some(token) = &request.authorization {
        output::line(&format!("  Authorization: Bearer ({token})"));
    }
    for (name, value) in &request.body.0 {
        output::line(&format!("    {name}: {value}"));
    }
}

fn print_registered(context: &Context, registered: &RegistrationReport) {
    match (&registered.client_id, &registered.issuer) {
        (Some(client_id), Some(issuer)) if !context.json => {
            output::line(&format!("client `{client_id}` at {issuer}"));
        }
        _ => output::line(&json!(registered).to_string()),
    }
}

/// A text without its quotation marks.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
