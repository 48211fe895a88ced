//! From a PEM and a token to a proven client, at the first start.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use dev_idp::{Config, DevIdp, Direction, Endpoint, Exchange, Fault};
use serde_json::{Value, json};

use support::child::{Bff, messages};
use support::volume::Volume;
use support::world::World;

#[tokio::test]
async fn a_pem_and_a_token_become_a_proven_client_in_the_order_that_the_idp_needs() {
    let world = World::new().await;
    let mut events = world.idp.subscribe();
    let pem = world.volume.put_key("rsa-2048-pkcs1.pem");
    let token = world.idp.mint_iat();
    let env = world
        .env()
        .set("DCR_IAT", &token)
        .set("BFF_JWT_SIGNING_KEY", pem);

    let bff = world.ready(&env).await;

    let mut order = Vec::new();
    while let Ok(exchange) = events.try_recv() {
        order.push(step(&exchange));
    }
    // The fetch succeeds while the IdP registers: the set was up before.
    assert_eq!(
        order,
        [
            "discovery 200",
            "fetch 200",
            "register 201",
            "token invalid_grant",
            // Neither a wrong signature nor an unknown key gets that answer.
            "token invalid_client",
            "token invalid_client",
        ]
    );
    assert_eq!(world.idp.iat_uses(&token), Some(1));
    assert_eq!(world.clients(), [world.client_id()]);
    assert_eq!(world.get("/readyz").await.status, 200);
    let (client_id, keys) = (world.client_id(), world.keys().await);
    let registered = messages(&bff.log(), "INFO")
        .into_iter()
        .find(|message| message.starts_with(&format!("Client registered: {client_id} ")))
        .unwrap();
    let kid = keys[0]["kid"].as_str().unwrap();
    for part in ["201 Created", &world.idp.issuer(), kid, "remove DCR_IAT"] {
        assert!(registered.contains(part), "`{part}` in {registered}");
    }
    assert_eq!(keys[0]["alg"], "RS256");
    assert_eq!(keys[0]["kty"], "RSA");
}

#[tokio::test]
async fn the_token_is_in_exactly_one_request() {
    let world = World::new().await;

    world.registered().await;

    let authorized: Vec<_> = world
        .idp
        .requests()
        .into_iter()
        .filter(|exchange| exchange.authorization.is_some())
        .collect();
    assert_eq!(authorized.len(), 1);
    assert_eq!(authorized[0].endpoint, Endpoint::Register);
    let asked = &authorized[0].request;
    assert_eq!(asked["token_endpoint_auth_method"], "private_key_jwt");
    assert_eq!(asked["token_endpoint_auth_signing_alg"], "ES256");
    assert_eq!(asked["redirect_uris"], json!(["https://app.example/cb"]));
    assert_eq!(asked["scope"], "openid profile");
    assert!(asked.get("jwks").is_none());
    assert_eq!(asked["jwks_uri"], world.port.url("/.well-known/jwks.json"));
    for unset in ["client_id", "client_profile", "software_statement"] {
        assert!(asked.get(unset).is_none(), "{unset}");
    }
}

