//! Reading, updating and deleting a client (RFC 7592).

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use reqwest::Method;
use serde_json::{Value, json};

use support::{Outcome, World, json};

#[tokio::test]
async fn a_read_answers_what_the_registration_answered() {
    let world = World::new().await;
    let client = world.register().await;

    let response = world.read(&client).await;

    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(json(response).await, client.body);
}

#[tokio::test]
async fn an_update_replaces_everything() {
    let world = World::new().await;
    let client = world.register().await;

    let response = world.put(&client, "client_name", Value::Null).await;

    assert_eq!(response.status(), 200);
    let body = json(response).await;
    assert!(body.get("client_name").is_none());
    assert_eq!(body["client_id"], client.client_id);
    assert_eq!(body["registration_access_token"], client.rat);
    assert!(
        json(world.read(&client).await)
            .await
            .get("client_name")
            .is_none()
    );
}

#[tokio::test]
async fn an_update_with_what_only_the_server_may_say_is_refused() {
    let world = World::new().await;
    let client = world.register().await;

    for (member, value) in [
        ("registration_access_token", json!(client.rat)),
        ("registration_client_uri", json!(client.uri)),
        ("client_secret_expires_at", json!(0)),
        ("client_id_issued_at", json!(0)),
        ("client_secret", json!("x")),
    ] {
        let response = world.put(&client, member, value).await;
        assert_eq!(response.status(), 400, "{member}");
    }
    for client_id in [Value::Null, json!("another")] {
        let mut body = world.metadata();
        body["client_id"] = client_id;
        let response = world
            .send(Method::PUT, &client.uri, Some(&client.rat), Some(&body))
            .await
            .unwrap();
        assert_eq!(response.status(), 400);
    }
    let outcome = Outcome::of(world.put(&client, "redirect_uris", json!(["x"])).await).await;
    assert!(outcome.is(400, "invalid_redirect_uri"), "{outcome:?}");
    assert_eq!(json(world.read(&client).await).await, client.body);
}

#[tokio::test]
async fn a_patch_merges() {
    let world = World::new().await;
    let client = world.register().await;
    let body = json!({"client_name": "renamed", "scope": null});

    let response = world
        .send(Method::PATCH, &client.uri, Some(&client.rat), Some(&body))
        .await
        .unwrap();

    assert_eq!(response.status(), 200);
    let body = json(response).await;
    assert_eq!(body["client_name"], "renamed");
    assert_eq!(body["jwks_uri"], world.jwks_uri);
    assert!(body.get("scope").is_none());
}

#[tokio::test]
async fn a_deleted_client_is_gone_with_its_tokens() {
    let world = World::new().await;
    let client = world.register().await;

    let response = world
        .send(Method::DELETE, &client.uri, Some(&client.rat), None)
        .await
        .unwrap();

    assert_eq!(response.status(), 204);
    assert_eq!(response.text().await.unwrap(), "");
    assert_eq!(world.read(&client).await.status(), 401);
    let outcome = world.prove(&world.key, &client.client_id).await;
    assert!(outcome.is(401, "invalid_client"), "{outcome:?}");
}

#[tokio::test]
async fn an_unknown_client_is_401_and_not_404() {
    let world = World::new().await;
    let client = world.register().await;
    let unknown = format!("{}/dcr/register/nobody", world.idp.issuer());

    let without = world
        .send(Method::GET, &client.uri, None, None)
        .await
        .unwrap();
    assert_eq!(without.status(), 401);
    let response = world
        .send(Method::GET, &unknown, Some("rat-x"), None)
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
    assert!(
        response.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .contains("invalid_token")
    );
}

#[tokio::test]
async fn a_token_sent_for_another_client_is_refused_and_destroyed() {
    let world = World::new().await;
    let (a, b) = (world.register().await, world.register().await);

    let response = world
        .send(Method::GET, &b.uri, Some(&a.rat), None)
        .await
        .unwrap();

    assert_eq!(response.status(), 401);
    assert_eq!(world.read(&a).await.status(), 401);
    assert_eq!(world.read(&b).await.status(), 200);
}

#[tokio::test]
async fn an_administrator_renews_a_token() {
    let world = World::new().await;
    let client = world.register().await;
    let url = format!(
        "{}/dcr/clients/{}/tokens",
        world.idp.admin_base_url(),
        client.client_id
    );

    let refused = world
        .send(Method::POST, &url, Some("x"), None)
        .await
        .unwrap();
    assert_eq!(refused.status(), 401);
    let response = world
        .send(Method::POST, &url, Some(world.idp.admin_token()), None)
        .await
        .unwrap();

    assert_eq!(response.status(), 201);
    let body = json(response).await;
    assert_eq!(body["client_id"], client.client_id);
    assert_eq!(body["registration_client_uri"], client.uri);
    let rat = body["registration_access_token"].as_str().unwrap();
    assert_eq!(world.read(&client).await.status(), 401);
    let read = world.send(Method::GET, &client.uri, Some(rat), None).await;
    assert_eq!(read.unwrap().status(), 200);
}
