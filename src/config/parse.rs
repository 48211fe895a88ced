//! From text to values, each with the words for what was expected.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use url::{Host, Url};

use crate::jose::Algorithm;

/// Why a text is no value of its setting.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) problem: String,
    pub(super) found: Found,
}

/// What an error may show of a wrong value.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing, because it may hold a password, or because the problem says it.
    Hidden,
    /// All of it.
    Whole,
}

impl Wrong {
    /// Completes "expected …, got …".
    pub(super) fn expected(what: impl AsRef<str>) -> Self {
        Self {
            problem: format!("expected {}", what.as_ref()),
            found: Found::Whole,
        }
    }

    /// Says everything itself.
    pub(super) fn because(problem: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            found: Found::Hidden,
        }
    }
}

/// How much of a wrong value is shown, in characters.
const SHOWN: usize = 80;

/// Text as an error shows it: on one line, shortened, without control characters.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// The same between quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", shown(text))
}

/// `true`/`false`, `1`/`0`, `yes`/`no`, `on`/`off`, in any case.
pub(super) fn boolean(text: &str) -> Result<bool, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "on" | "true" | "yes" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(Wrong::expected("true or false")),
    }
}

/// A whole number.
pub(super) fn number(text: &str, range: &RangeInclusive<u32>) -> Result<u32, Wrong> {
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            Wrong::expected(format!(
                "a whole number from {} to {}",
                range.start(),
                range.end()
            ))
        })
}

/// `300` (seconds), `60s`, `10m`, `24h`, `7d`, or several units, the largest first: `1h30m`.
pub(super) fn duration(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, Wrong> {
    seconds(text)
        .map(Duration::from_secs)
        .filter(|duration| range.contains(duration))
        .ok_or_else(|| {
            Wrong::expected(format!(
                "a duration from {} to {}, such as 300 (seconds), 90s, 10m or 1h30m",
                in_units(*range.start()),
                in_units(*range.end())
            ))
        })
}

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

fn seconds(text: &str) -> Option<u64> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let mut total = 0_u64;
    let mut rest = text;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let (digits, unit) = rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit())?)?;
        let number: u64 = digits.parse().ok()?;
        let letter = unit.chars().next()?;
        let (_, factor) = units.find(|(known, _)| *known == letter)?;
        total = total.checked_add(number.checked_mul(*factor)?)?;
        rest = unit.split_at_checked(letter.len_utf8())?.1;
    }
    (!text.is_empty()).then_some(total)
}

/// A duration as a configuration would write it.
pub(super) fn in_units(duration: Duration) -> String {
    let mut rest = duration.as_secs();
    let mut parts = Vec::new();
    for (letter, factor) in UNITS {
        if rest >= factor {
            parts.push(format!("{}{letter}", rest / factor));
            rest %= factor;
        }
    }
    if parts.is_empty() {
        return "0s".to_owned();
    }
    parts.concat()
}

/// One of a few words, in any case.
pub(super) fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, Wrong> {
    choices
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text))
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            Wrong::expected(one_of(&words))
        })
}

fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// `ADDRESS:PORT`; without an address it is all of IPv4, and `localhost` is 127.0.0.1.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, Wrong> {
    let by_name = text.rsplit_once(':').and_then(|(host, port)| {
        let host = match host {
            "" => Ipv4Addr::UNSPECIFIED,
            host if host.eq_ignore_ascii_case("localhost") => Ipv4Addr::LOCALHOST,
            _ => return None,
        };
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = digits.then_some(port)?.parse().ok()?;
        Some(SocketAddr::from((host, port)))
    });
    by_name
        .or_else(|| text.parse().ok())
        .ok_or_else(|| Wrong::expected("ADDRESS:PORT such as 0.0.0.0:8000"))
}

/// A path; it need not exist.
pub(super) fn path(text: &str) -> Result<PathBuf, Wrong> {
    if text.chars().any(char::is_control) {
        return Err(Wrong::expected("a path without control characters"));
    }
    Ok(PathBuf::from(text))
}

/// The name of an algorithm, exactly.
pub(super) fn algorithm(text: &str) -> Result<Algorithm, Wrong> {
    text.parse()
        .map_err(|_| Wrong::expected(one_of(&Algorithm::ALL.map(Algorithm::name))))
}

