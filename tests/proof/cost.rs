//! What proofs cost the IdP.

use std::collections::BTreeSet;

use bff::rotator::{Mode, Order};
use dev_idp::{Endpoint, Exchange, Fault, Verdict};
use jiff::SignedDuration;

use crate::scene::{MINUTE, Scene, current, pass};
use crate::servers::answers;

fn at_token(scene: &Scene) -> Vec<Exchange> {
    let mut requests = scene.idp.requests();
    requests.retain(|exchange| exchange.endpoint == Endpoint::Token);
    requests
}

fn kid(exchange: &Exchange) -> &str {
    let header = &exchange.request["client_assertion"]["header"];
    header["kid"].as_str().unwrap()
}

#[tokio::test]
async fn codes_verifiers_and_assertions_are_different_each_time() {
    let scene = Scene::new().await;
    let running = scene.serve(&[]).await;
    assert!(running.stop(std::future::pending()).await);

    let requests = at_token(&scene);
    for member in ["code", "code_verifier"] {
        let values: BTreeSet<String> = requests
            .iter()
            .map(|exchange| exchange.request[member].to_string())
            .collect();
        assert_eq!(values.len(), requests.len(), "{member}: {values:?}");
    }
}

#[tokio::test]
async fn a_rotation_sends_the_controls_once_before_the_last_acceptance() {
    let scene = Scene::new().await;
    let running = scene.serve(&[]).await;
    let old = current(&running.app);
    let before = at_token(&scene).len();
    let order = Order {
        mode: Mode::Scheduled,
        alg: None,
    };
    let new = running.rotator.order(order).await.unwrap().kid.unwrap();

    pass(MINUTE * 12).await;

    assert_eq!(current(&running.app), new);
    let requests = at_token(&scene).split_off(before);
    let first = requests
        .iter()
        .position(|e| kid(e) == new.as_str())
        .unwrap();
    let rotation: Vec<_> = requests[first..].iter().take(5).collect();
    let statuses: Vec<_> = rotation.iter().map(|e| e.status.unwrap()).collect();
    assert_eq!(
        statuses,
        [400, 400, 401, 401, 400],
        "two proofs, both controls, a proof"
    );
    let unknown = kid(rotation[3]);
    assert!(unknown != new.as_str() && unknown != old.as_str());
    assert!(running.stop(std::future::pending()).await);
}

#[tokio::test]
async fn no_control_is_sent_shortly_before_the_first_proof_of_a_new_key() {
    let scene = Scene::new().await;
    let running = scene.serve(&[]).await;
    let control = at_token(&scene).last().unwrap().at;
    let order = Order {
        mode: Mode::Now,
        alg: None,
    };
    let new = running.rotator.order(order).await.unwrap().kid.unwrap();

    pass(MINUTE).await;

    let requests = at_token(&scene);
    let first = requests.iter().find(|e| kid(e) == new.as_str()).unwrap();
    let quiet = first.at.duration_since(control);
    assert!(quiet >= SignedDuration::from_secs(15), "{quiet}");
    assert_eq!(current(&running.app), new);
    assert!(running.stop(std::future::pending()).await);
}

/// The answers are new each time, so that each of them would be worth controls.
#[tokio::test]
async fn controls_are_sent_eight_times_a_day_at_most_whatever_is_answered_and_restarted() {
    let scene = Scene::new().await;
    let running = scene.serve(&[("BFF_ASSERTION_TYPE", "JWT")]).await;
    let ours = current(&running.app);
    assert!(running.stop(std::future::pending()).await);
    let body = r#"{"error":"e{random}"}"#;
    answers(&scene.idp, &[Verdict::Authenticated], (400, body));
    let before = at_token(&scene).len();

    for _ in 0..3 {
        let settings = [
            ("ALLOW_BOOTSTRAP_FAILURE", "true"),
            ("BFF_ASSERTION_TYPE", "JWT"),
            ("BFF_ASSERTION_AUDIENCE", "issuer"),
            ("BFF_PROOF_INTERVAL", "1h"),
        ];
        let running = scene.start(&settings).await;
        drop(running.bootstrap().await);
        pass(MINUTE * 60 * 6).await;
        assert!(running.stop(std::future::pending()).await);
    }

    let requests = at_token(&scene).split_off(before);
    let unknown_keys = requests.iter().filter(|e| kid(e) != ours.as_str());
    assert!(unknown_keys.count() <= 8);
}

#[tokio::test]
async fn a_rejected_key_is_proven_again_with_growing_pauses_and_few_requests() {
    let scene = Scene::new().await;
    let running = scene.serve(&[("BFF_PROOF_INTERVAL", "1h")]).await;
    let before = at_token(&scene).len();
    let kid = current(&running.app).to_string();
    scene.idp.faults().set(Fault::RefuseKey { kid });

    pass(MINUTE * 60 * 3).await;

    let proofs = at_token(&scene).len() - before;
    // Every five minutes for two hours, each time with the four kinds of assertion at most, and
    // some more at the beginning.
    assert!((24..=130).contains(&proofs), "{proofs}");
    assert!(!running.app.is_ready());
    assert!(running.stop(std::future::pending()).await);
}
