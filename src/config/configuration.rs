//! The whole configuration.

use std::path::Path;

use super::dcr_section::DcrConfig;
use super::env::{Env, Overrides};
use super::idp_section::IdpConfig;
use super::keys_section::{KeysConfig, OldPassphrase};
use super::listen_section::ListenConfig;
use super::log_section::LogConfig;
use super::mistakes::{ConfigErrors, ConfigWarning};
use super::reader::Reader;
use super::rotation_section::RotationConfig;
use super::section::Section;
use super::settings::{BFF_CLIENT_CRED_PATH, BFF_KEY_PASSPHRASE_OLD};
use super::sources::Sources;
use super::unknown;

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
    /// Reads everything; `config_path` is the value of `--config`.
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
        let old_passphrase = OldPassphrase::read(reader);
        if let Some(OldPassphrase(Some(_))) = old_passphrase {
            let message = "is read by `bff keys reencrypt` alone; remove it after that command";
            reader.warn(BFF_KEY_PASSPHRASE_OLD.name, message);
        }
        let rotation = RotationConfig::read(reader);
        let idp = Option::<IdpConfig>::read(reader);
        let dcr = DcrConfig::read(reader);
        let log = LogConfig::read(reader);
        if let (Some(keys), Some(path)) = (
            &keys,
            dcr.as_ref().and_then(|dcr| dcr.client_cred_path.as_ref()),
        ) && keys.owns(path)
        {
            let problem = "expected a path of its own, but a key or the state has this one";
            return reader.wrong(BFF_CLIENT_CRED_PATH, problem);
        }
        old_passphrase?;
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
