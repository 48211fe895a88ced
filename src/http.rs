//! The HTTP interface: public, and the operator's.

mod admin;
mod app_state;
mod health;
mod jwks;
mod listener;
mod metrics_text;
mod order;
mod problem;
mod refusal;
mod register_order;
mod rotate;
mod rotate_answers;
mod router;
mod time_limits;

pub use app_state::Parts;
pub use listener::serve;
#[cfg(test)]
pub(crate) use refusal::Refusal;
pub use router::{admin_router, router};
