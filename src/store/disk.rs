//! The few file operations the store is made of, in the order that survives a crash.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use openssl::rand::rand_bytes;

/// Readable and writable by the owner alone.
pub(super) const PRIVATE: u32 = 0o600;

/// Readable by everybody.
pub(super) const PUBLIC: u32 = 0o644;

/// Ends the name of a file that is being written.
const TEMPORARY: &str = ".bff-tmp";

/// Where a failed replacement leaves the file.
#[derive(Debug)]
pub(super) enum ReplaceError {
    /// As it was.
    Before(io::Error),
    /// Replaced, but perhaps not for good.
    After(io::Error),
}

/// Replaces `path` by `contents` so that after a crash it is the old file or the new one, and
/// after a return the new one.
pub(super) fn replace(path: &Path, contents: &[u8], mode: u32) -> Result<(), ReplaceError> {
    let (directory, temporary) = temporary(path).map_err(ReplaceError::Before)?;
    write_new(&temporary, contents, mode)
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|error| {
            // What cannot be removed now is swept at the next start.
            drop(fs::remove_file(&temporary));
            ReplaceError::Before(error)
        })?;
    // The rename itself is durable only once its directory is.
    sync_directory(&directory).map_err(ReplaceError::After)
}

/// Creates `path` with `contents`, whole or not at all.
///
/// # Errors
///
/// `AlreadyExists` if there is a file of that name.
pub(super) fn create(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    if path.try_exists()? {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    replace(path, contents, mode).map_err(|error| match error {
        ReplaceError::Before(error) | ReplaceError::After(error) => error,
    })
}

/// Lets the symbolic link `path` lead to `target`; there is no moment without it.
pub(super) fn link(path: &Path, target: &Path) -> io::Result<()> {
    if fs::read_link(path).is_ok_and(|there| there == target) {
        return Ok(());
    }
    let (directory, temporary) = temporary(path)?;
    symlink(target, &temporary)?;
    fs::rename(&temporary, path).inspect_err(|_| drop(fs::remove_file(&temporary)))?;
    sync_directory(&directory)
}

/// Creates a directory for its owner alone, and those above it, unless it is there.
pub(super) fn create_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// Removes what an interrupted [`replace`] left behind.
pub(super) fn sweep(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut swept = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy());
        if name.is_some_and(|name| name.starts_with('.') && name.ends_with(TEMPORARY)) {
            fs::remove_file(&path)?;
            swept.push(path);
        }
    }
    Ok(swept)
}

/// A name beside `path` that nobody else uses, and the directory of both.
fn temporary(path: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let name = path.file_name().ok_or_else(invalid)?.to_string_lossy();
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let mut random = [0; 4];
    rand_bytes(&mut random)?;
    let random = u32::from_ne_bytes(random);
    let temporary = directory.join(format!(".{name}.{random:08x}{TEMPORARY}"));
    Ok((directory, temporary))
}

fn write_new(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
