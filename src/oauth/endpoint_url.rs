//! A URL that requests go to, exactly as it was written.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::{Origin, Position, Url};

use super::shown_text::shown_text;
use super::transport_security::is_loopback;

/// A URL that requests go to, exactly as it was written.
///
/// Servers compare `aud`, `jwks_uri` and their own addresses as texts, so the text is kept beside
/// what was parsed. `Display` and `Debug` leave the query out, which may hold a secret.
#[derive(Clone, Eq, PartialEq)]
pub struct EndpointUrl {
    text: String,
    url: Url,
}

/// Why requests cannot go to a URL; completes "expected …".
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidUrl {
    /// A part of it would be sent as something else.
    #[error("expected a URL that is sent as it is written: `{written}` would be sent as `{sent}`")]
    Changed {
        /// The host or the path as it is written.
        written: String,
        /// What would be sent.
        sent: String,
    },
    /// A character that a URL does not have (RFC 3986 §2).
    #[error("expected a URL with `{}` written as `{}`", .0.escape_debug(), percent_encoded(&.0.to_string()))]
    Character(char),
    /// It has a user name or a password.
    #[error("expected a URL without a user name and password")]
    Credentials,
    /// It has a fragment.
    #[error("expected a URL without a fragment (#…)")]
    Fragment,
    /// Tokens would cross a network unencrypted.
    #[error(
        "expected https (set BFF_ALLOW_INSECURE_HTTP=true to permit http in a container network)"
    )]
    Insecure,
    /// The host has letters outside ASCII (RFC 5891).
    #[error("expected the host name in punycode, `{0}`")]
    International(String),
    /// It is not an absolute URL of HTTP.
    #[error("expected an http or https URL such as https://host.example/path")]
    Syntax,
    /// It is longer than servers have to accept (RFC 9110 §4.1).
    #[error("expected at most {MAX_LENGTH} characters")]
    TooLong,
}

/// Longest URL, in bytes.
const MAX_LENGTH: usize = 8000;

impl EndpointUrl {
    /// Reads a URL that was configured or discovered: https, or http to this machine, without user
    /// name, password and fragment, and sent exactly as it is written.
    ///
    /// Only the spelling of scheme, host and port may be another one on the wire (RFC 9110 §4.2.3).
    /// `insecure_permitted` allows `http:` to other machines.
    ///
    /// # Errors
    ///
    /// [`InvalidUrl`].
    pub fn parse(text: &str, insecure_permitted: bool) -> Result<Self, InvalidUrl> {
        if text.len() > MAX_LENGTH {
            return Err(InvalidUrl::TooLong);
        }
        let (authority, rest) = split(text).ok_or(InvalidUrl::Syntax)?;
        if text.contains('#') {
            return Err(InvalidUrl::Fragment);
        }
        if authority.contains('@') {
            return Err(InvalidUrl::Credentials);
        }
        let parsed = Url::parse(text);
        if !authority.is_ascii() {
            let host = parsed.as_ref().ok().and_then(Url::host_str);
            return Err(host.map_or(InvalidUrl::Syntax, |host| {
                InvalidUrl::International(shown_text(host))
            }));
        }
        if let Some(character) = rest.chars().find(|c| !is_of_a_url(*c)) {
            return Err(InvalidUrl::Character(character));
        }
        let url = parsed.map_err(|_| InvalidUrl::Syntax)?;
        same_host(authority, &url)?;
        same_target(rest, &url)?;
        if url.scheme() == "http" && !insecure_permitted && !is_loopback(&url) {
            return Err(InvalidUrl::Insecure);
        }
        Ok(Self {
            text: text.to_owned(),
            url,
        })
    }

    /// The URL as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port, to compare.
    pub fn origin(&self) -> Origin {
        self.url.origin()
    }

    /// The path; `/` where none is written.
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// Whether it has a query.
    pub fn has_query(&self) -> bool {
        self.url.query().is_some()
    }

