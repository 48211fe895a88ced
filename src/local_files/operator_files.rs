//! Files that an operator names in a setting or a flag.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;
use secrecy::zeroize::Zeroizing;

use crate::disk::{self, HostDisk, PRIVATE, PUBLIC, ReplaceError};
use crate::secret::Secret;

/// Largest PEM file that is read, in bytes.
const MAX_PEM: u64 = 64 * 1024;

/// Reads a PEM file, and logs a warning if users other than its owner can read it.
///
/// # Errors
///
/// Any I/O error, also for anything but a regular file of at most 64 KiB.
pub fn read_pem(path: &Path) -> io::Result<Secret> {
    // Without waiting for the other end of a pipe.
    let mut open = OpenOptions::new();
    let file = open
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.len() > MAX_PEM {
        let what = "it is not a regular file of at most 64 KiB";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let mode = found.permissions().mode();
    let mut text = Zeroizing::new(Vec::with_capacity(
        found.len().try_into().unwrap_or_default(),
    ));
    file.take(MAX_PEM).read_to_end(&mut text)?;
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

/// Writes a new file that its owner alone can read. What a killed command left of it beside it, with
/// a secret in it, is removed first.
///
/// # Errors
///
/// Any I/O error; `AlreadyExists` if there is a file of that name.
pub fn write_private_file(path: &Path, contents: &Secret) -> io::Result<()> {
    // A directory that cannot be listed may still be written.
    drop(disk::sweep_beside(&HostDisk, path));
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
