//! What an interruption or a damaged disk leaves behind must not come back at a tick.

use bff::jose::{Algorithm, Kid};
use bff::rotator::{Mode, Order};
use bff::service::Running;
use dev_idp::{Endpoint, Fault};
use serde_json::Value;
use tokio::time::{pause, resume};

use crate::scene::{KeysOnly, MINUTE, Scene, TICK, agree, commit_beside, current, pass};
use crate::support::elapse;
use crate::support::volume::Volume;
use crate::wall::Wall;

#[tokio::test]
async fn a_start_that_cannot_find_the_idp_does_not_register_what_a_killed_rotation_intended() {
    let scene = Scene::new().await;
    let old = killed_before_the_update(&scene).await;
    // The time of the next key has come.
    scene.wall.set_ahead(11 * MINUTE);
    // With the endpoints of the last start the rotation could go on.
    for on in [Endpoint::Discovery, Endpoint::Token] {
        scene.idp.faults().set(Fault::Status { on, status: 503 });
    }

    let running = scene
        .start(&[
            ("ALLOW_BOOTSTRAP_FAILURE", "true"),
            ("BFF_BOOTSTRAP_TIMEOUT", "0s"),
        ])
        .await;
    pause();
    tokio::select! {
        _ = running.bootstrap() => {}
        () = elapse(2 * TICK) => {}
    }
    resume();

    nothing_has_changed(&scene, running, &old).await;
}

#[tokio::test]
async fn a_start_that_asks_nobody_by_a_clock_that_went_back_does_not_register_what_was_intended() {
    let scene = Scene::new().await;
    let old = killed_before_the_update(&scene).await;

    let running = scene.resume().await;
    pass(TICK).await;

    nothing_has_changed(&scene, running, &old).await;
}

#[tokio::test(start_paused = true)]
async fn a_document_that_is_damaged_under_the_service_is_told_and_written_again() {
    let (volume, wall) = (Volume::new(), Wall::new());
    let service = KeysOnly::open(&volume, &wall, &[("DCR_ENABLED", "false")]).await;
    let kid = current(&service.app);
    volume.write("state.json", b"{");

    elapse(2 * TICK).await;

    assert!(service.app.ledger.fell_back().is_some());
    agree(&service.app, &volume, &kid);
}

/// A rotation to another algorithm, killed when it was about to register that algorithm. Returns
/// the key that signs.
async fn killed_before_the_update(scene: &Scene) -> Kid {
    let running = scene.serve(&[]).await;
    let old = current(&running.app);
    let order = Order {
        mode: Mode::Scheduled,
        alg: Some(Algorithm::RS256),
    };
    let next = running.rotator.order(order).await.unwrap().kid.unwrap();
    assert!(running.stop(std::future::pending()).await);
    commit_beside(&scene.store(), |state| {
        let now = scene.wall.now();
        state.want_algorithm_of(&next, now).unwrap();
    });
    old
}

fn registered_algorithm(scene: &Scene) -> Value {
    scene.idp.clients()[0].1["token_endpoint_auth_signing_alg"].clone()
}

async fn nothing_has_changed(scene: &Scene, running: Running, old: &Kid) {
    agree(&running.app, &scene.volume, old);
    assert_eq!(
        registered_algorithm(scene),
        "ES256",
        "that of the key that signs"
    );
    assert!(running.stop(std::future::pending()).await);
}
