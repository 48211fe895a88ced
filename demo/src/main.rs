//! Shows how a client's identity comes about: from a PEM and a token to a client that is
//! registered and proven, with what goes over the wire at each step.
//!
//! The identity provider and `bff` run in this process, on loopback, in a directory of their
//! own, so that a second run finds nothing of the first.

mod events;
mod json;
mod log;
mod panel;
mod screen;
mod stage;
mod story;
mod teller;
mod wire;

use std::io;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use self::screen::{Screen, Style};
use self::story::Story;

/// Shows how bff turns a PEM and a token into a client that is registered and proven.
#[derive(Debug, Parser)]
#[command(name = "cargo demo", max_term_width = 100)]
struct Arguments {
    /// Ends when all has been shown, instead of serving on.
    #[arg(long)]
    once: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            screen::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let directory = tempfile::Builder::new()
        .prefix("bff-demo-")
        .tempdir()
        .context("cannot make a directory for temporary files")?;
    let (subscriber, log) = log::subscriber(&directory.path().join(log::FILE))?;
    tracing::subscriber::set_global_default(subscriber)?;

    let once = arguments.once;
    let told = runtime.block_on(async {
        let mut story = Story::new(Screen::of_process(once), log, directory.path(), once);
        tokio::select! {
            told = story.tell() => told,
            signal = end() => signal,
        }?;
        anyhow::Ok(story.finish().await)
    });
    // Nobody writes into the directory any more when it goes.
    drop(runtime);
    directory
        .close()
        .context("cannot remove the temporary files")?;
    let mut screen = told?;
    screen.blank()?;
    screen.text(1, Style::Faint, "Ended; the files are removed.")?;
    Ok(())
}

/// Completes when the process is asked to end.
async fn end() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
