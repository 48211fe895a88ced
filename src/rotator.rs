//! Replaces the key that signs: publish, wait, prove, promote, retire; each step is one commit.

mod begin;
mod live;
mod machine;
mod promote;
mod rotate_error;
mod rotator_task;
mod steady;

pub use rotate_error::RotateError;
pub use rotator_task::{Mode, Order, Rotator};
