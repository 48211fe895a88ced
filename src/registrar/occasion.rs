//! What a bootstrap is for.

/// What a bootstrap is for: it decides which refusals are tried again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Occasion {
    /// A start, or a retry that nobody has ordered.
    Start,
    /// An operator's order.
    Order,
}
