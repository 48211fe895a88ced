//! A registered `bff` whose keys are to be rotated, and a client that signs with them.

use std::cell::Cell;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dev_idp::{Builder, DevIdp, Endpoint, Exchange};
use reqwest::Method;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::support::child::{Bff, Ended};
use crate::support::environment::Env;
use crate::support::eventually;
use crate::support::http::{self, Answer};
use crate::support::world::World;

const ADMIN_TOKEN: &str = "for-the-administrator-of-a-test";

pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) env: Env,
    pub(crate) bff: Bff,
}

/// One authentication of the client, with the key that signs.
#[derive(Debug)]
pub(crate) struct Try {
    pub(crate) kid: String,
    pub(crate) status: u16,
    pub(crate) error: String,
}

impl Try {
    pub(crate) fn accepted(&self) -> bool {
        self.status == 400 && self.error == "invalid_grant"
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(DevIdp::builder(), |env| env).await
    }

    /// Copies of the JWK Set live for one second, unless `change` says otherwise.
    pub(crate) async fn with(builder: Builder, change: impl FnOnce(Env) -> Env) -> Self {
        let world = World::with(builder).await;
        let env = world
            .env_with_token()
            .set("BFF_ADMIN_TOKEN", ADMIN_TOKEN)
            .set("BFF_JWKS_MAX_AGE", "1s");
        let env = change(env);
        let registers = env.get("DCR_ENABLED") != Some("false");
        if registers {
            // The process that rotates has sent no control, so it has no pause to keep after one.
            world.run(&env).await;
        }
        let bff = Bff::serve(&env);
        if registers {
            bff.ready().await;
        } else {
            bff.serving().await;
        }
        Self { world, env, bff }
    }

    /// Ends the service, and starts it again with `env`.
    pub(crate) async fn restart(&mut self, env: Env) {
        self.bff.signal("TERM");
        let bff = std::mem::replace(&mut self.bff, Bff::start(&["--version"], &env, ""));
        assert_eq!(bff.ended().await.code, Some(0));
        self.env = env;
        self.bff = self.world.ready(&self.env).await;
    }

    /// `POST /admin/rotate`.
    pub(crate) async fn order(&self, order: &Value) -> Answer {
        self.post(&order.to_string(), &[]).await
    }

    /// `POST /admin/rotate` with this body and these headers more.
    pub(crate) async fn post(&self, body: &str, headers: &[(&str, &str)]) -> Answer {
        let url = self.world.port.url("/admin/rotate");
        let request = http::request(Method::POST, &url)
            .bearer_auth(ADMIN_TOKEN)
            .body(body.to_owned());
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        http::send(request).await
    }

    /// Orders a rotation without waiting, and waits until the new key signs. Answers its ID.
    pub(crate) async fn rotate_now(&self) -> String {
        let answer = self.order(&json!({"mode": "now"})).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let kid = answer.json()["kid"].as_str().unwrap().to_owned();
        self.signs(&kid).await;
        kid
    }

    /// Waits until that key signs.
    pub(crate) async fn signs(&self, kid: &str) {
        eventually("the new key signs", async || {
            (self.current() == kid).then_some(())
        })
        .await;
    }

    /// Fetches a path as the administrator.
    pub(crate) async fn admin(&self, path: &str) -> Answer {
        let request = http::request(Method::GET, &self.world.port.url(path));
        http::send(request.bearer_auth(ADMIN_TOKEN)).await
    }

    /// `GET /admin/rotate`.
    pub(crate) async fn rotation(&self) -> Value {
        self.admin("/admin/rotate").await.json()
    }

    /// Runs a command beside the service.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        Bff::start(arguments, &self.env, "").ended().await
    }

    /// A key of the stored ring; empty if there is none.
    pub(crate) fn stored(&self, state: &str) -> String {
        let kid = &self.world.volume.state()["ring"][state]["jwk"]["kid"];
        kid.as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn current(&self) -> String {
        self.stored("current")
    }

    /// The IDs of the published keys.
    pub(crate) async fn published(&self) -> Vec<String> {
        let keys = self.world.keys().await;
        let kid = |key: &Value| key["kid"].as_str().unwrap().to_owned();
        keys.iter().map(kid).collect()
    }

    /// Where an application that reads the key itself finds it.
    pub(crate) fn active(&self) -> PathBuf {
        std::fs::read_link(self.world.volume.file("active.pem")).unwrap()
    }

    /// Authenticates at the IdP with an assertion of `bff assertion`.
    pub(crate) async fn authenticate(&self) -> Try {
        let ended = self.run(&["assertion"]).await;
        assert_eq!(ended.code, Some(0), "{ended}");
        let assertion = ended.stdout.trim();
        let header = assertion.split('.').next().unwrap();
        let header: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", "made-up")
            .append_pair("client_id", &self.world.client_id())
            .append_pair(
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            )
            .append_pair("client_assertion", assertion)
            .finish();
        let url = format!("{}/token", self.world.idp.issuer());
        let request = http::request(Method::POST, &url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let answer = http::send(request).await;
        Try {
            kid: header["kid"].as_str().unwrap().to_owned(),
            status: answer.status,
            error: answer.json()["error"].as_str().unwrap().to_owned(),
        }
    }

    /// Authenticates again and again until `work` is done, and a few times more.
    pub(crate) async fn under_load(&self, work: impl Future<Output = ()>) -> Vec<Try> {
        let done = Cell::new(false);
        let mut tries = Vec::new();
        let work = async {
            work.await;
            done.set(true);
        };
        let load = async {
            while !done.get() {
                tries.push(self.authenticate().await);
            }
            for _ in 0..3 {
                tries.push(self.authenticate().await);
            }
        };
        tokio::join!(work, load);
        tries
    }

    /// The authentications with that key, the service's own and those of the load.
    pub(crate) fn authentications(&self, kid: &str) -> Vec<Exchange> {
        let mut exchanges = self.world.received(Endpoint::Token);
        exchanges.retain(|exchange| kid_of(exchange) == Some(kid));
        exchanges
    }
}

/// The key with which a client authenticated.
pub(crate) fn kid_of(exchange: &Exchange) -> Option<&str> {
    exchange.request["client_assertion"]["header"]["kid"].as_str()
}
