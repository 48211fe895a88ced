//! `bff register --adopt`: a client that an operator names becomes ours once it is proven.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use dev_idp::{DevIdp, Endpoint, Fault};
use reqwest::Method;
use serde_json::{Value, json};

use support::child::{Bff, Ended};
use support::environment::Env;
use support::http::{Answer, request, send};
use support::world::World;

const REGISTER: Endpoint = Endpoint::Register;
const TOKEN: &str = "an-admin-token-of-32-characters!";

/// A client with the way to change it.
struct Managed {
    client_id: String,
    uri: String,
    token: String,
}

#[tokio::test]
async fn after_a_lost_answer_the_client_is_adopted_and_nothing_is_registered_again() {
    let world = World::new().await;
    let fault = Fault::DropAfter { on: REGISTER };
    world.idp.faults().set_times(fault, 1);
    let env = world.env_with_token();
    Bff::serve(&env).ended().await.fails(69, &["is unknown"]);
    let client_id = world.clients()[0].clone();

    let ended = adopt(&env, &[&client_id], "").await;

    assert_eq!(ended.code, Some(0), "{ended}");
    let line = format!("client `{client_id}` at ");
    assert!(ended.stdout.starts_with(&line), "{ended}");
    assert_eq!(world.client_id(), client_id);
    assert!(world.volume.state()["attempt"].is_null());
    world.run(&env).await;
    assert_eq!(world.writes().len(), 1, "only the first registration");
}

#[tokio::test]
async fn a_client_that_rejects_our_key_is_not_adopted_and_nothing_changes() {
    let world = World::new().await;
    let ours = world.registered().await;
    // The key of RFC 7517 §A.1.
    let key = json!({
        "kty": "EC", "crv": "P-256", "kid": "theirs", "use": "sig", "alg": "ES256",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    });
    let stranger = stranger(&world, "jwks", json!({"keys": [key]})).await;
    let before = world.volume.state();

    for client_id in [&*stranger.client_id, "nobody-knows-this-one"] {
        let flags = [client_id, "--registration-client-uri", &stranger.uri];
        let ended = adopt(&world.env(), &flags, &stranger.token).await;

        ended.is_refused(77, &["nothing was changed", client_id]);
        assert_eq!(world.client_id(), ours);
    }
    let after = world.volume.state();
    for member in ["registration", "orphans", "attempt", "journal"] {
        assert_eq!(after[member], before[member], "{member}");
    }
    assert!(world.received(Endpoint::Read).is_empty(), "no token left");
    assert!(world.received(Endpoint::Delete).is_empty());
}

#[tokio::test]
async fn the_management_of_the_present_client_is_renewed() {
    let world = World::new().await;
    let ours = world.registered().await;
    let registration = world.volume.state()["registration"].clone();
    let uri = registration["management"]["registration_client_uri"].clone();
    let given = renewed_token(&world, &ours).await;

    let flags = [&*ours, "--registration-client-uri", uri.as_str().unwrap()];
    let wrong = adopt(&world.env(), &flags, "rat-that-is-wrong\n").await;
    wrong.is_refused(77, &["registration access token", "nothing was changed"]);
    assert_eq!(world.volume.state()["registration"], registration);
    let ended = adopt(&world.env(), &flags, &format!("{given}\n")).await;

    assert_eq!(ended.code, Some(0), "{ended}");
    let management = &world.volume.state()["registration"]["management"];
    assert_eq!(management["registration_access_token"], json!(given));
    let changed = world.env().set("DCR_SCOPE", "openid");
    world.run(&changed).await;
    assert_eq!(world.received(Endpoint::Update).len(), 1);
    assert_eq!(world.client_id(), ours);
}

