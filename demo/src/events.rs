//! What happens at the provider and in the log of `bff`, in one order.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, io};

use dev_idp::Exchange;
use tokio::sync::broadcast;
use tracing::field::Field;
use tracing::{Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::{EnvFilter, Registry, fmt as text};

/// The file name of the log.
pub(crate) const LOG: &str = "bff.log";

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// The provider answered a request, or fetched something.
    Exchanged(Box<Exchange>),
    /// `bff` logged a message.
    Logged(Level, String),
}

/// The events that nobody has taken yet.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    exchanges: Option<broadcast::Receiver<Exchange>>,
    events: Vec<Event>,
}

impl Events {
    /// Adds the exchanges of a provider.
    pub(crate) fn follow(&self, exchanges: broadcast::Receiver<Exchange>) {
        self.queue().exchanges = Some(exchanges);
    }

    /// Takes all events so far, oldest first.
    pub(crate) fn take(&self) -> Vec<Event> {
        let mut queue = self.queue();
        queue.receive();
        std::mem::take(&mut queue.events)
    }

    /// Adds what `bff` logs from `info` up, and writes its whole log into `file`.
    ///
    /// # Errors
    ///
    /// The file cannot be made.
    #[expect(
        clippy::disallowed_methods,
        reason = "this program has no layer for files"
    )]
    pub(crate) fn subscriber(
        self,
        file: &Path,
    ) -> io::Result<impl Subscriber + Send + Sync + use<>> {
        let to_file = text::layer()
            .with_ansi(false)
            .with_writer(Mutex::new(File::create(file)?));
        Ok(Registry::default()
            .with(EnvFilter::new("info,bff=debug"))
            .with(to_file)
            .with(self))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn receive(&mut self) {
        while let Some(Ok(exchange)) = self.exchanges.as_mut().map(broadcast::Receiver::try_recv) {
            self.events.push(Event::Exchanged(Box::new(exchange)));
        }
    }
}

impl<S: Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO || !metadata.target().starts_with("bff") {
            return;
        }
        let mut message = String::new();
        event.record(&mut |field: &Field, value: &dyn fmt::Debug| {
            if field.name() == "message" {
                message = format!("{value:?}");
            }
        });
        let mut queue = self.queue();
        // The provider records an exchange before it answers, so those that led to this message
        // are there already.
        queue.receive();
        let event = Event::Logged(*metadata.level(), message);
        queue.events.push(event);
    }
}
