//! Secrets in files of their own.

use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::config::parse::{open_regular, quoted, read_bounded};

/// Longest secret in a file, in bytes.
const MAX_SECRET: u64 = 64 * 1024;

/// Where container runtimes mount secrets, with a mode that the operator cannot choose.
const CONTAINER_SECRETS: &str = "/run/secrets";

/// What a file holds.
pub(super) struct SecretFile {
    /// The value, without the line break at its end; never empty.
    pub(super) value: String,
    /// Whether users other than its owner can read it, where the operator can change that.
    pub(super) exposed: bool,
}

/// What is wrong with a file, and what to do.
pub(super) enum Problem {
    Empty(String),
    Missing(String),
    Unreadable(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty(text) | Self::Missing(text) | Self::Unreadable(text) => f.write_str(text),
        }
    }
}

/// Reads the file that the variable `name` names.
///
/// # Errors
///
/// [`Problem`].
pub(super) fn read(name: &str, path: &str) -> Result<SecretFile, Problem> {
    let shown = printable(path);
    let text = |error: &dyn fmt::Display| {
        format!(
            "cannot read {shown}: {error}; put the value there, readable by bff, or unset {name}"
        )
    };
    let cannot = |error: &dyn fmt::Display| Problem::Unreadable(text(error));

    let file = open_regular(Path::new(path)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Problem::Missing(text(&error)),
        _ => cannot(&error),
    })?;
    let metadata = file.metadata().map_err(|error| cannot(&error))?;
    let text = read_bounded(file, MAX_SECRET).map_err(|error| cannot(&error))?;
    let value = text.trim_end_matches(['\r', '\n']);
    if value.trim().is_empty() {
        return Err(Problem::Empty(format!(
            "{shown} is empty; put the value into that file, or unset {name}"
        )));
    }
    Ok(SecretFile {
        value: value.to_owned(),
        exposed: metadata.permissions().mode() & 0o077 != 0
            && !Path::new(path).starts_with(CONTAINER_SECRETS),
    })
}

/// The path, unless it may be the secret itself, given in place of its file's path.
pub(super) fn printable(path: &str) -> String {
    let in_directory = Path::new(path)
        .parent()
        .is_some_and(|parent| !parent.as_os_str().is_empty() && parent.is_dir());
    if path.starts_with(['/', '.']) || in_directory {
        quoted(path)
    } else {
        "the file (its path is not shown, since it may be the secret itself)".to_owned()
    }
}
