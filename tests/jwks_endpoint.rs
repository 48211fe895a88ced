//! The HTTP surface as a cache, an IdP, a probe and an operator see it.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use reqwest::Method;
use serde_json::Value;

use support::child::Bff;
use support::environment::Env;
use support::fixture;
use support::http::{Answer, request, send};
use support::port::Port;
use support::volume::Volume;

const JWKS: &str = "/.well-known/jwks.json";
const TOKEN: &str = "an-admin-token-of-32-characters!";

#[tokio::test]
async fn the_set_is_json_that_may_be_cached_and_has_a_strong_validator() {
    let service = Service::with(|env| env.set("BFF_JWKS_MAX_AGE", "120")).await;

    let answer = service.get(JWKS).await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(
        answer.header("cache-control"),
        "public, max-age=120, must-revalidate"
    );
    assert!(answer.header("etag").starts_with('"'), "{answer:?}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.json()["keys"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn no_key_type_shows_a_private_member() {
    for name in ["rsa-2048-pkcs8.pem", "p384.pem", "ed25519.pem"] {
        let service = Service::with(|env| {
            let volume = env.get("BFF_KEYS_DIR").unwrap().to_owned();
            let pem = format!("{volume}/{name}");
            std::fs::copy(fixture(name), &pem).unwrap();
            env.set("BFF_JWT_SIGNING_KEY", pem)
        })
        .await;

        let set = service.get(JWKS).await.json();

        let key = set["keys"][0].as_object().unwrap();
        let expected: &[&str] = match key["kty"].as_str().unwrap() {
            "RSA" => &["alg", "e", "kid", "kty", "n", "use"],
            "EC" => &["alg", "crv", "kid", "kty", "use", "x", "y"],
            _ => &["alg", "crv", "kid", "kty", "use", "x"],
        };
        let mut members: Vec<&str> = key.keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, expected, "{name}");
        assert_eq!(set.as_object().unwrap().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn head_says_what_get_says_without_the_body() {
    let service = Service::new().await;
    let full = service.get(JWKS).await;

    let head = service.ask(Method::HEAD, JWKS, &[]).await;

    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for name in ["etag", "cache-control", "content-type", "content-length"] {
        assert_eq!(head.header(name), full.header(name), "{name}");
    }
}

#[tokio::test]
async fn a_cache_that_has_the_set_is_told_so_however_it_asks() {
    let service = Service::new().await;
    let full = service.get(JWKS).await;
    let etag = full.header("etag");

    for field in [
        etag.to_owned(),
        format!("W/{etag}"),
        format!("\"other\", {etag}"),
        "*".to_owned(),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let answer = service
                .ask(method, JWKS, &[("if-none-match", &field)])
                .await;

            assert_eq!((answer.status, answer.body.as_str()), (304, ""), "{field}");
            assert_eq!(answer.header("etag"), etag, "{field}");
            assert_eq!(answer.header("cache-control"), full.header("cache-control"));
        }
    }
    let answer = service
        .ask(Method::GET, JWKS, &[("if-none-match", "\"other\"")])
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn what_the_caller_says_it_accepts_makes_no_difference() {
    let service = Service::new().await;

    for accept in ["text/html", "application/jwk-set+json", "image/png;q=0.1"] {
        let answer = service.ask(Method::GET, JWKS, &[("accept", accept)]).await;
        assert_eq!(answer.status, 200, "{accept}");
        assert_eq!(answer.header("content-type"), "application/json");
    }
}

#[tokio::test]
async fn errors_are_problems_that_no_cache_keeps_and_never_redirects() {
    let service = Service::new().await;

    for (method, path, status) in [
        (Method::POST, JWKS, 405),
        (Method::DELETE, JWKS, 405),
        (Method::GET, "/.well-known/jwks.json/", 404),
        (Method::GET, "/.well-known//jwks.json", 404),
        (Method::GET, "/", 404),
        (Method::POST, "/healthz", 405),
    ] {
        let answer = service.ask(method, path, &[]).await;

        assert_eq!(answer.status, status, "{path}");
        assert_is_problem(&answer);
        if status == 405 {
            let mut allowed: Vec<_> = answer.header("allow").split([',', ' ']).collect();
            allowed.retain(|method| !method.is_empty());
            allowed.sort_unstable();
            assert_eq!(allowed, ["GET", "HEAD"], "{path}");
        }
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let service = Service::new().await;
    let body = "x".repeat(16 * 1024 + 1);

    // Where nobody reads a body, nothing needs a limit.
    for (path, status) in [(JWKS, 405), ("/admin/register", 413)] {
        let answer = send(request(Method::POST, &service.port.url(path)).body(body.clone())).await;

        assert_eq!(answer.status, status, "{path}");
        assert_is_problem(&answer);
    }
}

#[tokio::test]
async fn health_is_json_that_calls_nobody() {
    let service = Service::new().await;

    for path in ["/livez", "/readyz", "/healthz"] {
        let answer = service.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.json()["status"], "ok", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    }
    let checks = service.get("/healthz").await.json()["checks"].clone();
    for name in ["keys", "registration", "state"] {
        assert_eq!(checks[name]["status"], "ok", "{checks}");
    }
}

#[tokio::test]
async fn metrics_are_open_metrics_text() {
    let service = Service::new().await;
    service.get(JWKS).await;

    let answer = service.get("/metrics").await;

    assert!(
        answer
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    for line in ["bff_jwks_served_total 1", "bff_ready 1", "# EOF"] {
        assert!(
            answer.body.lines().any(|found| found == line),
            "{}",
            answer.body
        );
    }
}

#[tokio::test]
async fn without_a_configured_token_the_operator_is_told_which_setting_to_set() {
    let service = Service::with(|env| env.unset("BFF_ADMIN_TOKEN")).await;
    let any = format!("Bearer {TOKEN}");

    for fields in [&[][..], &[("authorization", &*any)]] {
        let answer = service.ask(Method::GET, "/admin/status", fields).await;

        assert_eq!(answer.status, 403);
        assert_is_problem(&answer);
        assert!(answer.body.contains("BFF_ADMIN_TOKEN"), "{answer:?}");
    }
}

#[tokio::test]
async fn only_the_administrators_token_opens_what_is_the_operators() {
    let service = Service::new().await;
    let status = async |authorization: Option<&str>| {
        let field = authorization.map(|value| ("authorization", value));
        let fields: Vec<_> = field.into_iter().collect();
        service.ask(Method::GET, "/admin/status", &fields).await
    };

    let nothing = status(None).await;
    let wrong = status(Some("Bearer wrong")).await;
    let longer = status(Some(&format!("Bearer {TOKEN}x"))).await;
    let scheme = status(Some(&format!("Basic {TOKEN}"))).await;
    let right = status(Some(&format!("bearer {TOKEN}"))).await;

    for refused in [&nothing, &wrong, &longer, &scheme] {
        assert_eq!(refused.status, 401);
        assert_is_problem(refused);
        assert!(
            refused
                .header("www-authenticate")
                .starts_with("Bearer realm=")
        );
    }
    // RFC 6750 §3: no error code where no such credentials were sent.
    for (refused, has_code) in [
        (&nothing, false),
        (&wrong, true),
        (&longer, true),
        (&scheme, false),
    ] {
        let code = refused
            .header("www-authenticate")
            .contains(r#"error="invalid_token""#);
        assert_eq!(code, has_code, "{refused:?}");
    }
    assert_eq!(right.status, 200);
    assert_eq!(right.json()["keys"][0]["state"], "current");
    let unknown = service.get("/admin/no-such-thing").await;
    assert_eq!(unknown.status, 401, "nobody learns what there is");
}

#[tokio::test]
async fn the_operators_paths_move_to_a_listener_of_their_own() {
    let second = Port::reserve();
    let service =
        Service::with(|env| env.set("BFF_ADMIN_LISTEN", second.address.to_string())).await;
    let bearer = format!("Bearer {TOKEN}");
    let at = async |port: &Port, path: &str| {
        let request = request(Method::GET, &port.url(path));
        send(request.header("authorization", &bearer)).await.status
    };

    for path in ["/admin/status", "/metrics"] {
        assert_eq!(at(&service.port, path).await, 404, "{path}");
        assert_eq!(at(&second, path).await, 200, "{path}");
    }
    assert_eq!(at(&service.port, JWKS).await, 200);
    assert_eq!(at(&second, JWKS).await, 404);
}

/// A `bff` that only keeps keys.
struct Service {
    port: Port,
    _volume: Volume,
    _bff: Bff,
}

impl Service {
    async fn new() -> Self {
        Self::with(|env| env).await
    }

    async fn with(change: impl FnOnce(Env) -> Env) -> Self {
        let (port, volume) = (Port::reserve(), Volume::new());
        let env = Env::empty()
            .set("BFF_LISTEN", port.address.to_string())
            .set("BFF_KEYS_DIR", volume.path())
            .set("BFF_ADMIN_TOKEN", TOKEN);
        let bff = Bff::serve(&change(env));
        bff.serving().await;
        Self {
            port,
            _volume: volume,
            _bff: bff,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[]).await
    }

    async fn ask(&self, method: Method, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = request(method, &self.port.url(path));
        let with_fields = fields.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        send(with_fields).await
    }
}

#[track_caller]
fn assert_is_problem(answer: &Answer) {
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("location"), "");
    let problem = answer.json();
    assert_eq!(problem["status"], answer.status, "{answer:?}");
    assert!(!problem["detail"].as_str().unwrap_or_default().is_empty());
    assert!(matches!(problem["title"], Value::String(_)));
}
