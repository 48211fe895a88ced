//! The process ends in the middle of a rotation, at once and without a word.

use std::collections::BTreeSet;
use std::time::Duration;

use dev_idp::{DevIdp, JwksCachePolicy};
use serde_json::{Value, json};

use crate::stage::{Stage, kid_of};
use crate::support::child::Bff;
use crate::support::{after, eventually};

/// How often the process is killed at a random moment; `BFF_TEST_KILLS` asks for more.
const KILLS: u32 = 12;

/// Rotations in one deployment, whose set has to hold all the keys.
const ROTATIONS: u32 = 25;

#[tokio::test]
async fn killed_at_each_request_of_a_rotation_it_goes_on_with_the_same_key() {
    for seen in 0..4 {
        let mut stage = stage().await;
        let mut requests = stage.world.idp.subscribe();
        let old = stage.current();

        let answer = stage.order(&json!({"mode": "now"})).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let kid = answer.json()["kid"].as_str().unwrap().to_owned();
        let mut left = seen;
        while left > 0 {
            let exchange = requests.recv().await.unwrap();
            left -= i32::from(kid_of(&exchange) == Some(&kid));
        }
        kill(&mut stage).await;

        assert!([&old, &kid].contains(&&stage.current()));
        stage.bff = stage.world.ready(&stage.env).await;
        stage.signs(&kid).await;
        whole(&stage, &BTreeSet::from([old, kid])).await;
    }
}

#[tokio::test]
async fn killed_at_any_moment_of_a_rotation_the_ring_is_whole_and_no_key_is_lost() {
    #[expect(clippy::disallowed_methods, reason = "only the number of repetitions")]
    let kills = std::env::var("BFF_TEST_KILLS").ok();
    let mut kills = kills.map_or(KILLS, |kills| kills.parse().unwrap());
    while kills > 0 {
        let mut stage = stage().await;
        let mut known = BTreeSet::from([stage.current()]);
        let rotations = kills.min(ROTATIONS);
        for number in 0..rotations {
            let moment = Duration::from_millis(u64::from(number * 37 % 160));
            let order = json!({"mode": "now"});
            let answered = tokio::select! {
                answer = stage.order(&order) => {
                    after(moment / 2).await;
                    Some(answer.json()["kid"].as_str().unwrap().to_owned())
                }
                () = after(moment) => None,
            };
            kill(&mut stage).await;

            let (current, next) = (stage.current(), stage.stored("next"));
            stage.bff = stage.world.ready(&stage.env).await;
            let expected = match (&answered, next.as_str()) {
                (Some(kid), _) => kid.clone(),
                (None, "") => current,
                (None, next) => next.to_owned(),
            };
            stage.signs(&expected).await;
            known.insert(expected);
            whole(&stage, &known).await;
        }
        kills -= rotations;
    }
}

async fn stage() -> Stage {
    let idp = DevIdp::builder().jwks_cache(JwksCachePolicy::NoCache);
    Stage::with(idp, |env| env.set("BFF_JWK_MAX_KEYS", "100")).await
}

async fn kill(stage: &mut Stage) {
    let placeholder = Bff::start(&["--version"], &stage.env, "");
    std::mem::replace(&mut stage.bff, placeholder).kill().await;
}

/// No rotation is under way, the set holds each key that was ever named and no other, and the
/// IdP accepts the signer.
async fn whole(stage: &Stage, known: &BTreeSet<String>) {
    eventually("the rotation is over", async || {
        (stage.rotation().await["phase"] == "steady").then_some(())
    })
    .await;
    let ring = &stage.world.volume.state()["ring"];
    assert_eq!(ring.get("next"), None);
    let published = stage.published().await;
    assert!(published.contains(&stage.current()));
    assert_eq!(&published.iter().cloned().collect::<BTreeSet<_>>(), known);
    assert_eq!(published.len(), known.len(), "none twice");
    let previous = ring["previous"].as_array().map_or(0, Vec::<Value>::len);
    assert_eq!(previous, known.len() - 1);
    assert!(stage.authenticate().await.accepted());
}
