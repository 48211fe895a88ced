//! `bff` owns an OAuth client's identity: its signing keys, the JWK Set that the identity
//! provider fetches, and the client's registration there.
//!
//! A module imports only from the lines above its own; `tests/layering.rs` sees to it.
//!
//! | Modules | What they are |
//! |---|---|
//! | [`secret`], [`clock`] | values that do not print, time that a test can move |
//! | [`oauth`], [`jose`] | what goes over the wire, and key material; no I/O |
//! | [`keyring`], [`registration`] | which key signs, what to do about the client: pure decisions |
//! | [`store`] | where state and keys are kept; the only one that writes files |
//! | [`idp`] | one request per method; the only one that sends any |
//! | [`config`], [`metrics`], [`telemetry`] | what is set, counted and logged |
//! | [`app`] | carries the decisions out: registrar, proof, shutdown |
//! | [`http`] | what others may ask |
//! | [`cli`] | the commands; the only one that prints |

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod http;
pub mod idp;
pub mod jose;
pub mod keyring;
pub mod metrics;
pub mod oauth;
pub mod registration;
pub mod secret;
pub mod store;
pub mod telemetry;
