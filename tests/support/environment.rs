//! The environment of a child: these variables and no others.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// Variables by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Env(BTreeMap<String, OsString>);

impl Env {
    /// No variables at all.
    pub(crate) fn empty() -> Self {
        Self::default()
    }

    /// With one more variable, or another value.
    pub(crate) fn set(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Without a variable.
    pub(crate) fn unset(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &OsString)> {
        self.0.iter()
    }
}
