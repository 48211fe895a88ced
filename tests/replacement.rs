//! One client in place of another: there is a client that works at any time.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use dev_idp::{DevIdp, Endpoint, Fault};
use serde_json::json;

use support::child::Bff;
use support::environment::Env;
use support::eventually;
use support::world::World;

const REGISTER: Endpoint = Endpoint::Register;

#[tokio::test]
async fn a_client_that_works_stays_until_the_new_one_does() {
    let world = World::new().await;
    let old = world.registered().await;
    // The server names a client that does not exist, as one does that takes it in late.
    let fault = Fault::ReplyAfter {
        on: REGISTER,
        status: 201,
        location: None,
        body: r#"{"client_id":"late"}"#.to_owned(),
    };
    world.idp.faults().set_times(fault, 1);
    let env = world.env_to_replace().set("BFF_BOOTSTRAP_TIMEOUT", "2s");

    let bff = world.ready(&env).await;

    assert_eq!(world.get("/readyz").await.status, 200);
    bff.says("A replacement is under way").await;
    bff.stop().await;
    let state = world.volume.state();
    assert_eq!(state["registration"]["client_id"], json!(old));
    assert_eq!(state["candidate"]["client"]["client_id"], "late");
    let again = world.run(&world.env()).await;
    assert!(
        again.messages("WARN").join("\n").contains("`late`"),
        "each start says so: {again}"
    );
    assert_eq!(world.received(REGISTER).len(), 2);
    assert!(world.received(Endpoint::Delete).is_empty());
}

#[tokio::test]
async fn a_replacement_is_never_begun_by_a_deletion() {
    for (status, client_id) in [
        (401, Some("shop")),
        (403, Some("shop")),
        (500, None),
        (401, None),
    ] {
        let world = World::new().await;
        let wish = |env: Env| match client_id {
            Some(client_id) => env.set("DCR_CLIENT_ID", client_id),
            None => env,
        };
        world.run(&wish(world.env_with_token())).await;
        let before = world.clients();
        for on in [REGISTER, Endpoint::Update] {
            world.idp.faults().set(Fault::Status { on, status });
        }

        let env = wish(world.env_to_replace()).set("BFF_BOOTSTRAP_TIMEOUT", "2s");
        world.run(&env).await;
        world.idp.faults().clear();
        world.run(&wish(world.env())).await;

        assert!(world.received(Endpoint::Delete).is_empty(), "{status}");
        assert_eq!(world.clients(), before, "{status} {client_id:?}");
    }
}

#[tokio::test]
async fn a_replacement_whose_answer_is_lost_is_said_at_every_start() {
    let world = World::new().await;
    let old = world.registered().await;
    let fault = Fault::DropAfter { on: REGISTER };
    world.idp.faults().set_times(fault, 1);
    let env = world.env_to_replace();

    for _ in 0..3 {
        let ended = world.run(&env).await;
        let said = ended.stderr;
        assert!(said.contains("client may exist"), "{said}");
        assert!(said.contains(&old), "{said}");
    }

    assert_eq!(world.received(REGISTER).len(), 2);
    assert_eq!(world.client_id(), old);
}

#[tokio::test]
async fn where_everybody_may_register_turning_the_order_on_replaces_once() {
    let mut config = dev_idp::Config::shipped().unwrap();
    config.policy.require_initial_access_token = false;
    let world = World::with(DevIdp::builder().config(config)).await;
    let forced = world.env().set("DCR_FORCE_REPLACE", "true");
    world.run(&forced).await;
    let first = world.client_id();
    world.run(&forced).await;
    assert_eq!(world.client_id(), first, "the value at the registration");

    world.run(&world.env()).await;
    for _ in 0..3 {
        world.run(&forced).await;
    }

    assert_ne!(world.client_id(), first);
    assert_eq!(world.received(REGISTER).len(), 2);
    assert_eq!(world.clients(), [world.client_id()]);
}

#[tokio::test]
async fn an_answer_that_names_our_own_client_deletes_nothing() {
    let world = World::new().await;
    let ours = world.registered().await;
    for body in [
        format!(r#"{{"client_id":"{ours}","token_endpoint_auth_method":"none"}}"#),
        format!(r#"{{"client_id":"{ours}"}}"#),
    ] {
        world.idp.faults().set_times(
            Fault::ReplyAfter {
                on: REGISTER,
                status: 201,
                location: None,
                body,
            },
            1,
        );
        world.run(&world.env_to_replace()).await;
        assert_eq!(world.client_id(), ours);
        assert!(world.clients().contains(&ours));
        let state = world.volume.state();
        assert!(state["registration"]["management"].is_object(), "{state}");
    }
    assert!(world.received(Endpoint::Delete).is_empty());
}

#[tokio::test]
async fn a_registered_service_starts_without_its_idp_and_works_when_it_is_back() {
    let world = World::new().await;
    world.registered().await;
    let on = Endpoint::Any;
    world.idp.faults().set(Fault::DropBefore { on });
    let env = world.env().set("BFF_BOOTSTRAP_TIMEOUT", "1s");

    let bff = Bff::serve(&env);
    bff.says("using what it served last").await;
    eventually("it is ready by the last verdict", async || {
        (world.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(world.keys().await.len(), 1);
    world.idp.faults().clear();
    bff.ready().await;

    let ended = bff.stop().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(world.writes().len(), 1);
}
