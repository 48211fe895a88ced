//! Keys that are registered by value, for an IdP that cannot or will not fetch them.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use dev_idp::{Config, DevIdp, Endpoint, Fault};
use reqwest::Method;
use serde_json::{Value, json};

use support::child::Bff;
use support::environment::Env;
use support::eventually;
use support::http::{self, Answer};
use support::port::Port;
use support::world::World;

const ADMIN: &str = "admin-token-of-this-test";

#[tokio::test]
async fn keys_by_value_are_registered_without_an_address() {
    let world = World::new().await;
    let env = world.env_with_token().set("DCR_JWKS", "value");

    let bff = world.ready(&env).await;

    let asked = &world.received(Endpoint::Register)[0].request;
    assert_eq!(asked["jwks"], json!({"keys": world.keys().await}));
    assert!(asked.get("jwks_uri").is_none(), "{asked}");
    for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
        assert!(asked["jwks"]["keys"][0].get(private).is_none());
    }
    assert!(world.idp.fetches().is_empty());
    bff.stop().await;
    for _ in 0..3 {
        world.run(&env).await;
    }
    assert_eq!(world.writes().len(), 1);
}

#[tokio::test]
async fn a_change_between_address_and_value_is_one_update_each() {
    let world = World::new().await;
    let client_id = world.registered().await;
    let value = world.env().set("DCR_JWKS", "value");

    world.run(&value).await;
    world.run(&value).await;
    let registered = metadata(&world);
    assert!(registered.get("jwks_uri").is_none(), "{registered}");
    assert!(registered["jwks"]["keys"].is_array());

    world.run(&world.env()).await;
    let registered = metadata(&world);
    assert!(registered.get("jwks").is_none(), "{registered}");
    assert!(registered["jwks_uri"].is_string());
    let updates = world.received(Endpoint::Update);
    assert_eq!(updates.len(), 2);
    for update in updates {
        let members = [update.request.get("jwks"), update.request.get("jwks_uri")];
        assert_eq!(members.iter().flatten().count(), 1, "never both");
    }
    assert_eq!(world.clients(), [client_id]);
}

#[tokio::test]
async fn an_idp_that_fetched_nothing_leads_to_the_setting_that_helps() {
    let mut config = Config::shipped().unwrap();
    config.policy.fetch_jwks_at_registration = false;
    let world = World::with(DevIdp::builder().config(config)).await;
    // As from inside a container, where this address is somebody else's.
    let nowhere = Port::reserve().url("");
    let env = world
        .env_with_token()
        .set("BFF_BASE_URL", nowhere)
        .set("BFF_BOOTSTRAP_TIMEOUT", "1s");

    for _ in 0..2 {
        let ended = Bff::serve(&env).ended().await;
        ended.fails(
            77,
            &["nobody has fetched", "BFF_BASE_URL", "DCR_JWKS=value"],
        );
    }

    // The same client, without a new token.
    let client_id = world.client_id();
    world.run(&env.set("DCR_JWKS", "value")).await;
    assert_eq!(world.clients(), [client_id]);
    assert_eq!(world.received(Endpoint::Register).len(), 1);
}

#[tokio::test]
async fn keys_that_nobody_has_to_fetch_are_not_missed() {
    let world = World::new().await;
    let env = world.env_with_token().set("DCR_JWKS", "value");
    let (on, status) = (Endpoint::Token, 401);
    world.idp.faults().set(Fault::Status { on, status });
    let env = env.set("BFF_BOOTSTRAP_TIMEOUT", "0s");

    let ended = Bff::serve(&env).ended().await;

    ended.fails(77, &["BFF_BOOTSTRAP_TIMEOUT=15m"]);
    assert!(!ended.stderr.contains("nobody has fetched"), "{ended}");
}

#[tokio::test]
async fn a_restart_after_a_rotation_pushes_nothing() {
    let world = World::new().await;
    let env = by_value(&world);
    let bff = world.ready(&env).await;
    let before = world.keys().await;
    assert_eq!(order(&world, json!({"mode": "now"})).await.status, 202);
    eventually("the new key signs", async || {
        let keys = world.volume.state()["ring"]["current"]["jwk"].clone();
        (keys["kid"] != before[0]["kid"]).then_some(())
    })
    .await;
    bff.stop().await;

    for _ in 0..2 {
        world.run(&env).await;
    }

    // The set with both keys; the other key signs of them then.
    assert_eq!(world.received(Endpoint::Update).len(), 1);
}

#[tokio::test]
async fn a_rotation_that_could_never_end_does_not_begin() {
    let world = World::new().await;
    world.idp.faults().set(Fault::NoManagement);
    let bff = world.ready(&by_value(&world)).await;
    let before = world.keys().await;

    for mode in ["now", "scheduled", "compromised"] {
        let refused = order(&world, json!({"mode": mode})).await;

        assert_eq!(refused.status, 409, "{mode} {refused:?}");
        let detail = refused.json().to_string();
        for words in ["DCR_JWKS=value", "BOOTSTRAP_ADMIN_TOKEN"] {
            assert!(detail.contains(words), "{detail}");
        }
        assert_eq!(world.keys().await, before, "{mode}");
    }
    let body = json!({"mode": "now", "even_if_unpublished": true});
    assert_eq!(order(&world, body).await.status, 422);

    let body = json!({"mode": "compromised", "even_if_unpublished": true});
    assert_eq!(order(&world, body).await.status, 202);
    let keys = world.keys().await;
    assert_eq!(keys.len(), 1);
    assert_ne!(keys, before);

    // The command of the hint, as it is written there.
    let command = ["rotate", "--compromised"];
    let refused = Bff::start(&command, &by_value(&world), "").ended().await;
    assert_ne!(refused.code, Some(0), "{refused}");
    let hinted = refused.stderr.split('`').find(|t| t.starts_with("bff "));
    let hinted: Vec<&str> = hinted.unwrap().split(' ').skip(1).collect();
    let done = Bff::start(&hinted, &by_value(&world), "").ended().await;
    assert_eq!(done.code, Some(0), "{done}");
    assert_ne!(world.keys().await, keys);
    bff.stop().await;
}

fn by_value(world: &World) -> Env {
    let env = world.env_with_token().set("DCR_JWKS", "value");
    env.set("BFF_ADMIN_TOKEN", ADMIN)
}

async fn order(world: &World, body: Value) -> Answer {
    let request = http::request(Method::POST, &world.port.url("/admin/rotate"));
    let request = request.bearer_auth(ADMIN).body(body.to_string());
    http::send(request.header("content-type", "application/json")).await
}

fn metadata(world: &World) -> Value {
    let [(_, metadata)] = world.idp.clients().try_into().unwrap();
    metadata
}
