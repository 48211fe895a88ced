//! Changes after a document was lost or replaced by an older one.

use jiff::Timestamp;

use super::document::{Restored, State};
use super::journal::Event;
use crate::keyring::KeyRing;
use crate::registration::TokenFingerprint;

impl State {
    /// Notes that this is not the newest state that there was. `tokens` are the configured ones;
    /// a minted one is perhaps spent too, and is not used. Where that is noted already, the first
    /// reason stays.
    pub fn note_restored(&mut self, reason: &str, now: Timestamp, tokens: Vec<TokenFingerprint>) {
        let minted = self.minted.take();
        let minted = minted.map(|minted| minted.fingerprint());
        let restored = self.restored.get_or_insert_with(|| Restored {
            since: now,
            reason: reason.to_owned(),
            tokens: Vec::new(),
        });
        for token in tokens.into_iter().chain(minted) {
            if !restored.tokens.contains(&token) {
                restored.tokens.push(token);
            }
        }
        let detail = format!("an older state is used: {reason}");
        self.journal.add(now, Event::Restored, None, detail);
    }

    /// Takes over which keys a later state has revoked.
    pub fn keep_revoked(&mut self, thumbprints: &[String]) {
        for thumbprint in thumbprints {
            if !self.revoked.contains(thumbprint) {
                self.revoked.push(thumbprint.clone());
            }
        }
    }

    /// Whether a key that was revoked is in the JWK Set: one of an older state.
    pub fn publishes_revoked(&self) -> bool {
        let published = self.ring.iter().flat_map(KeyRing::published);
        let mut thumbprints = published.map(|jwk| jwk.key.thumbprint());
        thumbprints.any(|thumbprint| self.revoked.contains(&thumbprint))
    }

    /// Takes the state as it is. The tokens that are perhaps spent count as spent from then on.
    /// Says whether there was anything to accept.
    pub fn accept_restore(&mut self, now: Timestamp) -> bool {
        let Some(restored) = self.restored.take() else {
            return false;
        };
        for token in restored.tokens {
            if !self.spent.contains(&token) {
                self.spent.push(token);
            }
        }
        let detail = format!("the state of {} is accepted as it is", restored.since);
        self.journal.add(now, Event::RestoreAccepted, None, detail);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::InitialAccessToken;
    use crate::registration::MintedIat;
    use crate::secret::Secret;

    #[test]
    fn a_restored_state_says_so_until_it_is_accepted_and_its_tokens_are_spent_then() {
        let mut state = State::default();
        let minted = MintedIat {
            token: Secret::new("minted"),
            at: at(0),
            valid_at: None,
            expires_at: None,
        };
        state.mint(minted, at(0));

        state.note_restored("it was damaged", at(1), vec![token("configured")]);
        state.note_restored(
            "once more",
            at(2),
            vec![token("configured"), token("other")],
        );
        let restored = state.restored().unwrap().clone();
        assert!(state.accept_restore(at(3)));

        let tokens = ["configured", "minted", "other"].map(token);
        assert_eq!(
            (restored.since, &*restored.reason),
            (at(1), "it was damaged")
        );
        assert_eq!(restored.tokens, tokens);
        assert_eq!((state.restored(), state.spent()), (None, &tokens[..]));
        assert!(state.minted().is_none());
        assert!(!state.accept_restore(at(4)));
        let events: Vec<_> = state
            .journal()
            .entries()
            .map(|entry| &entry.event)
            .collect();
        assert_eq!(
            events[1..],
            [&Event::Restored, &Event::Restored, &Event::RestoreAccepted]
        );
    }

    fn token(text: &str) -> TokenFingerprint {
        TokenFingerprint::of(&InitialAccessToken(Secret::new(text)))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }
}
