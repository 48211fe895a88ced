//! No secret leaves the requests and files that are meant to hold it, not even at `trace`.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use dev_idp::{DevIdp, Fault};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use support::child::{Bff, Ended};
use support::environment::Env;
use support::fixture;
use support::http::{request, send};
use support::port::Port;
use support::volume::Volume;
use support::world::{World, env};

const ADMIN_TOKEN: &str = "an-admin-token-of-32-characters!";
const PASSPHRASE: &str = "a-passphrase-that-nobody-guesses";
const PEM: &str = "rsa-2048-pkcs1.pem";

/// How every JSON object begins in base64url, and so every assertion.
const JWS: &str = "eyJ";

/// All that anybody could read of a run.
#[derive(Default)]
struct Seen(Vec<(String, String)>);

#[tokio::test]
async fn a_whole_life_at_trace_shows_no_secret_and_keeps_each_in_its_file() {
    let world = World::with(DevIdp::builder().remember_secrets()).await;
    let pem = world.volume.put_key(PEM);
    let env = world
        .env()
        .set("BFF_LOG", "trace")
        .set("BFF_ADMIN_TOKEN", ADMIN_TOKEN)
        .set("BFF_JWT_SIGNING_KEY", pem)
        .set("BFF_KEY_PASSPHRASE", PASSPHRASE)
        .set("BFF_CLIENT_CRED_PATH", world.volume.file("client.json"));
    let mut seen = Seen::default();

    let iat = mint(&world, &env, &mut seen).await;
    live(&world, &env.clone().set("DCR_IAT", iat), &mut seen).await;
    live(&world, &env, &mut seen).await;
    let iat = mint(&world, &env, &mut seen).await;
    let replace = env.clone().set("DCR_IAT", iat);
    live(&world, &replace.set("DCR_FORCE_REPLACE", "true"), &mut seen).await;
    world.idp.faults().set(Fault::RotateOnUpdate);
    world.idp.faults().set(Fault::RotateOnRead);
    live(&world, &env.clone().set("DCR_SCOPE", "openid"), &mut seen).await;
    world.idp.faults().clear();
    let assertion = Bff::start(&["assertion"], &env, "").ended().await;
    assert_eq!(assertion.code, Some(0), "{assertion}");
    seen.add("assertion", &assertion.stderr);
    let refused = Volume::new();
    let env = env.set("BFF_KEYS_DIR", refused.path());
    let env = env.set("DCR_IAT", "iat-that-nobody-minted");
    seen.end("refused", &Bff::serve(&env).ended().await);

    let mut secrets = world.idp.issued_secrets();
    // An identifier is no secret.
    secrets.retain(|secret| !secret.starts_with("client-"));
    for kind in ["iat-", "rat-"] {
        assert!(
            secrets
                .iter()
                .filter(|secret| secret.starts_with(kind))
                .count()
                > 1
        );
    }
    secrets.push("iat-that-nobody-minted".to_owned());
    secrets.push(world.idp.admin_token().to_owned());
    secrets.extend([ADMIN_TOKEN, PASSPHRASE].map(str::to_owned));
    secrets.extend(private_lines(&fixture(PEM)));
    let signature = assertion.stdout.trim().rsplit('.').next().unwrap();
    secrets.push(signature.to_owned());
    seen.holds_none_of(&secrets);
    check_files(&world, &secrets);
}

#[tokio::test]
async fn an_idp_that_repeats_what_it_was_sent_brings_nothing_into_the_log() {
    let mut seen = Seen::default();
    for (answer, code) in [
        (Answer::Refuses, 77),
        (Answer::GrantsSomethingElse, 1),
        (Answer::Grants, 77),
    ] {
        let (volume, port) = (Volume::new(), Port::reserve());
        let idp = parrot(answer).await;
        let env = env(&volume, &port, &idp)
            .set("DCR_IAT", "iat-to-be-repeated")
            .set("BFF_LOG", "trace")
            .set("BFF_BOOTSTRAP_TIMEOUT", "0s");

        let ended = Bff::serve(&env).ended().await;

        assert_eq!(ended.code, Some(code), "{ended}");
        let quoted = ended.stderr.contains("do not like [REDACTED]")
            || ended.stderr.contains("do not like Bearer [REDACTED]")
            || ended.stderr.contains("client_assertion=[REDACTED]");
        assert_eq!(
            quoted,
            !matches!(answer, Answer::GrantsSomethingElse),
            "{ended}"
        );
        seen.end("serve", &ended);
        for (path, contents) in volume.snapshot() {
            let contents = String::from_utf8_lossy(&contents).into_owned();
            // The revision before the last has the answer as received.
            assert!(
                path.ends_with("state.previous.json") || !contents.contains("iat-to-be-repeated"),
                "{}",
                path.display()
            );
        }
    }

    seen.holds_none_of(&[
        "iat-to-be-repeated".to_owned(),
        "rat-to-be-repeated".to_owned(),
    ]);
}

/// Mints a token with `bff`; what it printed is the caller's alone.
async fn mint(world: &World, env: &Env, seen: &mut Seen) -> String {
    let admin_token = format!("{}\n", world.idp.admin_token());
    let bff = Bff::start(&["mint-iat"], env, &admin_token);
    seen.command_line(&bff);
    let ended = bff.ended().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    seen.add("mint-iat", &ended.stderr);
    ended.stdout.trim().to_owned()
}

