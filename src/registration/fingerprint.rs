//! Recognises a token without keeping it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::sha::Sha256;
use serde::{Deserialize, Serialize};

use crate::oauth::InitialAccessToken;

/// Tells whether two initial access tokens are the same one; says nothing else about them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct TokenFingerprint(String);

impl TokenFingerprint {
    /// The fingerprint of `token`.
    pub fn of(token: &InitialAccessToken) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"bff initial access token\0");
        hash.update(token.0.expose().as_bytes());
        let digest = hash.finish();
        let (half, _) = digest.split_at(digest.len() / 2);
        Self(URL_SAFE_NO_PAD.encode(half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn equal_tokens_have_equal_fingerprints_that_do_not_show_them() {
        let of = |token: &str| TokenFingerprint::of(&InitialAccessToken(Secret::new(token)));

        assert_eq!(of("iat-1"), of("iat-1"));
        assert_ne!(of("iat-1"), of("iat-2"));
        assert!(!format!("{:?}", of("iat-1")).contains("iat-1"));
    }
}