#[tokio::test]
async fn everything_that_is_wished_for_is_asked_for() {
    let world = World::new().await;
    let env = world
        .env_with_token()
        .set("DCR_CLIENT_ID", "shop")
        .set("DCR_CLIENT_NAME", "The Shop")
        .set("DCR_CLIENT_PROFILE", "code-flow-pkjwt")
        .set("DCR_GRANT_TYPES", "authorization_code refresh_token")
        .set(
            "DCR_REDIRECT_URIS",
            "https://a.example/cb,http://127.0.0.1:3000/cb",
        )
        .set("BFF_SIGNING_ALG", "EdDSA")
        .set("BFF_KID", "my-key")
        .set("DCR_EXTRA_METADATA", r#"{"software_id":"shop-1"}"#);

    world.run(&env).await;

    assert_eq!(world.clients(), ["shop"]);
    let asked = &world.received(Endpoint::Register)[0].request;
    assert_eq!(asked["client_id"], "shop");
    assert_eq!(asked["client_name"], "The Shop");
    assert_eq!(asked["client_profile"], "code-flow-pkjwt");
    assert_eq!(asked["software_id"], "shop-1");
    assert_eq!(asked["token_endpoint_auth_signing_alg"], "EdDSA");
    assert_eq!(
        asked["grant_types"],
        json!(["authorization_code", "refresh_token"])
    );
    assert_eq!(asked["redirect_uris"][1], "http://127.0.0.1:3000/cb");
    let header = &world.received(Endpoint::Token)[0].request["client_assertion"]["header"];
    assert_eq!(
        *header,
        json!({"alg": "EdDSA", "kid": "my-key", "typ": "client-authentication+jwt"})
    );
}

#[tokio::test]
async fn the_assertion_says_what_rfc_7523_asks_for_and_is_never_sent_twice() {
    let world = World::new().await;

    world.registered().await;
    world.run(&world.env()).await;

    let claims: Vec<Value> = world
        .received(Endpoint::Token)
        .iter()
        .map(|exchange| exchange.request["client_assertion"]["claims"].clone())
        .collect();
    // The proof and its two controls at the first start, the proof at the second.
    assert_eq!(claims.len(), 4);
    for claims in &claims {
        assert_eq!(claims["iss"], world.client_id());
        assert_eq!(claims["sub"], world.client_id());
        assert!(claims["aud"].is_string());
        assert!(claims.get("nbf").is_none());
        let lifetime = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert_eq!(lifetime, 60);
    }
    let distinct: BTreeSet<String> = claims.iter().map(|c| c["jti"].to_string()).collect();
    assert_eq!(distinct.len(), claims.len());
}

#[tokio::test]
async fn an_answer_of_200_registers_just_as_well() {
    let world = World::new().await;
    world.idp.faults().set(Fault::OkInsteadOfCreated);

    let ended = world.run(&world.env_with_token()).await;

    assert!(ended.said().contains("200 OK"), "{ended}");
    assert_eq!(world.clients().len(), 1);
}

#[tokio::test]
async fn without_registration_it_serves_keys_and_is_ready_without_an_idp() {
    let world = World::new().await;
    let env = world.env().unset("IDP_BASE_URL").unset("DCR_REDIRECT_URIS");

    for env in [env.clone(), env.set("DCR_ENABLED", "false")] {
        let bff = Bff::serve(&env);
        bff.says("Registration is off").await;

        assert_eq!(world.get("/readyz").await.status, 200);
        assert_eq!(world.keys().await.len(), 1);
        bff.stop().await;
    }
    assert!(world.idp.requests().is_empty());
}

#[tokio::test]
async fn the_audience_that_the_idp_takes_is_learnt_once() {
    let world = World::new().await;
    world.idp.faults().set(Fault::RefuseIssuerAudience);
    let issuer = world.idp.issuer();
    let endpoint = format!("{issuer}/token");

    world.registered().await;
    // With the explicit type and with `JWT`; then the endpoint, with two controls.
    let first = world.audiences();
    let e = || endpoint.clone();
    assert_eq!(first, [issuer.clone(), issuer, e(), e(), e()]);

    world.run(&world.env()).await;
    assert_eq!(world.audiences()[first.len()..], [endpoint]);
}

#[tokio::test]
async fn a_configured_audience_is_the_only_one_tried() {
    for (setting, fault) in [
        ("issuer", Fault::RefuseEndpointAudience),
        ("endpoint", Fault::RefuseIssuerAudience),
    ] {
        let world = World::new().await;
        world.idp.faults().set(fault);
        let env = world.env_with_token();

        world.run(&env.set("BFF_ASSERTION_AUDIENCE", setting)).await;

        let audience = match setting {
            "issuer" => world.idp.issuer(),
            _ => format!("{}/token", world.idp.issuer()),
        };
        let audiences = world.audiences();
        assert!(
            audiences.iter().all(|one| *one == audience),
            "{audiences:?}"
        );
        assert_eq!(audiences.len(), 3, "one proof and two controls");
    }
}

#[tokio::test]
async fn a_scope_that_the_idp_cuts_down_is_a_warning_with_both_values() {
    let world = World::new().await;
    let (member, value) = ("scope".to_owned(), json!("openid"));
    world
        .idp
        .faults()
        .set(Fault::SubstituteMember { member, value });

    let ended = world.run(&world.env_with_token()).await;

    let warnings = ended.messages("WARN");
    assert!(
        warnings
            .iter()
            .any(|warning| warning.contains("asked for `openid profile`, granted `openid`")),
        "{ended}"
    );
    assert_eq!(
        world.volume.state()["registration"]["granted"]["scope"],
        "openid"
    );
}

#[tokio::test]
async fn a_client_that_cannot_use_a_key_is_deleted_again() {
    let world = World::new().await;
    let (member, value) = (
        "token_endpoint_auth_method".to_owned(),
        json!("client_secret_basic"),
    );
    world
        .idp
        .faults()
        .set(Fault::SubstituteMember { member, value });

    let ended = Bff::serve(&world.env_with_token()).ended().await;

    ended.fails(
        1,
        &["client_secret_basic", "private_key_jwt", "bff mint-iat"],
    );
    assert!(world.clients().is_empty(), "{:?}", world.clients());
    assert!(world.volume.state().get("registration").is_none());
    assert!(world.received(Endpoint::Token).is_empty());
}

#[tokio::test]
async fn an_answer_without_an_authentication_method_is_taken_for_what_was_asked() {
    let world = World::new().await;
    let member = "token_endpoint_auth_method".to_owned();
    world.idp.faults().set(Fault::OmitMember { member });

    world.run(&world.env_with_token()).await;

    assert_eq!(world.clients(), [world.client_id()]);
}

#[tokio::test]
async fn an_issued_client_secret_is_neither_kept_nor_logged() {
    let world = World::with(DevIdp::builder().remember_secrets()).await;
    world
        .idp
        .faults()
        .set(Fault::IssueSecret { expires_in: None });
    let env = world.env_with_token().set("BFF_LOG", "trace");

    let ended = world.run(&env).await;

    let secret = world
        .idp
        .issued_secrets()
        .into_iter()
        .find(|secret| secret.starts_with("secret-"))
        .unwrap();
    assert!(!ended.said().contains(&secret));
    for (path, contents) in world.volume.snapshot() {
        let text = String::from_utf8_lossy(&contents);
        assert!(!text.contains(&secret), "{}", path.display());
    }
}

#[tokio::test]
async fn an_idp_that_asks_for_no_token_gets_none() {
    let mut config = Config::shipped().unwrap();
    config.policy.require_initial_access_token = false;
    let world = World::with(DevIdp::builder().config(config)).await;

    let ended = world.run(&world.env()).await;

    assert_eq!(world.clients(), [world.client_id()]);
    assert!(!ended.said().contains("remove DCR_IAT"), "{ended}");
}

#[tokio::test]
async fn the_application_finds_its_client_in_a_file_that_holds_no_secret() {
    let world = World::new().await;
    let path = world.volume.file("client.json");
    let env = world.env_with_token().set("BFF_CLIENT_CRED_PATH", &path);

    let bff = world.ready(&env).await;

    let client: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let kid = world.keys().await[0]["kid"].clone();
    let issuer = world.idp.issuer();
    drop(bff);
    assert_eq!(
        client,
        json!({
            "client_id": world.client_id(), "issuer": issuer,
            "token_endpoint": format!("{issuer}/token"), "kid": kid, "alg": "ES256",
        })
    );
}

#[tokio::test]
async fn an_administrators_token_mints_what_the_first_start_needs_and_no_more() {
    let world = World::new().await;
    let token = world.idp.admin_token();
    let env = world.env().set("BOOTSTRAP_ADMIN_TOKEN", token);

    world.run(&env).await;
    world.run(&env).await;

    assert_eq!(world.received(Endpoint::Mint).len(), 1);
    assert_eq!(world.received(Endpoint::Register).len(), 1);
    assert_eq!(world.clients(), [world.client_id()]);
}

#[tokio::test]
async fn the_state_can_be_kept_apart_from_the_keys() {
    let world = World::new().await;
    let elsewhere = Volume::new();
    let pem = world.volume.put_key("p256-pkcs8.pem");
    let env = world
        .env()
        .set("BFF_JWT_SIGNING_KEY", pem)
        .set("BFF_STATE_DIR", elsewhere.path());

    world
        .run(&env.clone().set("DCR_IAT", world.idp.mint_iat()))
        .await;
    world.run(&env).await;

    let client_id = elsewhere.state()["registration"]["client_id"].clone();
    assert_eq!(json!(world.clients()), json!([client_id]));
    let is_pem = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "pem");
    assert!(world.volume.snapshot().keys().all(is_pem));
    assert_eq!(world.received(Endpoint::Register).len(), 1);
}

