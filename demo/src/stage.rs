//! What the story needs: places for files, free ports, tokens, and the settings of `bff`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bff::config::{Config, Env, Overrides};
use bff::secret::Secret;
use bff::store::{write_private_file, write_public_file};
use tokio::net::TcpListener;

/// The port that operators know `bff` by.
const BFF_PORT: u16 = 8000;
/// The port that operators know the provider by.
const IDP_PORT: u16 = 8002;

/// The files of the demonstration.
#[derive(Clone, Debug)]
pub(crate) struct Files(PathBuf);

impl Files {
    /// All below `directory`, which somebody else removes.
    pub(crate) fn new(directory: &Path) -> Self {
        Self(directory.to_path_buf())
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.0
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    pub(crate) fn pem(&self) -> PathBuf {
        self.keys().join("first.pem")
    }

    pub(crate) fn clients(&self) -> PathBuf {
        self.0.join("clients.yaml")
    }

    pub(crate) fn initial_access_token(&self) -> PathBuf {
        self.0.join("iat")
    }

    pub(crate) fn admin_token(&self) -> PathBuf {
        self.0.join("admin-token")
    }

    /// A path as it is shown: without the directory they all share.
    pub(crate) fn short(&self, path: &Path) -> String {
        path.strip_prefix(&self.0)
            .unwrap_or(path)
            .display()
            .to_string()
    }
}

/// What an operator tells `bff`: variables and their values.
#[derive(Clone, Debug)]
pub(crate) struct Settings(Vec<(&'static str, String)>);

impl Settings {
    /// Everything that a first start needs.
    pub(crate) fn new(address: SocketAddr, issuer: &str, files: &Files) -> Self {
        let path = |path: PathBuf| path.display().to_string();
        let base_url = format!("http://{address}");
        Self(vec![
            ("BFF_LISTEN", address.to_string()),
            ("BFF_BASE_URL", base_url.clone()),
            ("BFF_KEYS_DIR", path(files.keys())),
            ("BFF_JWT_SIGNING_KEY", path(files.pem())),
            ("BFF_ADMIN_TOKEN_FILE", path(files.admin_token())),
            ("IDP_BASE_URL", issuer.to_owned()),
            ("DCR_IAT_FILE", path(files.initial_access_token())),
            ("DCR_CLIENT_ID", "demo-app".to_owned()),
            ("DCR_CLIENT_PROFILE", "code-flow-pkjwt".to_owned()),
            ("DCR_REDIRECT_URIS", format!("{base_url}/callback")),
            ("DCR_SCOPE", "openid profile email".to_owned()),
        ])
    }

    /// The same without one of them.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(known, _)| *known != name);
        self
    }

    /// The variables and their values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Reads them as `bff` does, and nothing else: neither the environment of this process nor
    /// a file that lies about.
    pub(crate) fn load(&self, files: &Files) -> anyhow::Result<Config> {
        let no_file = files.directory().join("bff.toml");
        write_public_file(&no_file, b"")?;
        let env: Env = self.0.iter().cloned().collect();
        Ok(Config::load(&env, Some(&no_file), &Overrides::default())?)
    }
}

/// Listens for the provider; with `known`, where operators know it to be, if that is free.
pub(crate) async fn idp_listener(known: bool) -> io::Result<TcpListener> {
    listen(known.then_some(IDP_PORT)).await
}

/// An address for `bff` that is free now; with `known` the usual one, if it is.
pub(crate) async fn bff_address(known: bool) -> io::Result<SocketAddr> {
    listen(known.then_some(BFF_PORT)).await?.local_addr()
}

async fn listen(port: Option<u16>) -> io::Result<TcpListener> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    if let Some(port) = port
        && let Ok(listener) = bind(port).await
    {
        return Ok(listener);
    }
    bind(0).await
}

/// Writes a token that nobody can guess.
pub(crate) fn make_token(path: &Path) -> anyhow::Result<()> {
    let mut octets = [0; 16];
    openssl::rand::rand_bytes(&mut octets)?;
    let token = u128::from_be_bytes(octets);
    keep(path, &Secret::new(format!("{token:032x}")))
}

/// Writes a secret for the eyes of its owner only.
pub(crate) fn keep(path: &Path, secret: &Secret) -> anyhow::Result<()> {
    write_private_file(path, secret).with_context(|| format!("cannot write {}", path.display()))
}
