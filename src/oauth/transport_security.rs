//! Which connections need no TLS: those that never leave the machine (RFC 8252 §8.3).

use url::{Host, Url};

/// Whether a URL points to this machine: its host is `localhost` or a literal loopback address.
///
/// A name under `.localhost` does not count, since many resolvers ask the network for it.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.strip_suffix('.').unwrap_or(name) == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_localhost_and_literal_loopback_addresses_are_this_machine() {
        let cases = [
            ("http://localhost/cb", true),
            ("http://LOCALHOST:8000", true),
            ("http://localhost.", true),
            ("http://127.0.0.1:1234", true),
            ("http://127.1.2.3", true),
            ("http://[::1]/cb", true),
            ("http://app.localhost", false),
            ("http://localhost..", false),
            ("http://localhost.example", false),
            ("http://0.0.0.0", false),
            ("http://10.0.0.1", false),
            ("http://[::]", false),
            ("http://[::ffff:127.0.0.1]", false),
            ("http://127.0.0.1.example", false),
            ("http://127.0.0.1@idp.example", false),
            ("urn:ietf:params:oauth", false),
        ];

        for (text, expected) in cases {
            assert_eq!(is_loopback(&text.parse().unwrap()), expected, "{text}");
        }
    }
}