    /// Whether requests go over TLS.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.url)
    }

    /// Whether requests would cross a network unencrypted.
    pub fn is_insecure(&self) -> bool {
        self.url.scheme() == "http" && !self.is_loopback()
    }

    /// The URL with more path, whether or not the first ends in a slash; without a query.
    #[must_use]
    pub fn append(&self, path: &str) -> Self {
        let base = self.path().trim_end_matches('/');
        self.with_path(&format!("{base}{path}"))
    }

    /// The URL of another path on the same server; without a query. `path` begins with a slash.
    #[must_use]
    pub fn with_path(&self, path: &str) -> Self {
        let mut url = self.url.clone();
        url.set_path(path);
        url.set_query(None);
        let rest = split(&self.text).map_or(0, |(_, rest)| rest.len());
        let (server, _) = self.text.split_at(self.text.len() - rest);
        Self {
            text: format!("{server}{}", url.path()),
            url,
        }
    }
}

/// A URL for a message: without user name, password, query and fragment, which may hold secrets.
pub fn shown_url(text: &str) -> String {
    let (text, _) = text.split_once(['?', '#']).unwrap_or((text, ""));
    let Some((scheme, rest)) = text.split_once("//") else {
        return shown_text(text);
    };
    let end = rest.find(['/', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    shown_text(&format!("{scheme}//{host}{path}"))
}

/// What is between the slashes and the path, and all that follows.
fn split(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    (!authority.is_empty()).then_some((authority, rest))
}

/// Whether a character can stand in a path or a query.
fn is_of_a_url(character: char) -> bool {
    character.is_ascii_graphic() && !"\"<>\\^`{|}".contains(character)
}

/// A text as a part of a path, with everything but unreserved characters encoded (RFC 3986 §2.1).
pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Only the case of a host may change, and the spelling of an IPv6 address.
fn same_host(authority: &str, url: &Url) -> Result<(), InvalidUrl> {
    let sent = url.host_str().unwrap_or_default();
    if authority.starts_with('[') {
        return Ok(());
    }
    let written = authority
        .split_once(':')
        .map_or(authority, |(host, _)| host);
    if written.eq_ignore_ascii_case(sent) {
        return Ok(());
    }
    Err(InvalidUrl::Changed {
        written: shown_text(written),
        sent: shown_text(sent),
    })
}

/// An empty path is sent as `/`; nothing else may change.
fn same_target(written: &str, url: &Url) -> Result<(), InvalidUrl> {
    let sent = &url[Position::BeforePath..];
    let written = match written {
        "" => "/".to_owned(),
        query if query.starts_with('?') => format!("/{query}"),
        target => target.to_owned(),
    };
    if written == sent {
        return Ok(());
    }
    let path = |target: &str| shown_text(target.split('?').next().unwrap_or_default());
    let (written_path, sent_path) = (path(&written), path(sent));
    if written_path != sent_path {
        return Err(InvalidUrl::Changed {
            written: written_path,
            sent: sent_path,
        });
    }
    let mut pairs = written.chars().zip(sent.chars());
    let changed = pairs.find(|(written, sent)| written != sent);
    Err(changed.map_or(InvalidUrl::Syntax, |(written, _)| {
        InvalidUrl::Character(written)
    }))
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown_url(&self.text))
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", shown_url(&self.text))
    }
}

