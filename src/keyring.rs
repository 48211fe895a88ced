//! The signing keys, what is published of them, and the one order in which they may change.
//! Pure.

mod policy;
mod record;
mod ring;

pub use policy::RotationPolicy;
pub use record::KeyRecord;
pub use record::KeyState;
pub use record::Retired;
pub use ring::InvalidRing;
pub use ring::KeyRing;
pub use ring::NoRoom;
pub use ring::NotPublished;
pub use ring::Prepublished;
pub use ring::Ring;
pub use ring::Steady;
pub use ring::TooSoon;
