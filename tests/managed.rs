//! Managing the registration (RFC 7592): what is sent, what is kept, and what is never lost.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use bff::disk::HostDisk;
use bff::registration::Orphan;
use bff::store::{FileStore, Store as _};
use dev_idp::{Endpoint, Exchange, Fault};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;

use support::PATIENCE;
use support::child::{Bff, Ended};
use support::environment::Env;
use support::world::World;

const READ: Endpoint = Endpoint::Read;
const UPDATE: Endpoint = Endpoint::Update;

#[tokio::test]
async fn one_changed_redirect_uri_is_one_complete_update() {
    let world = World::new().await;
    let client_id = world.registered().await;
    let asked = world.received(Endpoint::Register)[0].request.clone();

    let ended = world.run(&changed(&world)).await;
    for _ in 0..3 {
        world.run(&changed(&world)).await;
    }

    let [update] = world.received(UPDATE).try_into().unwrap();
    let mut expected = asked;
    expected["client_id"] = json!(client_id);
    expected["redirect_uris"] = json!(["https://app.example/new"]);
    assert_eq!(update.request, expected);
    assert_eq!(world.redirects(), ["https://app.example/new"]);
    assert!(
        ended
            .stderr
            .contains("Client updated: changed in redirect_uris")
    );
    assert_eq!(world.writes().len(), 2);
    assert_eq!(world.clients(), [client_id]);
}

#[tokio::test]
async fn restarts_with_nothing_changed_neither_read_nor_write() {
    let world = World::new().await;
    world.registered().await;
    // The same settings, spelt in another order.
    let env = world.env().set("DCR_SCOPE", "profile openid");

    for _ in 0..5 {
        world.run(&env).await;
    }

    assert_eq!(world.writes().len(), 1);
    assert_eq!(world.received(READ).len(), 0);
}

#[tokio::test]
async fn a_token_that_each_answer_replaces_is_never_the_old_one() {
    let world = World::new().await;
    world.registered().await;
    world.idp.faults().set(Fault::RotateOnRead);
    world.idp.faults().set(Fault::RotateOnUpdate);

    for path in ["one", "two", "three"] {
        let uri = format!("https://app.example/{path}");
        world.run(&world.env().set("DCR_REDIRECT_URIS", &uri)).await;
        assert_eq!(world.redirects(), [uri]);
    }

    let managed = managed(&world);
    assert!(managed.iter().all(|exchange| exchange.status == Some(200)));
    let tokens: BTreeSet<_> = managed.iter().map(|e| e.authorization.clone()).collect();
    assert_eq!(tokens.len(), managed.len(), "{tokens:?}");
}

#[tokio::test]
async fn a_token_that_a_read_brought_is_stored_before_anything_else_is_sent() {
    let world = World::new().await;
    world.registered().await;
    world.idp.faults().set_times(Fault::RotateOnRead, 1);
    let (on, millis) = (UPDATE, 60_000);
    world.idp.faults().set_times(Fault::Delay { on, millis }, 1);

    killed_at(&world, UPDATE).await;

    world.run(&changed(&world)).await;
    assert_eq!(world.redirects(), ["https://app.example/new"]);
    assert_eq!(
        world.received(UPDATE).len(),
        1,
        "it was made the first time"
    );
    assert_manageable(&world).await;
}

#[tokio::test]
async fn a_token_that_an_update_brought_is_stored_before_anything_else_is_sent() {
    let world = World::new().await;
    world.registered().await;
    world.idp.faults().set_times(Fault::RotateOnUpdate, 1);

    killed_at(&world, Endpoint::Token).await;

    world.run(&changed(&world)).await;
    assert_eq!(world.received(UPDATE).len(), 1);
    assert_manageable(&world).await;
}

#[tokio::test]
async fn answers_without_a_token_leave_it_as_it_was() {
    let world = World::new().await;
    world.registered().await;
    let before = management(&world);
    world.idp.faults().set(Fault::BareManagementAnswers);

    world.run(&changed(&world)).await;

    assert_eq!(management(&world), before);
    assert_manageable(&world).await;
}

