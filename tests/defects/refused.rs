//! What the document refuses has not happened: not for the signer, not for the files, not for the
//! log.

use std::sync::Arc;
use std::time::Duration;

use bff::jose::{Algorithm, SigningKey};
use bff::rotator::{Order, RotateError};
use dev_idp::Fault;

use crate::scene::{
    ACCEPTED, KeysOnly, MINUTE, Scene, agree, answered, commit_beside, current, pass, rotated,
};
use crate::support::elapse;
use crate::support::log::Log;
use crate::support::volume::Volume;
use crate::wall::{Then, Wall};

#[tokio::test]
async fn a_clock_that_goes_back_between_proof_and_promotion_leaves_the_old_key_in_charge() {
    let scene = Scene::new().await;
    let running = scene.serve(&[]).await;
    let old = current(&running.app);
    let report = running.rotator.order(Order::default()).await.unwrap();
    let new = report.kid.unwrap();
    assert!(running.stop(std::future::pending()).await);
    scene.wall.set_ahead(11 * MINUTE);
    let (wall, idp, proven) = (scene.wall.clone(), Arc::clone(&scene.idp), new.clone());
    scene.wall.before_telling(move || {
        if answered(&idp, &proven, ACCEPTED) < 3 {
            return Then::Again;
        }
        wall.set_ahead(Duration::ZERO);
        Then::NeverAgain
    });
    let log = Log::capture();

    let running = scene.resume().await;

    log.says("was accepted, but the promotion cannot be stored")
        .await;
    agree(&running.app, &scene.volume, &old);
    log.never_said("signs from now on");
    let state = running.app.ledger.state();
    assert_eq!(state.ring().unwrap().next().unwrap().jwk.kid, new);
    // The clock is right again.
    scene.wall.set_ahead(11 * MINUTE);
    pass(2 * MINUTE).await;
    log.says("signs from now on").await;
    agree(&running.app, &scene.volume, &new);
    assert!(running.stop(std::future::pending()).await);
}

#[tokio::test]
async fn a_fall_back_that_the_document_refuses_leaves_the_rejected_key_in_charge() {
    let scene = Scene::new().await;
    let running = scene.serve(&[]).await;
    let old = current(&running.app);
    let new = rotated(&running).await;
    assert!(running.stop(std::future::pending()).await);
    let kid = new.as_str().to_owned();
    scene.idp.faults().set(Fault::RefuseKey { kid });
    let running = scene.resume().await;
    let log = Log::capture();

    // Somebody else begins a rotation once the key before is known to be accepted.
    let third = SigningKey::generate(Algorithm::ES256).unwrap();
    let (store, jwk) = (scene.store(), third.public().clone());
    let (policy, wall) = (*running.rotator.policy(), scene.wall.clone());
    let (idp, before) = (Arc::clone(&scene.idp), old.clone());
    let accepted = answered(&idp, &before, ACCEPTED);
    scene.wall.before_telling(move || {
        if answered(&idp, &before, ACCEPTED) == accepted {
            return Then::Again;
        }
        commit_beside(&store, |state| {
            let now = wall.now();
            state.prepublish(jwk.clone(), false, now, &policy).unwrap();
        });
        Then::NeverAgain
    });
    pass(Duration::from_secs(16)).await;

    log.says("a rotation to key").await;
    assert!(scene.wall.has_acted());
    agree(&running.app, &scene.volume, &new);
    log.never_said("signs again");
    let state = running.app.ledger.state();
    let next = state.ring().unwrap().next().unwrap();
    assert_eq!(&next.jwk, third.public(), "theirs is in the set");
    assert!(running.stop(std::future::pending()).await);
}

#[tokio::test(start_paused = true)]
async fn a_beginning_that_the_document_refuses_changes_nothing_and_its_key_is_used_later() {
    let (volume, wall) = (Volume::new(), Wall::new());
    let settings = [("DCR_ENABLED", "false"), ("BFF_JWK_MAX_KEYS", "2")];
    let service = KeysOnly::open(&volume, &wall, &settings).await;
    service.rotator.order(Order::default()).await.unwrap();
    // The key before is no longer needed, and makes room.
    elapse(30 * MINUTE).await;
    let (signer, ring) = (current(&service.app), volume.state()["ring"].clone());
    let served = service.app.ledger.published().borrow().body.clone();
    let (app, back) = (Arc::clone(&service.app), wall.clone());
    wall.before_telling(move || {
        if app.ledger.state().intended_key().is_none() {
            return Then::Again;
        }
        // To when the key before was still needed.
        back.set_back(15 * MINUTE);
        Then::NeverAgain
    });
    let log = Log::capture();

    let error = service.rotator.order(Order::default()).await.unwrap_err();

    assert!(matches!(error, RotateError::NoRoom(_)), "{error}");
    agree(&service.app, &volume, &signer);
    log.never_said("rotation begun");
    assert_eq!(volume.state()["ring"], ring);
    assert_eq!(service.app.ledger.published().borrow().body, served);
    let state = service.app.ledger.state();
    let intended = state.intended_key().unwrap().kid.clone();
    wall.set_ahead(Duration::ZERO);
    let report = service.rotator.order(Order::default()).await.unwrap();
    assert_eq!(report.kid, Some(intended));
}
