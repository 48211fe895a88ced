//! `bff` owns an OAuth client's identity: its signing keys, the JWK Set that the identity
//! provider fetches, and the client's registration there.

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
