//! Registering a client (RFC 7591).

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::Duration;

use axum::http::StatusCode;
use dev_idp::{Config, DevIdp};
use reqwest::Method;
use serde_json::{Value, json};

use support::{Outcome, World, json};

async fn refused(world: &World, member: &str, value: Value) -> (Outcome, String) {
    let response = world
        .post(&world.metadata_with(member, value))
        .await
        .unwrap();
    let status = response.status().as_u16();
    let body = json(response).await;
    (
        Outcome(status, body["error"].as_str().unwrap().to_owned()),
        body["error_description"].as_str().unwrap().to_owned(),
    )
}

#[tokio::test]
async fn a_registration_answers_all_metadata_and_the_means_to_manage_it() {
    let world = World::new().await;

    let response = world
        .post(&world.metadata_with("foo", json!(1)))
        .await
        .unwrap();

    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["pragma"], "no-cache");
    let body = json(response).await;
    for (member, value) in world.metadata().as_object().unwrap() {
        assert_eq!(body[member], *value, "{member}");
    }
    let client_id = body["client_id"].as_str().unwrap();
    assert_eq!(
        body["registration_client_uri"],
        format!("{}/dcr/register/{client_id}", world.idp.issuer())
    );
    assert!(body["registration_access_token"].is_string());
    assert!(body["client_id_issued_at"].is_i64());
    assert!(body.get("foo").is_none());
    assert!(body.get("client_secret").is_none());
    assert!(body.get("client_secret_expires_at").is_none());
}

#[tokio::test]
async fn the_short_path_registers_too() {
    let world = World::new().await;
    let iat = world.idp.mint_iat();
    let url = format!("{}/register", world.idp.issuer());

    let response = world
        .send(Method::POST, &url, Some(&iat), Some(&world.metadata()))
        .await
        .unwrap();

    assert_eq!(response.status(), 201);
}

#[tokio::test]
async fn a_token_is_used_up_by_a_success_and_not_by_a_refusal() {
    let world = World::new().await;
    let iat = world.idp.mint_iat();

    let bad = world.metadata_with("scope", json!("admin"));
    assert_eq!(world.post_with(&iat, &bad).await.unwrap().status(), 400);
    assert_eq!(world.idp.iat_uses(&iat), Some(0));

    let good = world.metadata();
    assert_eq!(world.post_with(&iat, &good).await.unwrap().status(), 201);
    assert_eq!(world.idp.iat_uses(&iat), Some(1));

    let response = world.post_with(&iat, &good).await.unwrap();
    assert_eq!(response.status(), 401);
    let challenge = response.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    assert_eq!(world.idp.clients().len(), 1);
}

#[tokio::test]
async fn of_two_registrations_with_one_token_one_is_made() {
    let world = World::new().await;
    let iat = world.idp.mint_iat();
    let metadata = world.metadata();

    let (a, b) = tokio::join!(
        world.post_with(&iat, &metadata),
        world.post_with(&iat, &metadata)
    );

    let mut statuses = [a.unwrap().status().as_u16(), b.unwrap().status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 401]);
    assert_eq!(world.idp.clients().len(), 1);
}

#[tokio::test]
async fn a_token_that_is_missing_unknown_or_expired_is_401_with_a_challenge() {
    let world = World::new().await;
    let url = format!("{}/dcr/register", world.idp.issuer());
    let expired = world.idp.mint_iat_with(1, Duration::ZERO);

    for (token, names_error) in [
        (None, false),
        (Some("garbage"), true),
        (Some(&*expired), true),
    ] {
        let response = world
            .send(Method::POST, &url, token, Some(&world.metadata()))
            .await
            .unwrap();

        assert_eq!(response.status(), 401);
        let challenge = response.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Bearer "), "{challenge}");
        assert_eq!(challenge.contains("error="), names_error, "{challenge}");
    }
    assert!(world.idp.clients().is_empty());
}

#[tokio::test]
async fn without_the_switch_anybody_registers() {
    let mut config = Config::shipped().unwrap();
    config.policy.require_initial_access_token = false;
    let world = World::with(DevIdp::builder().config(config)).await;
    let url = format!("{}/dcr/register", world.idp.issuer());

    let response = world
        .send(Method::POST, &url, None, Some(&world.metadata()))
        .await
        .unwrap();

    assert_eq!(response.status(), 201);
}

#[tokio::test]
async fn a_scope_outside_the_policy_is_named() {
    let world = World::new().await;

    let (outcome, description) = refused(&world, "scope", json!("openid billing:admin")).await;

    assert!(outcome.is(400, "invalid_scope"), "{outcome:?}");
    assert_eq!(description, "billing:admin is not in policy.allowed_scopes");
}

#[tokio::test]
async fn a_bad_redirect_uri_has_its_own_error() {
    let world = World::new().await;

    for uri in [
        "http://example.com/cb",
        "https://example.com/cb#x",
        "nothing",
    ] {
        let (outcome, _) = refused(&world, "redirect_uris", json!([uri])).await;
        assert!(
            outcome.is(400, "invalid_redirect_uri"),
            "{uri}: {outcome:?}"
        );
    }
    let (outcome, _) = refused(&world, "redirect_uris", Value::Null).await;
    assert!(outcome.is(400, "invalid_redirect_uri"), "{outcome:?}");

    for uri in [
        "http://localhost:8000/cb",
        "http://127.0.0.1/cb",
        "http://[::1]:1/cb",
    ] {
        let metadata = world.metadata_with("redirect_uris", json!([uri]));
        assert_eq!(world.post(&metadata).await.unwrap().status(), 201, "{uri}");
    }
}

