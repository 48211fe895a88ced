//! An IdP that is late, ill or unwilling: what `bff` does, spends and says.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::Duration;

use dev_idp::{Config, DevIdp, Endpoint, Fault};

use support::child::Bff;
use support::eventually;
use support::http;
use support::port::Port;
use support::volume::Volume;
use support::world::{World, env};

const REGISTER: Endpoint = Endpoint::Register;

#[tokio::test]
async fn an_idp_that_comes_up_later_is_waited_for() {
    let (idp_port, volume, port) = (Port::reserve(), Volume::new(), Port::reserve());
    let env = env(&volume, &port, &idp_port.url("/api/oidc")).set("DCR_IAT", "iat-early");
    let bff = Bff::serve(&env);
    let waiting = bff.says("trying again").await;
    assert!(waiting.contains(&idp_port.url("")), "{waiting}");

    let idp = DevIdp::builder()
        .listen(idp_port.address)
        .initial_access_token("iat-early")
        .start()
        .await
        .unwrap();

    bff.ready().await;
    assert_eq!(idp.clients().len(), 1);
}

#[tokio::test]
async fn an_idp_that_is_still_starting_is_asked_again() {
    let world = World::new().await;
    let (on, status) = (Endpoint::Discovery, 503);
    world
        .idp
        .faults()
        .set_times(Fault::Status { on, status }, 2);

    let bff = Bff::serve(&world.env_with_token());
    bff.ready().await;

    // The IdP's `Retry-After` is one second, the first pause otherwise half of one at most.
    bff.says("trying again in 1.0 s").await;
    assert_eq!(world.received(Endpoint::Discovery).len(), 3);
    assert_eq!(world.received(REGISTER).len(), 1);
}

#[tokio::test]
async fn a_start_gives_up_in_time_and_nothing_is_spent() {
    let (idp_port, volume, port) = (Port::reserve(), Volume::new(), Port::reserve());
    let env = env(&volume, &port, &idp_port.url("/api/oidc"))
        .set("DCR_IAT", "iat-1")
        .set("BFF_BOOTSTRAP_TIMEOUT", "1s");

    let ended = Bff::serve(&env).ended().await;

    ended.fails(69, &["cannot connect", "IDP_BASE_URL"]);
    assert!(volume.state().get("attempt").is_none());
}

#[tokio::test]
async fn a_token_that_the_idp_does_not_accept_ends_the_start_with_the_way_to_another() {
    for shape in [None, Some(Fault::EmptyErrors), Some(Fault::HtmlErrors)] {
        let world = World::new().await;
        let used = world.idp.mint_iat();
        world.run(&world.env().set("DCR_IAT", &used)).await;
        // Only now: an error of the token endpoint without a code would be no proof.
        if let Some(fault) = shape {
            world.idp.faults().set(fault);
        }
        let expired = world.idp.mint_iat_with(1, Duration::ZERO);

        for token in ["iat-that-nobody-minted", &used, &expired] {
            let volume = Volume::new();
            let env = world.env().set("BFF_KEYS_DIR", volume.path());
            let ended = Bff::serve(&env.set("DCR_IAT", token)).ended().await;

            ended.fails(77, &["HTTP 401", "bff mint-iat", "DCR_IAT"]);
            assert!(!ended.said().contains(token));
            assert!(volume.state().get("attempt").is_none(), "it is settled");
        }
        assert_eq!(world.received(REGISTER).len(), 4);
    }
}

#[tokio::test]
async fn no_token_where_one_is_needed_is_said_so() {
    let world = World::new().await;

    let ended = Bff::serve(&world.env()).ended().await;

    ended.fails(77, &["no initial access token is set", "bff mint-iat"]);
}

#[tokio::test]
async fn a_refusal_names_the_setting_and_leaves_the_token_good() {
    let mut config = Config::shipped().unwrap();
    config.policy.allow_http_loopback_redirects = false;
    let world = World::with(DevIdp::builder().config(config)).await;
    let token = world.idp.mint_iat();
    let env = world.env().set("DCR_IAT", &token);

    for (name, value, words) in [
        (
            "DCR_SCOPE",
            "openid admin",
            ["invalid_scope", "policy.allowed_scopes"],
        ),
        (
            "DCR_REDIRECT_URIS",
            "http://127.0.0.1:1/cb",
            ["invalid_redirect_uri", "DCR_REDIRECT_URIS"],
        ),
        (
            "DCR_GRANT_TYPES",
            "authorization_code urn:ietf:params:oauth:grant-type:device_code",
            ["invalid_client_metadata", "DCR_GRANT_TYPES"],
        ),
        (
            "DCR_CLIENT_PROFILE",
            "no-such-profile",
            ["invalid_client_metadata", "DCR_CLIENT_PROFILE"],
        ),
    ] {
        let ended = Bff::serve(&env.clone().set(name, value)).ended().await;
        ended.fails(78, &words);
        assert_eq!(world.idp.iat_uses(&token), Some(0), "{name}");
    }

    world.run(&env).await;
    assert_eq!(world.idp.iat_uses(&token), Some(1));
}

