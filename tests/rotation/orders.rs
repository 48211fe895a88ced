//! What an operator can order, and what is answered.

use dev_idp::{DevIdp, Endpoint, JwksCachePolicy};
use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{Stage, kid_of};
use crate::support::http;

#[tokio::test]
async fn while_one_is_under_way_another_is_a_conflict_that_says_how_long() {
    let stage = Stage::new().await;

    let first = stage.post("", &[]).await;
    let second = stage.order(&json!({"mode": "now"})).await;

    assert_eq!(first.status, 202, "{first:?}");
    let first = first.json();
    assert_eq!(first["phase"], "prepublished");
    assert_eq!(first["waiting_for"], "time");
    assert!(first["earliest_promotion"].is_string(), "{first}");
    assert_eq!(second.status, 409, "{second:?}");
    assert_eq!(second.header("content-type"), "application/problem+json");
    let second = second.json();
    assert_eq!(second["phase"], "prepublished");
    assert_eq!(second["kid"], first["kid"]);
    let left = second["seconds_left"].as_u64().unwrap();
    assert!((1..=600).contains(&left), "{second}");
    assert_eq!(stage.rotation().await["kid"], first["kid"]);
    assert_eq!(stage.published().await.len(), 2);
}

#[tokio::test]
async fn an_order_that_is_not_understood_changes_nothing_and_is_told_what_is_possible() {
    let stage = Stage::new().await;

    for (body, status, words) in [
        ("{", 400, "compromised"),
        (r#"{"mode":"later"}"#, 422, "scheduled"),
        (r#"{"mode":7}"#, 422, "scheduled"),
        (r#"{"alg":"HS256"}"#, 422, "ES256"),
        (r#"{"speed":"high"}"#, 422, "mode"),
    ] {
        let answer = stage.post(body, &[]).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(answer.body.contains(words), "{body}: {answer:?}");
    }
    let url = stage.world.port.url("/admin/rotate");
    let stranger = http::send(http::request(Method::POST, &url)).await;

    assert_eq!(stranger.status, 401);
    assert!(stranger.header("www-authenticate").starts_with("Bearer"));
    assert_eq!(stage.rotation().await["phase"], "steady");
    assert_eq!(stage.published().await.len(), 1);
}

#[tokio::test]
async fn an_order_that_is_repeated_because_its_answer_was_lost_is_one_order() {
    let stage = Stage::new().await;
    let key = [("idempotency-key", "b0c1")];

    let first = stage.post(r#"{"mode":"scheduled"}"#, &key).await;
    let again = stage.post(r#"{"mode":"scheduled"}"#, &key).await;

    assert_eq!((first.status, again.status), (202, 202), "{again:?}");
    assert_eq!(first.json()["kid"], again.json()["kid"]);
    assert_eq!(stage.published().await.len(), 2);
}

#[tokio::test]
async fn compromised_keys_are_gone_at_once_and_the_idp_is_made_to_look() {
    let min = std::time::Duration::from_hours(1);
    let idp = DevIdp::builder().jwks_cache(JwksCachePolicy::HonourMaxAge { min });
    let stage = Stage::with(idp, |env| env).await;
    let scheduled = stage.order(&json!({})).await;
    assert_eq!(scheduled.status, 202, "{scheduled:?}");
    let before = stage.published().await;
    assert_eq!(before.len(), 2);

    let answer = stage.order(&json!({"mode": "compromised"})).await;

    assert_eq!(answer.status, 202, "{answer:?}");
    let answer = answer.json();
    let kid = answer["kid"].as_str().unwrap();
    assert!(!before.iter().any(|known| known == kid));
    let note = answer["note"].as_str().unwrap();
    assert!(
        note.contains("not revocation") && note.contains("was updated"),
        "{note}"
    );
    assert_eq!(stage.published().await, [kid]);
    assert_eq!(stage.current(), kid);
    assert_eq!(stage.active().to_str().unwrap(), format!("{kid}.pem"));
    assert_eq!(stage.world.received(Endpoint::Update).len(), 1);
    assert!(stage.authenticate().await.accepted());
    assert!(
        stage
            .bff
            .log()
            .contains("Audit: keys revoked as compromised")
    );
}

#[tokio::test]
async fn another_algorithm_is_registered_first_and_everything_follows_the_key() {
    let stage = Stage::with(DevIdp::builder(), |env| env).await;
    let mut stage = stage;
    let credentials = stage.world.volume.file("client.json");
    let env = stage.env.clone().set("BFF_CLIENT_CRED_PATH", &credentials);
    stage.restart(env).await;
    let registered = |stage: &Stage| {
        let [(_, metadata)] = stage.world.idp.clients().try_into().unwrap();
        metadata["token_endpoint_auth_signing_alg"].clone()
    };
    assert_eq!(registered(&stage), "ES256");

    let answer = stage.order(&json!({"mode": "now", "alg": "EdDSA"})).await;

    assert_eq!(answer.status, 202, "{answer:?}");
    let kid = answer.json()["kid"].as_str().unwrap().to_owned();
    stage.bff.says("signs from now on").await;
    assert_eq!(stage.current(), kid);
    assert_eq!(registered(&stage), "EdDSA");
    assert!(stage.authenticate().await.accepted());
    assert_eq!(stage.active().to_str().unwrap(), format!("{kid}.pem"));
    let told: Value = crate::support::eventually("the application is told", async || {
        let told: Value = serde_json::from_slice(&std::fs::read(&credentials).ok()?).ok()?;
        (told["kid"] == *kid).then_some(told)
    })
    .await;
    assert_eq!(told["alg"], "EdDSA");
    // A restart finds nothing to put right.
    let writes = stage.world.writes().len();
    let env = stage.env.clone();
    stage.restart(env).await;
    assert_eq!(stage.world.writes().len(), writes);
}

#[tokio::test]
async fn keys_by_value_are_pushed_before_they_are_relied_on() {
    let stage = Stage::with(DevIdp::builder(), |env| env.set("DCR_JWKS", "value")).await;
    let old = stage.current();

    let new = stage.rotate_now().await;

    let requests = stage.world.idp.requests();
    let pushed = requests.iter().position(|exchange| {
        let keys = exchange.request["jwks"]["keys"].as_array();
        let kids: Vec<_> = keys.into_iter().flatten().map(|key| &key["kid"]).collect();
        exchange.endpoint == Endpoint::Update && kids == [&json!(old), &json!(new)]
    });
    let used = requests
        .iter()
        .position(|exchange| kid_of(exchange) == Some(&new));
    assert!(pushed.unwrap() < used.unwrap());
    assert!(stage.authenticate().await.accepted());
    // Only the control with a wrong signature is refused.
    let mut with_new = stage.authentications(&new);
    let wrong = Some("the signature does not verify");
    with_new.retain(|exchange| exchange.note.as_deref() != wrong);
    assert!(with_new.iter().all(|exchange| exchange.status == Some(400)));
}

#[tokio::test]
async fn a_full_set_refuses_what_would_push_out_a_key_that_is_needed() {
    let stage = Stage::with(DevIdp::builder(), |env| env.set("BFF_JWK_MAX_KEYS", "2")).await;
    let new = stage.rotate_now().await;

    let answer = stage.order(&json!({"mode": "now"})).await;

    assert_eq!(answer.status, 409, "{answer:?}");
    assert!(answer.body.contains("BFF_JWK_MAX_KEYS"), "{answer:?}");
    assert_eq!(stage.published().await.len(), 2);
    assert_eq!(stage.current(), new);
}

#[tokio::test]
async fn where_nothing_can_be_proven_a_key_waits_for_its_time_even_if_hurried() {
    let off =
        |env: crate::support::environment::Env| env.set("DCR_ENABLED", "false").unset("DCR_IAT");
    let stage = Stage::with(DevIdp::builder(), off).await;
    let old = stage.current();

    let answer = stage.order(&json!({"mode": "now"})).await;

    assert_eq!(answer.status, 202, "{answer:?}");
    let answer = answer.json();
    assert_eq!(answer["waiting_for"], "time");
    assert!(
        answer["note"].as_str().unwrap().contains("DCR_ENABLED"),
        "{answer}"
    );
    assert_eq!(stage.current(), old);
    assert!(stage.world.idp.requests().is_empty());
}
