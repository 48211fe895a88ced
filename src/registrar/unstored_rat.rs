//! What an answer said of the registration access token, until it can be stored.

use tokio::sync::{Mutex, Notify};

use crate::app::{Ledger, UpdateError, chain};
use crate::registration::RatNews;
use crate::state::State;

/// Keeps what could not be stored for as long as the process lives. Meanwhile no registration
/// access token is sent: the stored one may be void.
#[derive(Debug, Default)]
pub(super) struct UnstoredRat {
    /// The client, and what an answer about it said.
    waiting: Mutex<Option<(String, RatNews)>>,
    added: Notify,
}

impl UnstoredRat {
    /// Stores `news`, at once if that is possible.
    ///
    /// # Errors
    ///
    /// Why it is not stored yet.
    pub(super) async fn put(
        &self,
        client_id: &str,
        news: RatNews,
        ledger: &Ledger,
    ) -> Result<(), String> {
        *self.waiting.lock().await = Some((client_id.to_owned(), news));
        let stored = self.store(ledger).await;
        if stored.is_err() {
            self.added.notify_one();
        }
        stored
    }

    /// Stores what is waiting, if anything is.
    ///
    /// # Errors
    ///
    /// Why it is not stored yet.
    pub(super) async fn store(&self, ledger: &Ledger) -> Result<(), String> {
        let mut waiting = self.waiting.lock().await;
        let Some((client_id, news)) = waiting.as_ref() else {
            return Ok(());
        };
        let answered = |state: &mut State| state.rat_answered(client_id, news);
        match ledger.update(answered).await {
            Ok(()) => {}
            Err(UpdateError::Commit(error)) => {
                return Err(format!(
                    "An answer about client `{client_id}` with its registration access token \
                     cannot be stored: {}; hint: {}",
                    chain(&error),
                    error.hint()
                ));
            }
            Err(UpdateError::Refused(refusal)) => tracing::warn!(
                client.id = client_id.as_str(),
                "The registration access token of client `{client_id}` is dropped: {refusal}"
            ),
        }
        *waiting = None;
        Ok(())
    }

    /// Completes when something is waiting.
    pub(super) async fn added(&self) {
        self.added.notified().await;
    }
}
