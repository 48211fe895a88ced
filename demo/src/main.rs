//! Shows on one machine how `bff` registers a client and rotates its key: each HTTP request, and
//! the reason for it.
//!
//! The identity provider and `bff` run in this process, on loopback, with files in a temporary
//! directory: a second run finds nothing of the first.

mod events;
mod exchange;
mod screen;
mod stage;
mod story;

use std::io::{self, Write as _};
use std::path::Path;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use self::events::Events;
use self::screen::Screen;
use self::story::Story;

/// How an error of a closed pipe is told.
const BROKEN_PIPE: Option<io::ErrorKind> = Some(io::ErrorKind::BrokenPipe);

/// Shows how bff registers a client at an identity provider and rotates its key.
#[derive(Debug, Parser)]
#[command(name = "cargo demo", max_term_width = 100)]
struct Arguments {
    /// End after the last step, instead of running until Ctrl-C.
    #[arg(long)]
    once: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let directory = tempfile::Builder::new().prefix("bff-demo-").tempdir()?;
    let told = run(&arguments, directory.path());
    directory.close()?;
    let ended = "\nEnded. The temporary files are deleted.";
    match told.and_then(|()| Ok(writeln!(io::stdout(), "{ended}")?)) {
        // The reader has closed the pipe, and wants no more.
        Err(error) if error.downcast_ref().map(io::Error::kind) == BROKEN_PIPE => Ok(()),
        result => result,
    }
}

/// Tells the story until its end or a signal. Nothing writes into the directory any more when
/// this returns, since the runtime has ended.
#[tokio::main]
async fn run(arguments: &Arguments, directory: &Path) -> anyhow::Result<()> {
    let events = Events::default();
    let subscriber = events.clone().subscriber(&directory.join(events::LOG))?;
    tracing::subscriber::set_global_default(subscriber)?;
    let mut story = Story::new(Screen::of_process(), events, directory);
    tokio::select! {
        told = story.tell(arguments.once) => told,
        signal = end() => Ok(signal?),
    }
}

/// Completes when the process is asked to end.
async fn end() -> io::Result<()> {
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
