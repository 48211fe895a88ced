//! Names that look like a setting, but are not one.

use super::env::{Env, Overrides};
use super::mistakes::{ConfigError, ConfigWarning, Origin};
use super::settings::{self, SETTINGS};

/// Prefixes that are ours alone.
const OUR_PREFIXES: [&str; 2] = ["BFF_", "DCR_"];

/// Warns about variables that were probably meant to be settings.
pub(super) fn variables(env: &Env) -> Vec<ConfigWarning> {
    env.names()
        .filter(|name| !settings::is_known(name) && !is_service_link(env, name))
        .filter_map(|name| {
            let ours = OUR_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
            let message = match settings::nearest(name) {
                Some(nearest) if is_file_of_plain(name, &nearest) => format!(
                    "is not read, because only a secret can be given as a file; set {nearest}"
                ),
                Some(nearest) if ours || is_slip(name, &nearest) => {
                    format!("is not a setting of this program; did you mean {nearest}?")
                }
                None if ours => "is not a setting of this program; unset it".to_owned(),
                Some(_) | None => return None,
            };
            Some(ConfigWarning {
                name: name.to_owned(),
                message,
            })
        })
        .collect()
}

/// Flags that name no setting, or a secret.
pub(super) fn overrides(overrides: &Overrides) -> Vec<ConfigError> {
    overrides
        .names()
        .filter_map(|name| {
            let setting = SETTINGS.iter().find(|setting| setting.name == name);
            let problem = match setting {
                Some(setting) if setting.is_secret() => format!(
                    "a secret on the command line can be read by every user of the machine; set \
                     {name} or {name}_FILE in the environment instead"
                ),
                Some(_) => return None,
                None if settings::is_known(name) => return None,
                None => "there is no such setting".to_owned(),
            };
            Some(ConfigError::new(name, Origin::Flag, problem))
        })
        .collect()
}

/// Whether a name is that of another program's prefix, and one or two letters from one of ours.
fn is_slip(name: &str, nearest: &str) -> bool {
    nearest.len() > 7 && strsim::osa_distance(&name.to_ascii_uppercase(), nearest) <= 2
}

fn is_file_of_plain(name: &str, nearest: &str) -> bool {
    name.strip_suffix("_FILE") == Some(nearest)
}

/// Whether Kubernetes made the variable, for a service that happens to be called `bff` or `dcr`.
fn is_service_link(env: &Env, name: &str) -> bool {
    let address = env
        .get(name)
        .and_then(|value| value.to_str())
        .is_some_and(|value| value.starts_with("tcp://") || value.starts_with("udp://"));
    let numbered_port = name
        .split_once("_PORT_")
        .is_some_and(|(_, port)| port.starts_with(|c: char| c.is_ascii_digit()));
    address || numbered_port || name.contains("_SERVICE_HOST") || name.contains("_SERVICE_PORT")
}
