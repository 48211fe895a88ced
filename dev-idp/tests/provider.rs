//! Starting, stopping, remembering, and what the record shows.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test connects by itself, and fails by panicking"
)]

mod support;

use std::net::TcpStream;
use std::time::Duration;

use dev_idp::{DevIdp, Direction, Endpoint, Fault, Reach, Surroundings, may_listen};
use reqwest::Method;
use serde_json::{Value, json};

use support::{Outcome, Registered, World, http, json};

async fn mint(idp: &DevIdp, token: Option<&str>, body: &Value) -> (u16, Value) {
    let mut request = http()
        .post(format!(
            "{}/dcr/initial-access-tokens",
            idp.admin_base_url()
        ))
        .header("content-type", "application/json")
        .body(body.to_string());
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), json(response).await)
}

#[tokio::test]
async fn an_administrator_mints_initial_access_tokens() {
    let world = World::new().await;
    let idp = &world.idp;
    let admin = Some(idp.admin_token());

    let (status, minted) = mint(idp, admin, &json!({"label": "bff", "max_usages": 2})).await;

    assert_eq!(status, 201);
    assert_eq!(
        (&minted["label"], &minted["max_uses"]),
        (&json!("bff"), &json!(2))
    );
    assert!(minted["expires_at"].is_string());
    let token = minted["token"].as_str().unwrap();
    for status in [201, 201, 401] {
        let response = world.post_with(token, &world.metadata()).await.unwrap();
        assert_eq!(response.status(), status);
    }
    let equal = json!({"max_uses": 3, "max_usages": 3});
    assert_eq!(mint(idp, admin, &equal).await.0, 201);
    let unequal = json!({"max_uses": 1, "max_usages": 2});
    assert_eq!(mint(idp, admin, &unequal).await.0, 400);
    assert_eq!(mint(idp, admin, &json!({"max_uses": 0})).await.0, 400);
    assert_eq!(mint(idp, Some("x"), &json!({})).await.0, 401);
    assert_eq!(mint(idp, None, &json!({})).await.0, 401);
}

#[tokio::test]
async fn clients_survive_a_restart_on_the_same_address() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("clients.yaml");
    let mut world = World::with(DevIdp::builder().clients_file(&file)).await;
    let client = world.register().await;
    let address = world.idp.address();

    world.http = http();
    world.idp.shutdown().await;
    assert!(TcpStream::connect(address).is_err());
    let builder = DevIdp::builder().listen(address).clients_file(&file);
    world.idp = builder.start().await.unwrap();

    assert_eq!(json(world.read(&client).await).await, client.body);
    let yaml = std::fs::read_to_string(&file).unwrap();
    for line in [
        &format!("client_id: {}", client.client_id),
        "client_name: web",
        "token_endpoint_auth_method: private_key_jwt",
        "token_endpoint_auth_signing_alg: ES256",
        "jwks_uri: ",
        "redirect_uris:",
        "scope: openid profile",
    ] {
        assert!(yaml.contains(line), "{line} in\n{yaml}");
    }
    assert!(!yaml.contains(&client.rat), "{yaml}");
}

#[tokio::test]
async fn keys_by_value_are_written_as_a_set() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("clients.yaml");
    let world = World::with(DevIdp::builder().clients_file(&file)).await;
    let mut metadata = world.metadata_with("jwks_uri", Value::Null);
    metadata["jwks"] = json!({"keys": [world.key.jwk()]});

    let client = Registered::of(json(world.post(&metadata).await.unwrap()).await);
    let again = DevIdp::builder().clients_file(&file).start().await.unwrap();

    assert_eq!(again.clients(), [(client.client_id.clone(), metadata)]);
    let outcome = world.prove(&world.key, &client.client_id).await;
    assert!(outcome.is(400, "invalid_grant"), "{outcome:?}");
}

#[tokio::test]
async fn a_known_token_is_good_after_a_restart() {
    let builder = DevIdp::builder().initial_access_token("iat-from-before");
    let world = World::with(builder).await;

    let metadata = world.metadata();
    let response = world.post_with("iat-from-before", &metadata).await.unwrap();

    assert_eq!(response.status(), 201);
}

#[tokio::test]
async fn a_dropped_provider_closes_its_address() {
    let idp = DevIdp::builder().start().await.unwrap();
    let address = idp.address();

    drop(idp);

    let closed = async {
        while TcpStream::connect(address).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), closed)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_shutdown_finishes_the_request_under_way() {
    let world = World::new().await;
    let (on, millis) = (Endpoint::Register, 200);
    world.idp.faults().set(Fault::Delay { on, millis });
    let mut exchanges = world.idp.subscribe();
    let (http, metadata) = (world.http.clone(), world.metadata());
    let request = http
        .post(format!("{}/dcr/register", world.idp.issuer()))
        .bearer_auth(world.idp.mint_iat())
        .header("content-type", "application/json")
        .body(metadata.to_string());

    let stop = async {
        while exchanges.recv().await.unwrap().endpoint != on {}
        world.idp.shutdown().await;
    };
    let (response, ()) = tokio::join!(request.send(), stop);

    assert_eq!(response.unwrap().status(), 201);
}

#[tokio::test]
async fn everything_is_forgotten_on_demand() {
    let world = World::new().await;
    let client = world.register().await;
    let iat = world.idp.mint_iat();

    world.idp.forget_everything().unwrap();

    assert!(world.idp.clients().is_empty());
    assert_eq!(world.idp.iat_uses(&iat), None);
    assert_eq!(world.read(&client).await.status(), 401);
    let outcome = world.prove(&world.key, &client.client_id).await;
    assert!(outcome.is(401, "invalid_client"), "{outcome:?}");
    assert!(!world.idp.delete_client(&client.client_id).unwrap());
}

