//! What a restart does, and above all what it leaves alone.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;

use dev_idp::{Endpoint, Fault};
use serde_json::{Value, json};

use support::child::Bff;
use support::world::World;

#[tokio::test]
async fn restarts_send_no_write_and_spend_no_token_and_publish_the_same_set() {
    let world = World::new().await;
    let spent = world.idp.mint_iat();
    let bff = world.ready(&world.env().set("DCR_IAT", &spent)).await;
    let first = world.get("/.well-known/jwks.json").await;
    let client_id = world.client_id();
    bff.stop().await;
    let fresh = world.idp.mint_iat();

    for env in [
        world.env(),
        world.env().set("DCR_IAT", &spent),
        world.env().set("DCR_IAT", &fresh),
    ] {
        let bff = world.ready(&env).await;
        let again = world.get("/.well-known/jwks.json").await;

        assert_eq!(again.body, first.body);
        assert_eq!(again.header("etag"), first.header("etag"));
        bff.stop().await;
    }

    assert_eq!(world.writes().len(), 1, "{:?}", world.writes());
    assert_eq!(world.idp.iat_uses(&spent), Some(1));
    assert_eq!(world.idp.iat_uses(&fresh), Some(0));
    assert_eq!(world.clients(), [client_id]);
}

#[tokio::test]
async fn a_token_that_stays_set_is_warned_about() {
    let world = World::new().await;
    let env = world.env_with_token();
    world.run(&env).await;

    let ended = world.run(&env).await;

    let warnings = ended.messages("WARN");
    assert!(
        warnings
            .iter()
            .any(|text| text.contains("DCR_IAT is still set")),
        "{ended}"
    );
}

#[tokio::test]
async fn a_start_after_a_power_failure_goes_on_as_if_nothing_had_been() {
    let world = World::new().await;
    let bff = world.ready(&world.env_with_token()).await;
    let (client_id, keys) = (world.client_id(), world.keys().await);

    let killed = bff.kill().await;

    assert_eq!(killed.code, None);
    let bff = world.ready(&world.env()).await;
    assert_eq!(world.keys().await, keys);
    assert_eq!(world.client_id(), client_id);
    assert_eq!(world.writes().len(), 1);
    drop(bff);
}

#[tokio::test]
async fn a_damaged_document_is_replaced_by_the_one_before_and_said_so() {
    let world = World::new().await;
    let client_id = world.registered().await;
    let text = fs::read(world.volume.file("state.json")).unwrap();
    world.volume.write("state.json", &text[..text.len() / 2]);

    let bff = world.ready(&world.env()).await;

    let health = world.get("/healthz").await;
    assert_eq!(
        (health.status, &health.json()["status"]),
        (200, &json!("degraded"))
    );
    let ended = bff.stop().await;
    let errors = ended.messages("ERROR");
    assert!(
        errors.iter().any(|text| text.contains("is damaged")),
        "{ended}"
    );
    assert_eq!(world.client_id(), client_id);
    assert_eq!(world.writes().len(), 1);
    let kept = world.volume.file("state.damaged-1.json");
    assert_eq!(fs::read(kept).unwrap(), text[..text.len() / 2]);
    let restored = world.volume.state()["restored"].clone();
    let reason = restored["reason"].as_str().unwrap();
    assert!(reason.contains("damaged (it does not parse"), "{reason}");

    let bff = world.ready(&world.env()).await;

    assert_eq!(
        world.volume.state()["restored"],
        restored,
        "after another start"
    );
    drop(bff);
}

#[tokio::test]
async fn a_stored_registration_can_be_used_without_calling_anybody() {
    let world = World::new().await;
    let client_id = world.registered().await;
    let calls = world.idp.requests().len();
    let env = world.env().set("SKIP_DCR_BOOTSTRAP", "true");

    let bff = world.ready(&env).await;

    let health = world.get("/healthz").await;
    assert_eq!(health.status, 200);
    assert_eq!(
        health.json()["checks"]["registration"]["client_id"],
        client_id
    );
    assert_eq!(world.get("/readyz").await.status, 200);
    assert_eq!(world.idp.requests().len(), calls);
    drop(bff);
}

#[tokio::test]
async fn without_a_stored_registration_there_is_none_to_use() {
    let world = World::new().await;
    let env = world.env_with_token().set("SKIP_DCR_BOOTSTRAP", "true");

    let ended = Bff::serve(&env).ended().await;

    ended.fails(78, &["no stored registration", "SKIP_DCR_BOOTSTRAP=false"]);
    assert!(world.idp.requests().is_empty());
}

#[tokio::test]
async fn a_client_is_replaced_once_per_token_and_the_old_one_is_deleted() {
    let world = World::new().await;
    let old = world.registered().await;
    let replace = world.env_with_token().set("DCR_FORCE_REPLACE", "true");

    world.run(&replace).await;

    let new = world.client_id();
    assert_ne!(new, old);
    assert_eq!(world.clients(), std::slice::from_ref(&new));
    // Registered first, so that there was a client at any time.
    assert_eq!(methods(&world), ["POST", "POST", "DELETE"]);

    world.run(&replace).await;
    assert_eq!(world.client_id(), new);
    assert_eq!(world.writes().len(), 3);

    let again = world.env_with_token().set("DCR_FORCE_REPLACE", "true");
    world.run(&again).await;
    assert_ne!(world.client_id(), new);
    assert_eq!(world.clients(), [world.client_id()]);
}

