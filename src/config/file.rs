//! The TOML file.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Number};
use toml::de::{DeTable, DeValue};

use super::mistakes::{ConfigError, Origin};
use super::parse::{quoted, read_text, shown};
use super::settings::{self, CONFIG_VARIABLE};

/// Largest file, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// A value as it was given, before it is parsed for its setting.
#[derive(Clone)]
pub(super) enum Value {
    List(Vec<String>),
    Other(&'static str),
    Table(Map<String, serde_json::Value>),
    Text(String),
}

impl Value {
    /// What it is, for an error.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::List(_) => "an array",
            Self::Other(kind) => kind,
            Self::Table(_) => "a table",
            Self::Text(_) => "text",
        }
    }

    /// Whether it is the same as none.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::List(items) => items.is_empty(),
            Self::Other(_) => false,
            Self::Table(members) => members.is_empty(),
            Self::Text(text) => text.trim().is_empty(),
        }
    }
}

/// The settings of a file.
pub(super) struct ConfigFile {
    path: PathBuf,
    entries: BTreeMap<String, Entry>,
    /// Whether users other than its owner can read it.
    pub(super) exposed: bool,
}

struct Entry {
    line: usize,
    value: Value,
}

impl ConfigFile {
    /// Reads and parses a file; the errors say which keys are unknown, or why nothing was read.
    ///
    /// Only names of keys are quoted from the file: a line may hold a secret. `named_by` is where
    /// its path came from.
    pub(super) fn read(path: &Path, named_by: Origin) -> (Option<Self>, Vec<ConfigError>) {
        let text = match read_text(path, MAX_FILE) {
            Ok(text) => text,
            Err(error) => return (None, vec![unreadable(path, named_by, &error)]),
        };
        let origin = |at: usize| Origin::File {
            path: path.to_owned(),
            line: line_of(&text, at),
        };
        let table = match DeTable::parse(&text) {
            Ok(table) => table,
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                let problem = "expected TOML, such as: bff_listen = \"0.0.0.0:8000\"; put strings in \
                               quotes, and each key in the file once";
                let error = ConfigError::new(CONFIG_VARIABLE, origin(at), problem);
                return (None, vec![error]);
            }
        };

        let mut errors = Vec::new();
        let mut entries = BTreeMap::new();
        for (key, value) in table.get_ref() {
            let at = key.span().start;
            let key = key.get_ref().as_ref();
            if is_key(key) {
                let line = line_of(&text, at);
                let value = convert(value.get_ref());
                entries.insert(key.to_ascii_uppercase(), Entry { line, value });
            } else {
                let problem = unknown_key(key);
                errors.push(ConfigError::new(&shown(key), origin(at), problem));
            }
        }
        let exposed =
            fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0);
        let file = Self {
            path: path.to_owned(),
            entries,
            exposed,
        };
        (Some(file), errors)
    }

    /// The value of a setting, by the name of its variable, and where it stands.
    pub(super) fn get(&self, name: &str) -> Option<(&Value, Origin)> {
        let entry = self.entries.get(name)?;
        let origin = Origin::File {
            path: self.path.clone(),
            line: entry.line,
        };
        Some((&entry.value, origin))
    }
}

fn unreadable(path: &Path, origin: Origin, error: &io::Error) -> ConfigError {
    let path = quoted(&path.to_string_lossy());
    let problem = format!("cannot read {path}: {error}; name a readable TOML file");
    ConfigError::new(CONFIG_VARIABLE, origin, problem)
}

fn is_key(key: &str) -> bool {
    let name = key.to_ascii_uppercase();
    key == name.to_ascii_lowercase() && name != CONFIG_VARIABLE && settings::is_known(&name)
}

fn unknown_key(key: &str) -> String {
    if key.eq_ignore_ascii_case(CONFIG_VARIABLE) {
        return "the file cannot name itself; remove the key".to_owned();
    }
    let nearest = settings::nearest(key).filter(|name| name != CONFIG_VARIABLE);
    match nearest {
        Some(name) => format!(
            "there is no such setting; did you mean `{}`?",
            name.to_ascii_lowercase()
        ),
        None => "there is no such setting; a key is the name of a variable in lower case, such as \
                 `bff_listen`, outside any [section]"
            .to_owned(),
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

fn convert(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(|item| scalar(item.get_ref())).collect();
            items.map_or(Value::Other("an array of arrays or tables"), Value::List)
        }
        DeValue::Table(table) => members(table).map_or(
            Value::Other("a table with a number that JSON does not have"),
            Value::Table,
        ),
        DeValue::Datetime(_) => Value::Other("a date"),
        value => scalar(value).map_or(Value::Other("another type"), Value::Text),
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Float(value) => Some(value.to_string()),
        DeValue::Integer(value) => Some(value.to_string()),
        DeValue::String(value) => Some(value.to_string()),
        DeValue::Array(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

fn members(table: &DeTable<'_>) -> Option<Map<String, serde_json::Value>> {
    table
        .iter()
        .map(|(key, value)| Some((key.get_ref().to_string(), json(value.get_ref())?)))
        .collect()
}

fn json(value: &DeValue<'_>) -> Option<serde_json::Value> {
    Some(match value {
        DeValue::Array(items) => items
            .iter()
            .map(|item| json(item.get_ref()))
            .collect::<Option<_>>()?,
        DeValue::Boolean(value) => (*value).into(),
        DeValue::Datetime(value) => value.to_string().into(),
        DeValue::Float(value) => Number::from_f64(value.as_str().parse().ok()?)?.into(),
        DeValue::Integer(value) => i64::from_str_radix(value.as_str(), value.radix())
            .ok()?
            .into(),
        DeValue::String(value) => value.as_ref().into(),
        DeValue::Table(table) => members(table)?.into(),
    })
}
