//! Which part of `bff` may name which, how large a part may be, and which part may do what.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong by panicking"
)]

#[path = "layering/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use source::{Name, Source, SourceFile};

/// Lowest first. A module imports only from the lines above its own, so modules of one line do
/// not import each other.
const LAYERS: &[&[&str]] = &[
    &["clock", "secret"],
    &["jose", "oauth"],
    &["keyring", "registration"],
    &["state"],
    &["disk", "transport"],
    &["store", "local_files", "idp"],
    &["config", "metrics", "telemetry"],
    &["planning"],
    &["app"],
    &["registrar"],
    &["rotator"],
    &["http"],
    &["service"],
    &["cli"],
];

/// What a module may do, the modules that may, and the names that give it away: neighbours in a
/// path, the last one with a `*` for any end.
const EFFECTS: &[(&str, &[&str], &[&str])] = &[
    (
        "writes files",
        &["disk", "local_files", "store"],
        &[
            "fs::write",
            "fs::copy",
            "fs::rename",
            "fs::remove_*",
            "fs::create_dir*",
            "fs::set_permissions",
            "fs::hard_link",
            "fs::soft_link",
            "fs::symlink",
            "fs::DirBuilder",
            "File::create*",
            "File::options",
            "OpenOptions",
        ],
    ),
    ("uses the HTTP client", &["transport"], &["reqwest"]),
    (
        "prints",
        &["cli"],
        &["print!", "println!", "eprint!", "eprintln!"],
    ),
    ("reads the environment", &["config"], &["env::var*"]),
];

/// The share of all lines, in percent, that one top-level module may have.
const LARGEST_SHARE: usize = 15;

#[test]
fn modules_import_only_from_lower_layers() {
    assert_none(&wrong_imports(&program()));
}

#[test]
fn no_files_of_a_module_import_each_other_in_a_circle() {
    assert_none(&circles(&program()));
}

#[test]
fn no_two_files_have_one_name() {
    assert_none(&shared_file_names(&program()));
}

#[test]
fn no_module_is_larger_than_its_share() {
    assert_none(&too_large(&program()));
}

#[test]
fn only_the_modules_that_own_an_effect_have_it() {
    assert_none(&foreign_effects(&program()));
}

#[test]
fn the_layer_check_sees_every_form_of_an_import() {
    for text in [
        "use crate::{app, app::App};",
        "use super::app::App;",
        "use crate as all; type A = all::app::App;",
        "extern crate self as me; use me::app;",
        "mod inner { use super::super::app; }",
        "fn f() { crate::app::run() }",
        "fn f() { use crate::app as one; one::run() }",
        "fn f(a: A) { match a { crate::app::A => {} } }",
        "struct S { app: Vec<crate::app::App> }",
        "impl From<crate::app::App> for S {}",
        "pub(crate) use crate::app::*;",
        "#[derive(crate::app::Form)] struct S;",
        r#"#[serde(with = "crate::app::form")] struct S;"#,
        r#"fn f() { log!("{}", a.b, ..crate::app::NAME) }"#,
        "fn f() { select! { _ = a => { use crate::{app}; } } }",
        "macro_rules! m { () => { $crate::app::run() } }",
        "#[cfg(test)] mod tests { use crate::cli; } use crate::app;",
        "#[cfg(not(test))] use crate::app;",
        "#[cfg(any(test, unix))] use crate::app;",
    ] {
        assert_eq!(imports_of("jose.rs", text), ["app"], "{text}");
    }
    for (file, text, imports) in [
        ("jose/kid.rs", "use super::super::app::X;", vec!["app"]),
        ("clock.rs", "use crate::{app, cli::X};", vec!["app", "cli"]),
        ("oauth.rs", "pub use crate::jose::Kid;", vec!["jose"]),
        ("jose.rs", "use crate::*;", vec!["*"]),
    ] {
        assert_eq!(imports_of(file, text), imports, "{text}");
    }
}

#[test]
fn the_layer_check_lets_pass_what_is_no_import_from_above() {
    for text in [
        "use crate::clock::Clock; use crate::jose::kid; use app::App;",
        "mod inner { use super::kid::Kid; } pub(in crate::app) mod kid {}",
        "#[cfg(test)] use crate::app; #[cfg(all(test, unix))] fn f() { crate::app::run() }",
        "impl S { #[cfg(test)] fn f() { crate::app::run() } }",
        "// crate::app\n/// [`crate::app`]\nstruct S;",
        r#"fn f() { log!("crate::app::run() {}", a.app) }"#,
    ] {
        assert!(imports_of("jose.rs", text).is_empty(), "{text}");
    }
}

