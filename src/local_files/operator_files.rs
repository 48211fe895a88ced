//! Files that an operator names in a setting or a flag.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::disk::{self, HostDisk, PRIVATE, PUBLIC, ReplaceError};
use crate::secret::Secret;

/// Reads a PEM file, and logs a warning if users other than its owner can read it.
///
/// # Errors
///
/// Any I/O error.
pub fn read_pem(path: &Path) -> io::Result<Secret> {
    let text = fs::read(path)?;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(
            path = %path.display(),
            "Users other than its owner can read the private key {} (mode {:03o}); hint: run \
             `chmod 600` on it",
            path.display(),
            mode & 0o777
        );
    }
    Ok(Secret::new(String::from_utf8_lossy(&text)))
}

/// Writes a new file that its owner alone can read.
///
/// # Errors
///
/// Any I/O error; `AlreadyExists` if there is a file of that name.
pub fn write_private_file(path: &Path, contents: &Secret) -> io::Result<()> {
    disk::create_exclusive(&HostDisk, path, contents.expose().as_bytes(), PRIVATE)
}

/// Writes a file that everybody can read, in place of the one that was there.
///
/// # Errors
///
/// Any I/O error.
pub fn write_public_file(path: &Path, contents: &[u8]) -> io::Result<()> {
    disk::replace_own(&HostDisk, path, contents, PUBLIC).map_err(ReplaceError::into_io)
}
