//! Finds each setting's value, and collects what is wrong.

#![expect(
    clippy::option_option,
    reason = "a wrong value and an unset one are different answers"
)]

mod secret_file;

use std::path::Path;

use serde_json::Map;

use self::secret_file::Problem;
use super::file::Value;
use super::layers::{Given, Layers};
use super::mistakes::{ConfigError, ConfigErrors, ConfigWarning, Origin};
use super::parse::{Wrong, quoted};
use super::settings::Setting;
use crate::secret::Secret;

/// What a JSON object is expected to be.
const OBJECT: &str = r#"a JSON object such as {"tos_uri":"https://…"}"#;

/// Reads the settings of a section.
///
/// Its methods answer `None` if the value is wrong; the mistake is noted then, and reading goes
/// on, so that all of them are reported together.
pub struct Reader<'a> {
    layers: &'a Layers,
    errors: Vec<ConfigError>,
    warnings: Vec<ConfigWarning>,
}

impl<'a> Reader<'a> {
    /// `errors` are those that are known already.
    pub(super) fn new(layers: &'a Layers, errors: Vec<ConfigError>) -> Self {
        Self {
            layers,
            errors,
            warnings: Vec::new(),
        }
    }

    pub(super) fn finish<T>(
        self,
        section: Option<T>,
    ) -> Result<(T, Vec<ConfigWarning>), ConfigErrors> {
        match section {
            Some(section) if self.errors.is_empty() => Ok((section, self.warnings)),
            _ => Err(ConfigErrors(self.errors)),
        }
    }

    /// Whether this setting was given, with a valid value or not.
    pub(super) fn is_set(&self, setting: Setting) -> bool {
        !matches!(self.layers.find(setting), Ok(None))
    }