#[tokio::test]
async fn a_new_address_on_the_same_origin_is_taken_with_its_token() {
    let world = World::new().await;
    world.registered().await;
    world.idp.faults().set(Fault::RotateOnRead);
    world.idp.faults().set(Fault::ManagementUriWithQuery);

    world.run(&changed(&world)).await;

    let update = &world.received(UPDATE)[0];
    assert!(update.target.contains("/dcr/client?client_id="), "{update}");
    assert_eq!(update.status, Some(200));
}

#[tokio::test]
async fn the_token_goes_to_its_own_address_alone() {
    let world = World::new().await;
    let fault = Fault::ManagementUriWithQuery;
    world.idp.faults().set(fault);
    world.registered().await;
    let uri = management(&world)["registration_client_uri"].clone();

    world.run(&changed(&world)).await;
    let replace = world.env_with_token().set("DCR_FORCE_REPLACE", "true");
    world.run(&replace).await;

    let managed = managed(&world);
    assert_eq!(methods(&managed), ["GET", "PUT", "DELETE"]);
    let base = world.idp.base_url();
    assert!(
        managed
            .iter()
            .all(|exchange| format!("{base}{}", exchange.target) == uri)
    );
    let tokens: BTreeSet<_> = managed.iter().map(|e| e.authorization.clone()).collect();
    let mut others = world.idp.requests();
    others.retain(|exchange| !is_management(exchange));
    assert!(others.iter().all(|e| !tokens.contains(&e.authorization)));
}

#[tokio::test]
async fn an_address_elsewhere_in_an_answer_gets_no_token() {
    let world = World::new().await;
    world.registered().await;
    let before = management(&world)["registration_client_uri"].clone();
    world.idp.faults().set(Fault::RotateOnRead);
    world.idp.faults().set(Fault::ForeignManagementUri);

    let ended = world.run(&changed(&world)).await;

    assert!(warnings(&ended, "another origin") > 0, "{ended}");
    assert_eq!(management(&world)["registration_client_uri"], before);
    assert_manageable(&world).await;
}

#[tokio::test]
async fn tokens_that_are_refused_are_presented_once_until_something_changes() {
    let world = World::new().await;
    world.registered().await;
    let client_id = world.client_id();
    rotate_elsewhere(&world, &client_id).await;
    let other = |env: Env| env.set("BOOTSTRAP_ADMIN_TOKEN", "of-nobody");
    let presented = || {
        let mut exchanges = world.idp.requests();
        exchanges.retain(|e| is_management(e) || e.endpoint == Endpoint::Renew);
        exchanges.len()
    };

    let first = world.run(&changed(&world)).await;
    let with_own = presented();
    for _ in 0..3 {
        world.run(&changed(&world)).await;
    }
    assert_eq!(presented(), with_own, "without an administrator's token");
    world.run(&other(changed(&world))).await;
    let with_both = presented();
    for _ in 0..3 {
        world.run(&other(changed(&world))).await;
    }
    assert_eq!(presented(), with_both, "with one that is refused");

    assert_eq!(warnings(&first, "cannot be changed from here"), 1);
    assert!(with_own < with_both, "another token is tried");
    world.run(&with_admin(&world, changed(&world))).await;
    assert_eq!(world.redirects(), ["https://app.example/new"]);
    assert_manageable(&world).await;
}

#[tokio::test]
async fn where_updates_are_not_offered_it_is_said_and_they_are_not_sent_again() {
    for status in [404, 405] {
        let world = World::new().await;
        world.registered().await;
        let on = UPDATE;
        world.idp.faults().set(Fault::Status { on, status });

        let first = world.run(&changed(&world)).await;
        let second = world.run(&changed(&world)).await;
        world.run(&changed(&world)).await;

        let words = format!("cannot be changed from here: it answers HTTP {status} to an update");
        assert_eq!(warnings(&first, &words), 1, "{first}");
        assert_eq!(warnings(&second, "changed in redirect_uris"), 1, "{second}");
        assert_eq!(world.received(UPDATE).len(), 1, "{status}");
        assert_eq!(status_of(&world)["state"], "unmanageable");
        assert_eq!(events(&world, "unmanageable"), 1);

        // Another wish is another question, and the token is still there to ask it.
        world.idp.faults().clear();
        assert_manageable(&world).await;
        assert_eq!(status_of(&world)["state"], "registered");
    }
}