#[tokio::test]
async fn a_named_key_that_is_not_there_is_made_on_an_empty_volume_only() {
    let world = World::new().await;
    let named = world.volume.file("signing.pem");
    let env = world
        .env()
        .unset("IDP_BASE_URL")
        .unset("DCR_REDIRECT_URIS")
        .set("BFF_JWT_SIGNING_KEY", &named)
        .set("BFF_SIGNING_ALG", "PS256");

    let bff = Bff::serve(&env);
    bff.serving().await;
    let made = world.keys().await;
    bff.stop().await;

    assert_eq!(made[0]["alg"], "PS256");
    let permissions = std::fs::metadata(&named).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o777, 0o600);
    let bff = Bff::serve(&env);
    bff.serving().await;
    assert_eq!(world.keys().await, made, "the same key after a restart");
    bff.stop().await;

    // Not beside another PEM, and not elsewhere.
    let other = World::new().await;
    other.volume.put_key("p256-pkcs8.pem");
    let missing = other.volume.file("signing.pem");
    let elsewhere = Volume::new().file("signing.pem");
    for path in [missing, elsewhere] {
        let env = other.env_with_token().set("BFF_JWT_SIGNING_KEY", &path);
        let ended = Bff::serve(&env).ended().await;
        ended.fails(78, &["BFF_JWT_SIGNING_KEY", "bff keys generate"]);
        assert!(!path.exists());
    }
}

/// An exchange in a few words.
fn step(exchange: &Exchange) -> String {
    let status = exchange.status.unwrap_or_default();
    match (exchange.direction, exchange.endpoint) {
        (Direction::Fetched, _) => format!("fetch {status}"),
        (_, Endpoint::Discovery) => format!("discovery {status}"),
        (_, Endpoint::Register) => format!("register {status}"),
        (_, Endpoint::Token) => format!(
            "token {}",
            exchange.answer["error"].as_str().unwrap_or_default()
        ),
        (_, other) => format!("{other:?} {status}"),
    }
}
