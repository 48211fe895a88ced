//! The configured initial access token does not outlive its use.

use dev_idp::{Endpoint, Fault};

use crate::scene::Scene;

#[tokio::test]
async fn the_initial_access_token_is_kept_until_the_registration_and_no_longer() {
    let scene = Scene::new().await;
    let running = scene.start(&[("BFF_BOOTSTRAP_TIMEOUT", "0")]).await;
    let app = &running.app;
    let on = Endpoint::Any;
    scene.idp.faults().set(Fault::DropBefore { on });

    assert!(running.bootstrap().await.is_err());

    assert!(app.config.dcr.iat.is_none(), "it has one place");
    assert!(app.initial_token.token().is_some(), "it is needed still");
    scene.idp.faults().clear();
    running.bootstrap().await.unwrap();
    assert!(app.initial_token.token().is_none(), "it is used up");
    let spent = app.initial_token.fingerprint().unwrap();
    assert!(app.ledger.state().spent().contains(spent));
    assert!(running.stop(std::future::pending()).await);
}

#[tokio::test]
async fn a_token_that_is_not_needed_is_wiped_and_spent_by_no_order() {
    let scene = Scene::new().await;
    let running = scene.serve(&[]).await;
    assert!(running.stop(std::future::pending()).await);

    let running = scene.serve(&[]).await;

    let app = &running.app;
    assert!(app.initial_token.token().is_none());
    let fresh = app.initial_token.fingerprint().unwrap();
    assert!(!app.ledger.state().spent().contains(fresh));
    running.bootstrap().await.unwrap();
    assert_eq!(scene.idp.clients().len(), 1);
    assert!(running.stop(std::future::pending()).await);
}
