//! `config/bff.toml` documents every setting with its default.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::fs;
use std::path::Path;

use bff::config::settings::SETTINGS;
use bff::config::{Config, Env, Overrides};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/bff.toml");

#[test]
fn the_file_names_every_setting_with_its_default_in_the_order_of_the_table() {
    let documented: Vec<(String, String)> = defaults()
        .lines()
        .map(|line| {
            let table: toml::Table = line.parse().unwrap();
            let (key, value) = table.into_iter().next().unwrap();
            (key, as_text(&value))
        })
        .collect();

    let known: Vec<_> = SETTINGS
        .iter()
        .map(|setting| (setting.key(), setting.default.to_owned()))
        .collect();
    assert_eq!(documented, known);
}

#[test]
fn the_file_with_all_its_defaults_written_out_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let written_out = directory.path().join("bff.toml");
    fs::write(&written_out, defaults()).unwrap();

    let empty = load(Path::new("/dev/null"));
    assert_eq!(load(&written_out), empty);
    assert_eq!(load(Path::new(FILE)), empty);
}

#[test]
fn the_file_explains_each_setting_on_the_line_above_it() {
    let text = fs::read_to_string(FILE).unwrap();
    let lines: Vec<_> = text.lines().collect();

    for (index, line) in lines.iter().enumerate() {
        assert!(line.len() <= 100, "line {}: longer than 100", index + 1);
        if is_default(line) {
            let above = lines[index - 1];
            assert!(above.starts_with("# ") && !is_default(above), "{line}");
        }
    }
}

fn load(file: &Path) -> String {
    let config = Config::load(&Env::default(), Some(file), &Overrides::default()).unwrap();
    format!("{config:#?}")
}

/// The lines that hold a default, without the comment sign.
fn defaults() -> String {
    let text = fs::read_to_string(FILE).unwrap();
    text.lines()
        .filter(|line| is_default(line))
        .map(|line| line.trim_start_matches("# "))
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_default(line: &str) -> bool {
    line.strip_prefix("# ")
        .and_then(|rest| rest.split_once(" = "))
        .is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}

/// A TOML value as the environment would write it.
fn as_text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => items.iter().map(as_text).collect::<Vec<_>>().join(","),
        toml::Value::Table(table) if table.is_empty() => String::new(),
        value => value.to_string(),
    }
}
