//! The configuration: defaults, a TOML file, the environment and flags, the later ones stronger.
//!
//! All mistakes are reported together, and none shows a secret. A command that needs only a part
//! reads that [`Section`] from [`Sources`]; the service reads [`Config`], which is all of them.

mod dcr;
mod env;
mod error;
mod file;
mod idp;
mod keys;
mod listen;
mod log;
mod parse;
mod reader;
mod rotation;
pub mod settings;
mod unknown;

use std::path::{Path, PathBuf};

pub use self::dcr::{AssertionAudience, DcrConfig, JwksMode, RedirectUpdateMode};
pub use self::env::{Env, Overrides};
pub use self::error::{ConfigError, ConfigErrors, ConfigWarning, Origin};
pub use self::idp::{IdpConfig, MintConfig};
pub use self::keys::KeysConfig;
pub use self::listen::ListenConfig;
pub use self::log::LogConfig;
pub use self::reader::Reader;
pub use self::rotation::RotationConfig;

use self::file::ConfigFile;
use self::settings::CONFIG_VARIABLE;

/// The file that is read if it exists and no other is named.
pub const DEFAULT_FILE: &str = "config/bff.toml";

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Listeners and the token of `/admin`.
    pub listen: ListenConfig,
    /// Where keys and state are, and the first key.
    pub keys: KeysConfig,
    /// How long keys live and are published.
    pub rotation: RotationConfig,
    /// The IdP; always there if `dcr.enabled`.
    pub idp: Option<IdpConfig>,
    /// The registration.
    pub dcr: DcrConfig,
    /// The log.
    pub log: LogConfig,
    /// What is allowed but odd, for the log.
    pub warnings: Vec<ConfigWarning>,
}

impl Config {
    /// Reads everything.
    ///
    /// `config_path` is the value of `--config`.
    ///
    /// # Errors
    ///
    /// Every mistake there is.
    pub fn load(
        env: &Env,
        config_path: Option<&Path>,
        overrides: &Overrides,
    ) -> Result<Self, ConfigErrors> {
        let sources = Sources::open(env, config_path, overrides);
        let (mut config, warnings) = sources.read::<Self>()?;
        config.warnings = warnings;
        config.warnings.extend(unknown::variables(env));
        Ok(config)
    }
}

impl Section for Config {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let listen = ListenConfig::read(reader);
        let keys = KeysConfig::read(reader);
        let rotation = RotationConfig::read(reader);
        let idp = Option::<IdpConfig>::read(reader);
        let dcr = DcrConfig::read(reader);
        let log = LogConfig::read(reader);
        Some(Self {
            listen: listen?,
            keys: keys?,
            rotation: rotation?,
            idp: idp?,
            dcr: dcr?,
            log: log?,
            warnings: Vec::new(),
        })
    }
}

/// A part of the configuration that can be read alone.
pub trait Section: Sized {
    /// Reads it; `None` if the reader has noted a mistake.
    fn read(reader: &mut Reader<'_>) -> Option<Self>;
}

impl<A: Section, B: Section> Section for (A, B) {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (a, b) = (A::read(reader), B::read(reader));
        Some((a?, b?))
    }
}

impl<A: Section, B: Section, C: Section> Section for (A, B, C) {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (a, b, c) = (A::read(reader), B::read(reader), C::read(reader));
        Some((a?, b?, c?))
    }
}

/// Where settings come from.
pub struct Sources {
    env: Env,
    file: Option<ConfigFile>,
    /// Whether there is a file whose content is not known.
    file_failed: bool,
    overrides: Overrides,
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
        Self {
            env: env.clone(),
            file_failed: named.is_some() && file.is_none(),
            file,
            overrides: overrides.clone(),
            errors,
        }
    }

    /// Reads one section, or a tuple of them, and what is odd about it.
    ///
    /// # Errors
    ///
    /// Every mistake in it, and every mistake that concerns the file as a whole.
    pub fn read<S: Section>(&self) -> Result<(S, Vec<ConfigWarning>), ConfigErrors> {
        let mut reader = Reader::new(self);
        let section = S::read(&mut reader);
        reader.finish(section)
    }
}