/// A filter of `tracing`: a level, or directives such as `info,bff::idp=debug`.
pub(super) fn log_filter(text: &str) -> Result<String, Wrong> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

    // A bare word that is no level would be taken for a module's name, and silence all others.
    let mistyped = LEVELS
        .iter()
        .map(|level| strsim::osa_distance(level, &text.to_ascii_lowercase()))
        .min()
        .is_some_and(|distance| (1..=2).contains(&distance));
    if mistyped && text != crate_name() || EnvFilter::try_new(text).is_err() {
        return Err(Wrong::expected(
            "a level (error, warn, info, debug or trace) or directives such as info,bff::idp=debug",
        ));
    }
    Ok(text.to_owned())
}

const fn crate_name() -> &'static str {
    env!("CARGO_PKG_NAME")
}

/// Visible ASCII characters (`%x21-7E`), a given number of them.
pub(super) fn visible(text: &str, length: RangeInclusive<usize>) -> Result<String, Wrong> {
    if length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(Wrong::expected(format!(
        "{} to {} visible ASCII characters without a space",
        length.start(),
        length.end()
    )))
}

/// Text on one line.
pub(super) fn line(text: &str) -> Result<String, Wrong> {
    if text.chars().any(char::is_control) {
        return Err(Wrong::expected("text without control characters"));
    }
    Ok(text.to_owned())
}

/// A token that is sent in an `Authorization` header (RFC 6750 §2.1).
pub(super) fn token(text: &str) -> Result<(), Wrong> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Wrong::because(
        "expected visible ASCII characters only, since it is sent in an HTTP header, but there is \
         a space, a line break or another character in it; paste it again, on one line",
    ))
}

/// A passphrase: spaces are part of it.
pub(super) fn passphrase(text: &str) -> Result<(), Wrong> {
    if text.chars().any(char::is_control) {
        return Err(Wrong::because(
            "expected text on one line, but there is a line break or another control character \
             in it",
        ));
    }
    Ok(())
}

/// A signed JWT in compact form (RFC 7515 §3.1).
pub(super) fn jwt(text: &str) -> Result<(), Wrong> {
    let base64url = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if text.split('.').count() == 3 && text.split('.').all(base64url) {
        return Ok(());
    }
    Err(Wrong::because(
        "expected a signed JWT: three base64url parts with a dot between them, on one line",
    ))
}

/// An absolute `http` or `https` URL without user name, password and fragment.
pub(super) fn http_url(text: &str) -> Result<Url, Wrong> {
    let wrong = |what: &str| {
        let mut wrong = Wrong::expected(what);
        if text.contains('@') {
            wrong.found = Found::Hidden;
        }
        Err(wrong)
    };

    let lower = text.to_ascii_lowercase();
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
    if !(lower.starts_with("http://") || lower.starts_with("https://")) || !plain {
        return wrong("an absolute URL such as https://idp.example/api/oidc");
    }
    let Ok(url) = Url::parse(text) else {
        return wrong("an absolute URL such as https://idp.example/api/oidc");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("a URL without a user name and password");
    }
    if url.fragment().is_some() {
        return wrong("a URL without a fragment (#…)");
    }
    Ok(url)
}

/// A URL that others are appended to, or that is compared: without a query too.
pub(super) fn base_url(text: &str) -> Result<Url, Wrong> {
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
pub(super) fn redirect_uri(text: &str) -> Result<String, Wrong> {
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

/// A grant type: a registered name, or an absolute URI (RFC 6749 §4.5).
pub(super) fn grant_type(text: &str) -> Result<String, Wrong> {
    const NAMES: [&str; 5] = [
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "implicit",
        "password",
    ];

    let uri = text.contains(':') && text.bytes().all(|byte| byte.is_ascii_graphic());
    if uri || NAMES.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(Wrong::expected(
        "authorization_code, refresh_token, client_credentials or a URI such as \
         urn:ietf:params:oauth:grant-type:token-exchange",
    ))
}

/// One value of a `scope` (RFC 6749 §3.3).
pub(super) fn scope_token(text: &str) -> Result<String, Wrong> {
    if text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
    {
        return Ok(text.to_owned());
    }
    Err(Wrong::expected(
        "visible ASCII characters without quotes and backslashes in each scope",
    ))
}

/// Whether a URL leads to this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A URL with more path, whether or not the first ends in a slash.
pub(super) fn append(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}
