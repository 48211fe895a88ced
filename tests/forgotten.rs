//! An IdP that does not know us any more, or in another way: recognised, named, and never answered
//! by a new registration of our own accord.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use dev_idp::{DevIdp, Endpoint, Fault, Verdict};

use support::child::Bff;
use support::environment::Env;
use support::world::World;

const REGISTER: Endpoint = Endpoint::Register;

/// Has the IdP answer a wrong key otherwise than an unknown client.
fn tell_apart(idp: &DevIdp) {
    for to in [Verdict::UnknownKey, Verdict::WrongSignature] {
        idp.faults().set(Fault::Answer {
            to,
            status: 400,
            body: r#"{"error":"invalid_request"}"#.to_owned(),
        });
    }
}

#[tokio::test]
async fn an_idp_that_forgot_us_is_named_and_a_fresh_token_registers_anew() {
    let world = World::new().await;
    tell_apart(&world.idp);
    let old = world.registered().await;
    let spare = world.env_with_token();
    world.idp.faults().set(Fault::ForgetClients);

    // What is configured does not change it: nothing is minted, nothing is sent, and a token that
    // was there when it was found out is no answer to it.
    let admin = world
        .env()
        .set("BOOTSTRAP_ADMIN_TOKEN", world.idp.admin_token());
    for env in [spare.clone(), world.env(), admin, spare] {
        let ended = Bff::serve(&env).ended().await;
        ended.fails(
            77,
            &[&old, "knows neither client", "bff mint-iat", "DCR_IAT"],
        );
    }
    assert_eq!(world.received(REGISTER).len(), 1);
    assert_eq!(world.received(Endpoint::Mint).len(), 0);
    assert_eq!(events(&world, "client_gone"), 1);

    let env = world.env_with_token();
    world.run(&env).await;
    world.run(&env).await;
    let new = world.client_id();
    assert_ne!(new, old);
    assert_eq!(world.clients(), [new]);
    assert!(world.volume.state().get("orphans").is_none());
}

#[tokio::test]
async fn where_a_wrong_key_gets_the_same_answer_a_client_is_only_perhaps_gone() {
    let world = World::new().await;
    let old = world.registered().await;
    world.idp.faults().set(Fault::ForgetClients);

    for env in [world.env(), world.env_with_token(), world.env_with_token()] {
        let ended = Bff::serve(&env).ended().await;
        ended.fails(77, &[&old, "perhaps", "DCR_FORCE_REPLACE=true"]);
    }
    assert_eq!(world.received(REGISTER).len(), 1);

    let replace = world.env_with_token().set("DCR_FORCE_REPLACE", "true");
    world.run(&replace).await;
    assert_eq!(world.clients(), [world.client_id()]);
}

#[tokio::test]
async fn a_report_that_is_wrong_is_withdrawn_before_anything_is_replaced() {
    let world = World::new().await;
    let client_id = world.registered().await;
    for on in [Endpoint::Token, Endpoint::Management] {
        world.idp.faults().set(Fault::Status { on, status: 401 });
    }
    let ended = Bff::serve(&world.env()).ended().await;
    ended.fails(77, &["perhaps"]);
    world.idp.faults().clear();

    let replace = world.env_with_token();
    world.run(&replace).await;

    assert_eq!(world.clients(), [client_id]);
    assert_eq!(world.writes().len(), 1);
    assert!(world.volume.state().get("gone").is_none());
}

#[tokio::test]
async fn an_idp_that_restarts_with_its_memory_lost_has_forgotten_us() {
    let mut world = World::new().await;
    let old = world.registered().await;
    let address = world.idp.address();
    let fresh = DevIdp::builder().listen(address);
    let gone = std::mem::replace(&mut world.idp, DevIdp::builder().start().await.unwrap());
    gone.shutdown().await;
    world.idp = fresh.start().await.unwrap();

    let ended = Bff::serve(&world.env()).ended().await;

    ended.fails(77, &[&old, "perhaps", "DCR_FORCE_REPLACE=true"]);
    assert_eq!(world.writes().len(), 0);
    let replace = world.env_with_token().set("DCR_FORCE_REPLACE", "true");
    world.run(&replace).await;
    assert_eq!(world.clients(), [world.client_id()]);
}

#[tokio::test]
async fn a_memory_that_comes_back_needs_no_new_client() {
    let world = World::new().await;
    let client_id = world.registered().await;
    let (on, status) = (Endpoint::Any, 401);
    world.idp.faults().set(Fault::Status { on, status });
    let ended = Bff::serve(&world.env()).ended().await;
    assert_ne!(ended.code, Some(0), "{ended}");

    world.idp.faults().clear();
    let (on, status) = (Endpoint::Token, 401);
    world.idp.faults().set(Fault::Status { on, status });
    let on = Endpoint::Management;
    world.idp.faults().set(Fault::Status { on, status });
    let ended = Bff::serve(&world.env()).ended().await;
    ended.fails(77, &["perhaps"]);
    world.idp.faults().clear();

    world.run(&world.env()).await;
    world
        .run(
            &world
                .env()
                .set("DCR_REDIRECT_URIS", "https://app.example/new"),
        )
        .await;
    assert_eq!(world.clients(), [client_id]);
    assert_eq!(world.writes().len(), 2, "{:?}", world.writes());
}

#[tokio::test]
async fn a_service_that_may_go_on_serves_the_keys_of_a_client_that_is_gone() {
    let world = World::new().await;
    let old = world.registered().await;
    world.idp.delete_client(&old).unwrap();
    let env = world.env().set("ALLOW_BOOTSTRAP_FAILURE", "true");

    let bff = Bff::serve(&env);
    bff.says("perhaps does not know client").await;
    bff.says("not retried until a restart").await;

    assert_eq!(world.get("/readyz").await.status, 503);
    assert_eq!(world.keys().await.len(), 1);
    let health = world.get("/healthz").await.json().to_string();
    assert!(health.contains("bff mint-iat"), "{health}");
    bff.stop().await;
    assert_eq!(world.received(REGISTER).len(), 1);
}

