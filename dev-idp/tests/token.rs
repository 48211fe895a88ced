//! Client authentication at the token endpoint and at PAR (RFC 6749, RFC 7523, RFC 9126).

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use dev_idp::{AudiencePolicy, DevIdp};
use serde_json::{Value, json};

use support::{Key, Outcome, World, json};

const PROOF: [(&str, &str); 2] = [("grant_type", "authorization_code"), ("code", "x")];

#[tokio::test]
async fn a_key_is_proved_by_an_unknown_code() {
    let world = World::new().await;
    let client = world.register().await;

    let outcome = world.prove(&world.key, &client.client_id).await;
    assert!(outcome.is(400, "invalid_grant"), "{outcome:?}");

    let stranger = Key::new("k1");
    let outcome = world.prove(&stranger, &client.client_id).await;
    assert!(outcome.is(401, "invalid_client"), "{outcome:?}");
}

#[tokio::test]
async fn client_credentials_give_a_token_of_the_registered_scope() {
    let world = World::new().await;
    let client = world.register().await;
    let assertion = || world.key.assertion(&world.claims(&client.client_id));
    let grant = ("grant_type", "client_credentials");

    let response = world.form("/token", &assertion(), &[grant]).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body = json(response).await;
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["scope"], "openid profile");
    assert!(body["access_token"].as_str().unwrap().len() > 22);
    assert!(body.get("refresh_token").is_none());

    let wider = [grant, ("scope", "email")];
    let response = world.form("/token", &assertion(), &wider).await.unwrap();
    let outcome = Outcome::of(response).await;
    assert!(outcome.is(400, "invalid_scope"), "{outcome:?}");
}

#[tokio::test]
async fn a_grant_that_is_not_registered_or_not_offered_is_refused_by_name() {
    let world = World::new().await;
    let client = world.register().await;

    for (grant, error) in [
        ("refresh_token", "unauthorized_client"),
        ("urn:made-up", "unsupported_grant_type"),
    ] {
        let assertion = world.key.assertion(&world.claims(&client.client_id));
        let members = [("grant_type", grant)];
        let response = world.form("/token", &assertion, &members).await.unwrap();
        let outcome = Outcome::of(response).await;
        assert!(outcome.is(400, error), "{outcome:?}");
    }
}

#[tokio::test]
async fn the_claims_of_an_assertion_are_checked() {
    let world = World::new().await;
    let client = world.register().await;
    let now = jiff::Timestamp::now().as_second();

    for (claim, value, accepted) in [
        ("iss", json!("another"), false),
        ("sub", json!("another"), false),
        ("jti", Value::Null, false),
        ("exp", Value::Null, false),
        ("exp", json!(now - 1), false),
        ("exp", json!(now + 25 * 3600), false),
        ("iat", Value::Null, false),
        ("iat", json!(now + 50), true),
        ("iat", json!(now + 90), false),
        ("iat", json!(1.5), false),
        ("nbf", json!(now + 90), false),
        ("aud", Value::Null, false),
        ("aud", json!([world.idp.issuer()]), true),
        ("aud", json!([world.idp.issuer(), "x"]), false),
        ("aud", json!(world.idp.issuer() + "/"), false),
    ] {
        let mut claims = world.claims(&client.client_id);
        claims[claim] = value.clone();
        let claims = Value::Object(
            claims
                .as_object()
                .unwrap()
                .clone()
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .collect(),
        );
        let outcome = world.prove_with(&world.key.assertion(&claims)).await;
        let (status, error) = if accepted {
            (400, "invalid_grant")
        } else {
            (401, "invalid_client")
        };
        assert!(outcome.is(status, error), "{claim}={value}: {outcome:?}");
    }
}

#[tokio::test]
async fn the_header_of_an_assertion_is_checked() {
    let world = World::new().await;
    let client = world.register().await;

    for (header, accepted) in [
        (json!({"alg": "ES256", "kid": "k1"}), true),
        (
            json!({"alg": "ES256", "kid": "k1", "typ": "client-authentication+jwt"}),
            true,
        ),
        (json!({"alg": "ES256", "kid": "k1", "typ": "at+jwt"}), false),
        (json!({"alg": "ES256"}), false),
        (json!({"alg": "ES256", "kid": "k2"}), false),
        (json!({"alg": "ES384", "kid": "k1"}), false),
        (json!({"alg": "none", "kid": "k1"}), false),
        (json!({"alg": "ES256", "kid": "k1", "crit": ["x"]}), false),
    ] {
        let claims = world.claims(&client.client_id);
        let outcome = world.prove_with(&world.key.sign(&header, &claims)).await;
        let status = if accepted { 400 } else { 401 };
        assert_eq!(outcome.0, status, "{header}: {outcome:?}");
    }
}

