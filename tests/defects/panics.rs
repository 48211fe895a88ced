//! A defect in a background task does not end the service's work.

use bff::rotator::{Mode, Order};
use serde_json::{Value, json};

use crate::scene::{Scene, TICK, agree, pass};
use crate::support::http;

#[tokio::test]
async fn a_rotator_that_panics_is_started_again_and_health_says_so_and_orders_work() {
    let scene = Scene::new().await;
    let running = scene.serve(&[("DCR_ENABLED", "false")]).await;
    let health = async || http::get(&scene.url("/healthz")).await;
    assert_eq!(health().await.json()["status"], "ok");
    scene.wall.before_telling(|| panic!("on purpose"));

    pass(TICK).await;

    let answer = health().await;
    let health = answer.json();
    assert_eq!(
        (answer.status, &health["status"]),
        (200, &json!("degraded"))
    );
    let tasks = &health["checks"]["tasks"];
    assert_eq!(tasks["status"], "degraded");
    assert_eq!(tasks["restarted"]["rotator"]["panics"], 1);
    assert_ne!(tasks["restarted"]["rotator"]["last_panic_at"], Value::Null);
    // An order, and what only the task does.
    let order = Order {
        mode: Mode::Compromised,
        alg: None,
    };
    let kid = running.rotator.order(order).await.unwrap().kid.unwrap();
    agree(&running.app, &scene.volume, &kid);
    let next = running.rotator.order(Order::default()).await.unwrap();
    assert!(next.earliest_promotion.is_some());
    std::fs::remove_file(scene.volume.file("active.pem")).unwrap();
    pass(TICK).await;
    agree(&running.app, &scene.volume, &kid);
    assert!(running.stop(std::future::pending()).await);
}
