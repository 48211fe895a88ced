//! `bff healthcheck`: for an image without curl.

use clap::Args;

use super::command_error::CommandError;
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
    let config = config.map_err(|failure| Failure {
        exit: Exit::Failure,
        ..failure
    })?;
    let path = if arguments.live { "livez" } else { "readyz" };
    let url = format!("http://{}/{path}", reachable(config.listen));
    let request = http_client()?.request(Method::GET, &url);
    let answer = block_on(request.send())?.map_err(CommandError::from)?;
    if answer.status == 200 {
        return Ok(());
    }
    output::note(answer.body.expose());
    let status = answer.status;
    Err(CommandError::NotHealthy { url, status }.into())
}
