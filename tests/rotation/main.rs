//! A key is replaced, and no authentication fails: under load, whatever the IdP remembers, and
//! whenever the process ends.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod caches;
mod crash;
mod keys;
mod orders;
mod stage;
#[path = "../support/mod.rs"]
mod support;
mod time;