fn imports_of(file: &str, text: &str) -> Vec<String> {
    let found = wrong_imports(&Source::parse(&[(file, text)]));
    let between_backticks = found.iter().map(|said| said.split('`').nth(1).unwrap());
    let imports: BTreeSet<String> = between_backticks.map(str::to_owned).collect();
    imports.into_iter().collect()
}

#[test]
fn the_layer_check_asks_for_a_place_for_a_new_module() {
    let imported = wrong_imports(&Source::parse(&[("app.rs", "use crate::unheard_of::X;")]));
    let importing = wrong_imports(&Source::parse(&[("unheard_of.rs", "")]));

    for found in [imported, importing] {
        assert!(
            found
                .concat()
                .contains("`unheard_of` is in no layer: add it to LAYERS")
        );
    }
}

#[test]
fn the_circle_check_sees_circles_of_any_length() {
    let face = "mod one; mod two; mod three;";
    for (files, expected) in [
        (
            vec![
                ("app.rs", "mod one; pub use one::One;"),
                ("app/one.rs", "use super::Two;"),
            ],
            vec!["app.rs -> app/one.rs -> app.rs"],
        ),
        (
            vec![
                ("app.rs", "mod one; fn f() { one::f() }"),
                ("app/one.rs", "use super::*;"),
            ],
            vec!["app.rs -> app/one.rs -> app.rs"],
        ),
        (
            vec![
                ("app.rs", face),
                ("app/one.rs", "use super::two::Two;"),
                ("app/two.rs", "struct Two(crate::app::three::Three);"),
                ("app/three.rs", "fn f() { log!(super::one::ONE) }"),
            ],
            vec!["app/one.rs -> app/two.rs -> app/three.rs -> app/one.rs"],
        ),
        (
            vec![
                ("app.rs", "mod one; use one::{two::Two};"),
                ("app/one.rs", "pub mod two; fn f(one: u8) -> u8 { one }"),
                ("app/one/two.rs", "use super::super::App;"),
            ],
            vec!["app.rs -> app/one/two.rs -> app.rs"],
        ),
        (
            vec![
                (
                    "app.rs",
                    "mod one; mod two; pub use two::Two; fn f(one: u8) -> u8 { one }",
                ),
                ("app/one.rs", "use super::two::Two; use super::Three;"),
                (
                    "app/two.rs",
                    "pub(super) struct Two; #[cfg(test)] mod t { use super::super::one; }",
                ),
            ],
            vec![],
        ),
    ] {
        let found = circles(&Source::parse(&files));

        let shown: Vec<&str> = found
            .iter()
            .map(|said| said.split(" (").next().unwrap())
            .collect();
        assert_eq!(shown, expected);
    }
}

#[test]
fn a_file_that_only_tests_have_is_left_out() {
    let source = Source::parse(&[
        (
            "app.rs",
            "#[cfg(test)] mod samples; pub use samples::Sample;",
        ),
        ("app/samples.rs", "use crate::cli::Exit; use super::App;"),
    ]);

    assert_none(&wrong_imports(&source));
    assert_none(&circles(&source));
}

#[test]
fn the_file_name_check_sees_a_name_that_is_there_twice() {
    let found = shared_file_names(&Source::parse(&[
        ("app.rs", ""),
        ("app/record.rs", ""),
        ("keyring/record.rs", ""),
        ("app/record/one.rs", ""),
    ]));

    assert_eq!(found, ["record.rs: app/record.rs, keyring/record.rs"]);
}

#[test]
fn the_size_check_reports_the_sizes_if_one_is_too_large() {
    let [small, large] = [1, 2].map(|lines| "//\n".repeat(lines * 10));
    let mut files: Vec<(&str, &str)> = ["a.rs", "b.rs", "c.rs", "d.rs", "e.rs", "f.rs", "g.rs"]
        .map(|path| (path, &*small))
        .to_vec();
    assert_none(&too_large(&Source::parse(&files)));

    files.push(("a/more.rs", &large));
    let found = too_large(&Source::parse(&files));

    assert!(found[0].contains("`a` has 30 of 90 lines"), "{found:?}");
    assert_eq!(found.len(), 1 + 7, "the report of all modules");
}

