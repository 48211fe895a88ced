//! What counts as a proof that the IdP accepts a key, at servers of every kind.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod algorithm_name;
mod cost;
mod learning;
mod readiness;
#[allow(dead_code, reason = "shared with another test")]
#[path = "../defects/scene.rs"]
mod scene;
mod servers;
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code, reason = "shared with another test")]
#[path = "../defects/wall.rs"]
mod wall;
