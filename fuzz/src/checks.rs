//! What holds of more than one target.

use bff::oauth::EndpointUrl;
use bff::registration::RawAnswer;
use bff::secret::Secret;
use bff::state::{Rev, State};
use bff::store::encoding::{decode, encode};
use serde_json::Value;

/// The longest text that is shown or remembered of one answer, in bytes.
pub(crate) const LONGEST_TEXT: usize = 8 * 1024;

/// The members of an answer whose values are secrets.
const SECRET_MEMBERS: [&str; 2] = ["registration_access_token", "client_secret"];

/// What every secret in an answer begins with. What a mutation makes of a token alone may be a word
/// that is rightly shown elsewhere.
const MARK: &str = "secret-of-the-fuzzer-7c1f";

/// The answer, with [`MARK`] in front of each secret if its body is JSON.
pub(crate) fn marked(answer: RawAnswer) -> RawAnswer {
    let mut body = answer.body.expose().to_owned();
    for name in SECRET_MEMBERS {
        let marked = texts_behind(&body, name).find_map(|at| {
            let candidate = format!("{}{MARK}{}", &body[..at], &body[at..]);
            let json = candidate.strip_prefix('\u{feff}').unwrap_or(&candidate);
            let members: Value = serde_json::from_str(json).ok()?;
            let is_member = members.get(name)?.as_str()?.starts_with(MARK);
            is_member.then_some(candidate)
        });
        body = marked.unwrap_or(body);
    }
    RawAnswer {
        body: Secret::new(body),
        ..answer
    }
}

/// Where the text behind each `name` begins, at any depth.
fn texts_behind<'a>(json: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    json.match_indices(name).filter_map(move |(at, _)| {
        let value = json[at + name.len()..].strip_prefix('"')?.trim_start();
        let text = value.strip_prefix(':')?.trim_start().strip_prefix('"')?;
        Some(json.len() - text.len())
    })
}

/// A text shows no secret of a [`marked`] answer.
pub(crate) fn hides_secrets(text: &str) {
    assert!(!text.contains(MARK), "a secret is shown in: {text}");
}

/// A text is fit for a terminal and a log: of a sane length, and without control characters.
pub(crate) fn is_tidy(text: &str) {
    assert!(text.len() <= LONGEST_TEXT, "{} bytes: {text}", text.len());
    assert!(
        !text.contains(char::is_control),
        "control characters: {text:?}"
    );
}

/// A token goes to no other origin than the one that issued it. A host has no case.
pub(crate) fn is_at_the_idp(uri: &EndpointUrl) {
    let text = uri.as_str().to_ascii_lowercase();
    assert!(text.starts_with("https://idp.example/"), "{text}");
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
pub(crate) fn journal_is_tidy(state: &State) {
    for entry in state.journal().entries() {
        is_tidy(&entry.detail);
        hides_secrets(&entry.detail);
    }
}
