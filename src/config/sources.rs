//! Where settings come from.

use std::fs;
use std::io;
use std::path::Path;

use super::env::{Env, Overrides};
use super::file::ConfigFile;
use super::layers::{Layers, QUOTED, is_quoted};
use super::mistakes::{ConfigError, ConfigErrors, ConfigWarning, Origin};
use super::reader::Reader;
use super::section::Section;
use super::settings::CONFIG_VARIABLE;
use super::unknown;

/// The file that is read if it exists and no other is named.
pub const DEFAULT_FILE: &str = "config/bff.toml";

/// Where settings come from, opened once to read sections from.
pub struct Sources {
    layers: Layers,
    /// What is wrong with the file as a whole, and with the flags.
    errors: Vec<ConfigError>,
}

impl Sources {
    /// Opens the TOML file and remembers the rest.
    ///
    /// `config_path` is the value of `--config`; without it the file is that of `BFF_CONFIG`, else
    /// [`DEFAULT_FILE`] if it exists. What is wrong with the file is reported by
    /// [`Sources::read`].
    pub fn open(env: &Env, config_path: Option<&Path>, overrides: &Overrides) -> Self {
        let variable = env.get(CONFIG_VARIABLE);
        let quoted = variable.is_some_and(|path| is_quoted(&path.to_string_lossy()));
        let named = match (config_path, variable) {
            (Some(path), _) => Some((path, Origin::Flag)),
            (None, Some(path)) => Some((Path::new(path), Origin::Environment)),
            (None, None) => is_there(Path::new(DEFAULT_FILE))
                .then_some((Path::new(DEFAULT_FILE), Origin::Default)),
        };
        let (file, mut errors) = match named {
            Some((_, origin @ Origin::Environment)) if quoted => {
                let error = ConfigError::new(CONFIG_VARIABLE, origin, QUOTED);
                (None, vec![error])
            }
            Some((path, origin)) => ConfigFile::read(path, origin),
            None => (None, Vec::new()),
        };
        let file_failed = file.is_none() && !errors.is_empty();
        errors.extend(unknown::overrides(overrides));
        let layers = Layers {
            env: env.clone(),
            file,
            file_failed,
            overrides: overrides.clone(),
        };
        Self { layers, errors }
    }

    /// Reads one section, or a tuple of them, and what is odd about it.
    ///
    /// # Errors
    ///
    /// Every mistake in it, and every mistake that concerns the file as a whole.
    pub fn read<S: Section>(&self) -> Result<(S, Vec<ConfigWarning>), ConfigErrors> {
        let mut reader = Reader::new(&self.layers, self.errors.clone());
        let section = S::read(&mut reader);
        reader.finish(section)
    }
}

/// Whether something is at `path`, readable or not: a link that leads nowhere and a directory that
/// cannot be searched are mistakes, and not the absence of a file.
fn is_there(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_that_leads_nowhere_is_not_the_absence_of_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bff.toml");

        assert!(!is_there(&path));
        symlink(directory.path().join("nowhere"), &path).unwrap();
        assert!(is_there(&path));
    }
}