#[tokio::test]
async fn metadata_that_cannot_be_registered_is_refused() {
    let world = World::new().await;
    let jwk = world.key.jwk();

    for (member, value) in [
        ("token_endpoint_auth_method", Value::Null),
        ("token_endpoint_auth_method", json!("client_secret_basic")),
        ("token_endpoint_auth_signing_alg", json!("none")),
        ("jwks", json!({"keys": [jwk]})),
        ("jwks_uri", Value::Null),
        ("jwks_uri", json!("ftp://app.example/jwks")),
        ("grant_types", json!(["implicit"])),
        ("grant_types", json!(["client_credentials"])),
        ("grant_types", json!("authorization_code")),
        ("response_types", json!(["token"])),
        ("client_profile", json!("no-such-profile")),
        ("client_id", json!("../admin")),
    ] {
        let (outcome, _) = refused(&world, member, value.clone()).await;
        assert!(
            outcome.is(400, "invalid_client_metadata"),
            "{member}: {value}: {outcome:?}"
        );
    }
    assert!(world.idp.clients().is_empty());
}

#[tokio::test]
async fn keys_by_value_must_be_a_set_of_public_keys() {
    let world = World::new().await;
    let with_jwks = |jwks: Value| {
        let mut metadata = world.metadata_with("jwks_uri", Value::Null);
        metadata["jwks"] = jwks;
        metadata
    };
    let mut private = world.key.jwk();
    private["d"] = json!("AA");

    let good = with_jwks(json!({"keys": [world.key.jwk()]}));
    assert_eq!(world.post(&good).await.unwrap().status(), 201);
    for jwks in [json!("{}"), json!({"keys": []}), json!({"keys": [private]})] {
        let response = world.post(&with_jwks(jwks)).await.unwrap();
        assert_eq!(response.status(), 400);
    }
}

#[tokio::test]
async fn a_profile_fills_in_what_the_request_leaves_out() {
    let world = World::new().await;
    let metadata = json!({
        "client_profile": "code-flow-pkjwt",
        "jwks_uri": world.jwks_uri,
        "redirect_uris": ["https://app.example/cb"],
    });

    let body = json(world.post(&metadata).await.unwrap()).await;

    assert_eq!(body["token_endpoint_auth_method"], "private_key_jwt");
    assert_eq!(body["response_types"], json!(["code"]));
    assert_eq!(body["client_profile"], "code-flow-pkjwt");
}

#[tokio::test]
async fn a_wished_client_id_is_granted_once() {
    let world = World::new().await;
    let metadata = world.metadata_with("client_id", json!("bff-web"));

    let body = json(world.post(&metadata).await.unwrap()).await;
    assert_eq!(body["client_id"], "bff-web");

    let (outcome, description) = refused(&world, "client_id", json!("bff-web")).await;
    assert!(outcome.is(400, "invalid_client_metadata"), "{outcome:?}");
    assert_eq!(description, "client_id bff-web is taken");
}

#[tokio::test]
async fn a_jwks_uri_that_cannot_be_fetched_is_refused_unless_the_policy_defers_it() {
    let world = World::new().await;
    world.publish_status(StatusCode::SERVICE_UNAVAILABLE);

    let (outcome, description) = refused(&world, "client_name", json!("web")).await;

    assert!(outcome.is(400, "invalid_client_metadata"), "{outcome:?}");
    assert_eq!(description, "jwks_uri cannot be fetched: HTTP 503");

    let mut config = Config::shipped().unwrap();
    config.policy.fetch_jwks_at_registration = false;
    let world = World::with(DevIdp::builder().config(config)).await;
    world.publish_status(StatusCode::SERVICE_UNAVAILABLE);
    world.register().await;
    assert!(world.idp.fetches().is_empty());
}

#[tokio::test]
async fn only_a_post_of_json_registers() {
    let world = World::new().await;
    let url = format!("{}/dcr/register", world.idp.issuer());
    let iat = world.idp.mint_iat();

    let get = world.send(Method::GET, &url, None, None).await.unwrap();
    assert_eq!(get.status(), 405);
    assert_eq!(get.headers()["allow"], "POST");

    let form = world.http.post(&url).bearer_auth(iat).body("a=b");
    assert_eq!(form.send().await.unwrap().status(), 415);
}

#[tokio::test]
async fn the_media_type_counts_as_a_whole_and_in_any_case() {
    let world = World::new().await;
    let url = format!("{}/dcr/register", world.idp.issuer());
    for (media_type, status) in [
        ("Application/JSON; charset=utf-8", 201),
        ("application/jsonl", 415),
        ("application/json-patch+json", 415),
    ] {
        let request = world
            .http
            .post(&url)
            .bearer_auth(world.idp.mint_iat())
            .header("Content-Type", media_type)
            .body(world.metadata().to_string());
        assert_eq!(
            request.send().await.unwrap().status(),
            status,
            "{media_type}"
        );
    }
}

#[tokio::test]
async fn a_form_is_known_by_the_whole_media_type() {
    let world = World::new().await;
    let url = format!("{}/token", world.idp.issuer());
    for (media_type, error) in [
        ("Application/X-WWW-Form-Urlencoded", "invalid_client"),
        ("application/x-www-form-urlencoded2", "invalid_request"),
    ] {
        let request = world
            .http
            .post(&url)
            .header("Content-Type", media_type)
            .body("grant_type=authorization_code&client_id=nobody");
        let outcome = Outcome::of(request.send().await.unwrap()).await;
        assert_eq!(outcome.1, error, "{media_type}");
    }
}
