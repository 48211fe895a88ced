//! The IdP's interface, one method for each RFC section.
//!
//! A method sends one request and never retries. Whether a caller may retry follows from
//! [`SendError`](crate::transport::SendError).

mod dcr;
mod discovery;
mod idp_admin;
mod token;

pub use dcr::{DcrClient, ManagementClient};
pub use discovery::{DiscoveryError, MetadataAnswer, discover, metadata_of};
pub use idp_admin::{IdpAdminClient, IdpAdminError, MintRequest, MintedToken, Renewed};
pub use token::{CodeRedemption, TokenClient};
