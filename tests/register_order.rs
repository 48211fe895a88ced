//! `bff register`, alone and through the running service: the same outcome and exit code.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use dev_idp::{Endpoint, Fault};
use reqwest::Method;
use serde_json::Value;

use support::child::{Bff, Ended};
use support::environment::Env;
use support::eventually;
use support::http::{Answer, request, send};
use support::port::Port;
use support::volume::Volume;
use support::world::{World, env};

const TOKEN: &str = "an-admin-token-of-32-characters!";

#[tokio::test]
async fn alone_the_exit_code_says_who_has_to_act() {
    let (nobody, volume, port) = (Port::reserve(), Volume::new(), Port::reserve());
    let down = env(&volume, &port, &nobody.url("/api/oidc")).set("BFF_BOOTSTRAP_TIMEOUT", "0");
    let world = World::new().await;
    let wrong = world.env().set("DCR_IAT", "iat-that-nobody-minted");

    let down = register(&down).await;
    let wrong = register(&wrong).await;

    assert_eq!(down.code, Some(69), "{down}");
    assert_eq!(wrong.code, Some(77), "{wrong}");
}

#[tokio::test]
async fn through_a_service_a_token_that_is_not_accepted_ends_as_alone() {
    let world = World::new().await;
    let env = operated(&world)
        .set("DCR_IAT", "iat-that-nobody-minted")
        .set("ALLOW_BOOTSTRAP_FAILURE", "true");
    let bff = Bff::serve(&env);
    bff.says("Continuing without a registration").await;

    let ordered = register(&env).await;

    assert_eq!(ordered.code, Some(77), "{ordered}");
    assert!(ordered.stderr.contains("\nhint: "), "{ordered}");
    drop(bff);
}

#[tokio::test]
async fn an_order_that_takes_long_is_followed_to_its_failure() {
    let world = World::new().await;
    let env = operated(&world).set("DCR_IAT", world.idp.mint_iat());
    let bff = world.ready(&env).await;
    let on = Endpoint::Any;
    world.idp.faults().set(Fault::DropBefore { on });

    let ordered = register(&env).await;

    assert_eq!(ordered.code, Some(69), "{ordered}");
    assert_eq!(ordered.stdout, "", "{ordered}");
    let proving = "proving that the IdP accepts the key";
    assert!(ordered.stderr.contains(proving), "progress in {ordered}");
    assert!(ordered.stderr.contains("\nhint: "), "{ordered}");
    drop(bff);
}

#[tokio::test]
async fn an_order_that_takes_long_is_followed_to_its_success() {
    let world = World::new().await;
    let env = operated(&world).set("DCR_IAT", world.idp.mint_iat());
    let bff = world.ready(&env).await;
    let (on, millis) = (Endpoint::Discovery, 9_000);
    world.idp.faults().set_times(Fault::Delay { on, millis }, 1);

    let ordered = register(&env).await;

    assert_eq!(ordered.code, Some(0), "{ordered}");
    let client = format!("client `{}` at ", world.client_id());
    assert!(ordered.stdout.starts_with(&client), "{ordered}");
    drop(bff);
}

#[tokio::test]
async fn who_stops_waiting_does_not_stop_the_order() {
    let world = World::new().await;
    let env = operated(&world).set("DCR_IAT", world.idp.mint_iat());
    let bff = world.ready(&env).await;
    let seen = world.received(Endpoint::Discovery).len();
    let (on, millis) = (Endpoint::Discovery, 3_000);
    world.idp.faults().set_times(Fault::Delay { on, millis }, 1);
    let command = Bff::start(&["register"], &env, "");
    eventually("the IdP is being asked", async || {
        (world.received(Endpoint::Discovery).len() > seen).then_some(())
    })
    .await;

    let ended = command.stop().await;

    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.stderr.contains("SIGTERM"), "{ended}");
    assert!(ended.stderr.contains("bff status"), "{ended}");
    let order = eventually("the order has ended", async || {
        let order = status(&world).await["orders"][0].clone();
        (order["state"] != "running").then_some(order)
    })
    .await;
    assert_eq!(order["state"], "done", "{order}");
    drop(bff);
}

#[tokio::test]
async fn an_order_during_an_outage_leaves_a_ready_service_ready() {
    let world = World::new().await;
    let env = operated(&world)
        .set("DCR_IAT", world.idp.mint_iat())
        .set("BFF_BOOTSTRAP_TIMEOUT", "2s");
    let bff = world.ready(&env).await;
    let on = Endpoint::Any;
    world.idp.faults().set(Fault::DropBefore { on });

    let order = request(Method::POST, &world.port.url("/admin/register")).bearer_auth(TOKEN);
    let order = send(order);
    let look = async {
        eventually("the order is under way", async || {
            (status(&world).await["orders"][0]["state"] == "running").then_some(())
        })
        .await;
        (world.get("/readyz").await, world.get("/healthz").await)
    };
    let (answer, (ready, health)) = tokio::join!(order, look);

    let problem = answer.json();
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(problem["class"], "unavailable", "{problem}");
    for (ready, health) in [
        (ready, health),
        (world.get("/readyz").await, world.get("/healthz").await),
    ] {
        assert_eq!(ready.status, 200, "{ready:?}");
        assert_eq!(health.json()["status"], "ok", "{health:?}");
        let check = &health.json()["checks"]["registration"];
        assert_eq!(check["state"], "registered", "{check}");
        assert_eq!(check["retrying"], false, "{check}");
    }
    let order = &status(&world).await["orders"][0];
    assert_eq!(order["state"], "failed", "{order}");
    assert_eq!(order["class"], "unavailable", "{order}");
    assert!(order["error"].is_string() && order["hint"].is_string());
    drop(bff);
}

/// Whoever says that it is tried again also says when.
#[tokio::test]
async fn retrying_is_said_by_who_retries() {
    let (nobody, volume, port) = (Port::reserve(), Volume::new(), Port::reserve());
    let env = env(&volume, &port, &nobody.url("/api/oidc"))
        .set("BFF_BOOTSTRAP_TIMEOUT", "0")
        .set("ALLOW_BOOTSTRAP_FAILURE", "true");
    let bff = Bff::serve(&env);

    let check = eventually("it waits for the next try", async || {
        let health = support::http::get(&port.url("/healthz")).await;
        let check = health.json()["checks"]["registration"].clone();
        (check["retrying"] == true).then_some(check)
    });
    bff.serving().await;
    let check = check.await;

    assert!(check["attempts"].as_u64().unwrap() >= 1, "{check}");
    assert!(check["next_try"].is_string(), "{check}");
    assert!(check["last_error"].is_string(), "{check}");
    drop(bff);
}

/// What an operator of a service configures.
fn operated(world: &World) -> Env {
    world.env().set("BFF_ADMIN_TOKEN", TOKEN)
}

async fn register(env: &Env) -> Ended {
    Bff::start(&["register"], env, "").ended().await
}

async fn status(world: &World) -> Value {
    let get = request(Method::GET, &world.port.url("/admin/status")).bearer_auth(TOKEN);
    let answer: Answer = send(get).await;
    answer.json()
}
