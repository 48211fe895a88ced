//! URLs.

use super::wrong::Wrong;
use crate::oauth::EndpointUrl;

/// A URL that requests go to; see [`EndpointUrl::parse`].
pub(in crate::config) fn endpoint_url(
    text: &str,
    insecure_permitted: bool,
) -> Result<EndpointUrl, Wrong> {
    EndpointUrl::parse(text, insecure_permitted).map_err(|error| Wrong {
        problem: error.to_string(),
        shown: !text.contains('@'),
    })
}

/// A URL that paths are appended to, or that is compared as a string: it has no query either.
pub(in crate::config) fn base_url(
    text: &str,
    insecure_permitted: bool,
) -> Result<EndpointUrl, Wrong> {
    let url = endpoint_url(text, insecure_permitted)?;
    if url.has_query() {
        return Err(Wrong::expected("a URL without a query (?…)"));
    }
    if url.path().contains("/.well-known/") {
        return Err(Wrong::expected(
            "the URL before /.well-known/…, which is appended",
        ));
    }
    Ok(url)
}

/// A redirect URI: https, or http on loopback (RFC 8252 §7.3), exactly as it was given.
pub(in crate::config) fn redirect_uri(text: &str) -> Result<String, Wrong> {
    let url = endpoint_url(text, true).map_err(|mut wrong| {
        wrong.problem.push_str(", for each redirect URI");
        wrong
    })?;
    if url.is_insecure() {
        return Err(Wrong::expected(
            "https for each redirect URI, or http on localhost, 127.0.0.1 or [::1]",
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_uri_is_https_or_http_on_loopback_and_stays_as_it_was_given() {
        let right = [
            "https://app.example",
            "HTTPS://App.Example:443/cb?x=1,2",
            "http://127.0.0.1:1234/cb",
            "http://[::1]/cb",
            "http://localhost/cb",
        ];
        let wrong = [
            "",
            "/cb",
            "https:app.example",
            "https:///app.example",
            "https:\\\\app.example",
            "https://app.example/#",
            "https://user@app.example/",
            "https://app.example/ä",
            "http://app.example/cb",
            "http://localhost.example/cb",
            "ftp://app.example/",
            "javascript:alert(1)",
        ];

        for text in right {
            assert_eq!(redirect_uri(text).unwrap(), text);
        }
        for text in wrong {
            assert!(redirect_uri(text).is_err(), "{text}");
        }
    }
}