#[tokio::test]
async fn where_nothing_at_all_is_offered_the_client_works_on() {
    for status in [401, 403, 404, 405] {
        let world = World::new().await;
        world.registered().await;
        let on = Endpoint::Management;
        world.idp.faults().set(Fault::Status { on, status });

        let ended = world.run(&changed(&world)).await;

        let words = "The registration cannot be changed from here";
        assert_eq!(warnings(&ended, words), 1, "{ended}");
        assert_eq!(ended.messages("ERROR"), [""; 0]);
        world.idp.faults().clear();
        assert_manageable(&world).await;
    }
}

#[tokio::test]
async fn without_a_token_from_the_start_the_client_works_and_says_what_it_cannot() {
    let world = World::new().await;
    world.idp.faults().set(Fault::NoManagement);
    world.registered().await;

    let same = world.run(&world.env()).await;
    let ended = world.run(&changed(&world)).await;

    assert_eq!(same.messages("WARN"), [""; 0]);
    assert_eq!(warnings(&ended, "DCR_FORCE_REPLACE=true"), 1, "{ended}");
    assert_eq!(world.writes().len(), 1);
    assert_eq!(managed(&world).len(), 0);
}

#[tokio::test]
async fn a_success_without_a_word_and_without_a_change_is_noticed_and_not_repeated() {
    let world = World::new().await;
    world.registered().await;
    let (on, status) = (UPDATE, 200);
    world.idp.faults().set(Fault::Status { on, status });

    let ended = world.run(&changed(&world)).await;
    for _ in 0..3 {
        world.run(&changed(&world)).await;
    }

    assert_eq!(warnings(&ended, "changed nothing"), 1, "{ended}");
    assert!(ended.stderr.contains("at the IdP"), "{ended}");
    assert_eq!(world.received(UPDATE).len(), 1);
    assert_eq!(world.redirects(), ["https://app.example/cb"]);
}

#[tokio::test]
async fn a_refused_update_leaves_the_client_as_it_was_and_names_the_setting() {
    let world = World::new().await;
    world.registered().await;
    let env = world.env().set("DCR_SCOPE", "openid payments:write");

    let ended = world.run(&env).await;

    let errors = ended.messages("ERROR");
    assert_eq!(errors.len(), 1, "{ended}");
    for words in ["invalid_scope", "DCR_SCOPE", "HTTP 400"] {
        assert!(errors[0].contains(words), "{errors:?}");
    }
    assert_eq!(world.idp.clients()[0].1["scope"], "openid profile");
    // Taken back, it is as if nothing had been.
    world.run(&world.env()).await;
    assert_eq!(world.received(UPDATE).len(), 1);
    assert_manageable(&world).await;
}

#[tokio::test]
async fn an_update_whose_answer_is_lost_is_found_out_and_not_repeated() {
    let on = UPDATE;
    for fault in [
        Fault::DropAfter { on },
        Fault::CutBody { on },
        Fault::BadGatewayAfter { on },
    ] {
        let world = World::new().await;
        world.registered().await;
        world.idp.faults().set_times(fault.clone(), 1);

        let ended = world.run(&changed(&world)).await;
        world.run(&changed(&world)).await;

        assert!(ended.stderr.contains("made after all"), "{fault:?} {ended}");
        assert_eq!(world.received(UPDATE).len(), 1, "{fault:?}");
        assert_eq!(world.redirects(), ["https://app.example/new"]);
    }
}

