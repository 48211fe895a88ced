//! The few file operations the store is made of, in the order that survives a crash.

mod host;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use openssl::rand::rand_bytes;

pub use host::HostDisk;

/// Readable and writable by the owner alone.
pub(super) const PRIVATE: u32 = 0o600;

/// Readable by everybody.
pub(super) const PUBLIC: u32 = 0o644;

/// Ends the name of a file that is being written.
const TEMPORARY: &str = ".bff-tmp";

/// What a [`FileStore`] asks of a file system, one step at a time.
///
/// The store touches files in no other way, so that a test can stand in for the disk and lose
/// whatever was not synced.
///
/// [`FileStore`]: super::FileStore
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Whether there is a directory at `path`.
    fn is_directory(&self, path: &Path) -> bool;

    /// Makes one directory for its owner alone.
    ///
    /// # Errors
    ///
    /// Any I/O error; `AlreadyExists` if something is there.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes the entries of a directory durable.
    ///
    /// # Errors
    ///
    /// Any I/O error.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// The paths of all entries of a directory.
    ///
    /// # Errors
    ///
    /// Any I/O error.
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>>;

    /// Whether there is anything at `path`.
    ///
    /// # Errors
    ///
    /// Any I/O error.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// The contents of a file.
    ///
    /// # Errors
    ///
    /// Any I/O error.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Makes an empty file with these permission bits.
    ///
    /// # Errors
    ///
    /// Any I/O error; `AlreadyExists` if something is there.
    fn create(&self, path: &Path, mode: u32) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file to make it durable.
    ///
    /// # Errors
    ///
    /// Any I/O error.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Where the symbolic link `path` leads.
    ///
    /// # Errors
    ///
    /// Any I/O error, also if it is no symbolic link.
    fn read_link(&self, path: &Path) -> io::Result<PathBuf>;

    /// Makes a symbolic link at `path` that leads to `target`.
    ///
    /// # Errors
    ///
    /// Any I/O error; `AlreadyExists` if something is there.
    fn symlink(&self, target: &Path, path: &Path) -> io::Result<()>;

    /// Gives a file another name, in place of the file that had it.
    ///
    /// # Errors
    ///
    /// Any I/O error.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// Any I/O error.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Takes the lock that the file at `path` stands for, and writes `owner` into it.
    ///
    /// # Errors
    ///
    /// Any I/O error. That somebody else has it is none.
    fn lock(&self, path: &Path, owner: &str) -> io::Result<Lock>;
}

/// A file that was opened.
pub trait DiskFile: fmt::Debug + Send {
    /// Writes `contents` at the end.
    ///
    /// # Errors
    ///
    /// Any I/O error; part of it may be written then.
    fn write(&mut self, contents: &[u8]) -> io::Result<()>;

    /// Makes the contents durable, but not the name.
    ///
    /// # Errors
    ///
    /// Any I/O error.
    fn sync(&mut self) -> io::Result<()>;
}

/// What became of a wish for a lock.
#[derive(Debug)]
pub enum Lock {
    /// It is ours until this is dropped.
    Held(Box<dyn Held>),
    /// Another process has it: what its owner wrote.
    Taken(String),
}

/// A lock; dropping it gives it away.
pub trait Held: fmt::Debug + Send + Sync {}

/// Where a failed replacement leaves the file.
#[derive(Debug)]
pub(super) enum ReplaceError {
    /// As it was.
    Before(io::Error),
    /// As it was, or replaced, and then perhaps not for good.
    Unclear(io::Error),
}

/// Replaces `path` by `contents` so that after a crash it is the old file or the new one, and
/// after a return the new one.
pub(super) fn replace(
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
pub(super) fn create(disk: &dyn Disk, path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    if disk.exists(path)? {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    replace(disk, path, contents, mode).map_err(|error| match error {
        ReplaceError::Before(error) | ReplaceError::Unclear(error) => error,
    })
}

/// Lets the symbolic link `path` lead to `target`; there is no moment without it.
pub(super) fn link(disk: &dyn Disk, path: &Path, target: &Path) -> io::Result<()> {
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
pub(super) fn settle(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    disk.open(path)?.sync()?;
    disk.sync_directory(directory(path))
}

/// Creates a directory for its owner alone, and those above it, unless it is there.
pub(super) fn create_directory(disk: &dyn Disk, path: &Path) -> io::Result<()> {
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
pub(super) fn anchor(disk: &dyn Disk, path: &Path) -> io::Result<()> {
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
pub(super) fn is_not_ours(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    )
}

/// Removes what an interrupted [`replace`] left behind.
pub(super) fn sweep(disk: &dyn Disk, directory: &Path) -> io::Result<Vec<PathBuf>> {
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
