//! The signing keys, what is published of them, and the one order in which they may change.
//! Pure.

mod any_ring;
mod key_record;
mod key_set;
mod policy;
mod ring;
#[cfg(test)]
mod sample_rings;
mod stored_ring;

pub use any_ring::KeyRing;
pub use key_record::{KeyRecord, KeyState, Retired};
pub use key_set::NoRoom;
pub use policy::RotationPolicy;
pub use ring::{NoPrevious, NotPublished, Prepublished, Ring, Steady, TooSoon};
pub use stored_ring::InvalidRing;
