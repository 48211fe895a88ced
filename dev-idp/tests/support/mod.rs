//! A client of the provider: keys, a host for its JWK Set, and requests.

#![allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "each test binary uses a part; a test fails by panicking"
)]

use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dev_idp::{Builder, DevIdp};
use jiff::Timestamp;
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::nid::Nid;
use openssl::pkey::Private;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A P-256 signing key.
pub(crate) struct Key {
    pub(crate) kid: String,
    key: EcKey<Private>,
}

impl Key {
    pub(crate) fn new(kid: &str) -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        Self {
            kid: kid.to_owned(),
            key: EcKey::generate(&group).unwrap(),
        }
    }

    pub(crate) fn jwk(&self) -> Value {
        let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        self.key
            .public_key()
            .affine_coordinates(
                self.key.group(),
                &mut x,
                &mut y,
                &mut BigNumContext::new().unwrap(),
            )
            .unwrap();
        let encode = |n: &BigNum| URL_SAFE_NO_PAD.encode(n.to_vec_padded(32).unwrap());
        json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig", "alg": "ES256",
               "x": encode(&x), "y": encode(&y)})
    }

    pub(crate) fn assertion(&self, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "kid": self.kid, "typ": "JWT"});
        self.sign(&header, claims)
    }

    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let input = format!("{}.{}", part(header), part(claims));
        let signature = EcdsaSig::sign(&openssl::sha::sha256(input.as_bytes()), &self.key).unwrap();
        let mut octets = signature.r().to_vec_padded(32).unwrap();
        octets.extend(signature.s().to_vec_padded(32).unwrap());
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(octets))
    }
}

/// What the host of the JWK Set answers.
#[derive(Clone)]
struct Published {
    status: StatusCode,
    cache_control: String,
    body: String,
}

/// A provider, and a client with one key and a served JWK Set.
pub(crate) struct World {
    pub(crate) idp: DevIdp,
    pub(crate) key: Key,
    pub(crate) jwks_uri: String,
    pub(crate) http: reqwest::Client,
    published: Arc<Mutex<Published>>,
    tasks: JoinSet<()>,
}

