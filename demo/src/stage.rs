//! What the story needs: `bff` itself, its settings, files, and requests to it.
//!
//! All that the demonstration calls of `bff` as a library is in this file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bff::clock::Clock;
use bff::config::{Config, Env, Overrides};
use bff::service::{self, Running, ServiceError};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

/// The variables that `bff` is configured with, and their values.
pub(crate) type Settings = Vec<(&'static str, String)>;

/// A `bff` that serves its JWK Set.
pub(crate) struct Service(Running);

impl Service {
    /// Starts with these settings alone: `file` is made empty.
    pub(crate) async fn start(settings: &Settings, file: PathBuf) -> anyhow::Result<Self> {
        fs::write(&file, "")?;
        let env: Env = settings.iter().cloned().collect();
        let config = Config::load(&env, Some(&file), &Overrides::default())?;
        let running = Box::pin(service::start(config, Clock::system())).await;
        Ok(Self(running.map_err(explain)?))
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// Registers and proves the key.
    pub(crate) async fn bootstrap(&self) -> anyhow::Result<()> {
        self.0.bootstrap().await.map_err(explain)
    }

    /// Stops, after the requests under way.
    pub(crate) async fn stop(self) {
        self.0.stop(std::future::pending()).await;
    }
}

fn explain(error: ServiceError) -> anyhow::Error {
    let hint = error.hint();
    anyhow::Error::new(error).context(format!("bff failed (hint: {hint})"))
}

/// The settings of a first start; relative paths are in `directory`.
pub(crate) fn settings(address: SocketAddr, issuer: &str, directory: &Path) -> Settings {
    let path = |name: &str| directory.join(name).display().to_string();
    vec![
        ("BFF_LISTEN", address.to_string()),
        ("BFF_BASE_URL", format!("http://{address}")),
        ("BFF_KEYS_DIR", path("keys")),
        ("BFF_JWT_SIGNING_KEY", path("keys/first.pem")),
        ("BFF_ADMIN_TOKEN_FILE", path("admin-token")),
        ("IDP_BASE_URL", issuer.to_owned()),
        ("DCR_IAT_FILE", path("iat")),
        ("DCR_CLIENT_ID", "demo-app".to_owned()),
        ("DCR_CLIENT_PROFILE", "code-flow-pkjwt".to_owned()),
        ("DCR_REDIRECT_URIS", format!("http://{address}/callback")),
        ("DCR_SCOPE", "openid profile email".to_owned()),
    ]
}

/// An address on loopback that is free now.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// A fresh P-256 key as PKCS#8 PEM.
pub(crate) fn pem() -> anyhow::Result<String> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
    Ok(String::from_utf8(key.private_key_to_pem_pkcs8()?)?)
}

/// A token that nobody can guess.
pub(crate) fn token() -> anyhow::Result<String> {
    let mut octets = [0; 16];
    openssl::rand::rand_bytes(&mut octets)?;
    Ok(format!("{:032x}", u128::from_be_bytes(octets)))
}

/// Writes a secret into a new file that only its owner can read.
#[expect(
    clippy::disallowed_methods,
    reason = "this program has no layer for files"
)]
pub(crate) fn keep(path: &Path, secret: &str) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    Ok(options.open(path)?.write_all(secret.as_bytes())?)
}

/// The HTTP interface of `bff` or of the provider, for whoever has the bearer token.
pub(crate) struct Admin {
    http: reqwest::Client,
    base_url: String,
    token: String,
}

impl Admin {
    /// The paths below `base_url`.
    pub(crate) fn new(base_url: &str, token: &str) -> anyhow::Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder().no_proxy().build()?,
            base_url: base_url.to_owned(),
            token: token.to_owned(),
        })
    }

    /// Gets a path, or posts JSON to it unless that is null; returns what is answered.
    pub(crate) async fn send(&self, path: &str, json: &Value) -> anyhow::Result<(u16, Value)> {
        let url = format!("{}{path}", self.base_url);
        let request = match json {
            Value::Null => self.http.get(url),
            _ => self.http.post(url).body(json.to_string()),
        };
        let request = request.header(CONTENT_TYPE, "application/json");
        let answer = request.bearer_auth(&self.token).send().await?;
        let status = answer.status().as_u16();
        Ok((status, serde_json::from_slice(&answer.bytes().await?)?))
    }

    /// A member of the status of `bff`, by its JSON Pointer (RFC 6901); null if it is not there.
    pub(crate) async fn status(&self, pointer: &str) -> anyhow::Result<Value> {
        let (_, status) = self.send("/admin/status", &Value::Null).await?;
        Ok(status.pointer(pointer).cloned().unwrap_or_default())
    }
}
