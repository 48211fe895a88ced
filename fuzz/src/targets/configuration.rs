//! The configuration file.

use std::cell::OnceCell;
use std::fs;

use bff::config::settings::{CONFIG_VARIABLE, SETTINGS};
use bff::config::{Config, ConfigError, Env, Origin, Overrides};
use tempfile::NamedTempFile;

use crate::checks;

/// A secret that is put before every file, and that nothing may show.
const SECRET: &str = "secret-of-the-fuzzer-7c1f";

thread_local! {
    static FILE: OnceCell<NamedTempFile> = const { OnceCell::new() };
}

/// Loads a file.
///
/// A file that is loaded twice gives the same; an error names a setting, or a key that the file
/// has, and no text shows a secret.
pub fn configuration(data: &[u8]) {
    let mut text = format!("dcr_iat = \"{SECRET}\"\n").into_bytes();
    text.extend_from_slice(data);
    FILE.with(|file| {
        let file = file.get_or_init(|| NamedTempFile::new().expect("a temporary file"));
        fs::write(file.path(), &text).expect("a file that can be written");
        let load = || Config::load(&Env::default(), Some(file.path()), &Overrides::default());
        let (first, second) = (load(), load());
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
        assert!(!format!("{first:?}").contains(SECRET));
        match first {
            Ok(config) => {
                for warning in config.warnings {
                    assert!(names_a_setting(&warning.name), "{warning}");
                    checks::is_tidy(&warning.to_string());
                    assert!(!warning.to_string().contains(SECRET));
                }
            }
            Err(errors) => {
                assert!(!errors.0.is_empty());
                assert!(!errors.to_string().contains(SECRET));
                errors.0.iter().for_each(is_useful);
            }
        }
    });
}

fn is_useful(error: &ConfigError) {
    checks::is_tidy(&error.to_string());
    assert!(!error.problem.is_empty(), "{error}");
    // A key that no setting has is named as the file has it.
    let is_foreign = matches!(error.origin, Origin::File { .. }) && !error.name.is_empty();
    assert!(names_a_setting(&error.name) || is_foreign, "{error}");
}

fn names_a_setting(name: &str) -> bool {
    name == CONFIG_VARIABLE
        || SETTINGS
            .iter()
            .any(|setting| setting.name == name || setting.file_name().as_deref() == Some(name))
}
