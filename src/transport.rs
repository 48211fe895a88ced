//! HTTP as a client: one request, one answer, and the difference between "not sent" and "outcome
//! unknown". The only module that sends requests.

mod answer;
mod failure_cause;
mod http_client;
mod send_error;

pub use answer::Answer;
pub use failure_cause::FailureCause;
pub use http_client::{ClientError, HttpClient, Method, Request};
pub use send_error::SendError;
