//! What once went wrong between the document, the signer, the IdP and the files beside them, by
//! clocks, stores and providers that misbehave at one moment.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod algorithm;
mod conflict;
mod doubt;
mod leftovers;
mod outlets;
mod panics;
mod refused;
mod scene;
#[path = "../support/mod.rs"]
mod support;
mod token;
mod wall;
