//! What happens, in the order in which it happens: at the provider, and in the log of `bff`.

use dev_idp::Exchange;
use jiff::Timestamp;
use tokio::sync::broadcast;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::log::Message;

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A request was answered.
    Exchanged(Box<Exchange>),
    /// `bff` logged something.
    Logged(Message),
}

/// The two sources of events, heard as one.
pub(crate) struct Events {
    log: UnboundedReceiver<Message>,
    exchanges: Option<broadcast::Receiver<Exchange>>,
    /// The time of the last exchange that was heard of.
    heard: Timestamp,
    waiting: Vec<(Timestamp, Event)>,
}

impl Events {
    /// Those of the log.
    pub(crate) fn new(log: UnboundedReceiver<Message>) -> Self {
        Self {
            log,
            exchanges: None,
            heard: Timestamp::MIN,
            waiting: Vec::new(),
        }
    }

    /// Listens to a provider too.
    pub(crate) fn follow(&mut self, exchanges: broadcast::Receiver<Exchange>) {
        self.exchanges = Some(exchanges);
    }

    /// Completes when there is something to [take](Self::take).
    pub(crate) async fn arrived(&mut self) {
        if !self.waiting.is_empty() {
            return;
        }
        let exchange = async {
            match &mut self.exchanges {
                Some(exchanges) => exchanges.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Ok(exchange) = exchange => self.keep_exchange(exchange),
            Some(message) = self.log.recv() => self.keep_message(message),
            else => std::future::pending().await,
        }
    }

    /// What has happened until now, oldest first.
    ///
    /// An exchange is heard of before `bff` can log what came of it, and the log is asked
    /// first: so nothing up to `now` can be missing whose consequence is there.
    pub(crate) fn take(&mut self) -> Vec<Event> {
        let now = Timestamp::now();
        while let Ok(message) = self.log.try_recv() {
            self.keep_message(message);
        }
        while let Some(Ok(exchange)) = self.exchanges.as_mut().map(broadcast::Receiver::try_recv) {
            self.keep_exchange(exchange);
        }
        self.waiting.sort_by_key(|(at, _)| *at);
        let count = self.waiting.partition_point(|(at, _)| *at <= now);
        self.waiting
            .drain(..count)
            .map(|(_, event)| event)
            .collect()
    }

    fn keep_message(&mut self, message: Message) {
        self.waiting.push((message.at, Event::Logged(message)));
    }

    /// An exchange bears the time of its request, and comes with its answer: what was asked
    /// for in between came before it.
    fn keep_exchange(&mut self, exchange: Exchange) {
        self.heard = self.heard.max(exchange.at);
        let event = Event::Exchanged(Box::new(exchange));
        self.waiting.push((self.heard, event));
    }
}
