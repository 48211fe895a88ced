//! The log of `bff`: to a file in full, and its messages to the story.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Mutex;

use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::{EnvFilter, Registry, fmt as text};

/// Its name in the directory of the demonstration.
pub(crate) const FILE: &str = "bff.log";

/// A message that an operator would read.
#[derive(Debug)]
pub(crate) struct Message {
    /// When it was logged.
    pub(crate) at: Timestamp,
    /// Whether it is good news, or no news.
    pub(crate) well: bool,
    /// One sentence.
    pub(crate) text: String,
}

/// Writes everything from `debug` on to `file`, and sends on what is `info` or graver.
///
/// # Errors
///
/// The file cannot be made.
pub(crate) fn subscriber(
    file: &Path,
) -> io::Result<(
    impl Subscriber + Send + Sync + use<>,
    UnboundedReceiver<Message>,
)> {
    let (sender, receiver) = unbounded_channel();
    let to_file = text::layer()
        .with_ansi(false)
        .with_writer(Mutex::new(File::create(file)?));
    let subscriber = Registry::default()
        .with(EnvFilter::new("info,bff=debug"))
        .with(to_file)
        .with(ToStory(sender));
    Ok((subscriber, receiver))
}

struct ToStory(UnboundedSender<Message>);

impl<S: Subscriber> Layer<S> for ToStory {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO || !metadata.target().starts_with("bff") {
            return;
        }
        let mut text = MessageField(String::new());
        event.record(&mut text);
        let message = Message {
            at: Timestamp::now(),
            well: *metadata.level() == Level::INFO,
            text: text.0,
        };
        // An error only says that the story is over.
        self.0.send(message).ok();
    }
}

struct MessageField(String);

impl Visit for MessageField {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
