//! How the provider is started.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpListener;
use url::Url;

use super::DevIdp;
use crate::admin::DEFAULT_LIFETIME;
use crate::config::Config;
use crate::initial_access::Grant;
use crate::jwks_cache::JwksCachePolicy;
use crate::provider::{AudiencePolicy, ISSUER_PATH, Now, Provider, Settings};
use crate::routes;
use crate::server::{Reach, Server, may_listen};
use crate::surroundings::Surroundings;

/// How to start a [`DevIdp`].
pub struct Builder {
    listen: Listen,
    reach: Reach,
    surroundings: Option<Surroundings>,
    base_url: Option<String>,
    config: Option<Config>,
    clients_file: Option<PathBuf>,
    admin_token: Option<String>,
    initial_tokens: Vec<String>,
    jwks_cache: JwksCachePolicy,
    nodes: NonZero<usize>,
    audience: AudiencePolicy,
    now: Now,
    remember_secrets: bool,
}

enum Listen {
    Address(SocketAddr),
    Listener(TcpListener),
}

impl Builder {
    /// The defaults.
    pub(super) fn new() -> Self {
        Self {
            listen: Listen::Address((Ipv4Addr::LOCALHOST, 0).into()),
            reach: Reach::default(),
            surroundings: None,
            base_url: None,
            config: None,
            clients_file: None,
            admin_token: None,
            initial_tokens: Vec::new(),
            jwks_cache: JwksCachePolicy::default(),
            nodes: NonZero::<usize>::MIN,
            audience: AudiencePolicy::default(),
            now: Box::new(Timestamp::now),
            remember_secrets: false,
        }
    }

    /// Listens here instead of on a free loopback port.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = Listen::Address(address);
        self
    }

    /// Listens on this listener.
    #[must_use]
    pub fn listener(mut self, listener: TcpListener) -> Self {
        self.listen = Listen::Listener(listener);
        self
    }

    /// From where it may be reached.
    #[must_use]
    pub fn reach(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    /// What to believe of containers here, instead of what the machine shows.
    #[must_use]
    pub fn surroundings(mut self, surroundings: Surroundings) -> Self {
        self.surroundings = Some(surroundings);
        self
    }

    /// The origin under which others reach it, where that is not the address it listens on.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Another policy than the shipped one.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Keeps the clients in this YAML file, so that they survive a restart.
    #[must_use]
    pub fn clients_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.clients_file = Some(file.into());
        self
    }

    /// The administrator's token, instead of a random one.
    #[must_use]
    pub fn admin_token(mut self, token: impl Into<String>) -> Self {
        self.admin_token = Some(token.into());
        self
    }

    /// Knows this initial access token from the start, for one registration within an hour.
    #[must_use]
    pub fn initial_access_token(mut self, token: impl Into<String>) -> Self {
        self.initial_tokens.push(token.into());
        self
    }

    /// How it remembers the clients' JWK Sets.
    #[must_use]
    pub fn jwks_cache(mut self, policy: JwksCachePolicy) -> Self {
        self.jwks_cache = policy;
        self
    }

    /// How many nodes it is made of: they take the connections in turn, and each remembers the
    /// clients' JWK Sets for itself.
    #[must_use]
    pub fn nodes(mut self, nodes: NonZero<usize>) -> Self {
        self.nodes = nodes;
        self
    }

    /// Which audience of a client assertion it accepts.
    #[must_use]
    pub fn audience(mut self, policy: AudiencePolicy) -> Self {
        self.audience = policy;
        self
    }

    /// The clock: all times are asked here.
    #[must_use]
    pub fn clock(mut self, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.now = Box::new(now);
        self
    }

    /// Remembers every secret handed out, for a test that searches logs for them.
    #[must_use]
    pub fn remember_secrets(mut self) -> Self {
        self.remember_secrets = true;
        self
    }

    /// Starts the provider.
    ///
    /// # Errors
    ///
    /// The address is taken or not permitted, the base URL is not an origin, or the clients
    /// cannot be read.
    pub async fn start(self) -> io::Result<DevIdp> {
        let surroundings = self
            .surroundings
            .unwrap_or_else(|| Surroundings::read(Path::new("/")));
        let listener = match self.listen {
            Listen::Address(address) => {
                permit(address, self.reach, &surroundings)?;
                TcpListener::bind(address).await?
            }
            Listen::Listener(listener) => listener,
        };
        let address = listener.local_addr()?;
        permit(address, self.reach, &surroundings)?;
        let base_url = match self.base_url {
            Some(url) => origin(&url)?,
            None => format!("http://{address}"),
        };
        let config = match self.config {
            Some(config) => config,
            None => Config::shipped().map_err(io::Error::other)?,
        };
        let provider = Arc::new(Provider::new(Settings {
            base_url,
            admin_token: self.admin_token,
            config,
            audience: self.audience,
            jwks_cache: self.jwks_cache,
            clients_file: self.clients_file,
            now: self.now,
            remember_secrets: self.remember_secrets,
        })?);
        for token in &self.initial_tokens {
            let lifetime = Duration::from_secs(DEFAULT_LIFETIME);
            let grant = Grant::new(provider.now(), lifetime, 1);
            provider.registry().initial.insert(token, grant);
        }
        let router = routes::router(Arc::clone(&provider));
        let server = Server::start(listener, Arc::clone(&provider), router, self.nodes)?;
        Ok(DevIdp { provider, server })
    }
}

fn permit(address: SocketAddr, reach: Reach, surroundings: &Surroundings) -> io::Result<()> {
    may_listen(address.ip(), reach, surroundings)
        .map_err(|why| io::Error::new(io::ErrorKind::PermissionDenied, why))
}

/// The base URL without a trailing slash, if it is scheme, host and port only.
fn origin(url: &str) -> io::Result<String> {
    let parsed = Url::parse(url).ok().filter(|parsed| {
        parsed.has_host()
            && matches!(parsed.scheme(), "http" | "https")
            && parsed.path() == "/"
            && parsed.query().is_none()
            && parsed.fragment().is_none()
    });
    match parsed {
        Some(_) => Ok(url.trim_end_matches('/').to_owned()),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "the base URL {url} must be scheme, host and port only: the issuer is it and {ISSUER_PATH}"
            ),
        )),
    }
}
