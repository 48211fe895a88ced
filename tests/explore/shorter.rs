//! Leaves out of a history what does not matter.

use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::explored::explore;
use crate::history::History;
use crate::truth::Complaint;

/// For how long it is tried.
const PATIENCE: Duration = Duration::from_mins(1);

/// The shortest history that was found in which the same is wrong.
pub(crate) async fn shorter(
    bench: &Bench,
    mut history: History,
    mut wrong: Complaint,
    restarts: usize,
) -> (History, Complaint) {
    let end = Instant::now() + PATIENCE;
    loop {
        let before = history.operations.len();
        for index in (0..before).rev() {
            let mut without = history.clone();
            without.operations.remove(index);
            if Instant::now() > end {
                return (history, wrong);
            }
            if let Some(found) = explore(bench, &without, restarts).await
                && found.promise == wrong.promise
            {
                (history, wrong) = (without, found);
            }
        }
        if history.operations.len() == before {
            return (history, wrong);
        }
    }
}
