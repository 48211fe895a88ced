//! What holds of more than one target.

use bff::registration::RawAnswer;
use bff::state::{Rev, State};
use bff::store::encoding::{decode, encode};
use serde_json::Value;

/// The longest text that is shown or remembered of one answer, in bytes.
pub(crate) const LONGEST_TEXT: usize = 8 * 1024;

/// The members whose values are secrets.
const SECRET_MEMBERS: [&str; 2] = ["registration_access_token", "client_secret"];

/// The secrets in an answer that can be looked for: those that are not part of anything else in it.
pub(crate) fn secrets(answer: &RawAnswer) -> Vec<String> {
    let body = answer.body.expose();
    let text = body.strip_prefix('\u{feff}').unwrap_or(body);
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_str(text) {
        collect(&value, &mut found);
    }
    let elsewhere = [&answer.location, &answer.challenge];
    let is_elsewhere = |secret: &String| {
        elsewhere
            .iter()
            .any(|text| text.as_ref().is_some_and(|text| text.contains(secret)))
    };
    found.retain(|secret| {
        secret.len() >= 6 && body.matches(secret.as_str()).count() == 1 && !is_elsewhere(secret)
    });
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if SECRET_MEMBERS.contains(&name.as_str()) => {
                        found.push(text.clone());
                    }
                    value => collect(value, found),
                }
            }
        }
        _ => {}
    }
}

/// No text shows a secret.
pub(crate) fn hides(secrets: &[String], text: &str) {
    for secret in secrets {
        assert!(!text.contains(secret), "a secret is shown in: {text}");
    }
}

/// A text is fit for a terminal and a log: of a sane length, and without control characters.
pub(crate) fn is_tidy(text: &str) {
    assert!(text.len() <= LONGEST_TEXT, "{} bytes: {text}", text.len());
    assert!(
        !text.contains(char::is_control),
        "control characters: {text:?}"
    );
}

/// A hint is short and names something to do.
pub(crate) fn is_hint(hint: &str) {
    assert!(!hint.is_empty() && hint.len() <= 160, "hint: {hint}");
}

/// A state can be written, and is read back as it was written. Returns its text.
pub(crate) fn commits(state: &State, rev: Rev) -> Vec<u8> {
    let text = encode(state, rev).expect("a state that cannot be written");
    let (read, read_rev) = decode(&text).expect("a state that cannot be read back");
    assert_eq!(read_rev, rev);
    assert_eq!(encode(&read, rev).expect("written once"), text);
    text
}

/// What a state remembers in words is tidy, and shows no secret.
pub(crate) fn journal_is_tidy(state: &State, secrets: &[String]) {
    for entry in state.journal().entries() {
        is_tidy(&entry.detail);
        hides(secrets, &entry.detail);
    }
}
