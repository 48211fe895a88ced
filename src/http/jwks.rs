//! The JWK Set (RFC 7517 §5).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

use crate::app::PublishedJwks;
use crate::metrics::Metrics;

/// Serves the published public keys.
///
/// The document was rendered when the ring last changed, so this does no cryptography and
/// cannot fail. `Accept` is not looked at: there is one representation, of the media type
/// that every consumer takes. Answers 304 to a matching `If-None-Match` (RFC 9110 §13.1.2).
pub(super) async fn jwks(
    State(published): State<watch::Receiver<Arc<PublishedJwks>>>,
    State(metrics): State<Arc<Metrics>>,
    headers: HeaderMap,
) -> Response {
    let published = Arc::clone(&published.borrow());
    metrics.jwks_served.inc();
    let validators = [
        (header::ETAG, published.etag.clone()),
        (header::CACHE_CONTROL, published.cache_control.clone()),
    ];
    if holds(&headers, published.etag.to_str().unwrap_or_default()) {
        return (StatusCode::NOT_MODIFIED, validators).into_response();
    }
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    (validators, content_type, published.body.clone()).into_response()
}

/// Whether the caller has the representation that `etag` names: `*`, or one of a list by weak
/// comparison (RFC 9110 §8.8.3.2).
fn holds(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_validator_is_found_in_a_list_weak_or_as_a_star() {
        for (field, expected) in [
            (r#""a""#, true),
            (r#"W/"a""#, true),
            (r#""x", W/"a""#, true),
            ("*", true),
            (r#""x""#, false),
            ("a", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(field));
            assert_eq!(holds(&headers, r#""a""#), expected, "{field}");
        }
    }
}
