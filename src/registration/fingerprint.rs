//! Recognises a token without keeping it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::sha::{Sha256, sha256};
use serde::{Deserialize, Serialize};

use crate::oauth::{InitialAccessToken, Management};
use crate::secret::Secret;

/// Tells whether two tokens are the same; says nothing else about them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct TokenFingerprint(String);

impl TokenFingerprint {
    /// The fingerprint of `token`.
    pub fn of(token: &InitialAccessToken) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"bff initial access token\0");
        hash.update(token.0.expose().as_bytes());
        Self::of_hash(hash)
    }

    /// The fingerprint of all that can authorize a change of a client: its registration access
    /// token, and the administrator's token that renews it.
    pub fn of_management(management: Option<&Management>, administrator: Option<&Secret>) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"bff client configuration\0");
        // Each has a digest of one length, so that no text of one can be taken for the other.
        for token in [management.map(|held| &held.token), administrator] {
            let text = token.map(Secret::expose);
            let known = [u8::from(text.is_some())];
            hash.update(&known);
            hash.update(&sha256(text.unwrap_or_default().as_bytes()));
        }
        Self::of_hash(hash)
    }

    fn of_hash(hash: Sha256) -> Self {
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
