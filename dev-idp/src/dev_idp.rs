//! The provider in this process, for tests and demonstrations.

mod builder;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::broadcast;

pub use self::builder::Builder;
use crate::admin::DEFAULT_LIFETIME;
use crate::exchange::{Direction, Exchange};
use crate::fault::Faults;
use crate::initial_access::Grant;
use crate::provider::Provider;
use crate::server::Server;

/// A running development identity provider; it stops when dropped.
#[derive(Debug)]
pub struct DevIdp {
    provider: Arc<Provider>,
    server: Server,
}

impl DevIdp {
    /// Starts from the defaults: a free loopback port, the shipped policy, clients in memory.
    pub fn builder() -> Builder {
        Builder::new()
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
