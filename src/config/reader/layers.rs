//! Which of the sources gives a setting.

use std::borrow::Cow;

use crate::config::Sources;
use crate::config::error::{ConfigError, Origin};
use crate::config::file::Value;
use crate::config::settings::Setting;

/// A value that somebody gave.
pub(super) struct Given<'a> {
    pub(super) name: String,
    pub(super) origin: Origin,
    pub(super) value: Cow<'a, Value>,
}

#[derive(Clone, Copy)]
pub(super) enum Layer {
    Environment,
    File,
    Flag,
}

/// The strongest first.
pub(super) const LAYERS: [Layer; 3] = [Layer::Flag, Layer::Environment, Layer::File];

impl Sources {
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
                    return Err(ConfigError {
                        problem: format!("{} is set as well; keep one of them", file.name),
                        name: direct.name,
                        origin: direct.origin,
                    });
                }
                (Some(given), None) | (None, Some(given)) => return Ok(Some(given)),
                (None, None) => {}
            }
        }
        Ok(None)
    }

    /// What one source says; empty is unset.
    pub(super) fn given(&self, layer: Layer, name: &str) -> Result<Option<Given<'_>>, ConfigError> {
        let (value, origin) = match layer {
            Layer::Environment => match self.env.get(name) {
                Some(value) => match value.to_str() {
                    Some(value) => (text(value), Origin::Environment),
                    None => {
                        return Err(ConfigError {
                            name: name.to_owned(),
                            origin: Origin::Environment,
                            problem: "expected UTF-8, but the value is not; set it again"
                                .to_owned(),
                        });
                    }
                },
                None => return Ok(None),
            },
            Layer::File => match self.file.as_ref().and_then(|file| file.get(name)) {
                Some((value, origin)) => (Cow::Borrowed(value), origin),
                None => return Ok(None),
            },
            Layer::Flag => match self.overrides.get(name) {
                Some(value) => (text(value), Origin::Flag),
                None => return Ok(None),
            },
        };
        let empty = match value.as_ref() {
            Value::List(items) => items.is_empty(),
            Value::Other(_) => false,
            Value::Table(members) => members.is_empty(),
            Value::Text(text) => text.trim().is_empty(),
        };
        if empty {
            return Ok(None);
        }
        Ok(Some(Given {
            name: name.to_owned(),
            origin,
            value,
        }))
    }
}

fn text(value: &str) -> Cow<'static, Value> {
    Cow::Owned(Value::Text(value.to_owned()))
}
