//! What was given, and which of it counts.

use std::borrow::Cow;

use super::env::{Env, Overrides};
use super::file::{ConfigFile, Value};
use super::mistakes::{ConfigError, Origin};
use super::settings::Setting;

/// Flags, the environment and the file, one over the other.
pub(super) struct Layers {
    pub(super) env: Env,
    pub(super) file: Option<ConfigFile>,
    /// Whether there is a file whose content is not known.
    pub(super) file_failed: bool,
    pub(super) overrides: Overrides,
}

/// A value that was given.
pub(super) struct Given<'a> {
    pub(super) name: String,
    pub(super) origin: Origin,
    pub(super) value: Cow<'a, Value>,
}

#[derive(Clone, Copy)]
enum Layer {
    Environment,
    File,
    Flag,
}

/// What is wrong about a value between quotes.
pub(super) const QUOTED: &str = "expected a value without quotes around it: `docker run --env-file` keeps \
                      them as a part of the value; remove them";

/// Whether a value stands between quotes, as a shell would take away and others do not.
pub(super) fn is_quoted(value: &str) -> bool {
    let value = value.trim();
    let between =
        |quote: char| value.len() > 1 && value.starts_with(quote) && value.ends_with(quote);
    between('"') || between('\'')
}

/// The strongest first.
const LAYERS: [Layer; 3] = [Layer::Flag, Layer::Environment, Layer::File];

impl Layers {
    /// What counts for a setting: itself, or the path of a file for a secret.
    pub(super) fn find(&self, setting: Setting) -> Result<Option<Given<'_>>, ConfigError> {
        for layer in LAYERS {
            let direct = self.given(layer, setting.name)?;
            let file = match setting.file_name() {
                Some(name) => self.given(layer, &name)?,
                None => None,
            };
            match (direct, file) {
                (Some(direct), Some(file)) => {
                    let problem = format!("{} is also set; keep one of them", file.name);
                    return Err(ConfigError::new(&direct.name, direct.origin, problem));
                }
                (Some(given), None) | (None, Some(given)) => return Ok(Some(given)),
                (None, None) => {}
            }
        }
        Ok(None)
    }

    /// What one layer says; empty is unset.
    fn given(&self, layer: Layer, name: &str) -> Result<Option<Given<'_>>, ConfigError> {
        let text = |text: &str| Cow::Owned(Value::Text(text.to_owned()));
        let given = match layer {
            Layer::Environment => match self.env.get(name).map(|value| value.to_str()) {
                Some(None) => {
                    let problem = "the value is not UTF-8; set it again";
                    return Err(ConfigError::new(name, Origin::Environment, problem));
                }
                Some(Some(value)) if is_quoted(value) => {
                    return Err(ConfigError::new(name, Origin::Environment, QUOTED));
                }
                Some(Some(value)) => Some((text(value), Origin::Environment)),
                None => None,
            },
            Layer::File => self
                .file
                .as_ref()
                .and_then(|file| file.get(name))
                .map(|(value, origin)| (Cow::Borrowed(value), origin)),
            Layer::Flag => self
                .overrides
                .get(name)
                .map(|value| (text(value), Origin::Flag)),
        };
        let given = given.filter(|(value, _)| !value.is_empty());
        Ok(given.map(|(value, origin)| Given {
            name: name.to_owned(),
            origin,
            value,
        }))
    }
}
