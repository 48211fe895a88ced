//! What is asked of a file system.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Permission bits: readable and writable by the owner alone.
pub const PRIVATE: u32 = 0o600;

/// Permission bits: readable by everybody.
pub const PUBLIC: u32 = 0o644;

/// What the program asks of a file system, one step at a time.
///
/// It uses files in no other way, so that a test can replace the disk and drop whatever was not
/// synced.
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

    /// What is at `path` itself, if anything is.
    ///
    /// # Errors
    ///
    /// Any I/O error; that nothing is there is none.
    fn kind(&self, path: &Path) -> io::Result<Option<Kind>>;

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

    /// Where the symbolic link `path` points.
    ///
    /// # Errors
    ///
    /// Any I/O error, also if it is not a symbolic link.
    fn read_link(&self, path: &Path) -> io::Result<PathBuf>;

    /// Makes a symbolic link at `path` that points to `target`.
    ///
    /// # Errors
    ///
    /// Any I/O error; `AlreadyExists` if something is there.
    fn symlink(&self, target: &Path, path: &Path) -> io::Result<()>;

    /// Gives a file a second name.
    ///
    /// # Errors
    ///
    /// Any I/O error; `AlreadyExists` if something is there.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

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

    /// Takes the lock on the file at `path`, and writes `owner` into it.
    ///
    /// # Errors
    ///
    /// Any I/O error; that another process holds it is not one.
    fn lock(&self, path: &Path, owner: &str) -> io::Result<Lock>;
}

/// What can be found at a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A symbolic link, wherever it leads.
    Link,
    /// A directory, a device, a socket or the like.
    Other,
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

/// The result of an attempt to take a lock.
#[derive(Debug)]
pub enum Lock {
    /// It is ours until this is dropped.
    Held(Box<dyn Held>),
    /// Another process holds it: what that process wrote into it.
    Taken(String),
}

/// A lock; dropping it releases it.
pub trait Held: fmt::Debug + Send + Sync {}
