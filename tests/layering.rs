//! A module of `bff` imports only from the layers below its own.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Lowest first. Modules of one layer may not import each other.
const LAYERS: [&[&str]; 9] = [
    &["clock", "secret"],
    &["jose", "oauth"],
    &["keyring", "registration"],
    &["store"],
    &["idp"],
    &["config", "metrics", "telemetry"],
    &["app"],
    &["http"],
    &["cli"],
];

#[test]
fn modules_import_only_from_lower_layers() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in rust_files(&source) {
        let importer = module_of(file.strip_prefix(&source).unwrap());
        if importer == "lib" || importer == "main" {
            continue;
        }
        for (index, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            for imported in imports(line) {
                seen += 1;
                let allowed = imported == importer || layer(&imported) < layer(&importer);
                if !allowed {
                    let place = format!("{}:{}", file.display(), index + 1);
                    wrong.push(format!("{place}: {importer} imports {imported}"));
                }
            }
        }
    }
    assert!(seen > 50, "the test reads the wrong folder");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_modules_that_own_an_effect_have_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    // What gives an effect away in a line of code, and the module that may have it.
    let effects = [
        ("fs::write", "store"),
        ("OpenOptions", "store"),
        ("fs::rename", "store"),
        ("reqwest::Client", "idp"),
        ("println!", "cli"),
        ("env::var", "config"),
        ("env::vars_os", "config"),
    ];
    let mut wrong = Vec::new();
    for file in rust_files(&source) {
        let module = module_of(file.strip_prefix(&source).unwrap());
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for (effect, owner) in effects {
            if module != owner && code.contains(effect) {
                wrong.push(format!("{}: `{effect}` belongs to {owner}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The modules that a line names after `crate::`.
fn imports(line: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap();
    code.split("crate::")
        .skip(1)
        .map(|path| {
            path.chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect::<String>()
        })
        .filter(|module| module.starts_with(|c: char| c.is_ascii_lowercase()))
        .collect()
}

fn layer(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|layer| layer.contains(&module))
        .unwrap_or_else(|| panic!("`{module}` is in no layer: add it to LAYERS"))
}

/// `idp/dcr.rs` and `idp.rs` both belong to module `idp`.
fn module_of(relative: &Path) -> String {
    let first = relative.iter().next().unwrap();
    let stem = Path::new(first).file_stem().unwrap();
    stem.to_str().unwrap().to_owned()
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