#[tokio::test]
async fn an_assertion_is_used_once() {
    let world = World::new().await;
    let client = world.register().await;
    let assertion = world.key.assertion(&world.claims(&client.client_id));

    let first = world.prove_with(&assertion).await;
    let second = world.prove_with(&assertion).await;

    assert!(first.is(400, "invalid_grant"), "{first:?}");
    assert!(second.is(401, "invalid_client"), "{second:?}");
    let last = world.idp.requests().pop().unwrap();
    assert_eq!(last.note.unwrap(), "the assertion was used before");
}

#[tokio::test]
async fn the_audience_accepted_is_a_setting() {
    for (policy, issuer, endpoint, token_at_par) in [
        (AudiencePolicy::Any, true, true, true),
        (AudiencePolicy::Issuer, true, false, false),
        (AudiencePolicy::Endpoint, false, true, false),
    ] {
        let world = World::with(DevIdp::builder().audience(policy)).await;
        let client = world.register().await;
        let base = world.idp.issuer();
        let with = |audience: &str| {
            let mut claims = world.claims(&client.client_id);
            claims["aud"] = json!(audience);
            world.key.assertion(&claims)
        };

        let by_issuer = world.prove_with(&with(&base)).await;
        let token_url = format!("{base}/token");
        let by_endpoint = world.prove_with(&with(&token_url)).await;
        let pushed = world.form("/par", &with(&token_url), &[]).await.unwrap();

        assert_eq!(by_issuer.0 == 400, issuer, "{policy:?}");
        assert_eq!(by_endpoint.0 == 400, endpoint, "{policy:?}");
        assert_eq!(pushed.status() == 400, token_at_par, "{policy:?}");
    }
}

#[tokio::test]
async fn a_request_is_pushed_once_the_client_is_known() {
    let world = World::new().await;
    let client = world.register().await;
    let members = [
        ("client_id", client.client_id.as_str()),
        ("response_type", "code"),
        ("redirect_uri", "https://app.example/cb"),
    ];

    let assertion = world.key.assertion(&world.claims(&client.client_id));
    let response = world.form("/par", &assertion, &members).await.unwrap();
    assert_eq!(response.status(), 201);
    let body = json(response).await;
    assert!(
        body["request_uri"]
            .as_str()
            .unwrap()
            .starts_with("urn:ietf:params:oauth:request_uri:")
    );
    assert!(body["expires_in"].as_u64().unwrap() > 0);

    let unregistered = [members[0], members[1], ("redirect_uri", "https://x/")];
    let assertion = world.key.assertion(&world.claims(&client.client_id));
    let response = world.form("/par", &assertion, &unregistered).await.unwrap();
    assert_eq!(response.status(), 400);
}

#[tokio::test]
async fn a_form_is_checked_before_its_content() {
    let world = World::new().await;
    let client = world.register().await;
    let assertion = || world.key.assertion(&world.claims(&client.client_id));

    let repeated = [PROOF[0], PROOF[1], ("code", "y")];
    let response = world.form("/token", &assertion(), &repeated).await;
    let outcome = Outcome::of(response.unwrap()).await;
    assert!(outcome.is(400, "invalid_request"), "{outcome:?}");

    let other_client = [PROOF[0], PROOF[1], ("client_id", "another")];
    let response = world.form("/token", &assertion(), &other_client).await;
    let outcome = Outcome::of(response.unwrap()).await;
    assert!(outcome.is(401, "invalid_client"), "{outcome:?}");

    let two_methods = [PROOF[0], PROOF[1], ("client_secret", "s")];
    let response = world.form("/token", &assertion(), &two_methods).await;
    let outcome = Outcome::of(response.unwrap()).await;
    assert!(outcome.is(401, "invalid_client"), "{outcome:?}");
}
