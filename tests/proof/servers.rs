//! The verdict at servers that answer otherwise than by the book.

use std::time::Duration;

use bff::jose::Kid;
use bff::registration::AuthenticationOutcome::{self, Accepted, Inconclusive, Rejected};
use bff::rotator::{Mode, Order};
use bff::service::Running;
use dev_idp::Verdict::{Authenticated, UnknownClient, UnknownKey, WrongAudience, WrongSignature};
use dev_idp::{DevIdp, Fault, JwksCachePolicy, Verdict};

use crate::scene::{MINUTE, Scene, current, pass};

const INVALID_GRANT: (u16, &str) = (400, r#"{"error":"invalid_grant"}"#);
const INVALID_REQUEST: (u16, &str) = (
    400,
    r#"{"error":"invalid_request","error_description":"trace {random}"}"#,
);

/// Gives the server another answer to authentications that end in one of these ways.
pub(crate) fn answers(idp: &DevIdp, to: &[Verdict], (status, body): (u16, &str)) {
    for to in to {
        idp.faults().set(Fault::Answer {
            to: *to,
            status,
            body: body.to_owned(),
        });
    }
}

pub(crate) fn verdict(running: &Running) -> Option<AuthenticationOutcome> {
    running.app.ledger.state().verdict()
}

async fn rotate(running: &Running, mode: Mode) -> Kid {
    let order = Order { mode, alg: None };
    running.rotator.order(order).await.unwrap().kid.unwrap()
}

/// Such a server has one answer for all that is wrong with an assertion, and another for a client
/// that it does not know.
#[tokio::test]
async fn a_key_that_the_server_does_not_have_is_rejected_though_a_wrong_signature_looks_the_same() {
    let ttl = Duration::from_hours(2);
    let scene = Scene::with(DevIdp::builder().jwks_cache(JwksCachePolicy::FixedTtl(ttl))).await;
    answers(&scene.idp, &[UnknownKey, WrongSignature], INVALID_REQUEST);
    let running = scene.serve(&[]).await;
    let old = current(&running.app);
    assert_eq!(verdict(&running), Some(Accepted));

    let new = rotate(&running, Mode::Scheduled).await;
    pass(MINUTE * 60).await;

    assert_eq!(current(&running.app), old);
    let state = running.app.ledger.state();
    let known = state.idp(&scene.idp.issuer()).unwrap();
    let client_id = &state.registration().unwrap().client_id;
    assert_eq!(known.verdict(client_id, &new), Some(Rejected));
    assert!(running.app.is_ready());
    // The copy of the set is renewed in the end.
    pass(MINUTE * 120).await;
    assert_eq!(current(&running.app), new);
    assert_eq!(verdict(&running), Some(Accepted));
    assert!(running.stop(std::future::pending()).await);
}

#[tokio::test]
async fn where_everybody_gets_the_same_answer_only_time_promotes() {
    for answer in [
        INVALID_GRANT,
        INVALID_REQUEST,
        (403, "<html>no</html>"),
        (302, ""),
    ] {
        let scene = Scene::new().await;
        let all = [
            Authenticated,
            UnknownKey,
            WrongSignature,
            UnknownClient,
            WrongAudience,
        ];
        answers(&scene.idp, &all, answer);
        let running = scene.serve(&[]).await;
        let old = current(&running.app);

        assert_eq!(verdict(&running), Some(Inconclusive), "{answer:?}");
        assert!(running.app.is_ready());
        let new = rotate(&running, Mode::Now).await;
        pass(MINUTE * 2).await;
        assert_eq!(current(&running.app), old, "not before its time");
        pass(MINUTE * 60).await;

        assert_eq!(current(&running.app), new, "{answer:?}");
        assert!(running.stop(std::future::pending()).await);
    }
}

#[tokio::test]
async fn where_a_key_was_proven_once_only_an_acceptance_promotes() {
    let scene = Scene::new().await;
    let running = scene.serve(&[]).await;
    let old = current(&running.app);
    let all = [UnknownKey, WrongSignature, UnknownClient, WrongAudience];
    answers(&scene.idp, &all, INVALID_GRANT);

    let new = rotate(&running, Mode::Now).await;
    pass(MINUTE * 120).await;

    assert_eq!(current(&running.app), old);
    assert_eq!(verdict(&running), Some(Accepted), "nothing was learnt");
    assert!(running.app.is_ready());
    scene.idp.faults().clear();
    pass(MINUTE * 60).await;
    assert_eq!(current(&running.app), new);
    assert!(running.stop(std::future::pending()).await);
}

#[tokio::test]
async fn an_answer_that_says_nothing_is_no_acceptance() {
    for (to, answer) in [
        (Authenticated, (200, "<html>welcome</html>")),
        (Authenticated, (200, "")),
        (Authenticated, (204, "")),
        (Authenticated, (200, r#"{"error":"invalid_grant"}"#)),
        (Authenticated, (429, r#"{"error":"invalid_grant"}"#)),
        (Authenticated, (500, r#"{"error":"invalid_grant"}"#)),
        // The answer to a wrong key says nothing.
        (WrongSignature, (500, "")),
        (WrongSignature, (200, r#"{"access_token":"x"}"#)),
        (UnknownKey, (503, "")),
    ] {
        let scene = Scene::new().await;
        answers(&scene.idp, &[to], answer);
        let running = scene.start(&[("BFF_BOOTSTRAP_TIMEOUT", "0")]).await;

        assert!(running.bootstrap().await.is_err(), "{to:?} {answer:?}");

        assert_eq!(verdict(&running), None, "{to:?} {answer:?}");
        assert!(!running.app.is_ready());
        assert_eq!(
            scene.idp.clients().len(),
            1,
            "it is registered all the same"
        );
        assert!(running.stop(std::future::pending()).await);
    }
}

#[tokio::test]
async fn an_answer_that_another_audience_gets_too_is_no_acceptance() {
    let scene = Scene::new().await;
    answers(&scene.idp, &[Authenticated, WrongAudience], INVALID_REQUEST);
    let running = scene.start(&[("BFF_BOOTSTRAP_TIMEOUT", "0")]).await;

    assert!(running.bootstrap().await.is_err());

    assert_eq!(verdict(&running), Some(Rejected));
    assert!(running.stop(std::future::pending()).await);
}
