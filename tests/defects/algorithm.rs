//! The registered algorithm is that of the key that signs, unless a proof of another is under way.

use bff::jose::Algorithm;
use bff::rotator::{Mode, Order};
use dev_idp::{Endpoint, Exchange, Fault};
use serde_json::json;

use crate::scene::{Scene, agree, commit_beside, current, signs};
use crate::support::log::Log;

/// At an IdP that pins the algorithm of a client, a key of another one is refused until that is
/// registered.
const RS256_NOW: Order = Order {
    mode: Mode::Now,
    alg: Some(Algorithm::RS256),
};

#[tokio::test]
async fn an_algorithm_that_the_idp_refuses_is_not_asked_for_again_by_a_later_update() {
    let scene = Scene::new().await;
    let running = scene.serve(&[]).await;
    let log = Log::capture();
    let old = current(&running.app);
    let new = refused_rotation(&scene, &running, &log).await;

    agree(&running.app, &scene.volume, &old);
    let projection = &scene.volume.state()["projections"]["signing_alg"];
    assert_eq!(
        *projection,
        json!({"wanted": "ES256", "confirmed": "ES256"})
    );
    assert!(running.stop(std::future::pending()).await);
    scene.idp.faults().clear();
    let before = scene.updates().len();
    let running = scene.serve(&[("DCR_SCOPE", "openid profile")]).await;

    let update = &scene.updates()[before];
    assert_eq!(update.request["scope"], "openid profile");
    assert_eq!(algorithm(update), "ES256", "that of the key that signs");
    // Now that the IdP takes the algorithm, the rotation comes to its end.
    signs(&running.app, &new).await;
    assert_eq!(
        scene.idp.clients()[0].1["token_endpoint_auth_signing_alg"],
        "RS256"
    );
    assert!(running.stop(std::future::pending()).await);
}

#[tokio::test]
async fn an_update_in_the_same_run_registers_the_algorithm_of_the_key_that_signs() {
    let scene = Scene::new().await;
    let running = scene.serve(&[]).await;
    let log = Log::capture();
    refused_rotation(&scene, &running, &log).await;
    scene.idp.faults().clear();
    let before = scene.updates().len();
    let order = Order {
        mode: Mode::Compromised,
        alg: None,
    };

    let report = running.rotator.order(order).await.unwrap();

    assert!(report.note.unwrap().contains("was updated"));
    let updates = scene.updates();
    assert_eq!(updates[before..].len(), 1);
    assert_eq!(algorithm(&updates[before]), "ES256");
    let state = running.app.ledger.state();
    assert_eq!(state.ring().unwrap().current().jwk.alg, Algorithm::ES256);
    assert!(running.stop(std::future::pending()).await);
}

#[tokio::test]
async fn a_start_takes_back_the_algorithm_that_a_killed_rotation_was_about_to_register() {
    for scope in ["openid", "openid profile"] {
        let scene = Scene::new().await;
        let running = scene.serve(&[]).await;
        let order = Order {
            mode: Mode::Scheduled,
            ..RS256_NOW
        };
        let report = running.rotator.order(order).await.unwrap();
        let next = report.kid.unwrap();
        assert!(running.stop(std::future::pending()).await);
        commit_beside(&scene.store(), |state| {
            state.want_algorithm_of(&next, scene.wall.now()).unwrap();
        });
        let wanted = |state: &serde_json::Value| {
            state["projections"]["signing_alg"]["wanted"].as_str() == Some("RS256")
        };
        assert!(wanted(&scene.volume.state()));

        let running = scene.serve(&[("DCR_SCOPE", scope)]).await;

        let algorithms: Vec<_> = scene.updates().iter().map(algorithm).collect();
        let expected = usize::from(scope != "openid");
        assert_eq!(algorithms, vec!["ES256"; expected]);
        assert!(!wanted(&scene.volume.state()));
        let state = running.app.ledger.state();
        assert!(state.projections().open().is_empty());
        assert_eq!(state.ring().unwrap().next().unwrap().jwk.kid, next);
        assert!(running.stop(std::future::pending()).await);
    }
}

/// Orders a rotation to another algorithm while the IdP refuses every update, and waits until it
/// has failed. Returns the key that it leads to.
async fn refused_rotation(
    scene: &Scene,
    running: &bff::service::Running,
    log: &Log,
) -> bff::jose::Kid {
    let (on, status) = (Endpoint::Update, 400);
    scene.idp.faults().set(Fault::Status { on, status });
    let report = running.rotator.order(RS256_NOW).await.unwrap();
    log.says("The IdP refused the update").await;
    log.says("The IdP does not accept key").await;
    assert_eq!(algorithm(&scene.updates()[0]), "RS256");
    report.kid.unwrap()
}

fn algorithm(update: &Exchange) -> String {
    let alg = &update.request["token_endpoint_auth_signing_alg"];
    alg.as_str().unwrap().to_owned()
}