    /// Whether this setting was given a value other than its default.
    pub(super) fn is_changed(&self, setting: Setting) -> bool {
        match self.layers.find(setting) {
            Ok(Some(given)) => match given.value.as_ref() {
                Value::List(items) => items.join(",") != setting.default,
                Value::Text(text) => text.trim() != setting.default,
                Value::Other(_) | Value::Table(_) => true,
            },
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// Whether a variable that is not a setting is set in the environment.
    pub(super) fn has_variable(&self, name: &str) -> bool {
        self.layers.env.get(name).is_some()
    }

    /// A setting that has a default.
    pub(super) fn value<T>(
        &mut self,
        setting: Setting,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        let text = self
            .text(setting)?
            .unwrap_or_else(|| setting.default.to_owned());
        self.parsed(setting, &text, parse)
    }

    /// A setting that may be unset.
    pub(super) fn optional<T>(
        &mut self,
        setting: Setting,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<Option<T>> {
        match self.text(setting)? {
            Some(text) => self.parsed(setting, &text, parse).map(Some),
            None => Some(None),
        }
    }

    /// A setting that has another name: if both are set, they must agree.
    pub(super) fn either<T: AsRef<Path> + PartialEq>(
        &mut self,
        setting: Setting,
        other: Setting,
        parse: fn(&str) -> Result<T, Wrong>,
    ) -> Option<Option<T>> {
        let value = self.optional(setting, parse);
        let same = self.optional(other, parse);
        match (value?, same?) {
            (Some(value), Some(same)) if value != same => {
                let [value, same] =
                    [value, same].map(|text| text.as_ref().to_string_lossy().into_owned());
                self.disagree(setting, &value, other, &same)
            }
            (value, same) => Some(value.or(same)),
        }
    }

    /// Notes that a setting and its other name differ; always `None`.
    pub(super) fn disagree<T>(
        &mut self,
        setting: Setting,
        value: &str,
        other: Setting,
        same: &str,
    ) -> Option<T> {
        let (name, value, same) = (setting.name, quoted(value), quoted(same));
        let problem =
            format!("expected the same value as {name} ({value}), got {same}; keep one of them");
        self.wrong(other, problem)
    }

    /// A list: an array, or text with separators between the items. Empty items do not count, and
    /// without items the default does.
    pub(super) fn list<T>(
        &mut self,
        setting: Setting,
        separator: fn(char) -> bool,
        parse: fn(&str) -> Result<T, Wrong>,
    ) -> Option<Vec<T>> {
        let split = |text: &str| trimmed(text.split(separator));
        let mut items = match self.look_up(setting)?.map(|given| given.value) {
            Some(value) => match value.as_ref() {
                Value::List(items) => trimmed(items.iter().map(String::as_str)),
                Value::Text(text) => split(text),
                other => return self.wrong_type(setting, "a list", other),
            },
            None => Vec::new(),
        };
        if items.is_empty() {
            items = split(setting.default);
        }
        // Each item is parsed even after a wrong one, to report them all.
        let parsed: Vec<_> = items
            .iter()
            .map(|item| self.parsed(setting, item, parse))
            .collect();
        parsed.into_iter().collect()
    }

    /// A JSON object, or a table of the file. Its content is never shown.
    pub(super) fn object(&mut self, setting: Setting) -> Option<Map<String, serde_json::Value>> {
        let Some(given) = self.look_up(setting)? else {
            return Some(Map::new());
        };
        match given.value.into_owned() {
            Value::Table(members) => Some(members),
            Value::Text(text) => match serde_json::from_str(&text) {
                Ok(serde_json::Value::Object(members)) => Some(members),
                Ok(_) => self.wrong(setting, format!("expected {OBJECT}")),
                Err(error) => {
                    let (line, column) = (error.line(), error.column());
                    let found = format!("but this is not JSON (line {line}, column {column})");
                    self.wrong(setting, format!("expected {OBJECT}, {found}"))
                }
            },
            other => self.wrong_type(setting, OBJECT, &other),
        }
    }

    /// A secret that is used once: its file may be gone afterwards. The second value says what is
    /// wrong with the file then.
    pub(super) fn used_up_secret(
        &mut self,
        setting: Setting,
        check: impl FnOnce(&str) -> Result<(), Wrong>,
    ) -> (Option<Option<Secret>>, Option<ConfigError>) {
        let file_name = setting.file_name().unwrap_or_default();
        if let Ok(Some(given)) = self.layers.find(setting)
            && let Value::Text(path) = given.value.as_ref()
            && given.name == file_name
            && let Err(problem @ (Problem::Missing(_) | Problem::Empty(_))) =
                secret_file::read(&file_name, path.trim())
        {
            let message = "names a file that is missing or empty; once a client is registered the \
                           token is not needed: unset it then";
            self.warn(&file_name, message);
            let error = ConfigError::new(&given.name, given.origin, problem.to_string());
            return (Some(None), Some(error));
        }
        (self.secret(setting, check), None)
    }

    /// A secret, given itself or as the path of a file.
    pub(super) fn secret(
        &mut self,
        setting: Setting,
        check: impl FnOnce(&str) -> Result<(), Wrong>,
    ) -> Option<Option<Secret>> {
        let file_name = setting.file_name().unwrap_or_default();
        let Some(given) = self.look_up(setting)? else {
            return Some(None);
        };
        let Value::Text(text) = given.value.as_ref() else {
            return self.fail(&given.name, given.origin, "expected text between quotes");
        };
        let text = if given.name == file_name {
            match secret_file::read(&file_name, text.trim()) {
                Ok(file) => {
                    if file.exposed {
                        let path = secret_file::printable(text.trim());
                        let message =
                            format!("{path} can be read by other users; run `chmod 600` on it");
                        self.warn(&file_name, message);
                    }
                    file.value
                }
                Err(problem) => {
                    return self.fail(&given.name, given.origin, problem.to_string());
                }
            }
        } else {
            self.warn_of_exposed(setting, &given.origin);
            text.trim_end_matches(['\r', '\n']).to_owned()
        };
        match check(&text) {
            Ok(()) => Some(Some(Secret::new(text))),
            Err(wrong) => self.fail(&given.name, given.origin, wrong.problem),
        }
    }

    fn warn_of_exposed(&mut self, setting: Setting, origin: &Origin) {
        let exposed = self.layers.file.as_ref().is_some_and(|file| file.exposed);
        if let (Origin::File { path, .. }, true) = (origin, exposed) {
            let message = format!(
                "is in {}, which other users can read; run `chmod 600` on it, or set {}_FILE",
                path.display(),
                setting.name
            );
            self.warn(setting.name, message);
        }
    }

    /// Notes a mistake of a setting that its parser could not see; always `None`.
    pub(super) fn wrong<T>(&mut self, setting: Setting, problem: impl Into<String>) -> Option<T> {
        let origin = match self.layers.find(setting) {
            Ok(Some(given)) => given.origin,
            Ok(None) if setting.default.is_empty() => Origin::Unset,
            Ok(None) => Origin::Default,
            Err(error) => error.origin,
        };
        self.fail(setting.name, origin, problem)
    }

    /// Notes that a setting is needed; always `None`. A file that could not be read may have held
    /// it; then no mistake is noted.
    pub(super) fn missing<T>(&mut self, setting: Setting, problem: &str) -> Option<T> {
        if self.layers.file_failed {
            return None;
        }
        self.fail(setting.name, Origin::Unset, problem)
    }

    /// Notes something odd.
    pub(super) fn warn(&mut self, name: &str, message: impl Into<String>) {
        let warning = ConfigWarning {
            name: name.to_owned(),
            message: message.into(),
        };
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    fn fail<T>(&mut self, name: &str, origin: Origin, problem: impl Into<String>) -> Option<T> {
        let error = ConfigError::new(name, origin, problem);
        // Two sections may read one setting.
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
        None
    }

    fn wrong_type<T>(&mut self, setting: Setting, expected: &str, found: &Value) -> Option<T> {
        self.wrong(
            setting,
            format!("expected {expected}, got {}", found.kind()),
        )
    }

    fn parsed<T>(
        &mut self,
        setting: Setting,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        match parse(text) {
            Ok(value) => Some(value),
            Err(Wrong { problem, shown }) if shown && !setting.is_secret() => {
                self.wrong(setting, format!("{problem}, got {}", quoted(text)))
            }
            Err(Wrong { problem, .. }) => self.wrong(setting, problem),
        }
    }

    fn text(&mut self, setting: Setting) -> Option<Option<String>> {
        let Some(given) = self.look_up(setting)? else {
            return Some(None);
        };
        match given.value.into_owned() {
            Value::Text(text) => Some(Some(text.trim().to_owned())),
            other => self.wrong_type(setting, "one value", &other),
        }
    }

    fn look_up(&mut self, setting: Setting) -> Option<Option<Given<'a>>> {
        match self.layers.find(setting) {
            Ok(given) => Some(given),
            Err(error) => self.fail(&error.name, error.origin, error.problem),
        }
    }
}

fn trimmed<'t>(items: impl Iterator<Item = &'t str>) -> Vec<String> {
    items
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}
