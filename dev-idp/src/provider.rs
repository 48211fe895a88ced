//! The provider itself: what all endpoints share.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::Value;

use crate::client::Clients;
use crate::config::Config;
use crate::exchange::Journal;
use crate::fault::{Endpoint, Fault, Faults};
use crate::initial_access::InitialAccessTokens;
use crate::jwk;
use crate::jwks_cache::{JwksCache, JwksCachePolicy, Node};
use crate::token;

/// Path of the issuer.
pub(crate) const ISSUER_PATH: &str = "/api/oidc";

/// Which audience of a client assertion is accepted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AudiencePolicy {
    /// The issuer, or the URL of the endpoint called, or the token endpoint.
    #[default]
    Any,
    /// The issuer only (RFC 10070).
    Issuer,
    /// The URL of the endpoint called only, as many servers do.
    Endpoint,
}

impl FromStr for AudiencePolicy {
    type Err = &'static str;

    /// Reads `any`, `issuer` or `endpoint`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "any" => Ok(Self::Any),
            "issuer" => Ok(Self::Issuer),
            "endpoint" => Ok(Self::Endpoint),
            _ => Err("expected any, issuer or endpoint"),
        }
    }
}

/// Tells the time; a test moves it.
pub(crate) type Now = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// What all endpoints share.
pub(crate) struct Provider {
    /// Origin of all URLs handed out, without a trailing slash.
    pub(crate) base_url: String,
    pub(crate) admin_token: String,
    pub(crate) config: Config,
    pub(crate) audience: AudiencePolicy,
    pub(crate) faults: Faults,
    pub(crate) journal: Journal,
    pub(crate) jwks: JwksCache,
    pub(crate) public_key: Value,
    now: Now,
    registry: Mutex<Registry>,
    /// When each `jti` seen may be forgotten, in seconds since the epoch.
    seen: Mutex<HashMap<(String, String), i64>>,
    issued: Option<Mutex<Vec<String>>>,
}

/// What registration reads and changes as one.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) clients: Clients,
    pub(crate) initial: InitialAccessTokens,
}

/// What a provider starts from.
pub(crate) struct Settings {
    pub(crate) base_url: String,
    pub(crate) admin_token: Option<String>,
    pub(crate) config: Config,
    pub(crate) audience: AudiencePolicy,
    pub(crate) jwks_cache: JwksCachePolicy,
    pub(crate) clients_file: Option<PathBuf>,
    pub(crate) now: Now,
    pub(crate) remember_secrets: bool,
}

impl Provider {
    /// # Errors
    ///
    /// The clients cannot be read, the random source failed, or TLS cannot be set up.
    pub(crate) fn new(settings: Settings) -> io::Result<Self> {
        let admin_token = match settings.admin_token {
            Some(token) => token,
            None => token::random("admin-")?,
        };
        Ok(Self {
            base_url: settings.base_url,
            admin_token,
            config: settings.config,
            audience: settings.audience,
            faults: Faults::default(),
            journal: Journal::new(),
            jwks: JwksCache::new(settings.jwks_cache).map_err(io::Error::other)?,
            public_key: jwk::fresh_public_key()?,
            now: settings.now,
            registry: Mutex::new(Registry {
                clients: Clients::open(settings.clients_file)?,
                initial: InitialAccessTokens::default(),
            }),
            seen: Mutex::default(),
            issued: settings.remember_secrets.then(Mutex::default),
        })
    }

    pub(crate) fn issuer(&self) -> String {
        self.at("")
    }

    /// The URL of a path below the issuer.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{ISSUER_PATH}{path}", self.base_url)
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.now)()
    }

    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a token to hand out.
    ///
    /// # Errors
    ///
    /// The random source failed.
    pub(crate) fn issue(&self, prefix: &str) -> io::Result<String> {
        let token = token::random(prefix)?;
        if let Some(issued) = &self.issued {
            let mut issued = issued.lock().unwrap_or_else(PoisonError::into_inner);
            issued.push(token.clone());
        }
        Ok(token)
    }

    pub(crate) fn issued(&self) -> Vec<String> {
        self.issued
            .as_ref()
            .map(|issued| {
                let issued = issued.lock().unwrap_or_else(PoisonError::into_inner);
                issued.clone()
            })
            .unwrap_or_default()
    }

    /// Whether this `jti` is new; remembers it until `expires` (seconds since the epoch).
    pub(crate) fn first_use(&self, client_id: &str, jti: &str, expires: i64, now: i64) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, until| *until > now);
        seen.insert((client_id.to_owned(), jti.to_owned()), expires)
            .is_none()
    }

    /// Loses all clients and what is cached of them.
    pub(crate) fn forget_clients(&self) -> io::Result<()> {
        self.jwks.clear();
        self.registry().clients.clear()
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

/// What is special about one request.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) endpoint: Endpoint,
    pub(crate) faults: Vec<Fault>,
    /// The node that serves the request.
    pub(crate) node: Node,
    /// The provider's clock, with the skew of a fault.
    pub(crate) now: Timestamp,
}

impl Context {
    pub(crate) fn suffers(&self, fault: &Fault) -> bool {
        self.faults.contains(fault)
    }
}
