//! `bff register`.

use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use super::{Context, Exit, Failure, block_on_all, output, service};
use crate::app::{App, Registrar, StartError};
use crate::clock::Clock;
use crate::config::Config;
use crate::store::OpenError;
use crate::telemetry;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Says what would be done and what has drifted, and does nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn command(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let config = Config::load(&context.env, context.config.as_deref(), &context.overrides)?;
    telemetry::init(&config.log.filter, config.log.text, config.log.colour).map_err(|error| {
        let error = anyhow::anyhow!("cannot start the log: {error}");
        Failure::new(Exit::Configuration, error, "check BFF_LOG")
    })?;
    if !config.dcr.enabled {
        return Err(Failure::new(
            Exit::Configuration,
            anyhow::anyhow!("registration is off"),
            "set IDP_BASE_URL, and DCR_ENABLED=true if it is false",
        ));
    }
    let answer = if arguments.dry_run {
        block_on_all(rehearse(config))??
    } else {
        block_on_all(register(config))??
    };
    print(context, &answer);
    Ok(())
}

/// Through the running service, because it owns the state; else on our own.
async fn rehearse(config: Config) -> Result<Value, Failure> {
    let listen = config.listen.clone();
    let app = match App::open(config, Clock::system()).await {
        Err(StartError::Open(OpenError::Locked { .. })) => {
            let client = service::client(&listen)?;
            let answer = client
                .post("/admin/register?dry_run=true", &json!({}))
                .await;
            return service::accepted(answer.map_err(service::unreachable)?);
        }
        opened => Arc::new(opened?),
    };
    let Some(idp) = app.config.idp.clone() else {
        return Ok(Value::Null);
    };
    let rehearsal = Registrar::new(app, idp)?.rehearse().await?;
    Ok(json!(rehearsal))
}

async fn register(config: Config) -> Result<Value, Failure> {
    let listen = config.listen.clone();
    let running = match super::serve(config, Clock::system()).await {
        Err(failure) if is_locked(&failure) => {
            let client = service::client(&listen)?;
            let answer = client.post("/admin/register", &json!({})).await;
            return service::accepted(answer.map_err(service::unreachable)?);
        }
        running => running?,
    };
    let result = running.bootstrap().await;
    let state = running.app.ledger.state();
    running.stop(std::future::pending()).await;
    result?;
    Ok(match &state.registration {
        Some(registered) => json!({
            "state": "registered",
            "issuer": registered.issuer,
            "client_id": registered.client_id,
            "registered_at": registered.registered_at,
        }),
        None => Value::Null,
    })
}

fn is_locked(failure: &Failure) -> bool {
    matches!(
        failure.error.downcast_ref(),
        Some(StartError::Open(OpenError::Locked { .. }))
    )
}

fn print(context: &Context, answer: &Value) {
    if context.json {
        output::line(&answer.to_string());
        return;
    }
    let text = |value: &Value, name: &str| {
        value.get(name).map(|value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        })
    };
    if let Some(plan) = text(answer, "plan") {
        let summary = text(answer, "summary").unwrap_or_default();
        output::line(&format!("plan: {plan}: {summary}"));
        for drifted in answer
            .get("diff")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            output::line(&format!(
                "  {}",
                text(drifted, "member").unwrap_or_default()
            ));
            for (name, label) in [
                ("desired", "desired"),
                ("sent", "last sent"),
                ("idp", "at the IdP"),
            ] {
                let value = text(drifted, name).unwrap_or_else(|| "-".to_owned());
                output::line(&format!("    {label:<10}  {value}"));
            }
        }
        if let Some(hint) = text(answer, "hint") {
            output::note(&format!("hint: {hint}"));
        }
    } else if let (Some(client_id), Some(issuer)) =
        (text(answer, "client_id"), text(answer, "issuer"))
    {
        output::line(&format!("client `{client_id}` at {issuer}"));
    } else {
        output::line(&answer.to_string());
    }
}
