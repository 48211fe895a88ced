//! The signing keys, what is published of them, and the one order in which they may change.
//! Pure.

mod ring;

pub use ring::InvalidRing;
pub use ring::KeyRecord;
pub use ring::KeyState;
pub use ring::Ring;
