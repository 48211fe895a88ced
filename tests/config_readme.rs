//! The table in README.md is the one of the program.

use std::fs;

use bff::config::settings::{SETTINGS, Setting};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

#[test]
fn the_readme_lists_every_setting_with_its_default_and_meaning() {
    let readme = fs::read_to_string(README).unwrap();
    let table: Vec<_> = SETTINGS.iter().map(row).collect();
    let table = table.join("\n");

    let listed: Vec<_> = readme
        .lines()
        .skip_while(|line| !line.starts_with("| Variable"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();

    assert_eq!(
        listed.join("\n"),
        table,
        "the table should be:\n\n{table}\n"
    );
}

fn row(setting: &Setting) -> String {
    let Setting {
        name,
        default,
        meaning,
        ..
    } = setting;
    let default = if default.is_empty() {
        "–".to_owned()
    } else {
        format!("`{default}`")
    };
    let secret = if setting.is_secret() { " Secret." } else { "" };
    format!("| `{name}` | {default} | {meaning}{secret} |")
}
