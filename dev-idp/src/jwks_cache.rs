//! The clients' JWK Sets, fetched and remembered as real providers do.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::header;
use jiff::Timestamp;
use serde_json::Value;

use crate::client::Client;
use crate::exchange::{Exchange, Journal};
use crate::header_fields::freshness;

/// Longest time for one fetch.
const FETCH_TIMEOUT: Duration = Duration::from_millis(2500);
/// Longest JWK Set that is read, in octets.
const MAX_SET: usize = 64 * 1024;

/// How long a fetched JWK Set is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum JwksCachePolicy {
    /// Each assertion is verified with a fresh set.
    NoCache,
    /// For this long, whatever the answer's headers say and whatever is missing.
    FixedTtl(Duration),
    /// For the answer's `max-age`, but at least `min`; an unknown `kid` changes nothing.
    HonourMaxAge {
        /// Lower bound.
        min: Duration,
    },
    /// For the answer's `max-age`; an unknown `kid` fetches again.
    RefetchOnMiss {
        /// Shortest time between two fetches for unknown `kid`s.
        cooldown: Duration,
    },
}

impl Default for JwksCachePolicy {
    fn default() -> Self {
        Self::RefetchOnMiss {
            cooldown: Duration::from_secs(1),
        }
    }
}

impl FromStr for JwksCachePolicy {
    type Err = String;

    /// Reads `none`, `fixed:SECONDS`, `honour-max-age[:MIN]` or `refetch-on-miss[:COOLDOWN]`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, seconds) = match text.split_once(':') {
            Some((name, seconds)) => match seconds.parse() {
                Ok(seconds) => (name, Some(Duration::from_secs(seconds))),
                Err(_) => return Err(format!("`{seconds}` is not a number of seconds")),
            },
            None => (text, None),
        };
        match (name, seconds) {
            ("none", None) => Ok(Self::NoCache),
            ("fixed", Some(ttl)) => Ok(Self::FixedTtl(ttl)),
            ("honour-max-age", min) => Ok(Self::HonourMaxAge {
                min: min.unwrap_or_default(),
            }),
            ("refetch-on-miss", None) => Ok(Self::default()),
            ("refetch-on-miss", Some(cooldown)) => Ok(Self::RefetchOnMiss { cooldown }),
            _ => Err(
                "expected none, fixed:SECONDS, honour-max-age[:MIN] or refetch-on-miss[:COOLDOWN]"
                    .to_owned(),
            ),
        }
    }
}

/// Why there is no JWK Set.
#[derive(Debug)]
pub(crate) struct FetchError(String);

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which of the provider's nodes serves a connection; each remembers for itself.
pub(crate) type Node = usize;

/// Fetches JWK Sets and remembers them by node and client.
#[derive(Debug)]
pub(crate) struct JwksCache {
    policy: JwksCachePolicy,
    http: reqwest::Client,
    sets: Mutex<HashMap<(Node, String), Cached>>,
}

#[derive(Clone, Debug)]
struct Cached {
    keys: Arc<Vec<Value>>,
    fetched_at: Timestamp,
    fresh_until: Timestamp,
}

impl JwksCache {
    /// # Errors
    ///
    /// TLS cannot be set up.
    pub(crate) fn new(policy: JwksCachePolicy) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(FETCH_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // Clients restart under it; a connection from before would fail a fetch.
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self {
            policy,
            http,
            sets: Mutex::default(),
        })
    }

    /// The keys of `client` in which `node` looks for `kid`.
    pub(crate) async fn keys(
        &self,
        node: Node,
        client: &Client,
        kid: &str,
        now: Timestamp,
        journal: &Journal,
    ) -> Result<Arc<Vec<Value>>, FetchError> {
        if let Some(Value::Array(keys)) =
            client.metadata.get("jwks").and_then(|set| set.get("keys"))
        {
            return Ok(Arc::new(keys.clone()));
        }
        let Some(uri) = client.text("jwks_uri") else {
            return Err(FetchError("the client has no keys".to_owned()));
        };
        let at = (node, client.client_id.clone());
        let cached = self.lock().get(&at).cloned();
        if let Some(cached) = cached.filter(|cached| self.usable(cached, kid, now)) {
            return Ok(cached.keys);
        }
        let (keys, max_age) = self.fetch(uri, now, journal).await?;
        self.remember(at, &keys, max_age, now);
        Ok(keys)
    }

    fn usable(&self, cached: &Cached, kid: &str, now: Timestamp) -> bool {
        let known = || {
            cached
                .keys
                .iter()
                .any(|key| key.get("kid").and_then(Value::as_str) == Some(kid))
        };
        let fresh = now < cached.fresh_until;
        match self.policy {
            JwksCachePolicy::RefetchOnMiss { cooldown } => {
                fresh && (known() || now < after(cached.fetched_at, cooldown))
            }
            _ => fresh,
        }
    }

    /// Remembers a set that was just fetched, at one node for one client.
    pub(crate) fn remember(
        &self,
        at: (Node, String),
        keys: &Arc<Vec<Value>>,
        max_age: Duration,
        now: Timestamp,
    ) {
        let lifetime = match self.policy {
            JwksCachePolicy::NoCache => Duration::ZERO,
            JwksCachePolicy::FixedTtl(ttl) => ttl,
            JwksCachePolicy::HonourMaxAge { min } => max_age.max(min),
            JwksCachePolicy::RefetchOnMiss { .. } => max_age,
        };
        let cached = Cached {
            keys: Arc::clone(keys),
            fetched_at: now,
            fresh_until: after(now, lifetime),
        };
        self.lock().insert(at, cached);
    }

    /// Forgets the set of a client whose registration changed, at every node.
    pub(crate) fn forget(&self, client_id: &str) {
        self.lock().retain(|(_, of), _| of != client_id);
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// Fetches a set now; also answers for how long it is fresh.
    pub(crate) async fn fetch(
        &self,
        uri: &str,
        now: Timestamp,
        journal: &Journal,
    ) -> Result<(Arc<Vec<Value>>, Duration), FetchError> {
        let answer = self
            .http
            .get(uri)
            .header(header::ACCEPT, "application/json")
            .send()
            .await;
        let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
        journal.record(Exchange::fetched(now, uri, status));
        let mut answer = match answer {
            Ok(answer) if answer.status() == 200 => answer,
            Ok(answer) => return Err(FetchError(format!("HTTP {}", answer.status().as_u16()))),
            Err(error) if error.is_timeout() => {
                return Err(FetchError("no answer in time".to_owned()));
            }
            Err(_) => return Err(FetchError("no connection".to_owned())),
        };
        let max_age = freshness(answer.headers());
        let mut body = Vec::new();
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|_| FetchError("the answer is not complete".to_owned()))?
        {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_SET {
                return Err(FetchError("the document is too long".to_owned()));
            }
        }
        let set: Value = serde_json::from_slice(&body)
            .map_err(|_| FetchError("the document is not JSON".to_owned()))?;
        match set {
            Value::Object(mut set) => match set.remove("keys") {
                Some(Value::Array(keys)) if !keys.is_empty() => Ok((Arc::new(keys), max_age)),
                _ => Err(FetchError("the document has no keys".to_owned())),
            },
            _ => Err(FetchError("the document is not a JWK Set".to_owned())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Node, String), Cached>> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn after(time: Timestamp, wait: Duration) -> Timestamp {
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}