#[tokio::test]
async fn an_update_that_never_arrived_is_made_at_the_next_start() {
    let world = World::new().await;
    world.registered().await;
    let on = UPDATE;
    world.idp.faults().set_times(Fault::DropBefore { on }, 1);

    let ended = world.run(&changed(&world)).await;
    assert!(ended.stderr.contains("was not made"), "{ended}");
    world.run(&changed(&world)).await;
    world.run(&changed(&world)).await;

    assert_eq!(world.redirects(), ["https://app.example/new"]);
    assert_eq!(world.received(UPDATE).len(), 2);
}

#[tokio::test]
async fn a_token_lost_with_an_answer_is_named_and_an_administrator_s_gets_another() {
    let world = World::new().await;
    world.registered().await;
    lose_token(&world).await;

    let ended = world.run(&changed(&world)).await;
    assert_eq!(warnings(&ended, "set BOOTSTRAP_ADMIN_TOKEN"), 1, "{ended}");
    let ended = world.run(&with_admin(&world, changed(&world))).await;

    assert!(ended.stderr.contains("was renewed"), "{ended}");
    assert!(ended.stderr.contains("made after all"), "{ended}");
    assert_eq!(
        world.received(UPDATE).len(),
        1,
        "it was made the first time"
    );
    assert_eq!(status_of(&world)["state"], "registered");
    assert_manageable(&world).await;
}

#[tokio::test]
async fn a_dead_token_is_renewed_and_the_update_made_in_one_start() {
    for mode in ["auto", "replace"] {
        let world = World::new().await;
        let client_id = world.registered().await;
        let before = management(&world);
        rotate_elsewhere(&world, &client_id).await;
        let env = changed(&world).set("DCR_REDIRECT_UPDATE_MODE", mode);

        world.run(&with_admin(&world, env)).await;

        assert_eq!(world.redirects(), ["https://app.example/new"], "{mode}");
        assert_ne!(management(&world), before);
        assert_eq!(world.clients(), [client_id]);
        assert_eq!(events(&world, "token_renewed"), 1);
    }
}

#[tokio::test]
async fn a_wished_name_that_is_ours_is_updated_with_a_renewed_token() {
    let world = World::new().await;
    let wish = |env: Env| env.set("DCR_CLIENT_ID", "shop");
    world.run(&wish(world.env_with_token())).await;
    rotate_elsewhere(&world, "shop").await;
    let replace = |world: &World| wish(world.env_with_token()).set("DCR_FORCE_REPLACE", "true");

    let ended = world.run(&replace(&world)).await;
    let errors = ended.messages("ERROR").join("\n");
    for words in ["shop", "could not be updated", "BOOTSTRAP_ADMIN_TOKEN"] {
        assert!(errors.contains(words), "`{words}` in {ended}");
    }
    world.run(&with_admin(&world, replace(&world))).await;

    assert_eq!(world.clients(), ["shop"]);
    assert_eq!(world.received(Endpoint::Register).len(), 1);
    assert!(world.received(Endpoint::Delete).is_empty());
    assert_manageable(&world).await;
}

#[tokio::test]
async fn patch_is_for_a_profile_and_after_a_405_alone() {
    let (on, status) = (UPDATE, 405);
    let profile = |env: Env| env.set("DCR_CLIENT_PROFILE", "code-flow-pkjwt");
    let with_fault = async |env: &dyn Fn(Env) -> Env| {
        let world = World::new().await;
        world.run(&env(world.env_with_token())).await;
        world.idp.faults().set(Fault::Status { on, status });
        world.run(&env(changed(&world))).await;
        world
    };

    let world = with_fault(&profile).await;
    let patch = &world.received(Endpoint::Patch)[0];
    assert_eq!(patch.status, Some(200));
    assert_eq!(world.redirects(), ["https://app.example/new"]);

    let world = with_fault(&|env| env).await;
    assert_eq!(world.received(Endpoint::Patch).len(), 0);

    let world = World::new().await;
    world.run(&profile(world.env_with_token())).await;
    world.run(&profile(changed(&world))).await;
    assert_eq!(world.received(Endpoint::Patch).len(), 0);
    assert_eq!(world.received(UPDATE).len(), 1);
}

