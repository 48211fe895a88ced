//! Where something is kept, for a message.

use std::fmt;
use std::path::Path;

/// Where something is kept, in the words of the store that keeps it: a path, a row, a Secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place(String);

impl Place {
    /// A place in these words.
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }

    /// A file.
    pub fn file(path: &Path) -> Self {
        Self(path.display().to_string())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
