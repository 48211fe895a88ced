//! Files on this host that are not the store's: the lock, `active.pem`, the client file, and the
//! files that an operator names.

mod directories;
mod directory_lock;
mod open_error;
mod operator_files;
mod outlets;

pub use directories::Directories;
pub use open_error::OpenError;
pub use operator_files::{read_pem, write_private_file, write_public_file};
pub use outlets::{OutletError, Outlets};
