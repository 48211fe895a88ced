//! Where the configured initial access token is kept.

use std::sync::{Mutex, PoisonError};

use crate::oauth::InitialAccessToken;
use crate::registration::TokenFingerprint;
use crate::secret::Secret;

/// The configured initial access token, until the service is registered: then it is used up or not
/// needed, its memory is wiped, and only its fingerprint stays.
#[derive(Debug)]
pub struct TokenPlace {
    token: Mutex<Option<Secret>>,
    fingerprint: Option<TokenFingerprint>,
}

impl TokenPlace {
    /// Keeps the token of the configuration.
    pub fn new(token: Option<Secret>) -> Self {
        let fingerprint = token
            .clone()
            .map(|token| TokenFingerprint::of(&InitialAccessToken(token)));
        Self {
            token: Mutex::new(token),
            fingerprint,
        }
    }

    /// The token, unless it was wiped.
    pub fn token(&self) -> Option<InitialAccessToken> {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        token.clone().map(InitialAccessToken)
    }

    /// Which token is configured, also after it was wiped.
    pub fn fingerprint(&self) -> Option<&TokenFingerprint> {
        self.fingerprint.as_ref()
    }

    /// Wipes the token: another one needs another configuration, and so another start.
    pub fn wipe(&self) {
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        *token = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_wiped_token_the_fingerprint_stays() {
        let place = TokenPlace::new(Some(Secret::new("iat")));
        let token = place.token().unwrap();

        place.wipe();

        assert!(place.token().is_none());
        assert_eq!(place.fingerprint(), Some(&TokenFingerprint::of(&token)));
    }
}
