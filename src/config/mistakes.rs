//! What is wrong, or odd, about a configuration.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Nowhere: the default counts.
    Default,
    /// A variable of the environment.
    Environment,
    /// The TOML file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// A flag of the command line.
    Flag,
    /// Nowhere, and there is no default.
    Unset,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Environment => f.write_str("environment"),
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Flag => f.write_str("flag"),
            Self::Unset => f.write_str("not set"),
        }
    }
}

/// One mistake.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{name} ({origin}): {problem}")]
pub struct ConfigError {
    /// The variable, or the key of the file.
    pub name: String,
    /// Where its value came from.
    pub origin: Origin,
    /// What was expected, what was found unless that is secret, and how to mend it.
    pub problem: String,
}

impl ConfigError {
    pub(super) fn new(name: &str, origin: Origin, problem: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            origin,
            problem: problem.into(),
        }
    }
}

/// Every mistake of a configuration, never empty. Prints one line per mistake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}

/// Something that is allowed, but probably not meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigWarning {
    /// The variable, or the key of the file.
    pub name: String,
    /// What is odd about it, and how to mend it.
    pub message: String,
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}