#[tokio::test]
async fn an_idp_that_will_not_fetch_the_keys_is_given_them() {
    let world = World::new().await;
    world.idp.faults().set(Fault::RefuseJwksUri);
    let env = world.env_with_token();

    let ended = Bff::serve(&env).ended().await;
    ended.fails(78, &["jwks_uri", "BFF_BASE_URL", "DCR_JWKS=value"]);

    let env = env.set("DCR_JWKS", "value").unset("BFF_BASE_URL");
    world.run(&env).await;
    let asked = &world.received(REGISTER)[1].request;
    assert!(asked.get("jwks_uri").is_none());
    assert_eq!(asked["jwks"]["keys"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_idp_that_cannot_reach_the_keys_leads_to_the_address_that_is_wrong() {
    let nobody = Port::reserve();
    let mut config = Config::shipped().unwrap();
    let strict = World::new().await;
    config.policy.fetch_jwks_at_registration = false;
    let lax = World::with(DevIdp::builder().config(config)).await;
    let wrong = |world: &World| {
        world
            .env_with_token()
            .set("BFF_BASE_URL", nobody.url(""))
            .set("BFF_BOOTSTRAP_TIMEOUT", "0s")
    };

    let refused = Bff::serve(&wrong(&strict)).ended().await;
    let rejected = Bff::serve(&wrong(&lax)).ended().await;

    refused.fails(78, &["jwks_uri cannot be fetched", "BFF_BASE_URL"]);
    rejected.fails(77, &["nobody has fetched the JWK Set", "BFF_BASE_URL"]);
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_a_token() {
    let world = World::new().await;
    world.idp.faults().set(Fault::Redirect { on: REGISTER });
    let token = world.idp.mint_iat();

    let env = world.env().set("DCR_IAT", &token);
    let ended = Bff::serve(&env).ended().await;

    ended.fails(78, &["HTTP 307", "DCR_REGISTRATION_ENDPOINT"]);
    assert_eq!(world.idp.iat_uses(&token), Some(0));
    let authorized = |exchange: &dev_idp::Exchange| exchange.authorization.is_some();
    assert_eq!(
        world
            .idp
            .requests()
            .iter()
            .filter(|e| authorized(e))
            .count(),
        1
    );
}

#[tokio::test]
async fn a_busy_idp_is_left_alone_and_the_token_stays_good() {
    let world = World::new().await;
    let (on, status) = (REGISTER, 429);
    world
        .idp
        .faults()
        .set_times(Fault::Status { on, status }, 1);
    let env = world.env_with_token();

    let ended = Bff::serve(&env).ended().await;

    ended.fails(69, &["HTTP 429", "wait", "bff register"]);
    let again = Bff::serve(&env).ended().await;
    again.fails(77, &["HTTP 429", "sent again after", "bff register"]);
    assert_eq!(world.received(REGISTER).len(), 1);
    let ordered = Bff::start(&["register"], &env, "").ended().await;
    assert_eq!(ordered.code, Some(0), "{ordered}");
}

#[tokio::test]
async fn a_management_address_elsewhere_is_not_kept() {
    let world = World::new().await;
    world.idp.faults().set(Fault::ForeignManagementUri);

    let ended = world.run(&world.env_with_token()).await;

    let state = world.volume.state();
    assert!(state["registration"].get("management").is_none(), "{state}");
    let warnings = ended.messages("WARN");
    assert!(
        warnings
            .iter()
            .any(|text| text.contains("registration_client_uri")),
        "{ended}"
    );
}

#[tokio::test]
async fn a_management_address_with_a_query_is_used_as_it_is() {
    let world = World::new().await;
    world.idp.faults().set(Fault::ManagementUriWithQuery);
    let old = world.registered().await;

    let env = world.env_with_token().set("DCR_FORCE_REPLACE", "true");
    world.run(&env).await;

    let deleted = &world.received(Endpoint::Delete)[0];
    assert!(deleted.target.ends_with(&format!("?client_id={old}")));
    assert_eq!(world.clients(), [world.client_id()]);
}

#[tokio::test]
async fn the_metadata_of_another_issuer_is_not_used() {
    let world = World::new().await;
    let issuer = format!("{}/", world.idp.issuer());
    world.idp.faults().set(Fault::WrongIssuer {
        issuer: issuer.clone(),
    });

    let ended = Bff::serve(&world.env_with_token()).ended().await;

    ended.fails(78, &[&format!("`{issuer}`"), "OIDC_ISSUER"]);
    assert!(world.writes().is_empty());
}

#[tokio::test]
async fn an_issuer_with_another_address_than_ours_is_set_apart() {
    let world = World::with(DevIdp::builder().base_url("https://idp.example")).await;
    let address = format!("http://{}/api/oidc", world.idp.address());
    let env = world
        .env_with_token()
        .set("IDP_BASE_URL", &address)
        .set("OIDC_ISSUER", "https://idp.example/api/oidc")
        .set(
            "DCR_REGISTRATION_ENDPOINT",
            format!("{address}/dcr/register"),
        )
        .set("OIDC_TOKEN_URL", format!("{address}/token"));

    let bff = world.ready(&env).await;

    drop(bff);
    let issuer = &world.volume.state()["registration"]["issuer"];
    assert_eq!(issuer, "https://idp.example/api/oidc");
    let audiences = world.audiences();
    let is_issuer = |audience: &String| audience == "https://idp.example/api/oidc";
    assert!(
        !audiences.is_empty() && audiences.iter().all(is_issuer),
        "{audiences:?}"
    );
}

#[tokio::test]
async fn an_idp_without_discovery_needs_two_addresses_and_no_more() {
    let world = World::new().await;
    let (on, status) = (Endpoint::Discovery, 404);
    world.idp.faults().set(Fault::Status { on, status });
    let issuer = world.idp.issuer();
    let env = world.env_with_token();

    let ended = Bff::serve(&env).ended().await;
    ended.fails(
        78,
        &["HTTP 404", "DCR_REGISTRATION_ENDPOINT", "OIDC_TOKEN_URL"],
    );

    let env = env
        .set(
            "DCR_REGISTRATION_ENDPOINT",
            format!("{issuer}/dcr/register"),
        )
        .set("OIDC_TOKEN_URL", format!("{issuer}/token"));
    world.run(&env).await;
}

#[tokio::test]
async fn where_a_failure_is_allowed_the_keys_are_served_until_the_idp_is_there() {
    let (idp_port, volume, port) = (Port::reserve(), Volume::new(), Port::reserve());
    let env = env(&volume, &port, &idp_port.url("/api/oidc"))
        .set("DCR_IAT", "iat-early")
        .set("ALLOW_BOOTSTRAP_FAILURE", "true")
        .set("BFF_BOOTSTRAP_TIMEOUT", "1s");
    let bff = Bff::serve(&env);
    bff.says(r#""level":"ERROR""#).await;

    let keys = http::get(&port.url("/.well-known/jwks.json")).await;
    let ready = http::get(&port.url("/readyz")).await;
    let health = http::get(&port.url("/healthz")).await;
    assert_eq!((keys.status, ready.status, health.status), (200, 503, 200));
    assert_eq!(health.json()["status"], "degraded");
    let idp = DevIdp::builder()
        .listen(idp_port.address)
        .initial_access_token("iat-early")
        .start()
        .await
        .unwrap();

    bff.ready().await;

    assert_eq!(http::get(&port.url("/readyz")).await.status, 200);
    assert_eq!(idp.clients().len(), 1);
}

#[tokio::test]
async fn where_a_failure_is_allowed_a_refusal_is_not_repeated() {
    let world = World::new().await;
    let env = world
        .env()
        .set("DCR_IAT", "iat-that-nobody-minted")
        .set("ALLOW_BOOTSTRAP_FAILURE", "true");
    let bff = Bff::serve(&env);
    bff.says("not retried until a restart").await;

    let health = world.get("/healthz").await;

    assert_eq!(health.status, 503);
    let check = &health.json()["checks"]["registration"];
    assert_eq!(check["retrying"], false);
    assert!(check["hint"].as_str().unwrap().contains("bff mint-iat"));
    assert_eq!(world.keys().await.len(), 1);
    let ended = bff.stop().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(world.received(REGISTER).len(), 1);
}

#[tokio::test]
async fn a_key_that_is_not_accepted_ends_the_start_in_time() {
    let world = World::new().await;
    let (on, status) = (Endpoint::Token, 401);
    world.idp.faults().set(Fault::Status { on, status });
    let env = world.env_with_token().set("BFF_BOOTSTRAP_TIMEOUT", "1s");

    let fresh = Bff::serve(&env).ended().await;
    let later = Bff::serve(&env).ended().await;

    fresh.fails(
        77,
        &[
            "does not accept key",
            "invalid_client",
            "BFF_BOOTSTRAP_TIMEOUT=15m",
        ],
    );
    later.fails(77, &["does not accept key", "DCR_FORCE_REPLACE"]);
    assert_eq!(world.received(REGISTER).len(), 1);
    world.idp.faults().clear();
    world.run(&world.env()).await;
}

#[tokio::test]
async fn a_token_endpoint_that_is_ill_is_no_rejection() {
    let world = World::new().await;
    let (on, status) = (Endpoint::Token, 503);
    world
        .idp
        .faults()
        .set_times(Fault::Status { on, status }, 2);
    let env = world.env_with_token();

    world.run(&env).await;

    world.idp.faults().set(Fault::Status { on, status });
    let env = env.set("BFF_BOOTSTRAP_TIMEOUT", "0s");
    let bff = Bff::serve(&env);
    let said = bff.says("did not say").await;
    for word in ["HTTP 503", "OIDC_TOKEN_URL"] {
        assert!(said.contains(word), "`{word}` in {said}");
    }
    eventually("it is ready by the last verdict", async || {
        (world.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    bff.stop().await;
    assert_eq!(world.clients(), [world.client_id()]);
}

#[tokio::test]
async fn a_clock_that_is_off_is_named_as_the_cause() {
    for (seconds, words) in [(-600, "behind ours"), (600, "ahead of ours")] {
        let world = World::new().await;
        world.idp.faults().set(Fault::ClockSkew { seconds });
        let env = world.env().set("BFF_BOOTSTRAP_TIMEOUT", "0s");
        let token = world.idp.mint_iat();

        let ended = Bff::serve(&env.set("DCR_IAT", &token)).ended().await;

        ended.fails(77, &["the IdP's clock is", words, "check both clocks"]);
    }
}

#[tokio::test]
async fn an_algorithm_that_the_idp_does_not_take_is_found_before_the_token_is_spent() {
    let mut config = Config::shipped().unwrap();
    config.policy.allowed_signing_algs = vec!["RS256".to_owned(), "PS256".to_owned()];
    let world = World::with(DevIdp::builder().config(config)).await;

    let ended = Bff::serve(&world.env_with_token()).ended().await;

    ended.fails(78, &["ES256", "RS256, PS256", "BFF_SIGNING_ALG"]);
    assert!(world.writes().is_empty());
}

#[tokio::test]
async fn a_client_that_the_idp_lost_is_reported_and_replaced_by_a_fresh_token_alone() {
    let world = World::new().await;
    let old = world.registered().await;
    world.idp.delete_client(&old).unwrap();

    for _ in 0..2 {
        let ended = Bff::serve(&world.env()).ended().await;
        ended.fails(77, &[&old, "any more", "bff mint-iat", "DCR_IAT"]);
        assert_eq!(world.received(REGISTER).len(), 1);
    }

    let replace = world.env_with_token().set("DCR_FORCE_REPLACE", "true");
    world.run(&replace).await;
    assert_ne!(world.client_id(), old);
    assert_eq!(world.clients(), [world.client_id()]);
}

#[tokio::test]
async fn plain_http_behind_an_https_address_is_told_as_a_mistake_in_the_address() {
    let world = World::new().await;
    let address = world.idp.issuer().replace("http:", "https:");
    let env = world
        .env_with_token()
        .set("IDP_BASE_URL", address)
        .set("BFF_BOOTSTRAP_TIMEOUT", "0s");

    let ended = Bff::serve(&env).ended().await;

    ended.fails(
        78,
        &["cannot connect", "does not speak TLS", "IDP_BASE_URL"],
    );
}

#[tokio::test]
async fn the_file_of_a_token_that_was_used_may_be_gone() {
    let world = World::new().await;
    let file = world.volume.file("iat");
    std::fs::write(&file, world.idp.mint_iat()).unwrap();
    let env = world.env().set("DCR_IAT_FILE", &file);
    world.run(&env).await;

    for emptied in [true, false] {
        if emptied {
            std::fs::write(&file, "\n").unwrap();
        } else {
            std::fs::remove_file(&file).unwrap();
        }
        let ended = world.run(&env).await;

        let warnings = ended.messages("WARN").join("\n");
        assert!(warnings.contains("DCR_IAT_FILE"), "{ended}");
        let volume = Volume::new();
        let first = env.clone().set("BFF_KEYS_DIR", volume.path());
        let ended = Bff::serve(&first).ended().await;
        ended.fails(78, &["DCR_IAT_FILE", "bff mint-iat"]);
    }
    assert_eq!(world.received(REGISTER).len(), 1);
}