/// One run of the service, with everything that it serves.
async fn live(world: &World, env: &Env, seen: &mut Seen) {
    let bff = world.ready(env).await;
    seen.command_line(&bff);
    for (method, path, token) in [
        (Method::GET, "/.well-known/jwks.json", None),
        (Method::GET, "/healthz", None),
        (Method::GET, "/readyz", None),
        (Method::GET, "/admin/status", Some(ADMIN_TOKEN)),
        (Method::GET, "/admin/status", Some("wrong-admin-token")),
        (
            Method::POST,
            "/admin/register?dry_run=true",
            Some(ADMIN_TOKEN),
        ),
        (Method::POST, "/admin/register", Some(ADMIN_TOKEN)),
        (Method::GET, "/metrics", None),
    ] {
        let mut request = request(method, &world.port.url(path));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = send(request).await;
        seen.add(path, &format!("{answer:?}"));
    }
    let status = Bff::start(&["status"], env, "").ended().await;
    seen.end("status", &status);
    seen.end("serve", &bff.stop().await);
}

impl Seen {
    fn add(&mut self, what: &str, text: &str) {
        self.0.push((what.to_owned(), text.to_owned()));
    }

    fn end(&mut self, what: &str, ended: &Ended) {
        self.add(what, &ended.said());
    }

    fn command_line(&mut self, bff: &Bff) {
        let path = format!("/proc/{}/cmdline", bff.pid());
        self.add(&path, &fs::read_to_string(&path).unwrap());
    }

    fn holds_none_of(&self, secrets: &[String]) {
        assert!(self.0.iter().map(|(_, text)| text.len()).sum::<usize>() > 10_000);
        for (what, text) in &self.0 {
            for secret in secrets.iter().map(String::as_str).chain([JWS]) {
                let line = text.lines().find(|line| line.contains(secret));
                assert_eq!(line, None, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn the_query_of_an_address_reaches_no_output() {
    let (world, closed) = (World::new().await, Port::reserve());
    let env = world
        .env_with_token()
        .set("DCR_REGISTRATION_ENDPOINT", closed.url("/reg?token=s3cret"))
        .set("BFF_BOOTSTRAP_TIMEOUT", "1s")
        .set("BFF_LOG", "trace");

    let ended = Bff::serve(&env).ended().await;

    ended.fails(69, &["cannot connect to", "/reg"]);
    assert!(!ended.to_string().contains("s3cret"), "{ended}");
}

/// Each secret is in the file that is for it, and every file is private that holds one.
fn check_files(world: &World, secrets: &[String]) {
    for (path, contents) in world.volume.snapshot() {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = String::from_utf8(contents).unwrap();
        let held = secrets.iter().filter(|secret| text.contains(*secret));
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let expected = match &*name {
            "state.json" | "state.previous.json" => {
                let held: Vec<_> = held.collect();
                let is_expected = |secret: &&String| secret.starts_with("rat-");
                assert!(!held.is_empty() && held.iter().all(is_expected), "{name}");
                0o600
            }
            // What the operator brought.
            PEM => 0o600,
            "state.revisions" => {
                assert_eq!(held.count(), 0, "{name}");
                0o600
            }
            "client.json" => {
                assert_eq!(held.count(), 0, "{name}");
                0o644
            }
            _ => {
                assert_eq!(held.count(), 0, "{name}");
                assert!(
                    text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"),
                    "{name}"
                );
                0o600
            }
        };
        assert_eq!(mode, expected, "{name}");
    }
}

/// The lines of a PEM, each of which gives a part of the key away.
fn private_lines(pem: &Path) -> Vec<String> {
    let text = fs::read_to_string(pem).unwrap();
    let lines = text
        .lines()
        .filter(|line| line.len() >= 32 && !line.contains("-----"));
    lines.map(str::to_owned).collect()
}

/// What the repeating IdP says to a registration.
#[derive(Clone, Copy)]
enum Answer {
    Refuses,
    GrantsSomethingElse,
    Grants,
}

/// An IdP that repeats every token in its answers; returns its issuer.
async fn parrot(answer: Answer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let metadata = json!({
        "issuer": issuer, "registration_endpoint": format!("{issuer}/register"),
        "token_endpoint": format!("{issuer}/token"),
    });
    let method = match answer {
        Answer::GrantsSomethingElse => "client_secret_basic",
        _ => "private_key_jwt",
    };
    let client = json!({
        "client_id": "c1", "registration_client_uri": format!("{issuer}/c1"),
        "registration_access_token": "rat-to-be-repeated",
        "token_endpoint_auth_method": method,
    });
    let register = async move |headers: HeaderMap| match answer {
        Answer::Refuses => refusal(StatusCode::UNAUTHORIZED, &authorization(&headers)),
        _ => (StatusCode::CREATED, Json(client)),
    };
    let token =
        async |body: Bytes| refusal(StatusCode::UNAUTHORIZED, &String::from_utf8_lossy(&body));
    let remove =
        async |headers: HeaderMap| refusal(StatusCode::FORBIDDEN, &authorization(&headers));
    let router = Router::new()
        .route(
            "/.well-known/openid-configuration",
            get(async move || Json(metadata)),
        )
        .route("/register", post(register))
        .route("/token", post(token))
        .route("/c1", delete(remove));
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    issuer
}

fn refusal(status: StatusCode, repeated: &str) -> (StatusCode, Json<Value>) {
    let description = format!("do not like {repeated}");
    let body = json!({"error": "invalid_client", "error_description": description});
    (status, Json(body))
}

fn authorization(headers: &HeaderMap) -> String {
    let value = headers.get("authorization").unwrap();
    value.to_str().unwrap().to_owned()
}
