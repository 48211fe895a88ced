//! An order is strict: what it does not know, it refuses.

use axum::body::Bytes;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::refusal::Refusal;

/// The value of the one query parameter `known`, if it is there. Everything else in the query is
/// refused, so that a misspelt dry run is not carried out. `allowed` says what the query is.
pub(super) fn switch(
    query: Option<&str>,
    known: &str,
    allowed: &'static str,
) -> Result<bool, Refusal> {
    let wrong = Refusal::WrongQuery { allowed };
    let parameters = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let parameters: Vec<_> = parameters.collect();
    match parameters.as_slice() {
        [] => Ok(false),
        [(name, value)] if name == known => value.parse().map_err(|_| wrong),
        _ => Err(wrong),
    }
}

/// Refuses a query where there is none.
pub(super) fn no_query(query: Option<&str>) -> Result<(), Refusal> {
    match query {
        None | Some("") => Ok(()),
        Some(_) => Err(Refusal::WrongQuery {
            allowed: "the query must be empty: this request has no parameters in it",
        }),
    }
}

/// The members of the body: it is empty, or a JSON object with members of `known`. `allowed` says
/// what the body is.
pub(super) fn members(
    body: &Bytes,
    known: &[&str],
    allowed: &'static str,
) -> Result<Map<String, Value>, Refusal> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) if members.keys().all(|name| known.contains(&&**name)) => {
            Ok(members)
        }
        // JSON of another form is well-formed, but cannot be processed (RFC 9110 §15.5.21).
        Ok(_) => Err(Refusal::WrongBody { allowed }),
        Err(_) => Err(Refusal::NotJson { allowed }),
    }
}

/// Takes a member that is a text, if it is there.
pub(super) fn text(
    members: &mut Map<String, Value>,
    name: &str,
    allowed: &'static str,
) -> Result<Option<String>, Refusal> {
    match members.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::WrongBody { allowed }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_in_any_spelling_is_a_dry_run_or_refused() {
        assert!(!switch(None, "dry_run", "…").unwrap());
        assert!(!switch(Some("dry_run=false"), "dry_run", "…").unwrap());
        assert!(switch(Some("dry_run=true"), "dry_run", "…").unwrap());
        for query in [
            "dry_run=1",
            "dry_run",
            "dryrun=true",
            "dry-run=true",
            "DRY_RUN=true",
            "dry_run=false&dry_run=true",
            "dry_run=TRUE",
            "x=1",
        ] {
            let refusal = switch(Some(query), "dry_run", "…").unwrap_err();
            assert_eq!(refusal, Refusal::WrongQuery { allowed: "…" }, "{query}");
        }
    }

    #[test]
    fn a_body_is_an_object_with_known_members_or_empty() {
        let status = |body: &'static str| {
            let result = members(&Bytes::from_static(body.as_bytes()), &["mode"], "…");
            result
                .map(|members| members.len())
                .map_err(|refusal| refusal.status().as_u16())
        };

        for (body, expected) in [
            ("", Ok(0)),
            (" \n", Ok(0)),
            ("{}", Ok(0)),
            (r#"{"mode":"now"}"#, Ok(1)),
            (r#"["now"]"#, Err(422)),
            ("[]", Err(422)),
            ("null", Err(422)),
            (r#"{"dry_run":true}"#, Err(422)),
            ("{", Err(400)),
        ] {
            assert_eq!(status(body), expected, "{body}");
        }
    }
}
