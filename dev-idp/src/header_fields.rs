//! Header fields of what was received.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};

/// Whether the content has this media type: names in any case, whatever the parameters are
/// (RFC 9110 §8.3.1).
pub(crate) fn has_media_type(headers: &HeaderMap, media_type: &str) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let name = value.as_bytes().split(|octet| *octet == b';').next();
        name.is_some_and(|name| {
            name.trim_ascii()
                .eq_ignore_ascii_case(media_type.as_bytes())
        })
    })
}

/// How long an answer may be used without asking again (RFC 9111 §5.2.2): its `max-age`, and zero
/// if it has none, one that is not a number, or `no-store` or `no-cache`.
pub(crate) fn freshness(headers: &HeaderMap) -> Duration {
    let directives: Vec<Directive> = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .flat_map(|value| directives(&String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let named = |name: &str| {
        directives
            .iter()
            .find(|directive| directive.name.eq_ignore_ascii_case(name))
    };
    if named("no-store").is_some() || named("no-cache").is_some() {
        return Duration::ZERO;
    }
    named("max-age")
        .and_then(|directive| seconds(directive.value.as_deref()?))
        .unwrap_or_default()
}

/// `delta-seconds`; what is too large for a number is the largest one (RFC 9111 §1.2.2).
fn seconds(text: &str) -> Option<Duration> {
    let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    digits.then(|| Duration::from_secs(u64::from(text.parse().unwrap_or(u32::MAX))))
}

struct Directive {
    name: String,
    value: Option<String>,
}

/// The directives of one field line; a value is a token or a quoted string (RFC 9111 §5.2).
fn directives(line: &str) -> Vec<Directive> {
    let mut found = Vec::new();
    let mut text = line.chars().peekable();
    while text.peek().is_some() {
        let mut name = String::new();
        let mut value: Option<String> = None;
        let mut quoted = false;
        while let Some(character) = text.next() {
            match (character, &mut value) {
                ('"', _) => quoted = !quoted,
                (',', _) if !quoted => break,
                ('\\', Some(value)) if quoted => value.extend(text.next()),
                ('=', None) => value = Some(String::new()),
                (_, Some(value)) => value.push(character),
                (_, None) => name.push(character),
            }
        }
        found.push(Directive {
            name: name.trim().to_owned(),
            value: value.map(|value| value.trim().to_owned()),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_media_type_is_its_whole_name_in_any_case_without_parameters() {
        for (value, json) in [
            ("application/json", true),
            ("Application/JSON", true),
            ("application/json;charset=utf-8", true),
            ("application/json ; charset=\"utf-8\"", true),
            ("application/jsonl", false),
            ("application/json-seq", false),
            ("application/jso", false),
            ("text/plain; application/json", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]);
            assert_eq!(
                has_media_type(&headers, "application/json"),
                json,
                "{value}"
            );
        }
        assert!(!has_media_type(&HeaderMap::new(), "application/json"));
    }

    #[test]
    fn the_lifetime_is_the_first_max_age_unless_it_may_not_be_kept() {
        for (lines, expected) in [
            (vec!["max-age=300"], 300),
            (vec!["public, Max-Age=300"], 300),
            (vec!["MAX-AGE=\"300\""], 300),
            (vec!["max-age=\"3\\00\""], 300),
            (vec!["public ,\tmax-age=300 , must-revalidate"], 300),
            (vec!["public", "max-age=300"], 300),
            (vec!["max-age=300, max-age=600"], 300),
            (vec!["max-age=99999999999999999999"], u64::from(u32::MAX)),
            (vec!["ext=\"a, max-age=9\", max-age=300"], 300),
            (vec!["ext=\"a, no-store\", max-age=300"], 300),
            (vec!["max-age=300, No-Store"], 0),
            (vec!["max-age=300", "no-store"], 0),
            (vec!["no-cache, max-age=300"], 0),
            (vec!["max-age=\"300, no-store"], 0),
            (vec!["max-age=soon"], 0),
            (vec!["max-age=-1"], 0),
            (vec!["max-age=+1"], 0),
            (vec!["max-age"], 0),
            (vec!["s-maxage=300"], 0),
            (vec![""], 0),
            (vec![], 0),
        ] {
            let mut headers = HeaderMap::new();
            for line in &lines {
                headers.append(CACHE_CONTROL, HeaderValue::from_static(line));
            }
            assert_eq!(freshness(&headers).as_secs(), expected, "{lines:?}");
        }
    }
}
