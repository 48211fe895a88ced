//! File operations in the order that survives a crash.

use std::io;
use std::path::{Path, PathBuf};

use openssl::rand::rand_bytes;

use super::access::Access;
use super::file_system::{Disk, Kind};

/// Ends the name of a file that is being written.
const TEMPORARY: &str = ".bff-tmp";

/// Where a failed replacement leaves the file.
#[derive(Debug)]
pub enum ReplaceError {
    /// As it was.
    Before(io::Error),
    /// As it was, or replaced, but perhaps not durably.
    Unclear(io::Error),
}

impl ReplaceError {
    /// The error itself, for a caller that needs no such difference.
    pub fn into_io(self) -> io::Error {
        match self {
            Self::Before(error) | Self::Unclear(error) => error,
        }
    }
}

/// Replaces `path`, which is a file of ours or nothing, by `contents`, so that after a crash it is
/// the old file or the new one, and after a return the new one.
///
/// # Errors
///
/// [`ReplaceError`] says what may be in place. Anything but a regular file is never replaced.
pub fn replace_own(
    disk: &dyn Disk,
    path: &Path,
    contents: &[u8],
    access: Access,
) -> Result<(), ReplaceError> {
    own(disk, path, Kind::File).map_err(ReplaceError::Before)?;
    let temporary = temporary(path).map_err(ReplaceError::Before)?;
    // What cannot be removed now is swept at the next start.
    let tidy = || drop(disk.remove(&temporary));
    write_new(disk, &temporary, contents, access).map_err(|error| {
        tidy();
        ReplaceError::Before(error)
    })?;
    // A network file system can rename the file and still report an error.
    disk.rename(&temporary, path).map_err(|error| {
        tidy();
        ReplaceError::Unclear(error)
    })?;
    // The rename itself is durable only once its directory is.
    disk.sync_directory(directory(path))
        .map_err(ReplaceError::Unclear)
}

/// Adds `contents` to the file `path`, which is ours and is there. A crash can leave part of them.
///
/// # Errors
///
/// Any I/O error; part of it may be written then.
pub fn append_own(disk: &dyn Disk, path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = disk.append(path)?;
    file.write(contents)?;
    file.sync_data()
}

/// Creates `path` with `contents`, whole or not at all. Of two that do so at once, one is refused.
///
/// # Errors
///
/// `AlreadyExists` if anything has that name; nothing is changed then.
pub fn create_exclusive(
    disk: &dyn Disk,
    path: &Path,
    contents: &[u8],
    access: Access,
) -> io::Result<()> {
    let temporary = temporary(path)?;
    let written = write_new(disk, &temporary, contents, access);
    let linked = written.and_then(|()| disk.hard_link(&temporary, path));
    // What cannot be removed now is swept at the next start.
    drop(disk.remove(&temporary));
    match linked {
        // Not every file system has hard links.
        Err(error) if is_not_ours(&error) => create_in_place(disk, path, contents, access)?,
        result => result?,
    }
    disk.sync_directory(directory(path))
}

/// Creates `path` where there are no hard links: a crash can leave it unfinished.
fn create_in_place(
    disk: &dyn Disk,
    path: &Path,
    contents: &[u8],
    access: Access,
) -> io::Result<()> {
    let mut file = disk.create(path, access)?;
    let written = file.write(contents).and_then(|()| file.sync());
    written.inspect_err(|_| drop(disk.remove(path)))
}

/// Makes `path`, which is a symbolic link of ours or does not exist, point to `target`, in one
/// atomic step.
///
/// # Errors
///
/// Any I/O error; the link then points where it did before. Anything but a link is never replaced.
pub fn link(disk: &dyn Disk, path: &Path, target: &Path) -> io::Result<()> {
    if disk.read_link(path).is_ok_and(|there| there == target) {
        return Ok(());
    }
    own(disk, path, Kind::Link)?;
    let temporary = temporary(path)?;
    disk.symlink(target, &temporary)?;
    disk.rename(&temporary, path)
        .inspect_err(|_| drop(disk.remove(&temporary)))?;
    disk.sync_directory(directory(path))
}

/// Refuses a `path` that exists and is not of the kind that we make.
fn own(disk: &dyn Disk, path: &Path, kind: Kind) -> io::Result<()> {
    match disk.kind(path)? {
        Some(found) if found != kind => {
            let what = "something else has that name, and is not replaced";
            Err(io::Error::new(io::ErrorKind::AlreadyExists, what))
        }
        _ => Ok(()),
    }
}

/// Makes a file durable that another process has written, perhaps just before it ended.
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

