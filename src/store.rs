//! Where the identity is kept.
//!
//! Nothing else in the program knows where that is: the state is loaded and committed as one
//! document, and private keys are read and written by their key IDs, through [`Store`].

mod bad_document;
mod damaged_files;
pub mod encoding;
mod file_store;
mod place;
mod reserve;
mod revisions_file;
mod store_error;
mod store_trait;
mod version_1;

pub use bad_document::BadDocument;
pub use file_store::FileStore;
#[cfg(test)]
pub(crate) use file_store::{BOTH_BAD, FULL, KEY_MISSING, KEY_READABLE, READABLE, WRITABLE};
pub use place::Place;
pub use revisions_file::Revision;
pub use store_error::{CommitError, KeyStoreError, LoadError};
pub use store_trait::{Loaded, Store};