#[tokio::test]
async fn a_missing_token_is_minted_and_a_refused_start_keeps_it() {
    let world = World::new().await;
    let env = with_admin(&world, world.env());
    let refused = env.clone().set("DCR_SCOPE", "payments:write");

    let ended = Bff::serve(&refused).ended().await;
    ended.fails(78, &["invalid_scope", "DCR_SCOPE"]);
    let ended = Bff::serve(&refused).ended().await;
    ended.fails(77, &["invalid_scope", "sent again after"]);
    assert_eq!(world.received(Endpoint::Register).len(), 1);
    world.run(&env).await;
    world.run(&env).await;

    assert_eq!(world.received(Endpoint::Mint).len(), 1);
    assert_eq!(world.clients().len(), 1);
    assert!(world.volume.state().get("minted").is_none());
}

#[tokio::test]
async fn a_client_that_cannot_be_deleted_yet_is_listed_until_it_is() {
    let world = World::new().await;
    let old = world.registered().await;
    let on = Endpoint::Delete;
    let faults = world.idp.faults();
    faults.set_times(Fault::Status { on, status: 503 }, 1);
    let replace = world.env_with_token().set("DCR_FORCE_REPLACE", "true");

    world.run(&replace).await;
    let listed = Bff::start(&["status"], &world.env(), "").ended().await;
    world.run(&world.env()).await;
    assert_eq!(world.received(Endpoint::Delete).len(), 1, "within an hour");
    an_hour_later(&world, &old);
    faults.set_times(Fault::DropAfter { on }, 1);
    let cut = world.run(&world.env()).await;
    an_hour_later(&world, &old);
    let settled = world.run(&world.env()).await;

    assert!(
        listed
            .stdout
            .contains(&format!("orphan        client {old}")),
        "{listed}"
    );
    assert!(listed.stdout.contains("journal"), "{listed}");
    assert_eq!(world.clients(), [world.client_id()], "{cut}");
    let listed = Bff::start(&["status"], &world.env(), "").ended().await;
    assert!(!listed.stdout.contains("orphan   "), "{listed} {settled}");
    assert_eq!(world.received(Endpoint::Delete).len(), 3);
}

/// That the IdP rejects it says nothing about a client that it never accepted.
#[tokio::test]
async fn a_client_that_was_never_accepted_is_listed_until_its_deletion_is_answered() {
    let world = World::new().await;
    let ours = world.registered().await;
    let (member, value) = ("token_endpoint_auth_method", json!("client_secret_basic"));
    let faults = world.idp.faults();
    faults.set(Fault::SubstituteMember {
        member: member.to_owned(),
        value,
    });
    let on = Endpoint::Delete;
    faults.set(Fault::Status { on, status: 503 });
    let replace = world.env_with_token().set("DCR_FORCE_REPLACE", "true");
    world.run(&replace).await;
    let left = world.clients().into_iter().find(|client| *client != ours);
    let left = left.unwrap();
    faults.clear();
    an_hour_later(&world, &left);
    faults.set(Fault::Status { on, status: 401 });

    let ended = world.run(&world.env()).await;

    assert!(world.clients().contains(&left));
    let orphans = world.volume.state()["orphans"].to_string();
    assert!(orphans.contains(&left), "{orphans} {ended}");
}

#[tokio::test]
async fn an_answer_about_another_client_is_not_believed() {
    let world = World::new().await;
    world.registered().await;
    let before = management(&world);
    let (member, value) = ("client_id".to_owned(), json!("somebody-else"));
    let fault = Fault::SubstituteMember { member, value };
    world.idp.faults().set(fault);

    world.run(&changed(&world)).await;

    assert_eq!(management(&world), before);
    assert_ne!(world.client_id(), "somebody-else");
}