#[tokio::test]
async fn the_record_shows_everything_except_the_secrets() {
    let world = World::with(DevIdp::builder().remember_secrets()).await;
    let mut live = world.idp.subscribe();
    let client = world.register().await;
    let assertion = world.key.assertion(&world.claims(&client.client_id));
    world.prove_with(&assertion).await;
    let minted = mint(&world.idp, Some(world.idp.admin_token()), &json!({})).await;
    let url = format!("{}/nothing?access_token=hunter2", world.idp.base_url());
    world.send(Method::GET, &url, None, None).await.unwrap();

    let requests = world.idp.requests();
    let seen: Vec<_> = requests
        .iter()
        .map(|exchange| (exchange.endpoint, exchange.status, exchange.write))
        .collect();
    assert_eq!(
        seen,
        [
            (Endpoint::Register, Some(201), true),
            (Endpoint::Token, Some(400), false),
            (Endpoint::Mint, Some(201), false),
            (Endpoint::Any, Some(404), false),
        ]
    );
    assert_eq!(requests[0].request["jwks_uri"], world.jwks_uri);
    assert_eq!(requests[0].answer["client_id"], client.client_id);
    assert_eq!(
        requests[1].request["client_assertion"]["header"]["kid"],
        "k1"
    );
    let fetch = live.recv().await.unwrap();
    assert_eq!(fetch.direction, Direction::Fetched);
    assert_eq!(
        (fetch.target, fetch.status),
        (world.jwks_uri.clone(), Some(200))
    );

    let lines: Vec<_> = requests.iter().map(ToString::to_string).collect();
    let shown = format!("{requests:?} {} {:?}", lines.join("\n"), world.idp);
    let mut secrets = world.idp.issued_secrets();
    assert!(secrets.contains(&client.rat));
    assert!(secrets.iter().any(|secret| minted.1["token"] == **secret));
    // The client's own name was made as tokens are, and is no secret.
    secrets.retain(|secret| *secret != client.client_id);
    secrets.push("hunter2".to_owned());
    secrets.push(world.idp.admin_token().to_owned());
    secrets.push(assertion.rsplit('.').next().unwrap().to_owned());
    for secret in secrets {
        assert!(!shown.contains(&secret), "{secret} is shown");
    }
}

#[tokio::test]
async fn a_token_is_recognised_in_the_record() {
    let world = World::new().await;
    let iat = world.idp.mint_iat();
    world.post_with(&iat, &world.metadata()).await.unwrap();
    world.post_with(&iat, &world.metadata()).await.unwrap();
    world.post(&world.metadata()).await.unwrap();

    let sent: Vec<_> = world
        .idp
        .requests()
        .into_iter()
        .map(|exchange| exchange.authorization.unwrap())
        .collect();

    assert_eq!(sent[0], sent[1]);
    assert_ne!(sent[0], sent[2]);
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_undo_its_request() {
    let world = World::new().await;
    let (on, millis) = (Endpoint::Register, 600_000);
    world.idp.faults().set(Fault::Delay { on, millis });
    let mut exchanges = world.idp.subscribe();

    let metadata = world.metadata();
    tokio::select! {
        _ = world.post(&metadata) => unreachable!("the answer is delayed"),
        () = async { while exchanges.recv().await.unwrap().endpoint != on {} } => {}
    }

    assert_eq!(world.idp.clients().len(), 1);
    world.idp.faults().clear();
    let outcome = Outcome::of(world.post(&metadata).await.unwrap()).await;
    assert_eq!(outcome.0, 201);
}

#[test]
fn it_listens_on_loopback_and_only_around_containers_on_private_addresses() {
    let host = Surroundings::default();
    let engine = Surroundings {
        container_networks: vec![([172, 17, 0, 0].into(), [255, 255, 0, 0].into())],
        ..Surroundings::default()
    };
    let container = Surroundings {
        in_container: true,
        ..Surroundings::default()
    };
    for (address, on_host, beside_engine, inside) in [
        ("127.0.0.1", true, true, true),
        ("::1", true, true, true),
        ("10.1.2.3", false, false, true),
        ("172.17.0.1", false, true, true),
        ("192.168.0.1", false, false, true),
        ("fd00::1", false, false, true),
        ("0.0.0.0", false, false, true),
        ("::", false, false, true),
        ("8.8.8.8", false, false, false),
        ("2001:db8::1", false, false, false),
    ] {
        let may =
            |reach, surroundings| may_listen(address.parse().unwrap(), reach, surroundings).is_ok();
        let loopback = address == "127.0.0.1" || address == "::1";
        assert_eq!(may(Reach::Loopback, &container), loopback, "{address}");
        assert_eq!(may(Reach::Container, &host), on_host, "{address}");
        assert_eq!(may(Reach::Container, &engine), beside_engine, "{address}");
        assert_eq!(may(Reach::Container, &container), inside, "{address}");
    }
}

#[tokio::test]
async fn a_provider_for_containers_does_not_start_on_every_address_of_a_host() {
    let builder = DevIdp::builder()
        .listen("0.0.0.0:0".parse().unwrap())
        .reach(Reach::Container)
        .surroundings(Surroundings::default());

    let error = builder.start().await.unwrap_err().to_string();

    assert!(error.contains("/.dockerenv"), "{error}");
    assert!(error.contains("listen on loopback"), "{error}");
}
