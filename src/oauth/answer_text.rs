//! What an answer says to a person, whatever its form.

use serde_json::Value;

use super::error::OAuthError;
use super::shown_text::SentSecrets;

/// Longest body of an answer that is read, in bytes. Of a longer one the beginning is kept.
pub const LONGEST_ANSWER: usize = 256 * 1024;

/// What an answer with this status says, in the server's words and as they are shown: its OAuth
/// error, the title of its page, the sentence in its JSON, or the beginning of its text.
///
/// `None` if it says nothing, and for a success, which may hold tokens. JSON is not quoted as a
/// whole for the same reason.
pub fn answer_text(
    status: u16,
    body: &[u8],
    challenge: Option<&str>,
    sent: &SentSecrets,
) -> Option<String> {
    if (200..300).contains(&status) {
        return None;
    }
    let error = OAuthError::parse(body, sent)
        .or_else(|| OAuthError::of_challenge(challenge?, sent))
        .map(|error| error.to_string());
    let text = error.or_else(|| page_text(body, sent)).or_else(|| {
        let sentence = match body.trim_ascii().first() {
            Some(b'{' | b'[') => sentence(body)?,
            _ => String::from_utf8_lossy(body).into_owned(),
        };
        Some(format!("\"{}\"", sent.shown(&sentence)))
    })?;
    (text != "\"\"").then_some(text)
}

/// The sentence in a JSON object: of a problem (RFC 9457 §3.1), or as frameworks call it.
fn sentence(body: &[u8]) -> Option<String> {
    let object: Value = serde_json::from_slice(body).ok()?;
    let text = |name: &&str| object.get(*name).and_then(Value::as_str);
    let names = ["error_description", "detail", "message", "title"];
    names.iter().find_map(text).map(str::to_owned)
}

/// What a body is that is no JSON, in words: `an HTML page titled "Sign in"`.
pub fn page_text(body: &[u8], sent: &SentSecrets) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    if !is_html(&text) {
        return None;
    }
    let title = title(&text).map(|title| sent.shown(&title));
    Some(match title.filter(|title| !title.is_empty()) {
        Some(title) => format!("an HTML page titled \"{title}\""),
        None => "an HTML page".to_owned(),
    })
}

/// How far into a text an HTML page shows that it is one, in bytes.
const BEGINNING: usize = 1024;

fn is_html(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if !text.starts_with('<') {
        return false;
    }
    let mut end = text.len().min(BEGINNING);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let beginning = text.get(..end).unwrap_or_default().to_ascii_lowercase();
    ["<!doctype html", "<html", "<head", "<title", "<body"]
        .iter()
        .any(|tag| beginning.contains(tag))
}

/// The text of the first `<title>`, on one line.
fn title(text: &str) -> Option<String> {
    // The positions in both are the same: only ASCII letters change.
    let lower = text.to_ascii_lowercase();
    let tag = lower.find("<title")?;
    let begin = tag + lower.get(tag..)?.find('>')? + 1;
    let end = begin + lower.get(begin..)?.find("</title")?;
    let words: Vec<_> = text.get(begin..end)?.split_whitespace().collect();
    let mut title = words.join(" ");
    for (entity, character) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "'"),
        ("&#39;", "'"),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ] {
        title = title.replace(entity, character);
    }
    Some(title)
}

/// What kind of thing a body is that should have been a JSON object, in words.
pub fn not_json_text(body: &[u8], sent: &SentSecrets) -> String {
    if body.trim_ascii().is_empty() {
        return "an empty body".to_owned();
    }
    page_text(body, sent).unwrap_or_else(|| {
        if body.len() < LONGEST_ANSWER {
            "no JSON object".to_owned()
        } else {
            format!(
                "more than {} KiB, too long to be read",
                LONGEST_ANSWER / 1024
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn an_answer_is_quoted_in_whatever_form_it_comes() {
        let sent = SentSecrets::default();
        let challenge = Some(r#"Bearer error="invalid_token", error_description="expired""#);
        for (body, challenge, expected) in [
            (
                r#"{"error":"x","error_description":"y"}"#,
                None,
                Some("x (y)"),
            ),
            ("", challenge, Some("invalid_token (expired)")),
            ("<html>", challenge, Some("invalid_token (expired)")),
            (
                "upstream\nis \u{1b}[1mdown\n",
                None,
                Some(r#""upstream is \u{1b}[1mdown""#),
            ),
            (r#"{"status":404,"message":"no"}"#, None, Some(r#""no""#)),
            (r#"{"title":"t","detail":"d"}"#, None, Some(r#""d""#)),
            (r#"{"access_token":"t"}"#, None, None),
            (r#"{"registration_access_token":"t"#, None, None),
            ("", None, None),
            (" \n", None, None),
        ] {
            let of = |status| answer_text(status, body.as_bytes(), challenge, &sent);

            assert_eq!(of(400).as_deref(), expected, "{body}");
            assert_eq!(of(200), None, "{body}");
        }
    }

    #[test]
    fn an_html_page_is_called_that_with_its_title() {
        let sent: SentSecrets = [Secret::new("iat-1")].into_iter().collect();
        for (body, expected) in [
            (
                "<!DOCTYPE html><html><head><TITLE lang=en>\n Sign&nbsp;in &amp; go\n</TITLE>",
                "an HTML page titled \"Sign in & go\"",
            ),
            ("\u{feff} <!-- x --><html><body>502</body>", "an HTML page"),
            ("<html><title></title>", "an HTML page"),
            (
                "<html><title>iat-1\u{1b}</title>",
                "an HTML page titled \"[REDACTED]\\u{1b}\"",
            ),
        ] {
            assert_eq!(
                page_text(body.as_bytes(), &sent).as_deref(),
                Some(expected),
                "{body}"
            );
        }
        for body in ["", "{}", "<?xml version=\"1.0\"?><error/>", "html"] {
            assert_eq!(page_text(body.as_bytes(), &sent), None, "{body}");
        }
    }

    #[test]
    fn what_should_have_been_json_is_described() {
        let of = |body: &[u8]| not_json_text(body, &SentSecrets::default());

        assert_eq!(of(b"<html><title>Up</title>"), "an HTML page titled \"Up\"");
        assert_eq!(of(b" "), "an empty body");
        assert_eq!(of(b"not here"), "no JSON object");
    }
}
