//! What the tasks share: the state and its only writer, the signer, the condition of the service,
//! supervision and shutdown.

mod backoff;
mod blocking;
mod client_assertion;
mod condition;
mod error_chain;
mod failure_class;
mod first_key;
mod keys_error;
mod ledger;
mod local_outlets;
mod operator_key;
mod orders;
mod published;
mod reencrypt;
mod restoration;
mod shared;
mod shutdown;
mod signer;
mod status;
mod stores;
mod supervision;
mod token_place;
mod unsettled;

pub use backoff::Backoff;
pub use blocking::blocking;
pub use client_assertion::assertion;
pub use condition::{Bootstrap, Condition, Retry, UnderWay};
pub use error_chain::chain;
pub use failure_class::Class;
pub use first_key::foreseen;
pub use keys_error::KeysError;
pub use ledger::{Ledger, UpdateError};
pub use local_outlets::LocalOutlets;
pub use orders::{FailureReport, OrderReport, OrderState};
pub use published::PublishedJwks;
pub use reencrypt::{ReencryptError, Reencrypted, reencrypt};
pub use restoration::Restoration;
pub use shared::{App, OpenAppError, Parts, owner};
pub use shutdown::{Effect, Panicked, Shutdown, Signals, Stopping};
pub use signer::{NoSigner, Signer};
pub use status::{
    KeyReport, OrphanReport, Phase, ProjectionReport, RegistrationReport, RegistrationState,
    RotationReport, StatusReport, UpdateRefusedReport, WaitingFor,
};
pub use stores::store_of;
pub use supervision::{Supervision, TaskReport};
pub use token_place::TokenPlace;
pub use unsettled::{Unsettled, UnsettledReport};
