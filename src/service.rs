//! The service as a whole: started, run and stopped in the order that loses nothing.

mod running;
mod service_error;

pub use running::{Running, start};
pub use service_error::ServiceError;
