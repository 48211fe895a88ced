//! Files on this host that are not the store's: the lock, `active.pem`, the client file, and the
//! files that an operator names.

mod directories;
mod operator_files;
mod outlets;

pub use directories::{Directories, OpenError};
pub use operator_files::{read_pem, write_private_file, write_public_file};
pub use outlets::{OutletError, Outlets};
