//! The registration access token (RFC 7592): it is never lost with an answer, on a full disk, or
//! with the process.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod drifting;
mod scarce_store;
#[path = "../support/mod.rs"]
mod support;
mod updates;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use bff::app::{App, Backoff, Parts, Shutdown};
use bff::clock::Clock;
use bff::config::{self, Config, Overrides};
use bff::disk::{Disk, HostDisk};
use bff::local_files::{Directories, Outlets};
use bff::registrar::{Occasion, Registrar};
use bff::store::FileStore;
use dev_idp::{Endpoint, Exchange, Fault};
use serde_json::Value;

use scarce_store::ScarceStore;
use support::child::Bff;
use support::environment::Env;
use support::world::World;
use support::{PATIENCE, eventually};

pub(crate) const NEW: &str = "https://app.example/new";

#[tokio::test]
async fn a_token_in_an_answer_that_does_not_name_the_client_is_kept() {
    let world = World::unfetching().await;
    world.registered().await;
    let member = "client_id".to_owned();
    for fault in [
        Fault::RotateOnRead,
        Fault::RotateOnUpdate,
        Fault::OmitMember { member },
    ] {
        world.idp.faults().set(fault);
    }

    let ended = world.run(&redirecting(&world, NEW)).await;

    assert_eq!(world.redirects(), [NEW], "{ended}");
    world.idp.faults().clear();
    assert_manageable(&world).await;
}

#[tokio::test]
async fn a_token_in_a_success_of_another_number_is_kept() {
    for (on, status) in [
        (Endpoint::Update, 203),
        (Endpoint::Update, 202),
        (Endpoint::Read, 203),
    ] {
        let world = World::unfetching().await;
        world.registered().await;
        for fault in [
            Fault::RotateOnRead,
            Fault::RotateOnUpdate,
            Fault::StatusAfter { on, status },
        ] {
            world.idp.faults().set(fault);
        }

        world.run(&redirecting(&world, NEW)).await;

        assert_eq!(world.redirects(), [NEW], "{on:?} {status}");
        world.idp.faults().clear();
        assert_manageable(&world).await;
    }
}

#[tokio::test]
async fn no_token_leaves_while_its_successor_cannot_be_stored() {
    let world = World::unfetching().await;
    world.registered().await;
    world.idp.faults().set(Fault::RotateOnRead);
    world.idp.faults().set(Fault::RotateOnUpdate);
    let (store, registrar) = within(&world, &redirecting(&world, NEW)).await;

    store.fail_all();
    registrar.dry_run().await;
    let ended = registrar.bootstrap(Occasion::Start, backoff()).await;

    assert!(ended.is_ok(), "a failed update ends nothing: {ended:?}");
    assert_eq!(carrying(&world), 0);

    store.fail_none();
    // Nobody serves the keys here, so that they cannot be proven.
    drop(registrar.bootstrap(Occasion::Start, backoff()).await);
    assert_eq!(world.redirects(), [NEW]);
}

#[tokio::test]
async fn a_token_that_cannot_be_stored_at_once_is_stored_later() {
    let world = World::unfetching().await;
    world.registered().await;
    world.idp.faults().set(Fault::RotateOnRead);
    let (store, registrar) = within(&world, &world.env()).await;
    Shutdown::new().spawn(Arc::clone(&registrar).keep_read());
    let before = token(&world);

    // The marker is stored, and nothing after it.
    store.fail_after(1);
    registrar.dry_run().await;
    assert_eq!(carrying(&world), 1);
    assert_eq!(token(&world), before);
    assert!(has_marker(&world));
    // The void token is not sent again meanwhile.
    registrar.dry_run().await;
    assert_eq!(carrying(&world), 1);

    store.fail_none();
    eventually("it is stored", async || {
        (token(&world) != before && !has_marker(&world)).then_some(())
    })
    .await;
    registrar.dry_run().await;
    assert_eq!(statuses(&world), [200, 200]);
}

