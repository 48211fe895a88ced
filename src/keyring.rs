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
pub use key_record::KeyRecord;
pub use key_record::KeyState;
pub use key_record::Retired;
pub use key_set::NoRoom;
pub use policy::RotationPolicy;
pub use ring::NoPrevious;
pub use ring::NotPublished;
pub use ring::Prepublished;
pub use ring::Ring;
pub use ring::Steady;
pub use ring::TooSoon;
pub use stored_ring::InvalidRing;
