//! The configuration: defaults, a TOML file, the environment and flags, the later ones stronger.
//!
//! All mistakes are reported together, and none shows a secret. A command that needs only a part
//! reads that [`Section`] from [`Sources`]; the service reads [`Config`], which is all of them.

mod configuration;
mod dcr_section;
mod env;
mod file;
mod idp_section;
mod keys_section;
mod layers;
mod listen_section;
mod log_section;
mod mistakes;
mod parse;
mod reader;
mod rotation_section;
mod section;
pub mod settings;
mod sources;
mod unknown;

pub use self::configuration::Config;
pub use self::dcr_section::{AssertionAudience, DcrConfig, JwksMode, RedirectUpdateMode};
pub use self::env::{Env, Overrides};
pub use self::idp_section::{IdpConfig, MintConfig};
pub use self::keys_section::{KeysConfig, OldPassphrase};
pub use self::listen_section::ListenConfig;
pub use self::log_section::LogConfig;
pub use self::mistakes::{ConfigError, ConfigErrors, ConfigWarning, Origin};
pub use self::reader::Reader;
pub use self::rotation_section::RotationConfig;
pub use self::section::Section;
pub use self::sources::{DEFAULT_FILE, Sources};