#[tokio::test]
async fn a_token_that_may_be_void_is_tried_by_a_read_and_then_renewed() {
    for renewed in [false, true] {
        let world = World::unfetching().await;
        world.registered().await;
        world.idp.faults().set_times(Fault::RotateOnUpdate, 1);
        let (on, millis) = (Endpoint::Update, 60_000);
        world.idp.faults().set_times(Fault::Delay { on, millis }, 1);
        let env = redirecting(&world, NEW).set("DCR_REDIRECT_UPDATE_MODE", "replace");
        killed_at(&world, &env, Endpoint::Update).await;
        assert!(has_marker(&world));

        let mut again = env;
        if renewed {
            again = again.set("BOOTSTRAP_ADMIN_TOKEN", world.idp.admin_token());
        }
        let ended = world.run(&again).await;

        // One read and the update are the first start's.
        let next = &sent(&world)[2];
        assert_eq!(next.method, "GET", "{ended}");
        assert_eq!(next.status, Some(401));
        assert!(!has_marker(&world));
        if renewed {
            assert_manageable(&world).await;
        } else {
            let state = world.volume.state();
            assert!(state["registration"]["unmanageable"].is_object());
        }
    }
}

#[tokio::test]
async fn an_answer_about_another_client_brings_no_token() {
    let world = World::unfetching().await;
    world.registered().await;
    let (before, client_id) = (token(&world), world.client_id());
    let (member, value) = ("client_id".to_owned(), "somebody-else".into());
    world.idp.faults().set(Fault::RotateOnUpdate);
    let fault = Fault::SubstituteMember { member, value };
    world.idp.faults().set(fault);

    world.run(&redirecting(&world, NEW)).await;

    assert_eq!(token(&world), before);
    assert_eq!(world.client_id(), client_id);
}

pub(crate) fn redirecting(world: &World, uri: &str) -> Env {
    world.env().set("DCR_REDIRECT_URIS", uri)
}

/// A registrar in this process, over a store that can be full.
async fn within(world: &World, env: &Env) -> (Arc<ScarceStore>, Arc<Registrar>) {
    within_at(world, env, Clock::system()).await
}

/// The same by another clock.
pub(crate) async fn within_at(
    world: &World,
    env: &Env,
    clock: Clock,
) -> (Arc<ScarceStore>, Arc<Registrar>) {
    let no_file = world.volume.file("bff.toml");
    fs::write(&no_file, "").unwrap();
    let env: config::Env = env
        .iter()
        .map(|(name, value)| (name.clone(), value.to_str().unwrap().to_owned()))
        .collect();
    let config = Config::load(&env, Some(&no_file), &Overrides::default()).unwrap();
    let (disk, path): (Arc<dyn Disk>, _) = (Arc::new(HostDisk), world.volume.path());
    let store = Arc::new(ScarceStore::over(FileStore::new(
        Arc::clone(&disk),
        path,
        path,
    )));
    let parts = Parts {
        directories: Directories::open(Arc::clone(&disk), path, path, "a test").unwrap(),
        outlets: Outlets::new(disk, path, path, None),
        store: Arc::clone(&store) as _,
    };
    let idp = config.idp.clone().unwrap();
    let app = Box::pin(App::open_with(parts, config, clock))
        .await
        .unwrap();
    let registrar = Registrar::new(Arc::new(app), idp).unwrap();
    (store, Arc::new(registrar))
}

pub(crate) fn backoff() -> Backoff {
    Backoff::until(Duration::from_secs(1), &Shutdown::new())
}

/// Starts, and ends at once when a request gets there.
async fn killed_at(world: &World, env: &Env, endpoint: Endpoint) {
    let mut exchanges = world.idp.subscribe();
    let bff = Bff::serve(env);
    let arrives = async { while exchanges.recv().await.unwrap().endpoint != endpoint {} };
    tokio::time::timeout(PATIENCE, arrives).await.unwrap();
    bff.kill().await;
}

/// The requests that carried the registration access token.
pub(crate) fn sent(world: &World) -> Vec<Exchange> {
    let mut requests = world.idp.requests();
    requests.retain(|exchange| {
        matches!(
            exchange.endpoint,
            Endpoint::Read | Endpoint::Update | Endpoint::Patch | Endpoint::Delete
        )
    });
    requests
}

fn carrying(world: &World) -> usize {
    sent(world).len()
}

fn statuses(world: &World) -> Vec<u16> {
    sent(world).iter().filter_map(|e| e.status).collect()
}

fn token(world: &World) -> Value {
    let state = world.volume.state();
    state["registration"]["management"]["registration_access_token"].clone()
}

fn has_marker(world: &World) -> bool {
    world.volume.state().get("rat_marker").is_some()
}

/// A change is made with the token that is stored.
async fn assert_manageable(world: &World) {
    let uri = "https://app.example/again";
    world.run(&redirecting(world, uri)).await;
    assert_eq!(world.redirects(), [uri]);
}
