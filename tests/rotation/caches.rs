//! Identity providers remember the JWK Set in all kinds of ways.

use std::num::NonZero;
use std::time::Duration;

use dev_idp::{Builder, DevIdp, Fault, JwksCachePolicy};
use serde_json::json;

use crate::stage::{Stage, Try};
use crate::support::eventually;

#[tokio::test]
async fn at_an_idp_that_remembers_nothing() {
    no_authentication_fails(remembering(JwksCachePolicy::NoCache)).await;
}

#[tokio::test]
async fn at_an_idp_that_fetches_again_for_an_unknown_key() {
    let cooldown = Duration::from_secs(1);
    no_authentication_fails(remembering(JwksCachePolicy::RefetchOnMiss { cooldown })).await;
}

#[tokio::test]
async fn at_an_idp_that_honours_max_age() {
    let min = Duration::ZERO;
    no_authentication_fails(remembering(JwksCachePolicy::HonourMaxAge { min })).await;
}

#[tokio::test]
async fn at_an_idp_with_a_lifetime_of_its_own() {
    let ttl = Duration::from_secs(2);
    no_authentication_fails(remembering(JwksCachePolicy::FixedTtl(ttl))).await;
}

#[tokio::test]
async fn at_an_idp_of_several_nodes_that_each_remember_for_themselves() {
    let ttl = Duration::from_secs(3);
    let idp = remembering(JwksCachePolicy::FixedTtl(ttl)).nodes(NonZero::new(2).unwrap());
    no_authentication_fails(idp).await;
}

#[tokio::test]
async fn a_cache_that_outlives_the_wait_leaves_the_old_key_in_charge_and_the_operator_told() {
    let ttl = Duration::from_hours(1);
    let stage = Stage::with(remembering(JwksCachePolicy::FixedTtl(ttl)), |env| env).await;
    let old = stage.current();

    let tries = stage
        .under_load(async {
            let answer = stage.order(&json!({"mode": "now"})).await;
            assert_eq!(answer.status, 202, "{answer:?}");
            stage.bff.says("does not accept key").await;
        })
        .await;

    assert!(tries.iter().all(Try::accepted), "{tries:?}");
    assert!(tries.iter().all(|one| one.kid == old), "{tries:?}");
    assert_eq!(stage.published().await.len(), 2);
    let rotation = eventually("the rejection is shown", async || {
        let rotation = stage.rotation().await;
        (rotation["rejections"].as_u64() > Some(0)).then_some(rotation)
    })
    .await;
    assert_eq!(rotation["waiting_for"], "proof");
    let note = rotation["note"].as_str().unwrap();
    assert!(
        note.contains("goes on signing") && note.contains("invalid_client"),
        "{note}"
    );
    let health = stage.world.get("/healthz").await;
    assert_eq!(
        (health.status, &health.json()["status"]),
        (200, &json!("degraded"))
    );
    assert_eq!(health.json()["checks"]["rotation"]["status"], "degraded");
    let metrics = stage.admin("/metrics").await.body;
    assert!(metrics.contains("bff_rotation_rejections 1"), "{metrics}");
    assert!(metrics.contains("bff_rotation_under_way 1"), "{metrics}");
}

/// Such a provider fails with every key as long as there are two: nothing helps but one key.
#[tokio::test]
async fn an_idp_that_cannot_take_two_keys_never_gets_a_new_signer_and_the_operator_is_told() {
    let stage = Stage::with(remembering(JwksCachePolicy::NoCache), |env| env).await;
    stage.world.idp.faults().set(Fault::RefuseSeveralKeys);
    let old = stage.current();

    let answer = stage.order(&json!({"mode": "now"})).await;

    assert_eq!(answer.status, 202, "{answer:?}");
    stage.bff.says("may not take a JWK Set of two keys").await;
    assert_eq!(stage.current(), old);
    let health = stage.world.get("/healthz").await.json();
    assert_eq!(health["status"], "degraded", "{health}");
    // The way out, which leaves one key.
    let answer = stage.order(&json!({"mode": "compromised"})).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert!(stage.authenticate().await.accepted());
}

/// A rotation without the wait, under load.
async fn no_authentication_fails(idp: Builder) {
    let stage = Stage::with(idp, |env| env).await;
    let old = stage.current();

    let tries = stage
        .under_load(async {
            let ended = stage.run(&["rotate", "--now", "--wait"]).await;
            assert_eq!(ended.code, Some(0), "{ended}");
        })
        .await;

    let new = stage.current();
    assert_ne!(old, new);
    assert!(tries.iter().all(Try::accepted), "{tries:?}");
    let mut signers: Vec<&str> = tries.iter().map(|one| one.kid.as_str()).collect();
    let with_new = signers.iter().filter(|kid| **kid == new).count();
    signers.dedup();
    assert_eq!(signers, [old.as_str(), &new], "one change, no way back");
    let accepted = stage.authentications(&new);
    let accepted = accepted
        .iter()
        .filter(|exchange| exchange.status == Some(400));
    assert!(
        accepted.count() >= with_new + 3,
        "proven before it was used"
    );
    assert!(
        stage.published().await.contains(&old),
        "it has signed a moment ago"
    );
}

fn remembering(policy: JwksCachePolicy) -> Builder {
    DevIdp::builder().jwks_cache(policy)
}
