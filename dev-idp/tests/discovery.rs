//! What the provider says about itself (OpenID Connect Discovery, RFC 8414).

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use dev_idp::DevIdp;
use serde_json::json;

use support::{World, http, json};

#[tokio::test]
async fn both_documents_name_the_issuer_and_the_same_endpoints() {
    let idp = DevIdp::builder().start().await.unwrap();
    let appended = format!("{}/.well-known/openid-configuration", idp.issuer());
    let inserted = format!(
        "{}/.well-known/oauth-authorization-server/api/oidc",
        idp.base_url()
    );

    let one = json(http().get(appended).send().await.unwrap()).await;
    let two = json(http().get(inserted).send().await.unwrap()).await;

    assert_eq!(one, two);
    assert_eq!(one["issuer"], idp.issuer());
    let endpoint = |path: &str| json!(format!("{}{path}", idp.issuer()));
    assert_eq!(one["registration_endpoint"], endpoint("/dcr/register"));
    assert_eq!(one["token_endpoint"], endpoint("/token"));
    assert_eq!(
        one["pushed_authorization_request_endpoint"],
        endpoint("/par")
    );
    let no_empty_list = one.as_object().unwrap().values().all(|v| *v != json!([]));
    assert!(no_empty_list, "{one}");
}

#[tokio::test]
async fn the_public_base_url_is_in_every_url_handed_out() {
    let world = World::with(DevIdp::builder().base_url("http://idp:8002/")).await;
    let local = format!("http://{}/api/oidc", world.idp.address());

    let document = http()
        .get(format!("{local}/.well-known/openid-configuration"))
        .send()
        .await
        .unwrap();
    let document = json(document).await;
    let registered = http()
        .post(format!("{local}/dcr/register"))
        .bearer_auth(world.idp.mint_iat())
        .header("content-type", "application/json")
        .body(world.metadata().to_string())
        .send()
        .await
        .unwrap();
    let registered = json(registered).await;

    assert_eq!(document["issuer"], "http://idp:8002/api/oidc");
    let uri = registered["registration_client_uri"].as_str().unwrap();
    assert!(
        uri.starts_with("http://idp:8002/api/oidc/dcr/register/"),
        "{uri}"
    );
}

#[tokio::test]
async fn the_keys_are_public_and_the_health_is_good() {
    let idp = DevIdp::builder().start().await.unwrap();

    let jwks = http().get(format!("{}/jwks", idp.issuer())).send().await;
    let jwks = json(jwks.unwrap()).await;
    let health = http()
        .get(format!("{}/healthz", idp.base_url()))
        .send()
        .await;

    assert_eq!(jwks["keys"][0]["kty"], "EC");
    assert!(jwks["keys"][0].get("d").is_none());
    assert_eq!(health.unwrap().status(), 200);
}
