//! From text to values, each with the words for what was expected.

mod duration;
mod metadata;
mod regular_file;
mod url;
mod wrong;

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use nix::unistd::Group;
use tracing_subscriber::EnvFilter;

pub(super) use self::duration::{duration, in_units, interval};
pub(super) use self::metadata::{grant_type, jwt, passphrase, scope_token, token};
pub(super) use self::regular_file::{open_regular, read_bounded, read_text};
pub(super) use self::url::{base_url, endpoint_url, redirect_uri};
pub(super) use self::wrong::{Wrong, quoted, shown};
use crate::jose::{Algorithm, Kid};

/// `true`/`false`, `1`/`0`, `yes`/`no`, `on`/`off`, in any case.
pub(super) fn boolean(text: &str) -> Result<bool, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "on" | "true" | "yes" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(Wrong::expected("true or false")),
    }
}

/// A whole number.
pub(super) fn number(range: RangeInclusive<u32>) -> impl Fn(&str) -> Result<u32, Wrong> {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let (least, most) = range.clone().into_inner();
            Wrong::expected(format!("a whole number from {least} to {most}"))
        })
    }
}

/// One of a few words, in any case.
pub(super) fn choice<T: Copy>(choices: &[(&str, T)]) -> impl Fn(&str) -> Result<T, Wrong> {
    |text| {
        let chosen = choices
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(text));
        chosen.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            Wrong::expected(one_of(&words))
        })
    }
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
    if text.contains("-----BEGIN") {
        return Err(Wrong::because(
            "expected the path of a PEM file, but this is the content of one",
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(Wrong::expected("a path without control characters"));
    }
    Ok(PathBuf::from(text))
}

/// A group by its name or its number.
pub(super) fn group(text: &str) -> Result<u32, Wrong> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    match Group::from_name(text) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        _ => Err(Wrong::expected(
            "the name of a group that this host knows, or its number",
        )),
    }
}

/// The name of an algorithm, exactly.
pub(super) fn algorithm(text: &str) -> Result<Algorithm, Wrong> {
    text.parse()
        .map_err(|_| Wrong::expected(one_of(&Algorithm::ALL.map(Algorithm::name))))
}

/// A filter of `tracing`: a level, or directives such as `info,bff::idp=debug`.
pub(super) fn log_filter(text: &str) -> Result<String, Wrong> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

    // A bare word that is not a level would be read as a module's name, and turn all others off.
    let mistyped = LEVELS
        .iter()
        .map(|level| strsim::osa_distance(level, &text.to_ascii_lowercase()))
        .min()
        .is_some_and(|distance| (1..=2).contains(&distance));
    if mistyped && text != env!("CARGO_PKG_NAME") || EnvFilter::try_new(text).is_err() {
        return Err(Wrong::expected(
            "a level (error, warn, info, debug or trace) or directives such as info,bff::idp=debug",
        ));
    }
    Ok(text.to_owned())
}

/// The name of a key (RFC 7517 §4.5).
pub(super) fn kid(text: &str) -> Result<Kid, Wrong> {
    text.parse().map_err(|_| visible_up_to(Kid::MAX_LENGTH))
}

/// A `client_id`: visible ASCII characters (`%x21-7E`), 1 to 256 of them.
pub(super) fn client_id(text: &str) -> Result<String, Wrong> {
    const MAX_LENGTH: usize = 256;

    let fits = (1..=MAX_LENGTH).contains(&text.len());
    if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(visible_up_to(MAX_LENGTH))
}

fn visible_up_to(length: usize) -> Wrong {
    Wrong::expected(format!(
        "1 to {length} visible ASCII characters without a space"
    ))
}

/// Text on one line.
pub(super) fn line(text: &str) -> Result<String, Wrong> {
    if text.chars().any(char::is_control) {
        return Err(Wrong::expected("text without control characters"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_leave_out_the_host_or_name_localhost() {
        let cases = [
            ("0.0.0.0:8000", Some("0.0.0.0:8000")),
            (":8000", Some("0.0.0.0:8000")),
            ("localhost:0", Some("127.0.0.1:0")),
            ("[::]:8000", Some("[::]:8000")),
            ("8000", None),
            (":", None),
            (":+1", None),
            (":65536", None),
            ("bff:8000", None),
            ("::1:8000", None),
        ];

        for (text, expected) in cases {
            let address = socket_address(text).ok().map(|address| address.to_string());
            assert_eq!(address.as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_group_is_a_name_that_is_known_or_a_number() {
        assert_eq!(group("root").ok(), Some(0));
        assert_eq!(group("65532").ok(), Some(65_532));
        for text in ["no-such-group", "-1", "4294967296"] {
            assert!(group(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_mistyped_level_is_not_taken_for_a_module() {
        for text in ["info", "WARN", "bff", "info,bff::idp=debug", "off"] {
            assert!(log_filter(text).is_ok(), "{text}");
        }
        for text in ["inf", "debgu", "info,bff=loud", "="] {
            assert!(log_filter(text).is_err(), "{text}");
        }
    }
}
