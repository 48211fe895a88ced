//! How the JWK Sets of clients are remembered.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use dev_idp::{Builder, DevIdp, Fault, JwksCachePolicy};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use support::{Key, Outcome, Registered, World};

/// A world whose provider's clock only moves by hand.
struct Timed {
    world: World,
    client: Registered,
    seconds: Arc<AtomicI64>,
    start: Timestamp,
}

impl Timed {
    async fn with(policy: JwksCachePolicy) -> Self {
        Self::on(DevIdp::builder().jwks_cache(policy)).await
    }

    async fn on(builder: Builder) -> Self {
        let start = Timestamp::now();
        let seconds = Arc::new(AtomicI64::new(0));
        let passed = Arc::clone(&seconds);
        let clock = move || start + SignedDuration::from_secs(passed.load(Ordering::Relaxed));
        let world = World::with(builder.clock(clock)).await;
        let client = world.register().await;
        Self {
            world,
            client,
            seconds,
            start,
        }
    }

    fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    async fn accepts(&self, key: &Key) -> bool {
        self.proves(key).await.is(400, "invalid_grant")
    }

    async fn proves(&self, key: &Key) -> Outcome {
        let now = self.start + SignedDuration::from_secs(self.seconds.load(Ordering::Relaxed));
        let claims = self.world.claims_at(&self.client.client_id, now);
        self.world.prove_with(&key.assertion(&claims)).await
    }

    fn fetches(&self) -> usize {
        self.world.idp.fetches().len()
    }
}

#[tokio::test]
async fn by_default_an_unknown_kid_fetches_again_after_a_cooldown() {
    let timed = Timed::with(JwksCachePolicy::default()).await;
    let next = Key::new("k2");
    timed.world.publish(&[&timed.world.key, &next]);

    assert!(timed.accepts(&timed.world.key).await);
    assert!(!timed.accepts(&next).await);
    assert_eq!(timed.fetches(), 1);

    timed.pass(1);
    assert!(timed.accepts(&next).await);
    assert_eq!(timed.fetches(), 2);
}

#[tokio::test]
async fn a_provider_that_honours_max_age_does_not_see_a_new_key_before() {
    let min = Duration::from_mins(1);
    let timed = Timed::with(JwksCachePolicy::HonourMaxAge { min }).await;
    let next = Key::new("k2");
    timed.world.publish(&[&next]);

    timed.pass(299);
    assert!(!timed.accepts(&next).await);
    assert!(timed.accepts(&timed.world.key).await);

    timed.pass(1);
    assert!(timed.accepts(&next).await);
    assert!(!timed.accepts(&timed.world.key).await);
}

#[tokio::test]
async fn a_fixed_lifetime_ignores_max_age() {
    let ttl = Duration::from_secs(50);
    let timed = Timed::with(JwksCachePolicy::FixedTtl(ttl)).await;
    let next = Key::new("k2");
    timed.world.publish(&[&next]);

    timed.pass(49);
    assert!(!timed.accepts(&next).await);
    timed.pass(1);
    assert!(timed.accepts(&next).await);
}

#[tokio::test]
async fn without_a_cache_each_assertion_fetches() {
    let timed = Timed::with(JwksCachePolicy::NoCache).await;

    assert!(timed.accepts(&timed.world.key).await);
    assert!(timed.accepts(&timed.world.key).await);

    assert_eq!(timed.fetches(), 3);
    assert!(timed.world.idp.fetches()[2].target.ends_with("/jwks.json"));
}

#[tokio::test]
async fn an_update_empties_the_cache() {
    let min = Duration::from_mins(1);
    let timed = Timed::with(JwksCachePolicy::HonourMaxAge { min }).await;
    let next = Key::new("k2");
    timed.world.publish(&[&next]);

    let response = timed
        .world
        .put(&timed.client, "client_name", json!("renamed"))
        .await;

    assert_eq!(response.status(), 200);
    assert!(timed.accepts(&next).await);
}

