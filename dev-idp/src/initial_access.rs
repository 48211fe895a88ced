//! Initial access tokens (RFC 7591 §3).

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::token;

/// The initial access tokens handed out, by hash.
#[derive(Debug, Default)]
pub(crate) struct InitialAccessTokens(HashMap<String, Grant>);

/// What one initial access token is good for.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    /// First moment at which it is no longer accepted.
    pub(crate) expires_at: Timestamp,
    /// Registrations it may make.
    pub(crate) max_uses: u32,
    /// Registrations it has made.
    pub(crate) uses: u32,
}

impl Grant {
    /// A grant of `max_uses` registrations in the `lifetime` from `now`.
    pub(crate) fn new(now: Timestamp, lifetime: Duration, max_uses: u32) -> Self {
        Self {
            expires_at: now.checked_add(lifetime).unwrap_or(Timestamp::MAX),
            max_uses,
            uses: 0,
        }
    }
}

impl InitialAccessTokens {
    pub(crate) fn insert(&mut self, token: &str, grant: Grant) {
        self.0.insert(token::digest(token), grant);
    }

    /// Why `token` may not register a client now; `None` if it may.
    pub(crate) fn objection(&self, token: &str, now: Timestamp) -> Option<&'static str> {
        match self.0.get(&token::digest(token)) {
            None => Some("the initial access token is unknown"),
            Some(grant) if grant.expires_at <= now => Some("the initial access token has expired"),
            Some(grant) if grant.uses >= grant.max_uses => {
                Some("the initial access token is used up")
            }
            Some(_) => None,
        }
    }

    /// Counts one registration; only after it has been committed.
    pub(crate) fn count_use(&mut self, token: &str) {
        if let Some(grant) = self.0.get_mut(&token::digest(token)) {
            grant.uses += 1;
        }
    }

    pub(crate) fn uses(&self, token: &str) -> Option<u32> {
        self.0.get(&token::digest(token)).map(|grant| grant.uses)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
