//! What is not settled about the client is seen in the health and the status, with what to do.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use dev_idp::{Endpoint, Fault};
use serde_json::{Value, json};

use support::child::Bff;
use support::environment::Env;
use support::world::World;

const REGISTER: Endpoint = Endpoint::Register;

#[tokio::test]
async fn a_candidate_is_shown_with_the_client_that_it_is_to_replace() {
    let world = World::new().await;
    let old = world.registered().await;
    let fault = Fault::ReplyAfter {
        on: REGISTER,
        status: 201,
        location: None,
        body: r#"{"client_id":"late"}"#.to_owned(),
    };
    world.idp.faults().set_times(fault, 1);
    let env = world.env_to_replace().set("BFF_BOOTSTRAP_TIMEOUT", "1s");

    let shown = shown(&world, &env).await;

    let facts = &shown["unsettled"][0];
    assert_eq!(facts["kind"], "candidate", "{shown}");
    assert_eq!(facts["client_id"], "late", "{shown}");
    assert_eq!(facts["present"], json!(old), "{shown}");
    assert!(facts["rejected_s"].is_u64(), "{shown}");
    let status = stored_status(&env).await;
    assert_eq!(status["registration"]["state"], "replacing", "{status}");
    assert_eq!(status["unsettled"][0]["client_id"], "late", "{status}");
}

#[tokio::test]
async fn an_attempt_without_an_answer_is_shown_beside_the_present_client() {
    let world = World::new().await;
    let old = world.registered().await;
    let fault = Fault::DropAfter { on: REGISTER };
    world.idp.faults().set_times(fault, 1);

    let shown = shown(&world, &world.env_to_replace()).await;

    let facts = &shown["unsettled"][0];
    assert_eq!(facts["kind"], "attempt", "{shown}");
    assert_eq!(facts["present"], json!(old), "{shown}");
    assert_eq!(facts["issuer"], json!(world.idp.issuer()), "{shown}");
}

#[tokio::test]
async fn a_client_that_is_left_over_is_shown_until_it_is_deleted() {
    let world = World::new().await;
    let old = world.registered().await;
    let on = Endpoint::Delete;
    let fault = Fault::Status { on, status: 503 };
    world.idp.faults().set_times(fault, 1);
    let env = world.env_to_replace();

    let shown = shown(&world, &env).await;

    let facts = &shown["unsettled"][0];
    assert_eq!(facts["kind"], "orphan", "{shown}");
    assert_eq!(facts["client_id"], json!(old), "{shown}");
    let again = world.run(&world.env()).await;
    let warnings = again.messages("WARN").join("\n");
    assert!(warnings.contains(&old), "each start says so: {again}");
}

#[tokio::test]
async fn a_client_that_is_perhaps_gone_is_shown_as_that() {
    let world = World::new().await;
    let old = world.registered().await;
    world.idp.faults().set(Fault::ForgetClients);
    let env = world.env().set("ALLOW_BOOTSTRAP_FAILURE", "true");
    let bff = Bff::serve(&env);
    bff.says("Continuing without a registration").await;

    let health = world.get("/healthz").await.json();

    let check = &health["checks"]["registration"];
    let facts = &check["unsettled"][0];
    assert_eq!(facts["kind"], "gone", "{check}");
    assert_eq!(facts["client_id"], json!(old), "{check}");
    assert!(facts["certain"].is_boolean(), "{check}");
    drop(bff);
    let text = Bff::start(&["status"], &env, "").ended().await;
    assert!(text.stdout.contains("registration  gone"), "{text}");
    assert!(text.stdout.contains("unsettled     the IdP "), "{text}");
    assert!(text.stdout.contains("; hint: "), "{text}");
}

/// The registration as `/healthz` of a service shows it that is ready and degraded.
async fn shown(world: &World, env: &Env) -> Value {
    let bff = world.ready(env).await;
    assert_eq!(world.get("/readyz").await.status, 200);
    let health = world.get("/healthz").await;
    bff.stop().await;
    assert_eq!(health.status, 200, "{health:?}");
    let health = health.json();
    assert_eq!(health["status"], "degraded", "{health}");
    let check = health["checks"]["registration"].clone();
    assert_eq!(check["status"], "degraded", "{check}");
    let hint = check["unsettled"][0]["hint"].as_str();
    assert!(hint.is_some_and(|hint| !hint.is_empty()), "{check}");
    check
}

async fn stored_status(env: &Env) -> Value {
    let status = Bff::start(&["--json", "status"], env, "").ended().await;
    serde_json::from_str(&status.stdout).unwrap()
}
