//! Storing what cannot be had a second time.

use std::error::Error;

use crate::app::{App, Backoff, UpdateError, chain};
use crate::state::State;

/// Carries out a transition that stores what an IdP has answered, and tries again until it is
/// stored or the service stops: the answer is nowhere else.
///
/// # Errors
///
/// Those of [`Ledger::update`](crate::app::Ledger::update), once the service stops.
pub(super) async fn insist<T, E: Error + 'static>(
    app: &App,
    mut change: impl FnMut(&mut State) -> Result<T, E>,
) -> Result<T, UpdateError<E>> {
    let mut backoff = Backoff::endless(&app.shutdown);
    loop {
        let error = match app.ledger.update(&mut change).await {
            Err(UpdateError::Commit(error)) => error,
            ended => return ended,
        };
        let failure = format!(
            "What the IdP has answered cannot be stored: {}; hint: {}",
            chain(&error),
            error.hint()
        );
        if !backoff.try_again(&failure, None).await {
            // Room may have been made since, and there is no later chance.
            return app.ledger.update(&mut change).await;
        }
    }
}
