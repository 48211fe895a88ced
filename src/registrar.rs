//! Carries out what [`plan()`](crate::registration::plan()) says, so that no answer is lost and no
//! token is spent twice; and the proof.

mod adopt;
mod adopt_error;
mod bootstrap;
mod bootstrap_error;
mod confirm_update;
mod endpoints;
mod endpoints_error;
mod gone;
mod insist;
mod keep_proven;
mod keep_read;
mod managed_client;
mod management;
mod occasion;
mod on_rotation;
mod presented;
mod proof;
mod proof_error;
mod proof_memory;
mod rat_request;
mod register;
mod registration_error;
mod registration_order;
mod rehearsal;
mod replace;
mod session;
mod trial_of_candidate;
mod unstored_rat;
mod update;
mod update_answer;

pub use adopt_error::AdoptError;
pub use bootstrap::Registrar;
pub use bootstrap_error::BootstrapError;
pub use endpoints::http_client;
pub use endpoints_error::EndpointsError;
pub use occasion::Occasion;
pub use presented::Care;
pub use proof_error::ProofError;
pub use registration_error::RegistrationError;
pub use registration_order::RegistrationOrder;
pub use rehearsal::rehearse;