#[test]
fn the_effect_check_sees_every_form_of_an_effect() {
    for (effect, owner, texts) in [
        (
            "writes files",
            "disk/atomic.rs",
            vec![
                "fn f() { std::fs::write(a, b); }",
                "use std::fs; fn f() { fs::rename(a, b); }",
                "use std::fs as files; fn f() { files::remove_file(a); }",
                "use std::fs::{self, File}; fn f() { File::create(a); }",
                "use tokio::fs::{create_dir_all as make};",
                "use std::fs::*;",
                "use std::*; fn f() { fs::remove_dir(a); }",
                "use ::std::os::unix::fs::symlink;",
                "fn f() { super::fs::hard_link(a, b); }",
                "fn f() { join!(std::fs::OpenOptions::new()) }",
                "fn f() { a.map(std::fs::set_permissions) }",
            ],
        ),
        (
            "uses the HTTP client",
            "transport.rs",
            vec![
                "use reqwest::Url;",
                "fn f(client: &::reqwest::Client) {}",
                "use reqwest as web; fn f() -> web::Url {}",
                "extern crate reqwest as web;",
            ],
        ),
        (
            "prints",
            "cli/output.rs",
            vec![
                r#"fn f() { println!("a") }"#,
                r#"fn f() { std::eprintln!("a") }"#,
                r#"fn f() { select! { _ = a => { eprint!("a") } } }"#,
                r#"use std::print as show; fn f() { show!("a") }"#,
            ],
        ),
        (
            "reads the environment",
            "config/env.rs",
            vec![
                "use std::env; fn f() { env::var(a); }",
                "fn f() { std::env::vars_os(); }",
                "use std::env::var_os;",
            ],
        ),
    ] {
        for text in texts {
            for file in ["app/status.rs", "main.rs"] {
                let found = foreign_effects(&Source::parse(&[(file, text)]));
                assert!(!found.is_empty(), "{text}");
                assert!(found.iter().all(|said| said.contains(effect)), "{text}");
            }
            assert_none(&foreign_effects(&Source::parse(&[(owner, text)])));
        }
    }
}

#[test]
fn the_effect_check_lets_pass_what_has_no_effect() {
    for text in [
        "use std::fs::{self, File}; fn f() { fs::read(a); File::open(a); }",
        r#"fn f() { log!("see std::fs::write"); f.write(a); } // fs::write"#,
        "#[cfg(test)] mod tests { use std::fs::write; }",
        "fn println(print: u8) -> bool { println != print }",
        r#"const A: &str = env!("A"); fn f() { std::env::args(); }"#,
    ] {
        assert_none(&foreign_effects(&Source::parse(&[("app.rs", text)])));
    }
}

#[test]
fn the_checks_read_the_whole_program_and_know_the_line() {
    let source = program();
    let of_the_program = |name: &&Name| name.path[0] == "crate";
    let names = source.files.iter().flat_map(|file| &file.names);
    assert!(source.files.len() > 50 && names.filter(of_the_program).count() > 500);

    let found = wrong_imports(&Source::parse(&[(
        "jose.rs",
        "\n\nuse crate::{\n  app,\n};",
    )]));
    assert_eq!(
        found,
        ["jose.rs:4: jose imports `app`, which is not below it"]
    );
}

