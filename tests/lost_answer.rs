//! A registration whose answer is lost: no client is forgotten, and no token is spent twice.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::sync::Arc;

use bff::disk::HostDisk;
use bff::registration::Attempt;
use bff::store::{FileStore, Store as _};
use dev_idp::{Endpoint, Fault};
use reqwest::Method;
use serde_json::{Value, json};

use support::child::Bff;
use support::eventually;
use support::http::{request, send};
use support::volume::Volume;
use support::world::World;

const REGISTER: Endpoint = Endpoint::Register;

#[tokio::test]
async fn after_a_lost_answer_only_a_new_token_leads_on() {
    for fault in [
        Fault::DropAfter { on: REGISTER },
        Fault::CutBody { on: REGISTER },
        Fault::BadGatewayAfter { on: REGISTER },
    ] {
        let world = World::new().await;
        world.idp.faults().set_times(fault.clone(), 1);
        let env = world.env_with_token();

        let ended = Bff::serve(&env).ended().await;
        ended.fails(69, &["is unknown", "bff mint-iat", "DCR_IAT"]);
        assert_eq!(world.clients().len(), 1, "{fault:?}: it was committed");

        for env in [env, world.env()] {
            let ended = Bff::serve(&env).ended().await;
            ended.fails(1, &["a client may exist", "bff mint-iat", "DCR_IAT"]);
            assert_eq!(world.received(REGISTER).len(), 1, "{fault:?}");
        }

        world.run(&world.env_with_token()).await;
        assert_eq!(world.received(REGISTER).len(), 2, "{fault:?}");
        let journal = world.volume.state()["journal"].to_string();
        assert!(journal.contains("attempt_abandoned"), "{journal}");
    }
}

#[tokio::test]
async fn a_lost_client_with_a_wished_name_is_found_by_our_key() {
    for fault in [
        Fault::DropAfter { on: REGISTER },
        Fault::BadGatewayAfter { on: REGISTER },
    ] {
        let world = World::new().await;
        world.idp.faults().set_times(fault, 1);
        let env = world.env_with_token().set("DCR_CLIENT_ID", "shop");

        let ended = world.run(&env).await;

        assert_eq!(world.client_id(), "shop");
        assert_eq!(world.received(REGISTER).len(), 1);
        let warnings = ended.messages("WARN");
        assert!(
            warnings
                .iter()
                .any(|text| text.contains("`shop` exists after all")),
            "{ended}"
        );
    }
}

#[tokio::test]
async fn a_client_that_is_found_after_an_unclear_answer_keeps_the_token_of_the_answer() {
    let world = World::new().await;
    let twice = Fault::ReplyAfter {
        on: REGISTER,
        status: 201,
        location: None,
        body: r#"{"scope":"theirs",{members}}"#.to_owned(),
    };
    world.idp.faults().set_times(twice, 1);
    let env = world.env_with_token().set("DCR_CLIENT_ID", "shop");

    world.run(&env).await;
    let changed = env.set("DCR_REDIRECT_URIS", "https://app.example/new");
    world.run(&changed).await;

    let (_, metadata) = world.idp.clients().remove(0);
    assert_eq!(
        metadata["redirect_uris"],
        json!(["https://app.example/new"])
    );
    assert_eq!(world.received(REGISTER).len(), 1);
}

#[tokio::test]
async fn a_crash_while_the_idp_answers_is_followed_by_a_start_that_knows_of_it() {
    let world = World::new().await;
    let (on, millis) = (REGISTER, 60_000);
    world.idp.faults().set_times(Fault::Delay { on, millis }, 1);
    let env = world.env_with_token();
    let bff = Bff::serve(&env);
    eventually("the client is committed", async || {
        (!world.clients().is_empty()).then_some(())
    })
    .await;

    bff.kill().await;

    let ended = Bff::serve(&env).ended().await;
    ended.fails(1, &["a client may exist", "DCR_IAT"]);
    assert_eq!(world.received(REGISTER).len(), 1);
    world.run(&world.env_with_token()).await;
}

#[tokio::test]
async fn a_crash_after_the_answer_was_stored_loses_nothing() {
    let world = World::new().await;
    let offline = world.env().set("DCR_ENABLED", "false");
    let bff = Bff::serve(&offline);
    bff.says("Registration is off").await;
    let endpoint = format!("{}/dcr/register", world.idp.issuer());
    let asked = json!({
        "token_endpoint_auth_method": "private_key_jwt", "redirect_uris": ["https://app.example/cb"],
        "jwks_uri": world.port.url("/.well-known/jwks.json"),
    });
    let post = request(Method::POST, &endpoint)
        .bearer_auth(world.idp.mint_iat())
        .header("content-type", "application/json")
        .body(asked.to_string());
    let answer = send(post).await;
    bff.stop().await;
    leave_behind(
        &world.volume,
        &json!({
            "issuer": world.idp.issuer(), "endpoint": endpoint, "asked": asked,
            "started_at": "2026-01-01T00:00:00Z",
            "answer": {
                "status": 201, "body": answer.body, "received_at": "2026-01-01T00:00:01Z",
            },
        }),
    );

    world.run(&world.env()).await;

    assert_eq!(world.client_id(), answer.json()["client_id"]);
    assert_eq!(world.received(REGISTER).len(), 1);
}

/// Leaves a state as a process does that ends before it has interpreted an answer.
fn leave_behind(volume: &Volume, attempt: &Value) {
    let store = FileStore::new(Arc::new(HostDisk), volume.path(), volume.path());
    let mut loaded = store.load().unwrap();
    let attempt: Attempt = serde_json::from_value(attempt.clone()).unwrap();
    let started_at = attempt.started_at;
    loaded.state.intend(attempt, false, started_at);
    store.commit(&loaded.state, loaded.rev).unwrap();
}