#[tokio::test]
async fn the_token_that_made_a_client_does_not_replace_it() {
    let world = World::new().await;
    let env = world.env_with_token();
    world.run(&env).await;

    world.run(&env.set("DCR_FORCE_REPLACE", "true")).await;

    assert_eq!(world.writes().len(), 1);
}

#[tokio::test]
async fn a_wished_name_that_our_own_client_holds_is_a_complete_update() {
    let world = World::new().await;
    let env = world.env_with_token().set("DCR_CLIENT_ID", "shop");
    world.run(&env).await;
    let token = world.idp.mint_iat();
    let replace = env
        .set("DCR_IAT", &token)
        .set("DCR_CLIENT_NAME", "The Shop")
        .set("DCR_FORCE_REPLACE", "true");

    for _ in 0..2 {
        world.run(&replace).await;
    }

    assert_eq!(methods(&world), ["POST", "PUT"]);
    assert_eq!(world.clients(), ["shop"]);
    assert_eq!(world.idp.clients()[0].1["client_name"], "The Shop");
    assert_eq!(world.idp.iat_uses(&token), Some(0));
}

#[tokio::test]
async fn a_refused_replacement_leaves_the_client_as_it_was() {
    let world = World::new().await;
    let client_id = world.registered().await;
    let replace = world
        .env_with_token()
        .set("DCR_SCOPE", "openid admin")
        .set("DCR_FORCE_REPLACE", "true");

    // It works as before, and says what was refused; the order does too, and fails.
    for starts in 1..=3 {
        let ended = world.run(&replace).await;
        let errors = ended.messages("ERROR").join("\n");
        assert!(errors.contains("invalid_scope"), "{ended}");
        let posts = world.received(Endpoint::Register).len();
        assert_eq!(posts, 2, "start {starts}");
    }
    let ordered = Bff::start(&["register"], &replace, "").ended().await;

    ordered.is_refused(78, &["invalid_scope", "DCR_SCOPE"]);
    assert_eq!(world.received(Endpoint::Register).len(), 3);
    assert_eq!(world.clients(), std::slice::from_ref(&client_id));
    assert_eq!(world.client_id(), client_id);
}

#[tokio::test]
async fn an_old_client_that_cannot_be_deleted_is_named_and_the_new_one_works() {
    let world = World::new().await;
    let old = world.registered().await;
    let (on, status) = (Endpoint::Delete, 405);
    world.idp.faults().set(Fault::Status { on, status });
    let replace = world.env_with_token().set("DCR_FORCE_REPLACE", "true");

    let ended = world.run(&replace).await;

    assert_ne!(world.client_id(), old);
    let warnings = ended.messages("WARN");
    assert!(
        warnings
            .iter()
            .any(|text| text.contains(&old) && text.contains("delete it at the IdP")),
        "{ended}"
    );
}

#[tokio::test]
async fn a_client_that_an_older_token_made_is_not_replaced_by_a_start_without_a_token() {
    let world = World::new().await;
    let client_id = world.registered().await;

    world
        .run(&world.env().set("DCR_FORCE_REPLACE", "true"))
        .await;

    assert_eq!(world.client_id(), client_id);
    assert_eq!(world.writes().len(), 1);
}

#[tokio::test]
async fn a_changed_setting_is_one_complete_update_and_then_nothing_again() {
    let world = World::new().await;
    let client_id = world.registered().await;
    let env = world.env().set("DCR_SCOPE", "openid");

    world.run(&env).await;
    world.run(&env).await;

    assert_eq!(methods(&world), ["POST", "PUT"]);
    let [asked, updated] = &world.writes()[..] else {
        panic!("{:?}", world.writes())
    };
    let mut expected = asked.request.clone();
    expected["client_id"] = json!(client_id);
    expected["scope"] = json!("openid");
    assert_eq!(updated.request, expected);
    assert_eq!(world.idp.clients()[0].1["scope"], "openid");
}

#[tokio::test]
async fn a_registration_is_never_taken_to_another_issuer() {
    let world = World::new().await;
    world.registered().await;
    let other = World::new().await;
    let env = world
        .env()
        .set("IDP_BASE_URL", other.idp.issuer())
        .set("DCR_IAT", other.idp.mint_iat())
        .set("DCR_FORCE_REPLACE", "true");

    let ended = Bff::serve(&env).ended().await;

    ended.fails(
        78,
        &[&world.idp.issuer(), &other.idp.issuer(), "OIDC_ISSUER"],
    );
    assert!(other.writes().is_empty());
    assert_eq!(world.clients(), [world.client_id()]);
}

#[tokio::test]
async fn the_journal_tells_what_happened() {
    let world = World::new().await;
    world.registered().await;
    let replace = world.env_with_token().set("DCR_FORCE_REPLACE", "true");
    world.run(&replace).await;

    let state = world.volume.state();

    let events: Vec<&Value> = state["journal"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["event"])
        .collect();
    assert_eq!(
        json!(events),
        json!([
            "key_created",
            "registered",
            "registered",
            "replaced",
            "deleted"
        ])
    );
}

fn methods(world: &World) -> Vec<String> {
    let writes = world.writes().into_iter();
    writes.map(|exchange| exchange.method).collect()
}

/// The compose files limit the service to 64 tasks, health checks included.
#[tokio::test]
async fn the_number_of_threads_does_not_follow_the_number_of_processors() {
    let world = World::new().await;
    let bff = world.ready(&world.env_with_token()).await;

    let status = fs::read_to_string(format!("/proc/{}/status", bff.pid())).unwrap();

    let threads = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    let threads: u32 = threads.unwrap().trim().parse().unwrap();
    assert!(
        threads <= 11,
        "two workers, eight that may block, and the first: {threads}"
    );
}
