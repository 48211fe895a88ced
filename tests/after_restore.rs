//! An older state is said to be one, sends nothing that could make, change or delete a client, and
//! goes on after `bff register --after-restore`.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;

use dev_idp::Endpoint;
use reqwest::Method;
use serde_json::{Value, json};

use support::child::{Bff, Ended};
use support::environment::Env;
use support::http::{Answer, request, send};
use support::world::World;

const TOKEN: &str = "an-admin-token-of-32-characters!";

#[tokio::test]
async fn an_older_state_waits_for_the_operator_and_then_goes_on() {
    let (world, env) = damaged().await;
    let writes = world.writes().len();
    let changed = env.clone().set("DCR_SCOPE", "openid");
    let forced = changed.clone().set("DCR_FORCE_REPLACE", "true");

    for env in [&env, &changed, &forced] {
        let ended = world.run(env).await;
        assert!(ended.stderr.contains("--after-restore"), "{ended}");
        assert_eq!(world.writes().len(), writes, "{ended}");
    }
    let status = Bff::start(&["status"], &changed, "").ended().await;
    assert!(
        status.stdout.contains("an older state is in use"),
        "{status}"
    );
    assert!(status.stdout.contains("--after-restore"), "{status}");
    let refused = Bff::start(&["register"], &changed, "").ended().await;
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.stderr.contains("--after-restore"), "{refused}");
    assert_eq!(world.writes().len(), writes);

    let ended = accept(&changed).await;

    assert_eq!(ended.code, Some(0), "{ended}");
    let client = format!("client `{}` at ", world.client_id());
    assert!(ended.stdout.starts_with(&client), "{ended}");
    assert_eq!(world.received(Endpoint::Update).len(), 1);
    let state = world.volume.state();
    assert!(state["restored"].is_null(), "{state}");
    let journal = state["journal"].to_string();
    assert!(journal.contains("restore_accepted"), "{journal}");
    let again = world.run(&forced).await;
    assert!(!again.stderr.contains("--after-restore"), "{again}");
    assert_eq!(world.received(Endpoint::Register).len(), 1, "it is spent");
}

#[tokio::test]
async fn a_running_service_takes_the_order_and_shows_what_it_waits_for() {
    let (world, env) = damaged().await;
    let env = env.set("DCR_SCOPE", "openid").set("BFF_ADMIN_TOKEN", TOKEN);
    let bff = world.ready(&env).await;
    for (query, body) in [
        ("", r#"{"after_restore":false}"#),
        ("", r#"{"after_restore":"true"}"#),
        ("", r#"{"after_restore":true,"dry_run":true}"#),
        ("", r#"["after_restore"]"#),
        ("?dry_run=true", r#"{"after_restore":true}"#),
    ] {
        let answer = order(&world, query, body).await;
        assert_eq!(answer.status, 422, "{query} {body}: {answer:?}");
        let hint = answer.json()["hint"].to_string();
        assert!(hint.contains("after_restore"), "{hint}");
    }
    let check = health(&world).await["state"].clone();
    assert_eq!(check["status"], "degraded", "{check}");
    let hint = check["hint"].as_str().unwrap();
    assert!(hint.contains("bff register --after-restore"), "{hint}");
    let unsettled = status(&world).await["unsettled"].clone();
    assert_eq!(unsettled[0]["kind"], "restored", "{unsettled}");
    assert!(world.received(Endpoint::Update).is_empty());

    let ended = accept(&env).await;

    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(world.received(Endpoint::Update).len(), 1);
    assert_eq!(health(&world).await["state"], json!({"status": "ok"}));
    assert!(status(&world).await["unsettled"].is_null());
    let again = order(&world, "", r#"{"after_restore":true}"#).await;
    assert_eq!(again.status, 200, "nothing to accept: {again:?}");
    let ended = bff.stop().await;
    let said = ended.messages("INFO");
    assert!(
        said.iter()
            .any(|text| text.starts_with("Audit: the older state")),
        "{ended}"
    );
}

/// A world with a registered client, whose newest state document is damaged, and its settings.
async fn damaged() -> (World, Env) {
    let world = World::new().await;
    let env = world.env_with_token();
    world.run(&env).await;
    let text = fs::read(world.volume.file("state.json")).unwrap();
    world.volume.write("state.json", &text[..text.len() / 2]);
    (world, env)
}

async fn accept(env: &Env) -> Ended {
    let command = ["register", "--after-restore"];
    Bff::start(&command, env, "").ended().await
}

async fn order(world: &World, query: &str, body: &str) -> Answer {
    let url = world.port.url(&format!("/admin/register{query}"));
    let post = request(Method::POST, &url).bearer_auth(TOKEN);
    send(post.body(body.to_owned())).await
}

async fn health(world: &World) -> Value {
    world.get("/healthz").await.json()["checks"].clone()
}

async fn status(world: &World) -> Value {
    let get = request(Method::GET, &world.port.url("/admin/status")).bearer_auth(TOKEN);
    send(get).await.json()
}
