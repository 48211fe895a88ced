//! The kind of assertion that a server takes is found out once.

use bff::registration::AuthenticationOutcome::Accepted;
use dev_idp::{AudiencePolicy, DevIdp, Endpoint, Exchange, Fault, Verdict};
use serde_json::Value;

use crate::scene::Scene;
use crate::servers::{answers, verdict};

const EXPLICIT: &str = "client-authentication+jwt";

/// `typ` and `aud` of the assertions that the token endpoint received.
fn presented(scene: &Scene) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |exchange: &Exchange| {
        let jwt = &exchange.request["client_assertion"];
        (text(&jwt["header"]["typ"]), text(&jwt["claims"]["aud"]))
    };
    let requests = scene.idp.requests().into_iter();
    let at_token = requests.filter(|exchange| exchange.endpoint == Endpoint::Token);
    at_token.map(|exchange| of(&exchange)).collect()
}

#[tokio::test]
async fn every_kind_is_tried_in_order_and_the_one_that_is_accepted_is_remembered() {
    for (typ, policy, tries) in [
        (None, AudiencePolicy::Any, 1),
        (Some(EXPLICIT), AudiencePolicy::Issuer, 1),
        (Some("JWT"), AudiencePolicy::Issuer, 2),
        (Some("JWT"), AudiencePolicy::Endpoint, 3),
        (Some(EXPLICIT), AudiencePolicy::Endpoint, 4),
    ] {
        let scene = Scene::with(DevIdp::builder().audience(policy)).await;
        if let Some(typ) = typ {
            let typ = typ.to_owned();
            scene.idp.faults().set(Fault::OnlyType { typ });
        }
        let (issuer, endpoint) = (scene.idp.issuer(), format!("{}/token", scene.idp.issuer()));
        let order = [
            (EXPLICIT.to_owned(), issuer.clone()),
            ("JWT".to_owned(), issuer),
            ("JWT".to_owned(), endpoint.clone()),
            (EXPLICIT.to_owned(), endpoint),
        ];

        let running = scene.serve(&[]).await;
        assert!(running.stop(std::future::pending()).await);

        let first = presented(&scene);
        assert_eq!(first[..tries], order[..tries], "{typ:?}");
        let running = scene.serve(&[]).await;
        let second = presented(&scene).split_off(first.len());
        assert_eq!(
            second,
            [order[tries - 1].clone()],
            "one request, no control"
        );
        assert_eq!(verdict(&running), Some(Accepted));
        assert!(running.stop(std::future::pending()).await);
    }
}

/// Such an answer says nothing by itself: whatever is wrong gets it.
#[tokio::test]
async fn a_kind_that_leads_to_nothing_does_not_hide_the_one_that_is_accepted() {
    let scene = Scene::with(DevIdp::builder().audience(AudiencePolicy::Endpoint)).await;
    let wrong = [
        Verdict::WrongAudience,
        Verdict::UnknownKey,
        Verdict::WrongSignature,
        Verdict::UnknownClient,
    ];
    answers(&scene.idp, &wrong, (400, r#"{"error":"invalid_request"}"#));

    let running = scene.serve(&[]).await;

    assert_eq!(verdict(&running), Some(Accepted));
    let state = running.app.ledger.state();
    let known = state.idp(&scene.idp.issuer()).unwrap();
    let learnt = known.presentation("token_endpoint").unwrap();
    assert_eq!(learnt.audience, format!("{}/token", scene.idp.issuer()));
    assert!(running.stop(std::future::pending()).await);
}

#[tokio::test]
async fn fixed_settings_leave_nothing_to_find_out() {
    let scene = Scene::new().await;
    let settings = [
        ("BFF_ASSERTION_TYPE", "JWT"),
        ("BFF_ASSERTION_AUDIENCE", "endpoint"),
    ];
    let running = scene.serve(&settings).await;
    assert!(running.stop(std::future::pending()).await);

    let endpoint = format!("{}/token", scene.idp.issuer());
    let kinds = presented(&scene);
    // The controls that belong to a proof have the same type.
    assert!(kinds.iter().all(|(typ, _)| typ == "JWT"), "{kinds:?}");
    assert_eq!(kinds[0].1, endpoint);
}

#[tokio::test]
async fn what_a_server_takes_is_found_out_again_when_it_changes() {
    let scene = Scene::new().await;
    let running = scene.serve(&[]).await;
    assert!(running.stop(std::future::pending()).await);
    let typ = "JWT".to_owned();
    scene.idp.faults().set(Fault::OnlyType { typ });

    let running = scene.serve(&[]).await;

    assert_eq!(verdict(&running), Some(Accepted));
    assert_eq!(presented(&scene).last().unwrap().0, "JWT");
    assert!(running.stop(std::future::pending()).await);
}
