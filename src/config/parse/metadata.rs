//! Tokens, scopes and grant types.

use super::wrong::Wrong;

/// A token that is sent in an `Authorization` header (RFC 6750 §2.1).
pub(in crate::config) fn token(text: &str) -> Result<(), Wrong> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Wrong::because(
        "expected visible ASCII characters, without spaces and line breaks, for an HTTP header; \
         set it again, on one line",
    ))
}

/// A passphrase: spaces are part of it.
pub(in crate::config) fn passphrase(text: &str) -> Result<(), Wrong> {
    if text.chars().any(char::is_control) {
        return Err(Wrong::because(
            "expected text on one line, but there is a line break or another control character \
             in it",
        ));
    }
    Ok(())
}

/// A signed JWT in compact form (RFC 7515 §3.1).
pub(in crate::config) fn jwt(text: &str) -> Result<(), Wrong> {
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

/// A grant type: a registered name, or an absolute URI (RFC 6749 §4.5).
pub(in crate::config) fn grant_type(text: &str) -> Result<String, Wrong> {
    const NAMES: [&str; 4] = [
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "password",
    ];

    if text == "implicit" {
        return Err(Wrong::expected(
            "authorization_code in place of implicit, which puts tokens into redirect URIs \
             (RFC 9700 §2.1.2)",
        ));
    }
    let uri = text.contains(':') && text.bytes().all(|byte| byte.is_ascii_graphic());
    if uri || NAMES.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(Wrong::expected(
        "authorization_code, refresh_token, client_credentials or the URI of an extension grant",
    ))
}

/// One value of a `scope` (RFC 6749 §3.3).
pub(in crate::config) fn scope_token(text: &str) -> Result<String, Wrong> {
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
