//! The provider in this process, for tests and demonstrations.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::broadcast;

use crate::admin::DEFAULT_LIFETIME;
use crate::config::Config;
use crate::exchange::{Direction, Exchange};
use crate::fault::Faults;
use crate::initial_access::Grant;
use crate::jwks_cache::JwksCachePolicy;
use crate::provider::{AudiencePolicy, Now, Provider, Settings};
use crate::routes;
use crate::server::{Reach, Server, may_listen};

/// A running development identity provider; it stops when dropped.
#[derive(Debug)]
pub struct DevIdp {
    provider: Arc<Provider>,
    server: Server,
}

/// How to start a [`DevIdp`].
pub struct Builder {
    listen: Listen,
    reach: Reach,
    base_url: Option<String>,
    config: Option<Config>,
    clients_file: Option<PathBuf>,
    admin_token: Option<String>,
    initial_tokens: Vec<String>,
    jwks_cache: JwksCachePolicy,
    audience: AudiencePolicy,
    now: Now,
    remember_secrets: bool,
}

enum Listen {
    Address(SocketAddr),
    Listener(TcpListener),
}

impl DevIdp {
    /// Starts from the defaults: a free loopback port, the shipped policy, clients in memory.
    pub fn builder() -> Builder {
        Builder {
            listen: Listen::Address((Ipv4Addr::LOCALHOST, 0).into()),
            reach: Reach::default(),
            base_url: None,
            config: None,
            clients_file: None,
            admin_token: None,
            initial_tokens: Vec::new(),
            jwks_cache: JwksCachePolicy::default(),
            audience: AudiencePolicy::default(),
            now: Box::new(Timestamp::now),
            remember_secrets: false,
        }
    }

    /// The issuer identifier, from which discovery starts: [`Self::base_url`] + `/api/oidc`.
    pub fn issuer(&self) -> String {
        self.provider.issuer()
    }

    /// The origin of all its URLs, without a trailing slash.
    pub fn base_url(&self) -> String {
        self.provider.base_url.clone()
    }

    /// Where tokens are minted and renewed: [`Self::base_url`] + `/api/admin`.
    pub fn admin_base_url(&self) -> String {
        format!("{}/api/admin", self.provider.base_url)
    }

    /// Where it listens; a restart may be given it.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// The bearer token of the administrator.
    pub fn admin_token(&self) -> &str {
        &self.provider.admin_token
    }

    /// An initial access token for one registration within an hour.
    ///
    /// # Panics
    ///
    /// The operating system gives no random numbers.
    pub fn mint_iat(&self) -> String {
        self.mint_iat_with(1, Duration::from_secs(DEFAULT_LIFETIME))
    }

    /// An initial access token for `max_uses` registrations within `lifetime`.
    ///
    /// # Panics
    ///
    /// The operating system gives no random numbers.
    #[expect(clippy::expect_used, reason = "a test has nothing else to do about it")]
    pub fn mint_iat_with(&self, max_uses: u32, lifetime: Duration) -> String {
        let token = self.provider.issue("iat-").expect("random numbers");
        let grant = Grant::new(self.provider.now(), lifetime, max_uses);
        self.provider.registry().initial.insert(&token, grant);
        token
    }

    /// How many registrations an initial access token has made; `None` if it is unknown.
    pub fn iat_uses(&self, token: &str) -> Option<u32> {
        self.provider.registry().initial.uses(token)
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.provider.faults
    }

    /// Every request received so far, oldest first.
    pub fn requests(&self) -> Vec<Exchange> {
        self.of_direction(Direction::Received)
    }

    /// Every fetch of a client's JWK Set so far, oldest first.
    pub fn fetches(&self) -> Vec<Exchange> {
        self.of_direction(Direction::Fetched)
    }

    fn of_direction(&self, direction: Direction) -> Vec<Exchange> {
        let mut exchanges = self.provider.journal.all();
        exchanges.retain(|exchange| exchange.direction == direction);
        exchanges
    }

    /// Every exchange from now on, in both directions.
    pub fn subscribe(&self) -> broadcast::Receiver<Exchange> {
        self.provider.journal.subscribe()
    }

    /// The clients that exist: `client_id` and registered metadata.
    pub fn clients(&self) -> Vec<(String, Value)> {
        self.provider
            .registry()
            .clients
            .all()
            .iter()
            .map(|client| {
                let metadata = Value::Object(client.metadata.clone());
                (client.client_id.clone(), metadata)
            })
            .collect()
    }

    /// Loses all clients and initial access tokens, as a provider with storage in memory does.
    ///
    /// # Errors
    ///
    /// The file of the clients cannot be written.
    pub fn forget_everything(&self) -> io::Result<()> {
        self.provider.registry().initial.clear();
        self.provider.forget_clients()
    }

    /// Deletes one client; says whether it existed.
    ///
    /// # Errors
    ///
    /// The file of the clients cannot be written.
    pub fn delete_client(&self, client_id: &str) -> io::Result<bool> {
        self.provider.jwks.forget(client_id);
        self.provider.registry().clients.remove(client_id)
    }

    /// Every token and secret handed out, if [`Builder::remember_secrets`] was set.
    pub fn issued_secrets(&self) -> Vec<String> {
        self.provider.issued()
    }

    /// Finishes the requests under way, for at most two seconds, and stops; after that the
    /// address is free.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
    }
}

impl Builder {
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

    /// The origin under which others reach it, where that is not the address it listens on.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into().trim_end_matches('/').to_owned());
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
    /// The address is taken or not permitted, or the clients cannot be read.
    pub async fn start(self) -> io::Result<DevIdp> {
        let listener = match self.listen {
            Listen::Address(address) => {
                permit(address, self.reach)?;
                TcpListener::bind(address).await?
            }
            Listen::Listener(listener) => listener,
        };
        let address = listener.local_addr()?;
        permit(address, self.reach)?;
        let config = match self.config {
            Some(config) => config,
            None => Config::shipped().map_err(io::Error::other)?,
        };
        let provider = Arc::new(Provider::new(Settings {
            base_url: self.base_url.unwrap_or_else(|| format!("http://{address}")),
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
        let server = Server::start(listener, Arc::clone(&provider), router)?;
        Ok(DevIdp { provider, server })
    }
}

fn permit(address: SocketAddr, reach: Reach) -> io::Result<()> {
    may_listen(address.ip(), reach)
        .map_err(|why| io::Error::new(io::ErrorKind::PermissionDenied, why))
}
