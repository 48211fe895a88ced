//! Where a store is kept.

use std::sync::Arc;

use bff::store::Store;

/// A place that was empty at first, and where a store can be opened again and again.
pub(crate) trait Site {
    /// Opens the store, as a program does that starts.
    fn open(&self) -> Arc<dyn Store>;

    /// Opens the store so that its first calls may go wrong, in another way for each number;
    /// `None` where there is no such way any more.
    fn open_failing(&self, number: usize) -> Option<Arc<dyn Store>>;

    /// Whether several programs may have it open to write. Where not, a lock keeps the second one
    /// out.
    fn is_shared(&self) -> bool;

    /// All programs end at once, and what was not made durable is gone.
    fn lose_power(&self);

    /// Spoils every document that was written.
    fn spoil(&self);

    /// What was written outside of the places that are meant for it.
    fn strays(&self) -> Vec<String>;

    /// The words by which an error names this place.
    fn name(&self) -> String;

    /// The store after a restart for which nobody was prepared.
    fn reopen(&self) -> Arc<dyn Store> {
        self.lose_power();
        self.open()
    }
}
