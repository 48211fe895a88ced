//! URLs.

use url::Url;

use super::wrong::Wrong;
use crate::oauth::is_loopback;

/// An absolute `http` or `https` URL without user name, password and fragment.
pub(in crate::config) fn http_url(text: &str) -> Result<Url, Wrong> {
    let wrong = |what: &str| {
        let mut wrong = Wrong::expected(what);
        if text.contains('@') {
            wrong.shown = false;
        }
        Err(wrong)
    };

    let lower = text.to_ascii_lowercase();
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
    // A URL parser drops extra slashes; an IdP that compares URLs as strings does not.
    let authority = ["http://", "https://"]
        .iter()
        .find_map(|scheme| lower.strip_prefix(scheme));
    if authority.is_none_or(|authority| authority.starts_with('/')) || !plain {
        return wrong("an http or https URL such as https://host.example/path");
    }
    let Ok(url) = Url::parse(text) else {
        return wrong("an http or https URL such as https://host.example/path");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("a URL without a user name and password");
    }
    if url.fragment().is_some() {
        return wrong("a URL without a fragment (#…)");
    }
    Ok(url)
}

/// A URL that paths are appended to, or that is compared as a string: it has no query either.
pub(in crate::config) fn base_url(text: &str) -> Result<Url, Wrong> {
    let url = http_url(text)?;
    if url.query().is_some() {
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
    let url = http_url(text).map_err(|mut wrong| {
        wrong.problem.push_str(", for each redirect URI");
        wrong
    })?;
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err(Wrong::expected(
            "https for each redirect URI, or http on localhost, 127.0.0.1 or [::1]",
        ));
    }
    Ok(text.to_owned())
}

/// A URL with more path, whether or not the first ends in a slash.
pub(in crate::config) fn append(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
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

    #[test]
    fn a_path_is_appended_with_one_slash() {
        for base in [
            "https://idp.example/api/oidc",
            "https://idp.example/api/oidc/",
        ] {
            let url = append(&Url::parse(base).unwrap(), "/dcr/register");

            assert_eq!(url.as_str(), "https://idp.example/api/oidc/dcr/register");
        }
    }
}