#[tokio::test]
async fn a_failed_fetch_of_an_expired_set_authenticates_nobody() {
    let timed = Timed::with(JwksCachePolicy::default()).await;
    timed.world.publish_status(StatusCode::FOUND);

    timed.pass(300);

    assert!(!timed.accepts(&timed.world.key).await);
    assert_eq!(timed.world.idp.fetches().pop().unwrap().status, Some(302));
}

#[tokio::test]
async fn a_set_that_may_not_be_stored_is_fetched_each_time() {
    let timed = Timed::with(JwksCachePolicy::default()).await;
    timed.world.publish_for("Max-Age=\"300\", No-Store");
    timed.pass(300);

    assert!(timed.accepts(&timed.world.key).await);
    assert!(timed.accepts(&timed.world.key).await);
    assert_eq!(timed.fetches(), 3);

    timed.world.publish_for("Max-Age=\"300\"");
    assert!(timed.accepts(&timed.world.key).await);
    assert!(timed.accepts(&timed.world.key).await);
    assert_eq!(timed.fetches(), 4);
}

#[tokio::test]
async fn a_fetch_that_is_cut_off_is_a_failed_fetch() {
    let mut world = World::new().await;
    let uri = world.publish_incompletely().await;
    let metadata = world.metadata_with("jwks_uri", json!(uri));

    let response = world.post(&metadata).await.unwrap();

    assert_eq!(response.status(), 400);
    let refusal = support::json(response).await;
    let description = refusal["error_description"].as_str().unwrap();
    assert!(description.contains("not complete"), "{description}");
}

#[tokio::test]
async fn nodes_take_the_connections_in_turn_and_remember_each_for_itself() {
    let min = Duration::from_mins(1);
    let builder = DevIdp::builder()
        .jwks_cache(JwksCachePolicy::HonourMaxAge { min })
        .nodes(NonZero::new(2).unwrap());
    let timed = Timed::on(builder).await;
    let next = Key::new("k2");
    // One node has fetched the set to register the client; now the other one does too.
    assert!(timed.accepts(&timed.world.key).await);
    assert!(timed.accepts(&timed.world.key).await);
    assert_eq!(timed.fetches(), 2);
    timed.world.publish(&[&timed.world.key, &next]);

    for _ in 0..4 {
        assert!(!timed.accepts(&next).await);
    }
    timed.pass(300);
    for _ in 0..4 {
        assert!(timed.accepts(&next).await);
    }

    assert_eq!(timed.fetches(), 4, "one each");
}

#[tokio::test]
async fn a_provider_that_cannot_choose_between_two_keys_fails_with_both() {
    let timed = Timed::with(JwksCachePolicy::NoCache).await;
    timed.world.idp.faults().set(Fault::RefuseSeveralKeys);
    assert!(timed.accepts(&timed.world.key).await);
    let next = Key::new("k2");
    timed.world.publish(&[&timed.world.key, &next]);

    for key in [&timed.world.key, &next] {
        let outcome = timed.proves(key).await;
        assert!(outcome.is(500, "temporarily_unavailable"));
    }
}

#[tokio::test]
async fn one_key_can_be_refused_while_the_other_is_accepted() {
    let timed = Timed::with(JwksCachePolicy::NoCache).await;
    let next = Key::new("k2");
    timed.world.publish(&[&timed.world.key, &next]);

    let kid = next.kid.clone();
    timed.world.idp.faults().set(Fault::RefuseKey { kid });

    assert!(!timed.accepts(&next).await);
    assert!(timed.accepts(&timed.world.key).await);
}

#[test]
fn a_cache_policy_is_read_from_text() {
    let seconds = Duration::from_secs;
    for (text, policy) in [
        ("none", JwksCachePolicy::NoCache),
        ("fixed:50", JwksCachePolicy::FixedTtl(seconds(50))),
        (
            "honour-max-age:60",
            JwksCachePolicy::HonourMaxAge { min: seconds(60) },
        ),
        ("refetch-on-miss", JwksCachePolicy::default()),
    ] {
        assert_eq!(text.parse(), Ok(policy));
    }
    assert!("sometimes".parse::<JwksCachePolicy>().is_err());
    assert!("fixed:soon".parse::<JwksCachePolicy>().is_err());
}
