//! Ready is who is registered with a key that was accepted when it was last asked.

use bff::registrar::RegistrationOrder;
use bff::registration::AuthenticationOutcome::{Accepted, Rejected};
use bff::rotator::{Mode, Order};
use dev_idp::{Endpoint, Fault};

use crate::scene::{KeysOnly, MINUTE, Scene, current, pass};
use crate::servers::verdict;
use crate::support::volume::Volume;
use crate::wall::Wall;

#[tokio::test]
async fn an_idp_that_is_down_changes_nothing_and_neither_does_a_restart() {
    let scene = Scene::new().await;
    let running = scene.serve(&[]).await;
    let on = Endpoint::Any;
    scene.idp.faults().set(Fault::DropBefore { on });

    pass(MINUTE * 60 * 13).await;

    assert!(running.app.is_ready());
    assert!(running.stop(std::future::pending()).await);
    let running = scene.start(&[("BFF_BOOTSTRAP_TIMEOUT", "0")]).await;
    assert!(!running.app.is_ready(), "before the IdP was asked");
    // A start goes on trying, and an order is one try.
    let order = RegistrationOrder::Register;
    assert!(running.order(order).await.is_err());
    assert!(running.app.is_ready());
    assert_eq!(verdict(&running), Some(Accepted));
    assert!(running.stop(std::future::pending()).await);
}

#[tokio::test]
async fn a_rejection_is_noticed_kept_over_a_restart_and_withdrawn_by_an_acceptance() {
    let scene = Scene::new().await;
    let running = scene.serve(&[]).await;
    let kid = current(&running.app).to_string();
    scene.idp.faults().set(Fault::RefuseKey { kid });

    pass(MINUTE * 60 * 7).await;

    assert!(!running.app.is_ready());
    assert_eq!(verdict(&running), Some(Rejected));
    assert!(running.stop(std::future::pending()).await);
    let running = scene.resume().await;
    assert!(!running.app.is_ready(), "nobody was asked");
    scene.idp.faults().clear();
    assert!(running.stop(std::future::pending()).await);
    let running = scene.serve(&[]).await;
    assert!(running.app.is_ready());
    let kid = current(&running.app).to_string();
    scene.idp.faults().set_times(Fault::RefuseKey { kid }, 8);
    pass(MINUTE * 60 * 7).await;
    assert!(running.app.is_ready(), "accepted again, by itself");
    assert!(running.stop(std::future::pending()).await);
}

/// A start that asks nobody still proves the key when its time has come.
#[tokio::test]
async fn a_rejection_is_noticed_without_a_proof_at_the_start() {
    let scene = Scene::new().await;
    let running = scene.serve(&[]).await;
    assert!(running.stop(std::future::pending()).await);
    let running = scene.resume().await;
    assert!(running.app.is_ready());
    let kid = current(&running.app).to_string();
    scene.idp.faults().set(Fault::RefuseKey { kid });

    pass(MINUTE * 60 * 7).await;

    assert!(!running.app.is_ready());
    assert!(running.stop(std::future::pending()).await);
}

#[tokio::test]
async fn nothing_is_proven_at_another_issuer_than_that_of_the_client() {
    let scene = Scene::new().await;
    let running = scene.serve(&[]).await;
    assert!(running.stop(std::future::pending()).await);
    let other = dev_idp::DevIdp::builder().start().await.unwrap();
    let issuer = other.issuer();
    let settings = [
        ("IDP_BASE_URL", issuer.as_str()),
        ("ALLOW_BOOTSTRAP_FAILURE", "true"),
        ("BFF_BOOTSTRAP_TIMEOUT", "0"),
    ];
    let running = scene.start(&settings).await;
    assert!(running.bootstrap().await.is_err());
    let order = Order {
        mode: Mode::Now,
        alg: None,
    };
    running.rotator.order(order).await.unwrap();

    pass(MINUTE * 60 * 7).await;

    let requests = other.requests();
    assert!(!running.app.is_ready());
    assert!(
        requests.iter().all(|e| e.endpoint == Endpoint::Discovery),
        "{requests:?}"
    );
    assert!(running.stop(std::future::pending()).await);
}

#[tokio::test]
async fn after_a_compromise_it_is_ready_once_the_new_key_is_accepted() {
    let scene = Scene::new().await;
    let running = scene.serve(&[]).await;
    let on = Endpoint::Token;
    scene.idp.faults().set(Fault::DropBefore { on });
    let order = Order {
        mode: Mode::Compromised,
        alg: None,
    };

    running.rotator.order(order).await.unwrap();

    assert!(!running.app.is_ready());
    assert_eq!(verdict(&running), None);
    pass(MINUTE * 10).await;
    assert!(!running.app.is_ready());
    scene.idp.faults().clear();
    pass(MINUTE * 6).await;
    assert!(running.app.is_ready());
    assert!(running.stop(std::future::pending()).await);
}

#[tokio::test]
async fn without_registration_a_published_key_is_enough() {
    let (volume, wall) = (Volume::new(), Wall::new());
    let service = KeysOnly::open(&volume, &wall, &[]).await;

    assert!(service.app.is_ready());
}
