//! A PEM that an operator puts where the first key was.

use bff::jose::{Algorithm, SigningKey};
use dev_idp::DevIdp;
use serde_json::json;

use crate::stage::Stage;
use crate::support::environment::Env;
use crate::support::eventually;

#[tokio::test]
async fn another_pem_is_rotated_to_and_never_switched_to() {
    let stage = Stage::new().await;
    let mut stage = stage;
    let old = stage.current();
    let key = SigningKey::generate(Algorithm::ES256).unwrap();
    let env = with_pem(&stage, &key);

    stage.restart(env.clone()).await;

    let offered = key.kid().as_str();
    let rotation = eventually("it is published", async || {
        let rotation = stage.rotation().await;
        (rotation["waiting_for"] == "time").then_some(rotation)
    })
    .await;
    assert_eq!(rotation["kid"], offered);
    assert_eq!(stage.current(), old);
    assert_eq!(stage.published().await, [old.as_str(), offered]);
    assert!(stage.authenticate().await.accepted());
    // The same after a restart: no second key, and no beginning anew.
    stage.restart(env).await;
    let resumed = stage.rotation().await;
    assert_eq!(
        (&resumed["kid"], &resumed["earliest_promotion"]),
        (&json!(offered), &rotation["earliest_promotion"])
    );
}

#[tokio::test]
async fn a_pem_that_has_left_the_set_is_refused_with_the_reason() {
    let key = SigningKey::generate(Algorithm::ES256).unwrap();
    let stage = Stage::with(DevIdp::builder(), |env| env).await;
    let mut stage = stage;
    let old = stage.current();
    let pem = std::fs::read(stage.world.volume.file(&format!("{old}.pem"))).unwrap();
    let answer = stage.order(&json!({"mode": "compromised"})).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let signer = stage.current();
    let env = with_pem(&stage, &key);
    stage.world.volume.write("mine.pem", &pem);

    stage.restart(env).await;

    stage
        .bff
        .says("has left the JWK Set already and is never used again")
        .await;
    assert_eq!(stage.published().await, [signer]);
}

/// The settings with this key where the first one was.
fn with_pem(stage: &Stage, key: &SigningKey) -> Env {
    let pem = key.to_pem(None).unwrap();
    let path = stage
        .world
        .volume
        .write("mine.pem", pem.expose().as_bytes());
    stage.env.clone().set("BFF_JWT_SIGNING_KEY", path)
}
