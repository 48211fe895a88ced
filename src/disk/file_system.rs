//! What is asked of a file system.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;

use super::access::{Access, Opened, User};

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

    /// Opens a file of ours to read it.
    ///
    /// # Errors
    ///
    /// Any I/O error; [`NotAFile`] if it is a symbolic link or anything else but a regular file.
    fn open_own(&self, path: &Path) -> io::Result<Box<dyn OwnFile>>;

    /// Opens a directory to look at its attributes.
    ///
    /// # Errors
    ///
    /// Any I/O error.
    fn open_directory(&self, path: &Path) -> io::Result<Box<dyn Opened>>;

    /// The user of this process, by whose rights all this is done.
    ///
    /// # Errors
    ///
    /// Any error of the system.
    fn user(&self) -> io::Result<User>;

    /// Makes an empty file with this access.
    ///
    /// # Errors
    ///
    /// Any I/O error; `AlreadyExists` if something is there.
    fn create(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a regular file that is there, to write at its end.
    ///
    /// # Errors
    ///
    /// Any I/O error; [`NotAFile`] if it is a symbolic link or anything else.
    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

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

    /// Whether there is one directory behind both paths.
    ///
    /// # Errors
    ///
    /// Any I/O error.
    fn is_same(&self, one: &Path, other: &Path) -> io::Result<bool>;

    /// Whether entries of a directory may be made and removed, as far as can be told.
    fn is_writable(&self, directory: &Path) -> bool;

    /// Takes the lock on the file at `path`, and writes `owner` into it if there is room.
    ///
    /// # Errors
    ///
    /// Any I/O error; that another process holds it is not one.
    fn lock(&self, path: &Path, owner: &str) -> io::Result<Lock>;

    /// Takes the lock on a directory itself, which nobody can remove and which needs no write;
    /// `None` where the file system has no such locks.
    ///
    /// # Errors
    ///
    /// Any I/O error; that another process holds it is not one.
    fn lock_directory(&self, path: &Path) -> io::Result<Option<Lock>>;
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

/// A file of ours that was opened to be read.
pub trait OwnFile: Opened {
    /// Its contents.
    ///
    /// # Errors
    ///
    /// Any I/O error.
    fn contents(&mut self) -> io::Result<Zeroizing<Vec<u8>>>;
}

/// A symbolic link, a directory or the like where a file of ours should be. It is not opened: it
/// could lead to somebody else's file.
#[derive(Debug, thiserror::Error)]
#[error("it is not a regular file")]
pub struct NotAFile;

impl NotAFile {
    /// What an operator can do about it.
    pub const HINT: &str = "replace it by a regular file; a symbolic link is not followed in BFF_KEYS_DIR and \
                            BFF_STATE_DIR";

    /// Whether this is the reason of an error.
    pub fn is_reason(error: &io::Error) -> bool {
        error
            .get_ref()
            .is_some_and(<dyn Error + Send + Sync>::is::<Self>)
    }
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

    /// Makes the contents durable, and of the attributes only what is needed to read them.
    ///
    /// # Errors
    ///
    /// Any I/O error.
    fn sync_data(&mut self) -> io::Result<()>;
}

/// The result of an attempt to take a lock.
#[derive(Debug)]
pub enum Lock {
    /// It is ours until this is dropped.
    Held(Box<dyn Held>),
    /// Another process holds it: what that process wrote into it, if anything.
    Taken(String),
}

/// A lock; dropping it releases it.
pub trait Held: fmt::Debug + Send + Sync {}