fn program() -> Source {
    Source::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

#[track_caller]
fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn wrong_imports(source: &Source) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in source.files.iter().filter(|file| !is_root(file)) {
        let importer = file.top_level();
        let Some(own) = layer(importer) else {
            wrong.push(format!("{}: {}", file.path, no_layer(importer)));
            continue;
        };
        for name in &file.names {
            let [start, module, ..] = &name.path[..] else {
                continue;
            };
            if start != "crate" || module == importer {
                continue;
            }
            let said = match layer(module) {
                Some(layer) if layer < own => continue,
                Some(_) => format!("{importer} imports `{module}`, which is not below it"),
                None => no_layer(module),
            };
            wrong.push(format!("{}:{}: {said}", file.path, name.line));
        }
    }
    wrong.dedup();
    wrong
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn no_layer(module: &str) -> String {
    format!("`{module}` is in no layer: add it to LAYERS")
}

fn is_root(file: &SourceFile) -> bool {
    file.path == "lib.rs" || file.path == "main.rs"
}

/// From a file to those that it names, and the line where it does so first.
type Arrows<'a> = BTreeMap<&'a str, BTreeMap<&'a str, usize>>;

/// A declaration, `mod child;`, is no arrow from a file to its child; a re-export is one.
fn circles(source: &Source) -> Vec<String> {
    let arrows = arrows(source);
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    for file in &source.files {
        let Some(circle) = shortest_circle(&arrows, &file.path) else {
            continue;
        };
        if seen.insert(BTreeSet::from_iter(circle.clone())) {
            let lines: Vec<String> = circle
                .windows(2)
                .map(|pair| format!("{}:{}", pair[0], arrows[pair[0]][pair[1]]))
                .collect();
            found.push(format!("{} ({})", circle.join(" -> "), lines.join(", ")));
        }
    }
    found
}

fn arrows(source: &Source) -> Arrows<'_> {
    let of_module: BTreeMap<&[String], &str> = source
        .files
        .iter()
        .map(|file| (&file.module[..], &*file.path))
        .collect();
    let mut arrows = Arrows::new();
    for file in source.files.iter().filter(|file| !is_root(file)) {
        for name in &file.names {
            if name.path.first().is_none_or(|start| start != "crate")
                || name.path.get(1) != file.module.first()
            {
                continue;
            }
            // The file of `crate::a::b::C` is `a/b.rs` if there is one, else `a.rs`.
            let named = (2..=name.path.len())
                .rev()
                .find_map(|end| of_module.get(&name.path[1..end]));
            if let Some(named) = named.filter(|named| **named != file.path) {
                let named = arrows.entry(&*file.path).or_default().entry(*named);
                named.or_insert(name.line);
            }
        }
    }
    arrows
}

fn shortest_circle<'a>(arrows: &Arrows<'a>, start: &'a str) -> Option<Vec<&'a str>> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(file) = queue.pop_front() {
        for named in arrows.get(file).into_iter().flat_map(BTreeMap::keys) {
            if *named == start {
                let mut circle = vec![start, file];
                while let Some(earlier) = before.get(circle[circle.len() - 1]) {
                    circle.push(earlier);
                }
                circle.reverse();
                return Some(circle);
            }
            if !before.contains_key(named) {
                before.insert(named, file);
                queue.push_back(named);
            }
        }
    }
    None
}

fn shared_file_names(source: &Source) -> Vec<String> {
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in &source.files {
        let name = file.path.rsplit('/').next().unwrap();
        files.entry(name).or_default().push(&file.path);
    }
    let shared = files.iter().filter(|(_, files)| files.len() > 1);
    shared
        .map(|(name, files)| format!("{name}: {}", files.join(", ")))
        .collect()
}

fn too_large(source: &Source) -> Vec<String> {
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for file in &source.files {
        *lines.entry(file.top_level()).or_default() += file.lines;
    }
    let all: usize = lines.values().sum();
    let mut wrong: Vec<String> = lines
        .iter()
        .filter(|(_, lines)| **lines * 100 > all * LARGEST_SHARE)
        .map(|(module, lines)| {
            format!("`{module}` has {lines} of {all} lines, more than {LARGEST_SHARE} %")
        })
        .collect();
    if !wrong.is_empty() {
        let mut sizes: Vec<_> = lines.into_iter().collect();
        sizes.sort_by_key(|(_, lines)| std::cmp::Reverse(*lines));
        let report = sizes.iter().map(|(module, lines)| {
            let tenths = lines * 1000 / all;
            format!("{lines:>8} {:>3}.{} % {module}", tenths / 10, tenths % 10)
        });
        wrong.extend(report);
    }
    wrong
}

fn foreign_effects(source: &Source) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in &source.files {
        for (effect, owners, patterns) in EFFECTS {
            if owners.contains(&file.top_level()) {
                continue;
            }
            for name in &file.names {
                if patterns.iter().any(|pattern| matches(&name.path, pattern)) {
                    let (place, path) = (&file.path, name.path.join("::"));
                    let owners = owners.join(", ");
                    let line = name.line;
                    wrong.push(format!(
                        "{place}:{line}: `{path}` {effect}: only {owners} may"
                    ));
                }
            }
        }
    }
    wrong.dedup();
    wrong
}

/// Whether the pattern stands anywhere in the path, or a glob import may bring it.
fn matches(path: &[String], pattern: &str) -> bool {
    let pattern: Vec<&str> = pattern.split("::").collect();
    path.windows(pattern.len()).any(|part| {
        part.iter().zip(&pattern).all(|(name, wanted)| {
            name == "*" && part[0] != "*"
                || match wanted.strip_suffix('*') {
                    Some(start) => name.starts_with(start),
                    None => name == wanted,
                }
        })
    })
}
