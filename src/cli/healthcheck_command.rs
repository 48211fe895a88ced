//! `bff healthcheck`: for an image without curl.

use clap::Args;

use super::context::{Context, block_on};
use super::exit::{Exit, Failure};
use super::output;
use super::running_service::{http_client, reachable};
use crate::config::ListenConfig;
use crate::transport::Method;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Asks whether the process lives (`/livez`), not whether it is ready (`/readyz`).
    #[arg(long)]
    live: bool,
}

pub(super) fn command(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let config = context.read::<ListenConfig>();
    // A health check exits 0 or 1 only: Docker reserves 2 and gives others no meaning.
    let failed = |error: anyhow::Error, hint: &str| Failure::new(Exit::Failure, error, hint);
    let config = config.map_err(|failure| Failure {
        exit: Exit::Failure,
        ..failure
    })?;
    let path = if arguments.live { "livez" } else { "readyz" };
    let url = format!("http://{}/{path}", reachable(config.listen));
    let request = http_client()?.request(Method::GET, &url);
    let answer = block_on(request.send())?.map_err(|error| {
        failed(
            error.into(),
            "start `bff serve`, or set BFF_LISTEN to the address that it listens on",
        )
    })?;
    if answer.status == 200 {
        return Ok(());
    }
    output::note(answer.body.expose());
    let error = anyhow::anyhow!("{url} answers HTTP {}", answer.status);
    Err(failed(
        error,
        "/healthz and the log of `bff serve` name the cause",
    ))
}
