//! `bff` owns an OAuth client's identity: its signing keys, the JWK Set that the identity
//! provider fetches, and the client's registration there.
//!
//! A module imports only from the lines above its own, and inside a module a file imports only
//! from files that do not import it; `tests/layering.rs` checks both.
//!
//! | Modules | What they are |
//! |---|---|
//! | [`secret`], [`clock`] | values that do not print, time that a test can move |
//! | [`oauth`], [`jose`] | what goes over the wire, and key material; no I/O |
//! | [`keyring`], [`registration`] | which key signs, what to do about the client, what an answer means: pure |
//! | [`state`] | the document, and one method for each change of it: pure |
//! | [`disk`], [`transport`] | files, one durable step at a time; HTTP as a client |
//! | [`store`], [`local_files`], [`idp`] | where the document is kept; files on this host; the IdP, one method for each RFC section |
//! | [`config`], [`metrics`], [`telemetry`] | what is set, counted and logged |
//! | [`planning`] | what the configuration calls for at the IdP, and what would be sent |
//! | [`app`] | what the tasks share: ledger, signer, status, supervision, shutdown |
//! | [`registrar`] | registration, update, replacement and proof |
//! | [`rotator`] | publish, wait, prove, promote, retire |
//! | [`http`] | the public interface and the operator's |
//! | [`service`] | starts, runs and stops all of it |
//! | [`cli`] | the commands; the only one that prints |

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod disk;
pub mod http;
pub mod idp;
pub mod jose;
pub mod keyring;
pub mod local_files;
pub mod metrics;
pub mod oauth;
pub mod planning;
pub mod registrar;
pub mod registration;
pub mod rotator;
pub mod secret;
pub mod service;
pub mod state;
pub mod store;
pub mod telemetry;
pub mod transport;

#[cfg(test)]
#[path = "../tests/messages/snapshot.rs"]
mod messages;