/// Moves the last try to delete a client an hour back.
fn an_hour_later(world: &World, client_id: &str) {
    let store = FileStore::new(Arc::new(HostDisk), world.volume.path(), world.volume.path());
    let mut loaded = store.load().unwrap();
    // The clock of the service shows whole seconds.
    let before = Timestamp::now() - Orphan::PAUSE - SignedDuration::from_secs(1);
    loaded.state.orphan_tried(client_id, before).unwrap();
    store.commit(&loaded.state, loaded.rev).unwrap();
}

/// The settings with another redirect URI.
fn changed(world: &World) -> Env {
    world
        .env()
        .set("DCR_REDIRECT_URIS", "https://app.example/new")
}

fn with_admin(world: &World, env: Env) -> Env {
    env.set("BOOTSTRAP_ADMIN_TOKEN", world.idp.admin_token())
}

/// Starts with another redirect URI, and ends it at once when a request gets there.
async fn killed_at(world: &World, endpoint: Endpoint) {
    let mut exchanges = world.idp.subscribe();
    let bff = Bff::serve(&changed(world));
    next(&mut exchanges, endpoint).await;
    bff.kill().await;
}

async fn next(exchanges: &mut Receiver<Exchange>, endpoint: Endpoint) {
    let arrives = async { while exchanges.recv().await.unwrap().endpoint != endpoint {} };
    tokio::time::timeout(PATIENCE, arrives).await.unwrap();
}

/// An update is made, and its answer, which brings another token, is lost.
async fn lose_token(world: &World) {
    let on = UPDATE;
    world.idp.faults().set_times(Fault::RotateOnUpdate, 1);
    world.idp.faults().set_times(Fault::DropAfter { on }, 1);
    let ended = world.run(&changed(world)).await;
    assert_eq!(
        warnings(&ended, "cannot be changed from here"),
        1,
        "{ended}"
    );
    assert_eq!(status_of(world)["state"], "unmanageable");
}

/// Somebody else has the token renewed.
async fn rotate_elsewhere(world: &World, client_id: &str) {
    let url = format!(
        "{}/dcr/clients/{client_id}/tokens",
        world.idp.admin_base_url()
    );
    let request = support::http::request(reqwest::Method::POST, &url);
    let answer = support::http::send(request.bearer_auth(world.idp.admin_token())).await;
    assert_eq!(answer.status, 201);
}

/// Another change is made with the token that is stored.
async fn assert_manageable(world: &World) {
    let uri = "https://app.example/again";
    world.run(&world.env().set("DCR_REDIRECT_URIS", uri)).await;
    assert_eq!(world.redirects(), [uri]);
}

/// `registration_client_uri` and `registration_access_token`, as stored.
fn management(world: &World) -> Value {
    world.volume.state()["registration"]["management"].clone()
}

fn is_management(exchange: &Exchange) -> bool {
    use Endpoint::{Delete, Patch, Read, Update};
    matches!(exchange.endpoint, Read | Update | Patch | Delete)
}

fn managed(world: &World) -> Vec<Exchange> {
    let mut exchanges = world.idp.requests();
    exchanges.retain(is_management);
    exchanges
}

fn methods(exchanges: &[Exchange]) -> Vec<&str> {
    exchanges.iter().map(|e| e.method.as_str()).collect()
}

fn warnings(ended: &Ended, words: &str) -> usize {
    let warnings = ended.messages("WARN");
    warnings.iter().filter(|text| text.contains(words)).count()
}

/// How often the journal holds this event.
fn events(world: &World, event: &str) -> usize {
    let state = world.volume.state();
    let journal = state["journal"].as_array().unwrap();
    journal.iter().filter(|e| e["event"] == event).count()
}

/// What `bff status` says of the registration, without a running service.
fn status_of(world: &World) -> Value {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_bff"))
        .args(["--json", "status"])
        .env_clear()
        .env("BFF_KEYS_DIR", world.volume.path())
        .output()
        .unwrap();
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    status["registration"].clone()
}
