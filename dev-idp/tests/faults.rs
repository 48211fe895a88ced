//! Each fault does what it says, and no more.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::{Duration, UNIX_EPOCH};

use dev_idp::{Endpoint, Fault};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use support::{Outcome, Registered, World, json};

async fn discover(world: &World) -> reqwest::Result<Response> {
    let url = format!("{}/.well-known/openid-configuration", world.idp.issuer());
    world.send(Method::GET, &url, None, None).await
}

/// A world in which one fault is set.
async fn with(fault: Fault) -> World {
    let world = World::new().await;
    world.idp.faults().set(fault);
    world
}

#[tokio::test]
async fn drop_before_closes_the_connection_and_does_nothing() {
    let on = Endpoint::Register;
    let world = with(Fault::DropBefore { on }).await;

    assert!(world.post(&world.metadata()).await.is_err());

    assert!(world.idp.clients().is_empty());
    assert_eq!(world.idp.requests()[0].status, None);
}

#[tokio::test]
async fn drop_after_closes_the_connection_and_the_client_exists() {
    let on = Endpoint::Register;
    let world = with(Fault::DropAfter { on }).await;
    let iat = world.idp.mint_iat();

    let answer = world.post_with(&iat, &world.metadata()).await;

    assert!(answer.is_err());
    assert_eq!(world.idp.clients().len(), 1);
    assert_eq!(world.idp.iat_uses(&iat), Some(1));
    let exchange = &world.idp.requests()[0];
    assert_eq!(exchange.status, None);
    assert_eq!(exchange.faults, [Fault::DropAfter { on }]);
}

#[tokio::test]
async fn a_dropped_answer_to_an_update_loses_the_rotated_token() {
    let world = World::new().await;
    let client = world.register().await;
    let on = Endpoint::Update;
    world.idp.faults().set_times(Fault::RotateOnUpdate, 1);
    world.idp.faults().set_times(Fault::DropAfter { on }, 1);

    let body = world.update(&client, "client_name", json!("renamed"));
    let answer = world
        .send(Method::PUT, &client.uri, Some(&client.rat), Some(&body))
        .await;

    assert!(answer.is_err());
    assert_eq!(world.idp.clients()[0].1["client_name"], "renamed");
    assert_eq!(world.read(&client).await.status(), 401);
    let outcome = world.prove(&world.key, &client.client_id).await;
    assert!(outcome.is(400, "invalid_grant"), "{outcome:?}");
}

#[tokio::test]
async fn cut_body_ends_in_the_middle_of_the_answer() {
    let on = Endpoint::Register;
    let world = with(Fault::CutBody { on }).await;

    let response = world.post(&world.metadata()).await.unwrap();

    assert_eq!(response.status(), 201);
    assert!(response.text().await.is_err());
    assert_eq!(world.idp.clients().len(), 1);
}

#[tokio::test]
async fn bad_gateway_after_answers_html_and_the_client_exists() {
    let on = Endpoint::Register;
    let world = with(Fault::BadGatewayAfter { on }).await;

    let response = world.post(&world.metadata()).await.unwrap();

    assert_eq!(response.status(), 502);
    assert!(response.text().await.unwrap().starts_with("<html>"));
    assert_eq!(world.idp.clients().len(), 1);
}

#[tokio::test]
async fn a_status_is_answered_n_times_and_then_all_is_well() {
    let world = World::new().await;
    for on in [Endpoint::Discovery, Endpoint::Register, Endpoint::Token] {
        let status = 503;
        world
            .idp
            .faults()
            .set_times(Fault::Status { on, status }, 2);
    }

    for status in [503, 503, 200] {
        let response = discover(&world).await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(
            response.headers().contains_key("retry-after"),
            status == 503
        );
    }
    let iat = world.idp.mint_iat();
    for status in [503, 503, 201] {
        let response = world.post_with(&iat, &world.metadata()).await.unwrap();
        assert_eq!(response.status(), status);
    }
    let client_id = world.idp.clients()[0].0.clone();
    for status in [503, 503, 400] {
        assert_eq!(world.prove(&world.key, &client_id).await.0, status);
    }
    assert!(world.idp.faults().active().is_empty());
}

