//! Where settings come from.

use std::path::{Path, PathBuf};

use super::env::{Env, Overrides};
use super::file::ConfigFile;
use super::layers::Layers;
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
        let named = match config_path {
            Some(path) => Some((path.to_owned(), Origin::Flag)),
            None => match env.get(CONFIG_VARIABLE) {
                Some(path) => Some((PathBuf::from(path), Origin::Environment)),
                None => Path::new(DEFAULT_FILE)
                    .exists()
                    .then(|| (PathBuf::from(DEFAULT_FILE), Origin::Default)),
            },
        };
        let (file, mut errors) = match &named {
            Some((path, origin)) => ConfigFile::read(path, origin.clone()),
            None => (None, Vec::new()),
        };
        errors.extend(unknown::overrides(overrides));
        let layers = Layers {
            env: env.clone(),
            file_failed: named.is_some() && file.is_none(),
            file,
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
