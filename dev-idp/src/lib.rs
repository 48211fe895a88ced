//! A development identity provider: enough of OAuth 2.0 to show and to test a client that owns
//! its registration and its keys, with a knob for each way in which real providers surprise.
//!
//! It has no users and no login. It is for loopback and container networks only.
//!
//! ```no_run
//! # async fn run() -> std::io::Result<()> {
//! use dev_idp::{DevIdp, Endpoint, Fault};
//!
//! let idp = DevIdp::builder().start().await?;
//! let token = idp.mint_iat();
//! idp.faults().set_times(Fault::DropAfter { on: Endpoint::Register }, 1);
//! # drop(token);
//! # Ok(())
//! # }
//! ```

mod admin;
mod assertion;
mod client;
mod config;
mod dev_idp;
mod discovery;
mod exchange;
mod fault;
mod front;
mod header_fields;
mod initial_access;
mod jwk;
mod jwks_cache;
mod metadata;
mod provider;
mod refusal;
mod registration;
mod routes;
mod server;
mod surroundings;
mod token;
mod token_endpoint;

pub use config::{ClientProfile, Config, ConfigError, Policy};
pub use dev_idp::{Builder, DevIdp};
pub use exchange::{Direction, Exchange};
pub use fault::{ActiveFault, Endpoint, Fault, Faults, Verdict};
pub use jwks_cache::JwksCachePolicy;
pub use provider::AudiencePolicy;
pub use server::{Reach, may_listen};
pub use surroundings::Surroundings;