impl Serialize for EndpointUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// What is stored is read as it is: the rules held when it was received, or are checked when it is
/// used. Otherwise a stricter version could not read the document.
impl<'de> Deserialize<'de> for EndpointUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let url = Url::parse(&text).map_err(|_| de::Error::custom("this is not a URL"))?;
        Ok(Self { text, url })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_sent_as_written_is_kept_as_written() {
        for text in [
            "https://idp.example",
            "HTTPS://IdP.Example:443/Token",
            "https://idp.example//api//token/",
            "https://idp.example?tenant=a",
            "https://idp.example/r/%7Ec1;v=1?x=a%20b&y=[1]",
            "https://[2001:DB8:0::1]:8443/",
            "http://localhost:8002/api",
            "http://127.0.0.1:1/",
            "http://[::1]/",
        ] {
            let url = EndpointUrl::parse(text, false).unwrap();

            assert_eq!(url.as_str(), text);
            let json = serde_json::to_string(&url).unwrap();
            assert_eq!(json, format!("{text:?}"));
            assert_eq!(serde_json::from_str::<EndpointUrl>(&json).unwrap(), url);
        }
    }

    #[test]
    fn what_would_be_sent_as_something_else_is_refused_with_both() {
        for (text, expected) in [
            ("https://h/a/../b", "`/a/../b` would be sent as `/b`"),
            ("https://h/a/%2e%2E/b", "would be sent as `/b`"),
            ("https://h/.", "`/.` would be sent as `/`"),
            ("https://h/a|b", "`|` written as `%7C`"),
            ("https://h/a b", "` ` written as `%20`"),
            ("https://h/a\tb", "`\\t` written as `%09`"),
            ("https://h/ä", "written as `%C3%A4`"),
            ("https://h/?x='", "written as `%27`"),
            ("https://h\\a", "would be sent as `h`"),
            ("https://h\\@evil.example/", "without a user name"),
            ("https://0x7f.1/", "`0x7f.1` would be sent as `127.0.0.1`"),
            ("https://127.1/", "would be sent as `127.0.0.1`"),
            ("https://h%2eexample/", "would be sent as `h.example`"),
            (
                "https://bücher.example/",
                "punycode, `xn--bcher-kva.example`",
            ),
            (" https://h/", "an http or https URL"),
            ("https:/h/", "an http or https URL"),
            ("https:///h/", "an http or https URL"),
            ("//h/", "an http or https URL"),
            ("ftp://h/", "an http or https URL"),
            ("https://h/\n", "written as `%0A`"),
            ("https://h:99999/", "an http or https URL"),
            ("https://ops:pw@h/", "without a user name and password"),
            ("https://@h/", "without a user name and password"),
            ("https://h/#", "without a fragment"),
            ("http://h/", "BFF_ALLOW_INSECURE_HTTP"),
            ("http://idp.localhost/", "BFF_ALLOW_INSECURE_HTTP"),
        ] {
            let error = EndpointUrl::parse(text, false).unwrap_err().to_string();

            assert!(error.contains(expected), "{text:?}: {error}");
            assert!(error.starts_with("expected "), "{error}");
        }
        assert!(EndpointUrl::parse("http://idp:8002/", true).is_ok());
    }

    #[test]
    fn a_message_shows_no_query_and_no_password() {
        for (text, shown) in [
            ("https://ops:pw@h/r?t=s#f", "https://h/r"),
            ("https://h?t=a/@b", "https://h"),
            ("https://ops:p@w@h", "https://h"),
            ("//ops:pw@h/r", "//h/r"),
            ("r?t=s", "r"),
        ] {
            assert_eq!(shown_url(text), shown);
        }
        let url = EndpointUrl::parse("https://h/r?t=s3cret", false).unwrap();
        assert!(!format!("{url} {url:?}").contains("s3cret"));
    }

    #[test]
    fn a_path_is_appended_with_one_slash_and_the_server_stays_as_written() {
        for (base, expected) in [
            ("https://IdP.example/api", "https://IdP.example/api/x"),
            ("https://IdP.example/api/", "https://IdP.example/api/x"),
            ("https://IdP.example:443", "https://IdP.example:443/x"),
        ] {
            let url = EndpointUrl::parse(base, false).unwrap();

            assert_eq!(url.append("/x").as_str(), expected);
        }
        let url = EndpointUrl::parse("https://h/a?b", false).unwrap();
        assert_eq!(url.with_path("/c").as_str(), "https://h/c");
    }

    #[test]
    fn a_stored_url_of_an_earlier_version_can_be_read() {
        let url: EndpointUrl = serde_json::from_str(r#""https://a:b@h/r#f""#).unwrap();

        assert_eq!(url.as_str(), "https://a:b@h/r#f");
    }
}
