//! File operations in the order that survives a crash.

use std::io;
use std::path::{Path, PathBuf};

use openssl::rand::rand_bytes;

use super::file_system::Disk;

/// Ends the name of a file that is being written.
const TEMPORARY: &str = ".bff-tmp";

/// Where a failed replacement leaves the file.
#[derive(Debug)]
pub enum ReplaceError {
    /// As it was.
    Before(io::Error),
    /// As it was, or replaced, and then perhaps not for good.
    Unclear(io::Error),
}

impl ReplaceError {
    /// The error itself, for a caller to whom it is all the same.
    pub fn into_io(self) -> io::Error {
        match self {
            Self::Before(error) | Self::Unclear(error) => error,
        }
    }
}

/// Replaces `path` by `contents` so that after a crash it is the old file or the new one, and
/// after a return the new one.
///
/// # Errors
///
/// [`ReplaceError`] says what may be in place.
pub fn replace(
    disk: &dyn Disk,
    path: &Path,
    contents: &[u8],
    mode: u32,
) -> Result<(), ReplaceError> {
    let temporary = temporary(path).map_err(ReplaceError::Before)?;
    // What cannot be removed now is swept at the next start.
    let tidy = || drop(disk.remove(&temporary));
    write_new(disk, &temporary, contents, mode).map_err(|error| {
        tidy();
        ReplaceError::Before(error)
    })?;
    // A file system on a network can rename and say that it did not.
    disk.rename(&temporary, path).map_err(|error| {
        tidy();
        ReplaceError::Unclear(error)
    })?;
    // The rename itself is durable only once its directory is.
    disk.sync_directory(directory(path))
        .map_err(ReplaceError::Unclear)
}

/// Creates `path` with `contents`, whole or not at all.
///
/// # Errors
///
/// `AlreadyExists` if there is a file of that name.
pub fn create(disk: &dyn Disk, path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    if disk.exists(path)? {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    replace(disk, path, contents, mode).map_err(ReplaceError::into_io)
}

/// Lets the symbolic link `path` lead to `target`; there is no moment without it.
///
/// # Errors
///
/// Any I/O error; the link then leads where it did before.
pub fn link(disk: &dyn Disk, path: &Path, target: &Path) -> io::Result<()> {
    if disk.read_link(path).is_ok_and(|there| there == target) {
        return Ok(());
    }
    let temporary = temporary(path)?;
    disk.symlink(target, &temporary)?;
    disk.rename(&temporary, path)
        .inspect_err(|_| drop(disk.remove(&temporary)))?;
    disk.sync_directory(directory(path))
}

/// Makes a file durable that another process has written, perhaps in its last moment.
///
/// # Errors
///
/// Any I/O error.
pub fn settle(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    disk.open(path)?.sync()?;
    disk.sync_directory(directory(path))
}

/// Creates a directory for its owner alone, and those above it, unless it is there.
///
/// # Errors
///
/// Any I/O error.
pub fn create_directory(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    if disk.is_directory(path) {
        return Ok(());
    }
    match disk.create_directory(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_directory(disk, directory(path))?;
            disk.create_directory(path)
        }
        Err(_) if disk.is_directory(path) => Ok(()),
        result => result,
    }
}

/// Makes the names of a directory and of those above it durable: a file is no safer than the
/// directory it lies in.
///
/// # Errors
///
/// Any I/O error of a place that is ours.
pub fn anchor(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let mut path = path;
    loop {
        let above = directory(path);
        match disk.sync_directory(above) {
            // Where we can make nothing, we have made nothing.
            Err(error) if is_not_ours(&error) => return Ok(()),
            result => result?,
        }
        if above == Path::new(".") || above.parent().is_none() {
            return Ok(());
        }
        path = above;
    }
}

/// Whether an error of a sync says that this place is not ours to change, or that it keeps
/// nothing. A file system that is mounted read-only is not among them: it has nothing to sync,
/// and says yes, until it breaks.
pub fn is_not_ours(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    )
}

/// Removes what an interrupted [`replace`] left behind, and says what that was.
///
/// # Errors
///
/// Any I/O error.
pub fn sweep(disk: &dyn Disk, directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut swept = Vec::new();
    for path in disk.list(directory)? {
        let name = path.file_name().map(|name| name.to_string_lossy());
        if name.is_some_and(|name| name.starts_with('.') && name.ends_with(TEMPORARY)) {
            disk.remove(&path)?;
            swept.push(path);
        }
    }
    Ok(swept)
}

/// A name beside `path` that nobody else uses.
fn temporary(path: &Path) -> io::Result<PathBuf> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let name = path.file_name().ok_or_else(invalid)?.to_string_lossy();
    let mut random = [0; 4];
    rand_bytes(&mut random)?;
    let random = u32::from_ne_bytes(random);
    Ok(directory(path).join(format!(".{name}.{random:08x}{TEMPORARY}")))
}

/// The directory that `path` lies in.
fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn write_new(disk: &dyn Disk, path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let mut file = disk.create(path, mode)?;
    file.write(contents)?;
    file.sync()
}