#[tokio::test]
async fn a_service_takes_a_client_over_in_place_of_the_present_one() {
    let world = World::with(DevIdp::builder().remember_secrets()).await;
    let env = world.env_with_token().set("BFF_ADMIN_TOKEN", TOKEN);
    let env = env.set("BFF_LOG", "trace");
    let bff = world.ready(&env).await;
    let old = world.client_id();
    let jwks_uri = world.port.url("/.well-known/jwks.json");
    let other = stranger(&world, "jwks_uri", json!(jwks_uri)).await;

    let flags = [&*other.client_id, "--registration-client-uri", &other.uri];
    let ended = adopt(&env, &flags, &other.token).await;

    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(world.client_id(), other.client_id);
    assert_eq!(world.get("/readyz").await.status, 200);
    assert_eq!(world.clients(), [&*other.client_id], "{old} is deleted");
    let journal = world.volume.state()["journal"].to_string();
    assert!(journal.contains("client_found"), "{journal}");
    let status = Bff::start(&["status"], &env, "").ended().await;
    let served = bff.stop().await;
    for said in [ended.said(), status.said(), served.said()] {
        for secret in world.idp.issued_secrets() {
            let is_token = secret.starts_with("rat-") || secret.starts_with("iat-");
            assert!(!is_token || !said.contains(&secret), "a token in {said}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_adopted_is_said_before_anything_is_sent() {
    let world = World::new().await;
    let ours = world.registered().await;
    let sent = world.received(Endpoint::Token).len();
    let elsewhere = "https://elsewhere.example/c1";
    let uri = "--registration-client-uri";

    for (code, flags, input, words) in [
        (64, vec!["caf\u{e9}"], "", "no client identifier"),
        (64, vec!["c1"], "a-token", "without registration_client_uri"),
        (
            64,
            vec!["c1", uri, elsewhere],
            "",
            "without registration_access_token",
        ),
        (64, vec!["c1", uri, elsewhere], "two tokens", "characters"),
        (
            64,
            vec!["c1", uri, "elsewhere"],
            "a-token",
            "cannot be used",
        ),
        (
            78,
            vec!["c1", uri, elsewhere],
            "a-token",
            "not on the origin of",
        ),
    ] {
        let ended = adopt(&world.env(), &flags, input).await;

        ended.is_refused(code, &[words]);
        assert!(!ended.said().contains("a-token"), "{ended}");
    }
    assert_eq!(world.received(Endpoint::Token).len(), sent);
    assert_eq!(world.client_id(), ours);
}

#[tokio::test]
async fn an_order_to_adopt_is_strict() {
    let world = World::new().await;
    let env = world.env_with_token().set("BFF_ADMIN_TOKEN", TOKEN);
    let bff = world.ready(&env).await;

    for (query, body) in [
        ("", json!({"adopt": "c1"})),
        ("", json!({"adopt": {}})),
        ("", json!({"adopt": {"client_id": 7}})),
        (
            "",
            json!({"adopt": {"client_id": "c1", "registration_client_uri": null}}),
        ),
        ("", json!({"adopt": {"client_id": "c1", "token": "t"}})),
        (
            "",
            json!({"adopt": {"client_id": "c1"}, "after_restore": true}),
        ),
        ("?dry_run=true", json!({"adopt": {"client_id": "c1"}})),
    ] {
        let answer = order(&world, query, &body).await;
        assert_eq!(answer.status, 422, "{query} {body}: {answer:?}");
    }
    let half = json!({"adopt": {"client_id": "c1", "registration_access_token": "a-token"}});
    let answer = order(&world, "", &half).await;
    assert_eq!(answer.status, 409, "{answer:?}");
    assert!(!answer.body.contains("a-token"), "{answer:?}");
    let rejected = order(&world, "", &json!({"adopt": {"client_id": "nobody"}})).await;
    assert_eq!(rejected.status, 409, "{rejected:?}");
    assert_eq!(rejected.json()["class"], "not_accepted", "{rejected:?}");
    assert_eq!(world.get("/readyz").await.status, 200);
    assert_eq!(world.get("/healthz").await.json()["status"], "ok");
    drop(bff);
}

/// `bff register --adopt` with these arguments, and `input` on standard input.
async fn adopt(env: &Env, arguments: &[&str], input: &str) -> Ended {
    let command = [&["register", "--adopt"], arguments].concat();
    Bff::start(&command, env, input).ended().await
}

/// A client that somebody else has registered.
async fn stranger(world: &World, keys: &str, value: Value) -> Managed {
    let metadata = json!({
        "token_endpoint_auth_method": "private_key_jwt", keys: value,
        "redirect_uris": ["https://app.example/cb"], "scope": "openid",
    });
    let post = request(
        Method::POST,
        &format!("{}/dcr/register", world.idp.issuer()),
    )
    .bearer_auth(world.idp.mint_iat())
    .header("content-type", "application/json")
    .body(metadata.to_string());
    let answer: Value = send(post).await.json();
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    Managed {
        client_id: text("client_id"),
        uri: text("registration_client_uri"),
        token: text("registration_access_token"),
    }
}

/// A registration access token that the IdP's administrator has renewed.
async fn renewed_token(world: &World, client_id: &str) -> String {
    let path = format!("/dcr/clients/{client_id}/tokens");
    let post = request(
        Method::POST,
        &format!("{}{path}", world.idp.admin_base_url()),
    );
    let answer = send(post.bearer_auth(world.idp.admin_token())).await.json();
    let token = answer["registration_access_token"].as_str();
    token.or(answer["token"].as_str()).unwrap().to_owned()
}

async fn order(world: &World, query: &str, body: &Value) -> Answer {
    let url = world.port.url(&format!("/admin/register{query}"));
    let post = request(Method::POST, &url).bearer_auth(TOKEN);
    send(post.body(body.to_string())).await
}
