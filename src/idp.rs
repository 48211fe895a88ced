//! The IdP as an HTTP peer. The only module that sends requests.
//!
//! Each method is one request of one RFC section and never repeats itself; who may repeat it,
//! and when, follows from [`SendError`].

mod admin;
mod dcr;
mod discovery;
mod service;
mod token;
mod transport;

pub use admin::AdminClient;
pub use admin::AdminError;
pub use admin::MintedToken;
pub use admin::Renewed;
pub use admin::TokenWish;
pub use dcr::DcrClient;
pub use dcr::ManagementClient;
pub use discovery::DiscoveryError;
pub use discovery::discover;
pub use service::ServiceAnswer;
pub use service::ServiceClient;
pub use token::TokenClient;
pub use transport::Answer;
pub use transport::ClientError;
pub use transport::HttpClient;
pub use transport::SendError;
