//! `bff serve`.

use clap::Args;

use super::context::{Context, block_on_all, start_log};
use super::exit::Failure;
use crate::app::Signals;
use crate::clock::Clock;
use crate::config::Config;
use crate::service::{self, ServiceError};

/// Flags of `bff serve`, each stronger than its variable.
#[derive(Args, Debug, Default)]
pub(super) struct Arguments {
    /// The address of the public listener (`BFF_LISTEN`).
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The filter of the log (`BFF_LOG`).
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

pub(super) fn command(mut context: Context, arguments: &Arguments) -> Result<(), Failure> {
    for (name, value) in [
        ("BFF_LISTEN", &arguments.listen),
        ("BFF_LOG", &arguments.log),
    ] {
        if let Some(value) = value {
            context.overrides.set(name, value);
        }
    }
    let config = context.load()?;
    start_log(&config.log)?;
    block_on_all(until_a_signal(config))?
}

/// Runs the service until a signal ends it. The log has the failure, if its filter allows it.
async fn until_a_signal(config: Config) -> Result<(), Failure> {
    let mut signals = Signals::take()?;
    run(config, &mut signals).await.map_err(|error| {
        let reported = error.log();
        Failure {
            reported,
            ..Failure::from(error)
        }
    })
}

async fn run(config: Config, signals: &mut Signals) -> Result<(), ServiceError> {
    let allow_failure = config.dcr.allow_failure;
    let running = service::start(config, Clock::system()).await?;
    let result = tokio::select! {
        signal = signals.next() => {
            tracing::info!("{signal}: stopping");
            Ok(())
        }
        result = running.bootstrap() => match result {
            Err(error) if !allow_failure => Err(error),
            _ => {
                let signal = signals.next().await;
                tracing::info!("{signal}: stopping");
                Ok(())
            }
        }
    };
    let again = async {
        signals.next().await;
    };
    if !running.stop(again).await {
        tracing::warn!("Stopped with work unfinished");
    }
    result
}