#[tokio::test]
async fn management_can_be_off_in_three_ways() {
    let world = World::new().await;
    let client = world.register().await;

    for (status, header) in [(404, None), (405, Some("allow")), (403, None)] {
        let on = Endpoint::Management;
        world.idp.faults().clear();
        world.idp.faults().set(Fault::Status { on, status });

        let read = world.read(&client).await;
        let update = world.put(&client, "client_name", json!("x")).await;

        assert_eq!((read.status(), update.status()).0, status);
        assert_eq!(update.status(), status);
        assert!(header.is_none_or(|name| read.headers().contains_key(name)));
    }
    assert_eq!(world.idp.clients()[0].1["client_name"], "web");
}

#[tokio::test]
async fn the_token_endpoint_can_refuse_everybody() {
    let world = World::new().await;
    let client = world.register().await;
    let (on, status) = (Endpoint::Token, 401);
    world.idp.faults().set(Fault::Status { on, status });

    let outcome = world.prove(&world.key, &client.client_id).await;

    assert!(outcome.is(401, "invalid_client"), "{outcome:?}");
}

#[tokio::test]
async fn discovery_can_be_absent() {
    let (on, status) = (Endpoint::Discovery, 404);
    let world = with(Fault::Status { on, status }).await;

    assert_eq!(discover(&world).await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_redirect_registers_nobody() {
    let on = Endpoint::Register;
    let world = with(Fault::Redirect { on }).await;

    let response = world.post(&world.metadata()).await.unwrap();

    assert_eq!(response.status(), 307);
    assert!(response.headers().contains_key("location"));
    assert!(world.idp.clients().is_empty());
}

#[tokio::test]
async fn a_delay_comes_after_the_act() {
    let (on, millis) = (Endpoint::Register, 50);
    let world = with(Fault::Delay { on, millis }).await;
    let before = tokio::time::Instant::now();

    let response = world.post(&world.metadata()).await.unwrap();

    assert_eq!(response.status(), 201);
    assert!(before.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn errors_can_be_empty_or_html_and_successes_are_not_touched() {
    let world = with(Fault::EmptyErrors).await;
    let bad = world.metadata_with("scope", json!("admin"));

    let response = world.post(&bad).await.unwrap();
    assert_eq!(response.status(), 400);
    assert!(!response.headers().contains_key("content-type"));
    assert_eq!(response.text().await.unwrap(), "");

    world.idp.faults().clear();
    world.idp.faults().set(Fault::HtmlErrors);
    let response = world.post(&bad).await.unwrap();
    assert_eq!(response.status(), 400);
    assert!(response.text().await.unwrap().contains("<html>"));
    world.register().await;
}

#[tokio::test]
async fn a_registration_can_be_answered_with_200() {
    let world = with(Fault::OkInsteadOfCreated).await;

    assert_eq!(world.post(&world.metadata()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_member_can_be_missing_in_the_answer() {
    let member = "token_endpoint_auth_method".to_owned();
    let world = with(Fault::OmitMember { member }).await;

    let client = world.register().await;

    assert!(client.body.get("token_endpoint_auth_method").is_none());
    let outcome = world.prove(&world.key, &client.client_id).await;
    assert!(outcome.is(400, "invalid_grant"), "{outcome:?}");
}

#[tokio::test]
async fn a_substituted_auth_method_is_registered_and_ends_private_key_jwt() {
    let member = "token_endpoint_auth_method".to_owned();
    let value = json!("client_secret_basic");
    let world = with(Fault::SubstituteMember { member, value }).await;

    let client = world.register().await;

    assert_eq!(
        client.body["token_endpoint_auth_method"],
        "client_secret_basic"
    );
    let outcome = world.prove(&world.key, &client.client_id).await;
    assert!(outcome.is(401, "invalid_client"), "{outcome:?}");
}

#[tokio::test]
async fn a_substituted_scope_is_answered_to_every_update() {
    let (member, value) = ("scope".to_owned(), json!("openid"));
    let world = with(Fault::SubstituteMember { member, value }).await;

    let client = world.register().await;
    let updated = world.put(&client, "scope", json!("openid email")).await;

    assert_eq!(client.body["scope"], "openid");
    assert_eq!(json(updated).await["scope"], "openid");
    assert_eq!(json(world.read(&client).await).await["scope"], "openid");
}

#[tokio::test]
async fn a_secret_can_be_issued_anyway() {
    let expires_in = Some(432_000);
    let world = with(Fault::IssueSecret { expires_in }).await;

    let client = world.register().await;

    assert!(client.body["client_secret"].is_string());
    assert!(client.body["client_secret_expires_at"].as_i64() > Some(432_000));
    let shown = format!("{:?}", world.idp.requests());
    assert!(!shown.contains(client.body["client_secret"].as_str().unwrap()));
}

#[tokio::test]
async fn a_registration_can_come_without_management() {
    let world = with(Fault::NoManagement).await;

    let body = json(world.post(&world.metadata()).await.unwrap()).await;

    assert!(body["client_id"].is_string());
    assert!(body.get("registration_client_uri").is_none());
    assert!(body.get("registration_access_token").is_none());
}

#[tokio::test]
async fn a_read_can_rotate_the_token() {
    let world = World::new().await;
    let client = world.register().await;
    world.idp.faults().set(Fault::RotateOnRead);

    let rotated = Registered::of(json(world.read(&client).await).await);

    assert_ne!(rotated.rat, client.rat);
    assert_eq!(world.read(&client).await.status(), 401);
    assert_eq!(world.read(&rotated).await.status(), 200);
}

#[tokio::test]
async fn an_update_can_rotate_the_token() {
    let world = World::new().await;
    let client = world.register().await;
    world.idp.faults().set(Fault::RotateOnUpdate);

    let response = world.put(&client, "client_name", json!("renamed")).await;
    let rotated = Registered::of(json(response).await);

    assert_ne!(rotated.rat, client.rat);
    assert_eq!(world.read(&client).await.status(), 401);
    assert_eq!(world.read(&rotated).await.status(), 200);
}

#[tokio::test]
async fn management_answers_can_be_bare_and_the_token_stays() {
    let world = World::new().await;
    let client = world.register().await;
    world.idp.faults().set(Fault::BareManagementAnswers);

    let response = world.put(&client, "client_name", json!("renamed")).await;

    for body in [json(response).await, json(world.read(&client).await).await] {
        assert_eq!(body["client_id"], client.client_id);
        assert!(body.get("registration_access_token").is_none());
        assert!(body.get("registration_client_uri").is_none());
    }
}

#[tokio::test]
async fn a_jwks_uri_can_be_refused() {
    let world = with(Fault::RefuseJwksUri).await;
    let by_value = {
        let mut metadata = world.metadata_with("jwks_uri", Value::Null);
        metadata["jwks"] = json!({"keys": [world.key.jwk()]});
        metadata
    };

    let outcome = Outcome::of(world.post(&world.metadata()).await.unwrap()).await;

    assert!(outcome.is(400, "invalid_client_metadata"), "{outcome:?}");
    assert_eq!(world.post(&by_value).await.unwrap().status(), 201);
}

#[tokio::test]
async fn an_audience_can_be_refused() {
    let world = World::new().await;
    let client = world.register().await;
    let with_audience = |audience: String| {
        let mut claims = world.claims(&client.client_id);
        claims["aud"] = json!(audience);
        world.key.assertion(&claims)
    };
    let endpoint = format!("{}/token", world.idp.issuer());

    for (fault, issuer, token) in [
        (Fault::RefuseIssuerAudience, 401, 400),
        (Fault::RefuseEndpointAudience, 400, 401),
    ] {
        world.idp.faults().clear();
        world.idp.faults().set(fault);
        let by_issuer = world.prove_with(&with_audience(world.idp.issuer())).await;
        let by_endpoint = world.prove_with(&with_audience(endpoint.clone())).await;
        assert_eq!((by_issuer.0, by_endpoint.0), (issuer, token));
    }
}

#[tokio::test]
async fn discovery_can_name_another_issuer() {
    let world = World::new().await;
    let issuer = format!("{}/", world.idp.issuer());
    world.idp.faults().set(Fault::WrongIssuer {
        issuer: issuer.clone(),
    });

    let document = json(discover(&world).await.unwrap()).await;

    assert_eq!(document["issuer"], issuer);
    assert_eq!(document["token_endpoint"], format!("{issuer}token"));
}

#[tokio::test]
async fn the_management_uri_can_have_another_origin() {
    let world = with(Fault::ForeignManagementUri).await;

    let client = world.register().await;

    assert!(!client.uri.starts_with(&world.idp.base_url()));
    assert!(client.uri.ends_with(&client.client_id));
}

#[tokio::test]
async fn the_management_uri_can_have_a_query_and_works() {
    let world = with(Fault::ManagementUriWithQuery).await;

    let client = world.register().await;

    let query = format!("?client_id={}", client.client_id);
    assert!(client.uri.ends_with(&query), "{}", client.uri);
    assert_eq!(world.read(&client).await.status(), 200);
    let stripped = client.uri.replace(&query, "");
    let response = world
        .send(Method::GET, &stripped, Some(&client.rat), None)
        .await
        .unwrap();
    assert_eq!(response.status(), 400);
    let read = &world.idp.requests()[1];
    assert_eq!(read.endpoint, Endpoint::Read);
    assert!(read.target.ends_with(&query), "{}", read.target);
}

#[tokio::test]
async fn the_clock_can_be_wrong_and_the_date_says_so() {
    let world = World::new().await;
    let client = world.register().await;
    let seconds = -600;
    world.idp.faults().set(Fault::ClockSkew { seconds });

    let outcome = world.prove(&world.key, &client.client_id).await;
    assert!(outcome.is(401, "invalid_client"), "{outcome:?}");

    let response = discover(&world).await.unwrap();
    let date = response.headers()["date"].to_str().unwrap();
    let date = jiff::fmt::rfc2822::parse(date).unwrap().timestamp();
    let ahead = jiff::Timestamp::now().duration_since(date).as_secs();
    assert!((599..=602).contains(&ahead), "{ahead}");
    assert!(date > jiff::Timestamp::try_from(UNIX_EPOCH).unwrap());
}

#[tokio::test]
async fn clients_can_be_forgotten_once() {
    let world = World::new().await;
    let client = world.register().await;
    world.idp.faults().set(Fault::ForgetClients);

    let outcome = world.prove(&world.key, &client.client_id).await;
    assert!(outcome.is(401, "invalid_client"), "{outcome:?}");

    world.register().await;
    assert_eq!(world.idp.clients().len(), 1);
}

#[tokio::test]
async fn an_administrator_sets_lists_and_clears_faults() {
    let world = World::new().await;
    let url = format!("{}/dev/faults", world.idp.base_url());
    let admin = Some(world.idp.admin_token());
    let fault = json!({"fault": "drop_after", "on": "register", "times": 1});

    let refused = world.send(Method::POST, &url, None, Some(&fault)).await;
    assert_eq!(refused.unwrap().status(), 401);
    let unknown = json!({"fault": "no_such"});
    let response = world.send(Method::POST, &url, admin, Some(&unknown)).await;
    assert_eq!(response.unwrap().status(), 400);

    let response = world.send(Method::POST, &url, admin, Some(&fault)).await;
    assert_eq!(response.unwrap().status(), 201);
    let listed = world.send(Method::GET, &url, admin, None).await.unwrap();
    assert_eq!(json(listed).await, json!([fault]));
    assert!(world.post(&world.metadata()).await.is_err());
    assert!(world.idp.faults().active().is_empty());

    let response = world.send(Method::DELETE, &url, admin, None).await.unwrap();
    assert_eq!(response.status(), 204);
}

#[tokio::test]
async fn an_unknown_member_of_a_fault_is_refused() {
    let parse = serde_json::from_value::<dev_idp::ActiveFault>;

    assert!(parse(json!({"fault": "drop_after", "on": "register"})).is_ok());
    assert!(parse(json!({"fault": "drop_after", "on": "registr"})).is_err());
    assert!(parse(json!({"fault": "drop_after", "on": "register", "time": 1})).is_err());
}

#[tokio::test]
async fn an_answer_can_repeat_the_request() {
    let (on, status) = (Endpoint::Register, 400);
    let body = r#"{"error":"x","error_description":"{sent}"}"#.to_owned();
    let world = with(Fault::Repeat { on, status, body }).await;

    let answer = world.post_with("iat-1", &json!({"scope": "openid"})).await;

    let answer = answer.unwrap();
    assert_eq!(answer.status(), 400);
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("iat-1"), "{challenge}");
    let said = json(answer).await;
    assert_eq!(
        said["error_description"],
        r#"Bearer iat-1 {"scope":"openid"}"#
    );
    assert!(world.idp.clients().is_empty());
}

#[tokio::test]
async fn one_of_the_discovery_documents_can_lack_a_member() {
    let member = "registration_endpoint".to_owned();
    let world = with(Fault::OmitFromDiscovery { member }).await;
    let other = "/.well-known/oauth-authorization-server/api/oidc";
    let other = format!("{}{other}", world.idp.base_url());

    let oidc = json(discover(&world).await.unwrap()).await;
    let oauth = json(world.send(Method::GET, &other, None, None).await.unwrap()).await;

    assert!(oidc.get("registration_endpoint").is_none());
    assert!(oauth["registration_endpoint"].is_string());
}