#[tokio::test]
async fn a_client_without_a_token_to_read_it_is_not_taken_for_gone() {
    let world = World::new().await;
    world.idp.faults().set(Fault::NoManagement);
    let old = world.registered().await;
    world.idp.delete_client(&old).unwrap();

    for _ in 0..2 {
        let ended = Bff::serve(&world.env()).ended().await;
        ended.fails(
            77,
            &[&old, "bff mint-iat", "DCR_IAT", "DCR_FORCE_REPLACE=true"],
        );
    }
    assert_eq!(world.received(REGISTER).len(), 1);

    let env = world.env_with_token().set("DCR_FORCE_REPLACE", "true");
    world.run(&env).await;
    assert_eq!(world.clients(), [world.client_id()]);
}

#[tokio::test]
async fn a_state_from_a_backup_is_named_and_an_administrator_s_token_mends_it() {
    let world = World::new().await;
    let client_id = world.registered().await;
    let backup = world.volume.snapshot();
    world.idp.faults().set(Fault::RotateOnUpdate);
    world.run(&changed(&world)).await;
    world.idp.faults().clear();
    restore(&world, &backup);

    let ended = world.run(&changed(&world)).await;
    let warnings = ended.messages("WARN").join("\n");
    for words in ["BFF_STATE_DIR is older", "BOOTSTRAP_ADMIN_TOKEN"] {
        assert!(warnings.contains(words), "`{words}` in {ended}");
    }
    let admin = changed(&world).set("BOOTSTRAP_ADMIN_TOKEN", world.idp.admin_token());
    world.run(&admin).await;
    world.run(&changed(&world)).await;

    assert_eq!(world.clients(), [client_id]);
    assert_eq!(world.received(REGISTER).len(), 1);
    let state = world.volume.state();
    assert!(state["registration"].get("unmanageable").is_none());
}

#[tokio::test]
async fn a_backup_from_before_a_replacement_leads_to_no_third_client() {
    let world = World::new().await;
    let first = world.registered().await;
    let backup = world.volume.snapshot();
    let replace = world.env_with_token().set("DCR_FORCE_REPLACE", "true");
    world.run(&replace).await;
    let second = world.client_id();
    restore(&world, &backup);

    let ended = Bff::serve(&world.env()).ended().await;

    ended.fails(77, &[&first, "perhaps", "bff mint-iat"]);
    assert_eq!(world.clients(), [second]);
}

#[tokio::test]
async fn another_issuer_is_named_with_both_and_with_both_ways_out() {
    let world = World::new().await;
    let client_id = world.registered().await;
    let other = DevIdp::builder().start().await.unwrap();
    let env = world
        .env()
        .set("IDP_BASE_URL", other.issuer())
        .set("DCR_IAT", other.mint_iat())
        .set("BOOTSTRAP_ADMIN_TOKEN", other.admin_token())
        .set("DCR_FORCE_REPLACE", "true")
        .set("DCR_REDIRECT_URIS", "https://app.example/new");

    let ended = Bff::serve(&env).ended().await;

    let (before, after) = (world.idp.issuer(), other.issuer());
    ended.fails(78, &[&before, &after, "OIDC_ISSUER", "BFF_STATE_DIR"]);
    let mut sent = other.requests();
    sent.retain(|exchange| exchange.endpoint != Endpoint::Discovery);
    assert!(sent.is_empty(), "{sent:?}");
    world.run(&world.env()).await;
    assert_eq!(world.clients(), [client_id]);
}

#[tokio::test]
async fn a_clock_two_minutes_off_is_named_and_costs_nothing() {
    for (seconds, words) in [(-120, "s behind ours"), (120, "s ahead of ours")] {
        let world = World::new().await;
        let client_id = world.registered().await;
        world.idp.faults().set(Fault::ClockSkew { seconds });

        let ended = Bff::serve(&world.env()).ended().await;

        ended.fails(77, &["clock is 1", words, "check both clocks", "NTP"]);
        assert!(world.volume.state().get("gone").is_none(), "{ended}");
        world.idp.faults().clear();
        world.run(&world.env()).await;
        assert_eq!(world.clients(), [client_id]);
        assert_eq!(world.writes().len(), 1);
    }
}

#[tokio::test]
async fn what_became_of_a_client_is_in_the_journal() {
    let world = World::new().await;
    let old = world.registered().await;
    world.idp.delete_client(&old).unwrap();
    Bff::serve(&world.env()).ended().await;
    let replace = world.env_with_token().set("DCR_FORCE_REPLACE", "true");
    world.run(&replace).await;

    let status = Bff::start(&["status"], &world.env(), "").ended().await;

    for event in ["registered", "client_gone", "deleted"] {
        assert!(
            status.stdout.contains(&format!("  {event}  ")),
            "`{event}` in {status}"
        );
    }
    assert!(status.stdout.contains(&old), "{status}");
}

fn changed(world: &World) -> Env {
    world
        .env()
        .set("DCR_REDIRECT_URIS", "https://app.example/new")
}

fn restore(world: &World, backup: &BTreeMap<PathBuf, Vec<u8>>) {
    for path in world.volume.snapshot().keys() {
        fs::remove_file(path).unwrap();
    }
    for (path, contents) in backup {
        fs::write(path, contents).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(path, mode).unwrap();
    }
}

fn events(world: &World, event: &str) -> usize {
    let state = world.volume.state();
    let journal = state["journal"].as_array().unwrap();
    journal.iter().filter(|e| e["event"] == event).count()
}
