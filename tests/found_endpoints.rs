//! How the IdP's endpoints are found, and what is said while they are not.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{StatusCode, Uri};
use bff::idp::{DiscoveryError, discover};
use bff::oauth::{EndpointUrl, ServerMetadata};
use bff::transport::HttpClient;
use dev_idp::{Endpoint, Fault};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

use support::PATIENCE;
use support::child::Bff;
use support::world::World;

const OIDC: &str = "/t/.well-known/openid-configuration";
const OIDC_INSERTED: &str = "/.well-known/openid-configuration/t";
const OAUTH: &str = "/.well-known/oauth-authorization-server/t";
const OAUTH_APPENDED: &str = "/t/.well-known/oauth-authorization-server";

/// A server that has these documents; `{issuer}` in them is its own.
struct Server {
    issuer: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn with(documents: &[(&str, u16, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}/t", listener.local_addr().unwrap());
        let documents: HashMap<_, _> = documents
            .iter()
            .map(|(path, status, body)| {
                let body = body.replace("{issuer}", &issuer);
                ((*path).to_owned(), (*status, body))
            })
            .collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let answer = async move |uri: Uri| {
            seen.lock().unwrap().push(uri.path().to_owned());
            let (status, body) = documents
                .get(uri.path())
                .cloned()
                .unwrap_or((404, String::new()));
            (StatusCode::from_u16(status).unwrap(), body)
        };
        let router = Router::new().fallback(answer);
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { issuer, asked }
    }

    async fn found(&self) -> Result<ServerMetadata, DiscoveryError> {
        let base = EndpointUrl::parse(&self.issuer, false).unwrap();
        let enough = |metadata: &ServerMetadata| {
            metadata.token_endpoint.is_some() && metadata.registration_endpoint.is_some()
        };
        discover(&HttpClient::new(None).unwrap(), &base, &self.issuer, enough).await
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

const WHOLE: &str = r#"{"issuer":"{issuer}","token_endpoint":"t1","registration_endpoint":"r1"}"#;
const TOKEN_ONLY: &str =
    r#"{"issuer":"{issuer}","token_endpoint":"t1","registration_endpoint":""}"#;
const OTHER: &str = r#"{"issuer":"{issuer}","token_endpoint":"t2","registration_endpoint":"r2"}"#;
const STRANGER: &str =
    r#"{"issuer":"{issuer}x","token_endpoint":"t3","registration_endpoint":"r3"}"#;

#[tokio::test]
async fn rfc_8414_is_not_asked_if_nothing_is_missing() {
    let server = Server::with(&[(OIDC, 200, WHOLE), (OAUTH, 200, OTHER)]).await;

    let metadata = server.found().await.unwrap();

    assert_eq!(metadata.registration_endpoint.as_deref(), Some("r1"));
    assert_eq!(server.asked(), [OIDC]);
}

#[tokio::test]
async fn rfc_8414_fills_the_gaps_in_both_forms_and_the_values_of_oidc_count() {
    for place in [OAUTH, OAUTH_APPENDED, OIDC_INSERTED] {
        let server = Server::with(&[(OIDC, 200, TOKEN_ONLY), (place, 200, OTHER)]).await;

        let metadata = server.found().await.unwrap();

        assert_eq!(metadata.token_endpoint.as_deref(), Some("t1"), "{place}");
        assert_eq!(metadata.registration_endpoint.as_deref(), Some("r2"));
        assert_eq!(server.asked().last().map(String::as_str), Some(place));
    }
}

#[tokio::test]
async fn the_gaps_are_not_filled_by_another_issuer_or_a_server_that_is_ill() {
    for (status, body) in [(200, STRANGER), (503, ""), (200, "<html>"), (200, "[]")] {
        let server = Server::with(&[(OIDC, 200, TOKEN_ONLY), (OAUTH, status, body)]).await;

        let metadata = server.found().await.unwrap();

        assert_eq!(metadata.token_endpoint.as_deref(), Some("t1"), "{body}");
        assert_eq!(metadata.registration_endpoint, None, "{body}");
    }
    let server = Server::with(&[(OIDC, 404, ""), (OAUTH, 200, STRANGER)]).await;
    let error = server.found().await.unwrap_err();
    assert!(matches!(error, DiscoveryError::IssuerMismatch { .. }));
}

#[tokio::test]
async fn what_is_there_in_place_of_metadata_is_called_by_its_name() {
    for (status, body, expected) in [
        (
            200,
            "<!doctype html><title>Sign in</title>",
            "(an HTML page titled \"Sign in\")",
        ),
        (200, "", "(an empty body)"),
        (200, "{}", "(a JSON object without `issuer`)"),
        (200, r#"{"issuer":""}"#, "(a JSON object without `issuer`)"),
        (200, "up", "(no JSON object)"),
        (404, "no such app", "(HTTP 404: \"no such app\")"),
        (
            403,
            "<html><title>Wall</title>",
            "(HTTP 403: an HTML page titled \"Wall\")",
        ),
    ] {
        let server = Server::with(&[(OIDC, status, body)]).await;

        let error = server.found().await.unwrap_err();

        assert!(error.is_transient(), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(server.asked(), [OIDC, OIDC_INSERTED, OAUTH, OAUTH_APPENDED]);
    }
}

#[tokio::test]
async fn an_ingress_that_comes_up_is_waited_for() {
    for (status, body) in [
        (404, "default backend - 404"),
        (200, "<html><title>Starting</title></html>"),
        (503, ""),
    ] {
        let world = World::new().await;
        let (on, body) = (Endpoint::Discovery, body.to_owned());
        // Two rounds.
        let fault = Fault::Repeat { on, status, body };
        world
            .idp
            .faults()
            .set_times(fault, if status == 503 { 2 } else { 4 });

        let bff = world.ready(&world.env_with_token()).await;

        bff.says("trying again").await;
        assert_eq!(world.clients().len(), 1);
    }
}

#[tokio::test]
async fn the_last_word_says_what_was_seen() {
    let world = World::new().await;
    let body = "<html><title>Welcome to the proxy</title></html>".to_owned();
    let (on, status) = (Endpoint::Discovery, 200);
    world.idp.faults().set(Fault::Repeat { on, status, body });
    let env = world.env_with_token().set("BFF_BOOTSTRAP_TIMEOUT", "1s");

    let ended = Bff::serve(&env).ended().await;

    ended.fails(
        78,
        &[
            r#"an HTML page titled "Welcome to the proxy""#,
            "IDP_BASE_URL",
        ],
    );
    assert!(ended.stderr.contains("trying again"), "{ended}");
}

#[tokio::test]
async fn a_client_is_registered_where_only_rfc_8414_names_the_endpoint() {
    let world = World::new().await;
    let member = "registration_endpoint".to_owned();
    world.idp.faults().set(Fault::OmitFromDiscovery { member });

    world.registered().await;

    assert_eq!(world.received(Endpoint::Discovery).len(), 2);
}

#[tokio::test]
async fn a_server_without_private_key_jwt_is_told_with_what_to_do_there() {
    let world = World::new().await;
    let issuer = world.idp.issuer();
    let body: Value = json!({
        "issuer": issuer, "token_endpoint": format!("{issuer}/token"),
        "registration_endpoint": format!("{issuer}/dcr/register"),
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
    });
    let (on, status, body) = (Endpoint::Discovery, 200, body.to_string());
    world.idp.faults().set(Fault::Repeat { on, status, body });

    let ended = world.run(&world.env_with_token()).await;

    let warnings = ended.messages("WARN").join("\n");
    for words in ["client_secret_basic, none", "hint: enable private_key_jwt"] {
        assert!(warnings.contains(words), "{ended}");
    }
}

#[tokio::test]
async fn a_start_ends_in_time_although_the_idp_does_not_answer() {
    for on in [Endpoint::Discovery, Endpoint::Token] {
        let world = World::new().await;
        let millis = 40_000;
        world.idp.faults().set(Fault::Delay { on, millis });
        let env = world.env_with_token().set("BFF_BOOTSTRAP_TIMEOUT", "2s");
        let begin = Instant::now();

        let ended = Bff::serve(&env).ended().await;

        ended.fails(69, &["timed out"]);
        assert!(
            begin.elapsed() < PATIENCE / 2,
            "{on:?}: {:?}",
            begin.elapsed()
        );
    }
}

#[tokio::test]
async fn the_audience_is_the_configured_token_endpoint_as_it_is_spelt() {
    let world = World::new().await;
    world.idp.faults().set(Fault::RefuseIssuerAudience);
    world.registered().await;
    let seen = world.audiences().len();
    let port = world.idp.address().port();
    let spelt = format!("http://LocalHost:{port}/api/oidc/token");
    let env = world
        .env()
        .set("OIDC_TOKEN_URL", &spelt)
        .set("BFF_ASSERTION_AUDIENCE", "endpoint")
        .set("BFF_BOOTSTRAP_TIMEOUT", "0s");

    let ended = Bff::serve(&env).ended().await;

    let audiences = world.audiences().split_off(seen);
    assert!(!audiences.is_empty(), "{ended}");
    assert!(
        audiences.iter().all(|audience| *audience == spelt),
        "{audiences:?}"
    );
}

#[tokio::test]
async fn what_was_learnt_of_another_token_endpoint_is_not_sent_to_the_configured_one() {
    let world = World::new().await;
    world.idp.faults().set(Fault::RefuseIssuerAudience);
    world.registered().await;
    let seen = world.audiences().len();
    let (issuer, port) = (world.idp.issuer(), world.idp.address().port());
    let spelt = format!("http://LocalHost:{port}/api/oidc/token");
    let env = world.env().set("OIDC_TOKEN_URL", &spelt);
    let env = env.set("BFF_BOOTSTRAP_TIMEOUT", "0s");

    let ended = Bff::serve(&env).ended().await;

    let audiences = world.audiences().split_off(seen);
    assert!(!audiences.is_empty(), "{ended}");
    let known = [issuer, spelt];
    assert!(
        audiences.iter().all(|audience| known.contains(audience)),
        "{audiences:?}"
    );
}
