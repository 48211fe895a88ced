//! The fields in docs/logging.md are those of the program.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

#[test]
fn the_documentation_names_every_field_of_an_event_and_no_other() {
    let documented = documented();
    let mut used = BTreeSet::new();
    let events = each_event(&Path::new(ROOT).join("src"), &mut used);

    assert!(events > 50, "{events} events were found");
    let missing: Vec<_> = used.difference(&documented).collect();
    assert!(missing.is_empty(), "not in docs/logging.md: {missing:?}");
    let unused: Vec<_> = documented.difference(&used).collect();
    assert!(unused.is_empty(), "in no event: {unused:?}");
}

#[test]
fn fields_are_found_in_each_way_to_write_them() {
    let event =
        "tokio::select! { () = x => tracing::warn!(key.kid = %a.b(c, d), %path, ?order, step,
        retry_s = 1, \"{}: {x}\", y, x = z) }";
    let mut fields = BTreeSet::new();

    let events = in_stream(syn::parse_str(event).unwrap(), &mut fields);

    assert_eq!(events, 1);
    assert!(
        fields
            .iter()
            .eq(["key.kid", "order", "path", "retry_s", "step"])
    );
}

/// The first column of the table under "Fields".
fn documented() -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(ROOT).join("docs/logging.md")).unwrap();
    text.lines()
        .skip_while(|line| *line != "## Fields")
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned()))
        .collect()
}

/// Collects the fields of all events below `path`. Returns how many events there are.
fn each_event(path: &Path, fields: &mut BTreeSet<String>) -> usize {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap();
        return entries
            .map(|entry| each_event(&entry.unwrap().path(), fields))
            .sum();
    }
    let text = fs::read_to_string(path).unwrap();
    in_stream(syn::parse_str(&text).unwrap(), fields)
}

/// The events in a stream of tokens, also those inside another macro.
fn in_stream(stream: TokenStream, fields: &mut BTreeSet<String>) -> usize {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let mut events = 0;
    for (index, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else {
            continue;
        };
        let before: String = tokens
            .iter()
            .take(index)
            .skip(index.saturating_sub(5))
            .map(ToString::to_string)
            .collect();
        let level = before.strip_prefix("tracing::");
        let level = level.and_then(|level| level.strip_suffix('!'));
        if level.is_some_and(|level| LEVELS.contains(&level)) {
            events += 1;
            fields.extend(fields_of(group.stream()));
        }
        events += in_stream(group.stream(), fields);
    }
    events
}

/// What stands before the message: `name = value`, `name`, `%name` or `?name`.
fn fields_of(arguments: TokenStream) -> Vec<String> {
    let mut fields = Vec::new();
    let mut name = Some(String::new());
    for token in arguments {
        match &token {
            TokenTree::Literal(_) if name.as_deref() == Some("") => return fields,
            TokenTree::Punct(punct) if punct.as_char() == ',' => {
                fields.extend(name.filter(|name| !name.is_empty()));
                name = Some(String::new());
            }
            TokenTree::Punct(punct) if punct.as_char() == '=' => fields.extend(name.take()),
            TokenTree::Punct(punct) if "%?".contains(punct.as_char()) => {}
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => {}
            token => {
                if let Some(name) = &mut name {
                    name.push_str(&token.to_string());
                }
            }
        }
    }
    fields
}
