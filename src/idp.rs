//! The IdP's interface, one method for each RFC section.
//!
//! A method is one request and never repeats itself; who may repeat it, and when, follows from
//! [`SendError`](crate::transport::SendError).

mod dcr;
mod discovery;
mod idp_admin;
mod token;

pub use dcr::{DcrClient, ManagementClient};
pub use discovery::{DiscoveryError, discover};
pub use idp_admin::{IdpAdminClient, IdpAdminError, MintRequest, MintedToken, Renewed};
pub use token::TokenClient;
