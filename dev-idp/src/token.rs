//! Bearer tokens: made, compared, and kept as hashes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::error::ErrorStack;
use openssl::{memcmp, rand, sha};

/// Entropy of a token, in octets.
const TOKEN_OCTETS: usize = 32;

/// Makes a token; `prefix` tells a reader of a log what kind it was.
///
/// # Errors
///
/// The random source failed.
pub(crate) fn random(prefix: &str) -> Result<String, ErrorStack> {
    let mut octets = [0; TOKEN_OCTETS];
    rand::rand_bytes(&mut octets)?;
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(octets)))
}

/// What is kept of a token: base64url of its SHA-256.
pub(crate) fn digest(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha::sha256(token.as_bytes()))
}

/// Compares two tokens in a time that tells nothing about them, their lengths included.
pub(crate) fn same(a: &str, b: &str) -> bool {
    memcmp::eq(&sha::sha256(a.as_bytes()), &sha::sha256(b.as_bytes()))
}

/// Recognises a token without revealing it.
pub(crate) fn fingerprint(token: &str) -> String {
    digest(token).chars().take(8).collect()
}