/// Makes the entries of a directory and of those above it durable: a file survives a crash only if
/// its directory does.
///
/// # Errors
///
/// Any I/O error of a place that is ours.
pub fn anchor(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let mut path = path;
    loop {
        let above = directory(path);
        match disk.sync_directory(above) {
            // A directory that we cannot write has no new entry of ours.
            Err(error) if is_not_ours(&error) => return Ok(()),
            result => result?,
        }
        if above == Path::new(".") || above.parent().is_none() {
            return Ok(());
        }
        path = above;
    }
}

/// Whether an error of a sync means that we may not write there, or that the file system has no
/// sync. A read-only mount is not among them: its sync succeeds, so an error means that it fails.
pub fn is_not_ours(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    )
}

/// Removes what an interrupted write left behind in a directory of ours, and says what that was.
///
/// # Errors
///
/// Any I/O error.
pub fn sweep(disk: &dyn Disk, directory: &Path) -> io::Result<Vec<PathBuf>> {
    sweep_where(disk, directory, |name| name.starts_with('.'))
}

/// Removes what an interrupted write of the file `path` left behind beside it.
///
/// # Errors
///
/// Any I/O error.
pub fn sweep_beside(disk: &dyn Disk, path: &Path) -> io::Result<Vec<PathBuf>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let start = format!(".{name}.");
    // The rest is random: `.a.pem.0badcafe` is a leftover of `a.pem`, and not of `a`.
    sweep_where(disk, directory(path), |name| {
        name.strip_prefix(&start)
            .is_some_and(|random| !random.contains('.'))
    })
}

fn sweep_where(
    disk: &dyn Disk,
    directory: &Path,
    is_leftover: impl Fn(&str) -> bool,
) -> io::Result<Vec<PathBuf>> {
    let mut swept = Vec::new();
    for path in disk.list(directory)? {
        let name = path.file_name().map(|name| name.to_string_lossy());
        if name.is_some_and(|name| name.strip_suffix(TEMPORARY).is_some_and(&is_leftover)) {
            disk.remove(&path)?;
            swept.push(path);
        }
    }
    Ok(swept)
}

/// A name in the directory of `path` that nothing else uses.
fn temporary(path: &Path) -> io::Result<PathBuf> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let name = path.file_name().ok_or_else(invalid)?.to_string_lossy();
    let mut random = [0; 4];
    rand_bytes(&mut random)?;
    let random = u32::from_ne_bytes(random);
    Ok(directory(path).join(format!(".{name}.{random:08x}{TEMPORARY}")))
}

/// The directory of `path`.
fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn write_new(disk: &dyn Disk, path: &Path, contents: &[u8], access: Access) -> io::Result<()> {
    let mut file = disk.create(path, access)?;
    file.write(contents)?;
    file.sync()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::thread;

    use super::super::access::{PRIVATE, PUBLIC};
    use super::super::host_disk::HostDisk;
    use super::*;

    #[test]
    fn of_many_that_create_one_file_at_once_one_succeeds_and_its_contents_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");

        let create = |name: u8| create_exclusive(&HostDisk, &path, &[name; 64], PRIVATE).is_ok();
        let created: Vec<u8> = thread::scope(|scope| {
            let tries: Vec<_> = (0..16)
                .map(|name| (name, scope.spawn(move || create(name))))
                .collect();
            let succeeded = tries
                .into_iter()
                .filter_map(|(name, handle)| handle.join().unwrap().then_some(name));
            succeeded.collect()
        });

        assert_eq!(created.len(), 1, "{created:?}");
        assert_eq!(fs::read(&path).unwrap(), [created[0]; 64]);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_a_thing_of_our_own_kind_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let (file, other) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, "theirs").unwrap();
        symlink(&file, &other).unwrap();

        assert!(link(&HostDisk, &file, Path::new("target")).is_err());
        assert!(replace_own(&HostDisk, &other, b"ours", PRIVATE).is_err());
        assert!(replace_own(&HostDisk, directory.path(), b"ours", PRIVATE).is_err());
        assert!(create_exclusive(&HostDisk, &other, b"ours", PRIVATE).is_err());

        assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
        assert_eq!(fs::read_link(&other).unwrap(), file);
    }

    #[test]
    fn a_file_has_the_mode_that_was_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        for (name, access) in [("private", PRIVATE), ("public", PUBLIC)] {
            let path = directory.path().join(name);

            replace_own(&HostDisk, &path, b"", access).unwrap();

            let found = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(found & 0o777, access.mode);
        }
    }
}