/// A client that the provider knows.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub(crate) client_id: String,
    pub(crate) uri: String,
    pub(crate) rat: String,
    pub(crate) body: Value,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(DevIdp::builder()).await
    }

    pub(crate) async fn with(builder: Builder) -> Self {
        let key = Key::new("k1");
        let published = Arc::new(Mutex::new(Published {
            status: StatusCode::OK,
            cache_control: "max-age=300".to_owned(),
            body: json!({"keys": [key.jwk()]}).to_string(),
        }));
        let router = Router::new()
            .route("/jwks.json", get(jwks))
            .with_state(Arc::clone(&published));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let jwks_uri = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            idp: builder.start().await.unwrap(),
            key,
            jwks_uri,
            http: http(),
            published,
            tasks,
        }
    }

    /// Serves other keys from now on.
    pub(crate) fn publish(&self, keys: &[&Key]) {
        let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        self.published.lock().unwrap().body = json!({"keys": keys}).to_string();
    }

    /// Answers fetches of the JWK Set with this status from now on.
    pub(crate) fn publish_status(&self, status: StatusCode) {
        self.published.lock().unwrap().status = status;
    }

    /// Serves the same with this `Cache-Control` from now on.
    pub(crate) fn publish_for(&self, cache_control: &str) {
        cache_control.clone_into(&mut self.published.lock().unwrap().cache_control);
    }

    /// The URI of a host that sends the whole JWK Set, and ends before all that it has promised.
    pub(crate) async fn publish_incompletely(&mut self) -> String {
        let body = json!({"keys": [self.key.jwk()]}).to_string();
        let promised = body.len() + 1;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {promised}\r\n\r\n{body}");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        self.tasks.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                loop {
                    stream.readable().await.unwrap();
                    match stream.try_read(&mut [0; 4096]) {
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        read => break assert!(read.unwrap() > 0),
                    }
                }
                stream.writable().await.unwrap();
                assert_eq!(stream.try_write(answer.as_bytes()).unwrap(), answer.len());
            }
        });
        uri
    }

    /// A registration request that the shipped policy accepts.
    pub(crate) fn metadata(&self) -> Value {
        json!({
            "client_name": "web",
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": "ES256",
            "jwks_uri": self.jwks_uri,
            "redirect_uris": ["https://app.example/cb"],
            "grant_types": ["authorization_code", "client_credentials"],
            "response_types": ["code"],
            "scope": "openid profile",
        })
    }

    /// The request with one member changed; null removes it.
    pub(crate) fn metadata_with(&self, member: &str, value: Value) -> Value {
        let mut metadata = self.metadata();
        let members = metadata.as_object_mut().unwrap();
        if value.is_null() {
            members.remove(member);
        } else {
            members.insert(member.to_owned(), value);
        }
        metadata
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> reqwest::Result<Response> {
        let mut request = self.http.request(method, url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        request.send().await
    }

    /// Posts a registration with a fresh initial access token.
    pub(crate) async fn post(&self, metadata: &Value) -> reqwest::Result<Response> {
        let iat = self.idp.mint_iat();
        self.post_with(&iat, metadata).await
    }

    pub(crate) async fn post_with(&self, iat: &str, metadata: &Value) -> reqwest::Result<Response> {
        let url = format!("{}/dcr/register", self.idp.issuer());
        self.send(Method::POST, &url, Some(iat), Some(metadata))
            .await
    }

    pub(crate) async fn register(&self) -> Registered {
        let response = self.post(&self.metadata()).await.unwrap();
        assert_eq!(response.status(), 201);
        Registered::of(json(response).await)
    }

    /// PUT of the whole metadata with one member changed.
    pub(crate) async fn put(&self, client: &Registered, member: &str, value: Value) -> Response {
        let body = self.update(client, member, value);
        self.send(Method::PUT, &client.uri, Some(&client.rat), Some(&body))
            .await
            .unwrap()
    }

    pub(crate) fn update(&self, client: &Registered, member: &str, value: Value) -> Value {
        let mut body = self.metadata_with(member, value);
        body.as_object_mut()
            .unwrap()
            .insert("client_id".to_owned(), json!(client.client_id));
        body
    }

    pub(crate) async fn read(&self, client: &Registered) -> Response {
        self.send(Method::GET, &client.uri, Some(&client.rat), None)
            .await
            .unwrap()
    }

    pub(crate) fn claims(&self, client_id: &str) -> Value {
        self.claims_at(client_id, Timestamp::now())
    }

    pub(crate) fn claims_at(&self, client_id: &str, now: Timestamp) -> Value {
        let mut jti = [0; 16];
        openssl::rand::rand_bytes(&mut jti).unwrap();
        json!({"iss": client_id, "sub": client_id, "aud": self.idp.issuer(),
               "iat": now.as_second(), "exp": now.as_second() + 60,
               "jti": URL_SAFE_NO_PAD.encode(jti)})
    }

    /// Posts to the token endpoint with a random code, as a proof of the key does.
    pub(crate) async fn prove(&self, key: &Key, client_id: &str) -> Outcome {
        let assertion = key.assertion(&self.claims(client_id));
        self.prove_with(&assertion).await
    }

    pub(crate) async fn prove_with(&self, assertion: &str) -> Outcome {
        let response = self
            .form(
                "/token",
                assertion,
                &[("grant_type", "authorization_code"), ("code", "x")],
            )
            .await
            .unwrap();
        Outcome::of(response).await
    }

    pub(crate) async fn form(
        &self,
        path: &str,
        assertion: &str,
        members: &[(&str, &str)],
    ) -> reqwest::Result<Response> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_assertion_type", ASSERTION_TYPE)
            .append_pair("client_assertion", assertion)
            .extend_pairs(members)
            .finish();
        self.http
            .post(format!("{}{path}", self.idp.issuer()))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
    }
}

impl Registered {
    pub(crate) fn of(body: Value) -> Self {
        let text = |member: &str| body[member].as_str().unwrap().to_owned();
        Self {
            client_id: text("client_id"),
            uri: text("registration_client_uri"),
            rat: text("registration_access_token"),
            body,
        }
    }
}

/// Status and `error` of an answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome(pub(crate) u16, pub(crate) String);

impl Outcome {
    pub(crate) async fn of(response: Response) -> Self {
        let status = response.status().as_u16();
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default();
        Self(
            status,
            body["error"].as_str().unwrap_or_default().to_owned(),
        )
    }

    pub(crate) fn is(&self, status: u16, error: &str) -> bool {
        self.0 == status && self.1 == error
    }
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(10))
        // Each request meets the next of several nodes.
        .pool_max_idle_per_host(0)
        .build()
        .unwrap()
}

pub(crate) async fn json(response: Response) -> Value {
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

async fn jwks(State(published): State<Arc<Mutex<Published>>>) -> impl IntoResponse {
    let published = published.lock().unwrap().clone();
    (
        published.status,
        [(header::CACHE_CONTROL, published.cache_control)],
        published.body,
    )
}
