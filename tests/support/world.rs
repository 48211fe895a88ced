//! A development IdP, a volume, and the address at which `bff` will serve.

use dev_idp::{Builder, DevIdp, Endpoint, Exchange};
use serde_json::Value;

use super::child::{Bff, Ended};
use super::environment::Env;
use super::http::{self, Answer};
use super::port::Port;
use super::volume::Volume;

/// Everything that a `bff` needs around it.
pub(crate) struct World {
    pub(crate) idp: DevIdp,
    pub(crate) volume: Volume,
    pub(crate) port: Port,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(DevIdp::builder()).await
    }

    /// With an IdP that does not look at the keys when the metadata changes, while nobody serves
    /// them.
    pub(crate) async fn unfetching() -> Self {
        let mut config = dev_idp::Config::shipped().unwrap();
        config.policy.fetch_jwks_at_registration = false;
        Self::with(DevIdp::builder().config(config)).await
    }

    pub(crate) async fn with(builder: Builder) -> Self {
        Self {
            idp: builder.start().await.unwrap(),
            volume: Volume::new(),
            port: Port::reserve(),
        }
    }

    /// What an operator configures, but for a token.
    pub(crate) fn env(&self) -> Env {
        env(&self.volume, &self.port, &self.idp.issuer())
    }

    /// The same with a fresh initial access token.
    pub(crate) fn env_with_token(&self) -> Env {
        self.env().set("DCR_IAT", self.idp.mint_iat())
    }

    /// The same with the order to replace the client.
    pub(crate) fn env_to_replace(&self) -> Env {
        self.env_with_token().set("DCR_FORCE_REPLACE", "true")
    }

    /// Starts `bff serve` and waits until it is ready.
    pub(crate) async fn ready(&self, env: &Env) -> Bff {
        let bff = Bff::serve(env);
        bff.ready().await;
        bff
    }

    /// Starts `bff serve`, waits until it is ready, and stops it.
    pub(crate) async fn run(&self, env: &Env) -> Ended {
        let ended = self.ready(env).await.stop().await;
        assert_eq!(ended.code, Some(0), "{ended}");
        ended
    }

    /// Registers a client with a fresh token, stops, and returns its `client_id`.
    pub(crate) async fn registered(&self) -> String {
        self.run(&self.env_with_token()).await;
        self.client_id()
    }

    /// The `client_id` in the state document.
    pub(crate) fn client_id(&self) -> String {
        self.volume.state()["registration"]["client_id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The identifiers of the clients that exist at the IdP.
    pub(crate) fn clients(&self) -> Vec<String> {
        let clients = self.idp.clients().into_iter();
        clients.map(|(client_id, _)| client_id).collect()
    }

    /// The `redirect_uris` of the only client at the IdP.
    pub(crate) fn redirects(&self) -> Vec<String> {
        let [(_, metadata)] = self.idp.clients().try_into().unwrap();
        serde_json::from_value(metadata["redirect_uris"].clone()).unwrap()
    }

    /// The requests that one endpoint received.
    pub(crate) fn received(&self, endpoint: Endpoint) -> Vec<Exchange> {
        let mut requests = self.idp.requests();
        requests.retain(|exchange| exchange.endpoint == endpoint);
        requests
    }

    /// The requests that asked the IdP to change a registration.
    pub(crate) fn writes(&self) -> Vec<Exchange> {
        let mut requests = self.idp.requests();
        requests.retain(|exchange| exchange.write);
        requests
    }

    /// The `aud` of every assertion that the token endpoint received.
    pub(crate) fn audiences(&self) -> Vec<String> {
        let audience = |exchange: &Exchange| {
            let claims = &exchange.request["client_assertion"]["claims"];
            claims["aud"].as_str().unwrap_or_default().to_owned()
        };
        self.received(Endpoint::Token)
            .iter()
            .map(audience)
            .collect()
    }

    /// Fetches a path of `bff`.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        http::get(&self.port.url(path)).await
    }

    /// The keys in the published JWK Set.
    pub(crate) async fn keys(&self) -> Vec<Value> {
        let set = self.get("/.well-known/jwks.json").await.json();
        set["keys"].as_array().unwrap().clone()
    }
}

/// The settings of a `bff` with this volume and this port, for the IdP at `issuer`.
pub(crate) fn env(volume: &Volume, port: &Port, issuer: &str) -> Env {
    Env::empty()
        .set("BFF_LISTEN", port.address.to_string())
        .set("BFF_BASE_URL", port.url(""))
        .set("BFF_KEYS_DIR", volume.path())
        .set("IDP_BASE_URL", issuer)
        .set("DCR_REDIRECT_URIS", "https://app.example/cb")
        .set("DCR_SCOPE", "openid profile")
        .set("BFF_BOOTSTRAP_TIMEOUT", "10s")
}
