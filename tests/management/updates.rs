//! Updates: what they repeat, and when one that was refused is asked for again.

use std::time::Duration;

use bff::clock::Clock;
use bff::registrar::Occasion;
use dev_idp::{Endpoint, Fault};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::child::Bff;
use crate::support::environment::Env;
use crate::support::http;
use crate::support::world::World;
use crate::{NEW, backoff, redirecting, sent, within_at};

#[tokio::test]
async fn a_refused_update_is_asked_for_again_on_order_after_a_day_and_after_a_change() {
    for status in [400, 403] {
        let world = World::unfetching().await;
        world.registered().await;
        let on = Endpoint::Update;
        world.idp.faults().set(Fault::Status { on, status });
        let env = redirecting(&world, NEW);

        for _ in 0..5 {
            world.run(&env).await;
        }
        assert_eq!(methods(&world), ["GET", "PUT"], "{status}");

        ordered(&env).await;
        assert_eq!(updates(&world), 2, "{status}");
        world.run(&env).await;
        assert_eq!(updates(&world), 2, "{status}");

        start_after(&world, &env, Duration::from_hours(23)).await;
        assert_eq!(updates(&world), 2, "{status}");
        start_after(&world, &env, Duration::from_hours(25)).await;
        assert_eq!(updates(&world), 3, "{status}");

        world.idp.faults().clear();
        let other = redirecting(&world, "https://app.example/other");
        world.run(&other).await;
        assert_eq!(updates(&world), 4, "{status}");
        assert_eq!(world.redirects(), ["https://app.example/other"]);
        let registration = &world.volume.state()["registration"];
        assert!(registration.get("refused_update").is_none(), "{status}");
    }
}

#[tokio::test]
async fn what_the_idp_said_is_quoted_and_shown_later() {
    let world = World::unfetching().await;
    world.registered().await;
    let env = world.env().set("DCR_SCOPE", "openid payments:write");

    let ended = world.run(&env).await;
    let status = Bff::start(&["status"], &env, "").ended().await;

    let errors = ended.messages("ERROR");
    assert!(errors[0].contains("payments:write"), "{errors:?}");
    let line = status.stdout.lines().find(|line| line.contains("refused"));
    let line = line.unwrap_or_default();
    assert!(line.contains("HTTP 400 invalid_scope"), "{status}");
    assert!(line.contains("payments:write"), "{status}");
}

#[tokio::test]
async fn what_others_have_set_stays_and_is_left_out_where_it_is_refused() {
    let world = World::unfetching().await;
    world.registered().await;
    set_at_the_idp(&world, "contacts", json!(["ops@idp.example"])).await;

    world.run(&redirecting(&world, NEW)).await;

    let [(_, metadata)] = world.idp.clients().try_into().unwrap();
    assert_eq!(metadata["contacts"], json!(["ops@idp.example"]));
    assert_eq!(world.redirects(), [NEW]);

    // A member that the IdP shows, and does not let a client set.
    let (member, value) = ("x_internal".to_owned(), json!(7));
    let fault = Fault::ForeignMember { member, value };
    world.idp.faults().set(fault);
    let before = updates(&world);
    let uri = "https://app.example/again";
    world.run(&redirecting(&world, uri)).await;
    assert_eq!(world.redirects(), [uri]);
    assert_eq!(updates(&world), before + 2);
}

#[tokio::test]
async fn where_a_read_ends_the_token_nothing_is_read_before_an_update() {
    let world = World::unfetching().await;
    world.registered().await;
    world.idp.faults().set(Fault::RotateOnRead);

    for path in ["one", "two", "three"] {
        let uri = format!("https://app.example/{path}");
        world.run(&redirecting(&world, &uri)).await;
        assert_eq!(world.redirects(), [uri]);
    }

    assert_eq!(methods(&world), ["GET", "PUT", "PUT", "PUT"]);
}

/// Somebody else sets a member at the IdP, with the token that we hold, and it stays valid.
pub(crate) async fn set_at_the_idp(world: &World, member: &str, value: Value) {
    let management = world.volume.state()["registration"]["management"].clone();
    let uri = management["registration_client_uri"].as_str().unwrap();
    let token = management["registration_access_token"].as_str().unwrap();
    let [(client_id, mut metadata)] = world.idp.clients().try_into().unwrap();
    metadata["client_id"] = json!(client_id);
    metadata[member] = value;
    let put = http::request(Method::PUT, uri)
        .bearer_auth(token)
        .header("content-type", "application/json")
        .body(metadata.to_string());
    assert_eq!(http::send(put).await.status, 200);
}

/// `bff register`, without a running service.
pub(crate) async fn ordered(env: &Env) -> crate::support::child::Ended {
    Bff::start(&["register"], env, "").ended().await
}

/// A start so much later. Nobody serves the keys, so that they cannot be proven.
async fn start_after(world: &World, env: &Env, time: Duration) {
    let clock = Clock::new(move || Timestamp::now() + time);
    let (_, registrar) = within_at(world, env, clock).await;
    drop(registrar.bootstrap(Occasion::Start, backoff()).await);
}

fn updates(world: &World) -> usize {
    methods(world)
        .iter()
        .filter(|method| *method == "PUT")
        .count()
}

pub(crate) fn methods(world: &World) -> Vec<String> {
    sent(world).into_iter().map(|e| e.method).collect()
}
