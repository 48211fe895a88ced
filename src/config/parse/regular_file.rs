//! Files that settings name.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

/// Opens a file to read it. Whatever else has this path is an error: a FIFO would be waited for
/// without end, and a device may have no end.
///
/// # Errors
///
/// As for [`File::open`], and for what is no regular file.
pub(in crate::config) fn open_regular(path: &Path) -> io::Result<File> {
    let (file, kind) = open(path)?;
    match kind {
        None => Ok(file),
        Some(kind) => Err(other(kind)),
    }
}

/// Reads a text of at most `most` bytes; `/dev/null` is an empty one.
///
/// # Errors
///
/// As for [`open_regular`], and for a longer text.
pub(in crate::config) fn read_text(path: &Path, most: u64) -> io::Result<String> {
    let (file, kind) = match open(path)? {
        (_, Some(_)) if path == Path::new("/dev/null") => return Ok(String::new()),
        found => found,
    };
    if let Some(kind) = kind {
        return Err(other(kind));
    }
    read_bounded(file, most)
}

/// Reads a text of at most `most` bytes.
///
/// # Errors
///
/// For a longer text, and one that is not UTF-8.
pub(in crate::config) fn read_bounded(file: File, most: u64) -> io::Result<String> {
    let mut text = String::new();
    file.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        let problem = format!("it is larger than {} KiB", most / 1024);
        return Err(io::Error::other(problem));
    }
    Ok(text)
}

fn other(kind: &str) -> io::Error {
    io::Error::other(format!("it is {kind}, not a file"))
}

/// The file, and what it is if it is no regular one.
fn open(path: &Path) -> io::Result<(File, Option<&'static str>)> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = match nix::fcntl::open(path, flags, Mode::empty()) {
        Ok(opened) => File::from(opened),
        // A socket cannot be opened, and the reason that the system gives does not name it.
        Err(error) => {
            let is_socket = path
                .metadata()
                .is_ok_and(|found| found.file_type().is_socket());
            return Err(if is_socket {
                other("a socket")
            } else {
                error.into()
            });
        }
    };
    let found = file.metadata()?.file_type();
    let kind = if found.is_file() {
        None
    } else if found.is_dir() {
        Some("a directory")
    } else if found.is_fifo() {
        Some("a FIFO")
    } else {
        Some("a device")
    };
    Ok((file, kind))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::UnixListener;

    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn only_a_regular_file_is_opened_and_nothing_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("file"), "text").unwrap();
        mkfifo(&path("fifo"), Mode::S_IRWXU).unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();

        assert_eq!(read_text(&path("file"), 4).unwrap(), "text");
        for (found, expected) in [
            (path("fifo"), "it is a FIFO, not a file"),
            (path("socket"), "it is a socket, not a file"),
            (path(""), "it is a directory, not a file"),
            (
                Path::new("/dev/zero").to_owned(),
                "it is a device, not a file",
            ),
        ] {
            for error in [
                open_regular(&found).map(drop).unwrap_err(),
                read_text(&found, 4).map(drop).unwrap_err(),
            ] {
                assert_eq!(error.to_string(), expected, "{}", found.display());
            }
        }
        assert_eq!(read_text(Path::new("/dev/null"), 4).unwrap(), "");
        assert!(open_regular(Path::new("/dev/null")).is_err());
        let error = read_text(&path("file"), 3).unwrap_err();
        assert!(error.to_string().contains("larger"), "{error}");
    }
}
