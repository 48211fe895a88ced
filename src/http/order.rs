//! An order is strict: what it does not know, it refuses.

use axum::body::Bytes;
use axum::http::StatusCode;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::problem::Problem;

/// The value of the one query parameter `known`, if it is there. Everything else in the query is
/// refused, so that a misspelt dry run is not carried out.
pub(super) fn switch(query: Option<&str>, known: &str) -> Result<bool, Problem> {
    let wrong = || {
        let detail = format!("the query must be empty, `{known}=true` or `{known}=false`");
        Problem::new(StatusCode::BAD_REQUEST, detail)
    };
    let parameters = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let parameters: Vec<_> = parameters.collect();
    match parameters.as_slice() {
        [] => Ok(false),
        [(name, value)] if name == known => value.parse().map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

/// Refuses a query where there is none.
pub(super) fn no_query(query: Option<&str>) -> Result<(), Problem> {
    match query {
        None | Some("") => Ok(()),
        Some(_) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "the query must be empty: this request has no parameters in it",
        )),
    }
}

/// The members of the body: it is empty, or a JSON object with members of `known`. `allowed` says
/// what the body is.
pub(super) fn members(
    body: &Bytes,
    known: &[&str],
    allowed: &str,
) -> Result<Map<String, Value>, Problem> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    // JSON of another form is well-formed, but cannot be processed (RFC 9110 §15.5.21).
    let wrong = |status| Problem::new(status, allowed);
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) if members.keys().all(|name| known.contains(&&**name)) => {
            Ok(members)
        }
        Ok(_) => Err(wrong(StatusCode::UNPROCESSABLE_ENTITY)),
        Err(_) => Err(wrong(StatusCode::BAD_REQUEST)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_in_any_spelling_is_a_dry_run_or_refused() {
        assert!(!switch(None, "dry_run").unwrap());
        assert!(!switch(Some("dry_run=false"), "dry_run").unwrap());
        assert!(switch(Some("dry_run=true"), "dry_run").unwrap());
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
            let problem = switch(Some(query), "dry_run").unwrap_err();
            assert_eq!(problem.status, StatusCode::BAD_REQUEST, "{query}");
            assert!(problem.detail.contains("`dry_run=true`"), "{query}");
        }
    }

    #[test]
    fn a_body_is_an_object_with_known_members_or_empty() {
        let status = |body: &'static str| {
            let result = members(&Bytes::from_static(body.as_bytes()), &["mode"], "…");
            result
                .map(|members| members.len())
                .map_err(|problem| problem.status.as_u16())
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
