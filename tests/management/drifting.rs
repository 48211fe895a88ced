//! What others change at the IdP: found by a slow read, said, and mended on order alone.

use std::sync::Arc;
use std::time::Duration;

use bff::app::Shutdown;
use bff::clock::Clock;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::environment::Env;
use crate::support::world::World;
use crate::support::{eventually, http};
use crate::updates::{methods, ordered, set_at_the_idp};
use crate::within_at;

const ADMIN: &str = "admin-token-of-this-test";

#[tokio::test]
async fn what_others_have_changed_is_mended_on_order_as_a_dry_run_has_said() {
    let world = World::unfetching().await;
    world.registered().await;
    set_at_the_idp(&world, "scope", json!("openid")).await;
    let env = world.env().set("BFF_ADMIN_TOKEN", ADMIN);

    world.run(&env).await;
    let bff = world.ready(&env).await;
    let plan = dry_run(&world).await;
    bff.stop().await;
    world.run(&env).await;
    assert_eq!(methods(&world)[1..], ["GET"], "only the dry run asked");
    assert_eq!(plan["plan"], "update");
    assert_eq!(plan["diff"][0]["member"], "scope");
    assert_eq!(plan["diff"][0]["idp"], "openid");

    let done = ordered(&env).await;

    assert_eq!(scope(&world), "openid profile", "{done}");
    assert_eq!(methods(&world)[1..], ["GET", "GET", "PUT"]);
    let bff = world.ready(&env).await;
    assert_eq!(dry_run(&world).await["plan"], "nothing");
    bff.stop().await;
}

#[tokio::test]
async fn what_others_have_changed_is_found_a_day_after_the_last_read() {
    let world = World::unfetching().await;
    world.registered().await;
    set_at_the_idp(&world, "scope", json!("openid")).await;
    let later = |hours| Clock::new(move || Timestamp::now() + Duration::from_hours(hours));
    let shutdown = Shutdown::new();

    let (_, registrar) = within_at(&world, &world.env(), later(25)).await;
    shutdown.spawn(Arc::clone(&registrar).keep_read());

    let read = eventually("it is read", async || {
        let state = world.volume.state();
        let scope = &state["registration"]["seen"]["metadata"]["scope"];
        (scope == "openid").then_some(state)
    })
    .await;
    assert!(read.get("rat_marker").is_none());
    let status = status_of(&world.env()).await;
    assert_eq!(
        status["registration"]["last_checked_at"],
        read["registration"]["seen"]["at"]
    );
    assert_eq!(methods(&world)[1..], ["GET"]);
    assert_eq!(scope(&world), "openid", "it is left as it is");
}

#[tokio::test]
async fn a_value_that_the_idp_always_grants_is_said_once() {
    let world = World::unfetching().await;
    let (member, value) = ("scope".to_owned(), json!("openid"));
    let fault = dev_idp::Fault::SubstituteMember { member, value };
    world.idp.faults().set(fault);
    world.registered().await;

    for path in ["one", "two"] {
        let uri = format!("https://app.example/{path}");
        let ended = world.run(&crate::redirecting(&world, &uri)).await;

        let warnings = ended.messages("WARN");
        let said = warnings.iter().filter(|text| text.contains("granted"));
        assert_eq!(said.count(), 0, "{ended}");
    }
}

async fn dry_run(world: &World) -> Value {
    let url = world.port.url("/admin/register?dry_run=true");
    let request = http::request(Method::POST, &url).bearer_auth(ADMIN);
    http::send(request).await.json()
}

async fn status_of(env: &Env) -> Value {
    let arguments = ["--json", "status"];
    let ended = crate::support::child::Bff::start(&arguments, env, "")
        .ended()
        .await;
    serde_json::from_str(&ended.stdout).unwrap()
}

fn scope(world: &World) -> Value {
    let [(_, metadata)] = world.idp.clients().try_into().unwrap();
    metadata["scope"].clone()
}
