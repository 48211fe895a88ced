//! The service in this process: with an IdP beside it, or keeping keys alone.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bff::app::{App, Parts};
use bff::config::{Config, Env, Overrides};
use bff::disk::{Disk, HostDisk};
use bff::jose::Kid;
use bff::local_files::{Directories, Outlets};
use bff::rotator::{Mode, Order, Rotator};
use bff::service::{Running, start};
use bff::state::State;
use bff::store::{FileStore, Store};
use dev_idp::{Builder, DevIdp, Endpoint, Exchange, JwksCachePolicy};
use serde_json::Value;
use tokio::time::{pause, resume};

use crate::support::port::Port;
use crate::support::volume::Volume;
use crate::support::{elapse, eventually};
use crate::wall::Wall;

pub(crate) const MINUTE: Duration = Duration::from_mins(1);

/// By then the rotator has looked once more.
pub(crate) const TICK: Duration = Duration::from_secs(5 * 60 + 5);

/// An IdP and a service, whose clocks move together.
pub(crate) struct Scene {
    pub(crate) wall: Wall,
    pub(crate) idp: Arc<DevIdp>,
    pub(crate) volume: Volume,
    port: Port,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(DevIdp::builder().jwks_cache(JwksCachePolicy::NoCache)).await
    }

    pub(crate) async fn with(idp: Builder) -> Self {
        let wall = Wall::new();
        let of_idp = wall.clone();
        let idp = idp.clock(move || of_idp.now()).start().await.unwrap();
        Self {
            wall,
            idp: Arc::new(idp),
            volume: Volume::new(),
            port: Port::reserve(),
        }
    }

    /// Starts the service with these settings more.
    pub(crate) async fn start(&self, more: &[(&str, &str)]) -> Running {
        let config = self.config(more);
        start(config, self.wall.clock()).await.unwrap()
    }

    /// The same, registered and proven.
    pub(crate) async fn serve(&self, more: &[(&str, &str)]) -> Running {
        let running = self.start(more).await;
        running.bootstrap().await.unwrap();
        running
    }

    /// The same with what is stored: nobody is asked.
    pub(crate) async fn resume(&self) -> Running {
        self.serve(&[("SKIP_DCR_BOOTSTRAP", "true")]).await
    }

    fn config(&self, more: &[(&str, &str)]) -> Config {
        let token = self.idp.mint_iat();
        let client_file = self.client_file();
        let (listen, base_url) = (self.port.address.to_string(), self.port.url(""));
        let issuer = self.idp.issuer();
        let mut settings = vec![
            ("BFF_LISTEN", listen.as_str()),
            ("BFF_BASE_URL", &base_url),
            ("IDP_BASE_URL", &issuer),
            ("DCR_REDIRECT_URIS", "https://app.example/cb"),
            ("DCR_SCOPE", "openid"),
            ("DCR_IAT", &token),
            ("BFF_CLIENT_CRED_PATH", client_file.to_str().unwrap()),
        ];
        settings.extend(more);
        config(self.volume.path(), &settings)
    }

    pub(crate) fn client_file(&self) -> std::path::PathBuf {
        self.volume.file("client.json")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.port.url(path)
    }

    /// The store that the service uses, for somebody else.
    pub(crate) fn store(&self) -> FileStore {
        store(self.volume.path())
    }

    /// The updates that the IdP was asked for.
    pub(crate) fn updates(&self) -> Vec<Exchange> {
        let mut requests = self.idp.requests();
        requests.retain(|exchange| exchange.endpoint == Endpoint::Update);
        requests
    }
}

/// How often the IdP has answered so to an authentication with that key.
pub(crate) fn answered(idp: &DevIdp, kid: &Kid, status: u16) -> usize {
    let requests = idp.requests();
    let with = |exchange: &&Exchange| {
        let signed = &exchange.request["client_assertion"]["header"]["kid"];
        exchange.status == Some(status) && *signed == kid.as_str()
    };
    requests.iter().filter(with).count()
}

/// What the IdP answers to a made-up code of an authenticated client.
pub(crate) const ACCEPTED: u16 = 400;

/// Lets time go by, as fast as what is under way comes to rest.
pub(crate) async fn pass(time: Duration) {
    pause();
    elapse(time).await;
    resume();
}

/// A service that only keeps keys, and that nobody serves.
pub(crate) struct KeysOnly {
    pub(crate) app: Arc<App>,
    pub(crate) rotator: Arc<Rotator>,
}

impl KeysOnly {
    pub(crate) async fn open(volume: &Volume, wall: &Wall, settings: &[(&str, &str)]) -> Self {
        let store = Arc::new(store(volume.path()));
        Self::open_with(volume, store, wall, settings).await
    }

    pub(crate) async fn open_with(
        volume: &Volume,
        store: Arc<dyn Store>,
        wall: &Wall,
        settings: &[(&str, &str)],
    ) -> Self {
        let config = config(volume.path(), settings);
        let (disk, path): (Arc<dyn Disk>, _) = (Arc::new(HostDisk), volume.path());
        let client_file = config.dcr.client_cred_path.as_deref();
        let parts = Parts {
            directories: Directories::open(Arc::clone(&disk), path, path, "a test").unwrap(),
            outlets: Outlets::new(disk, path, path, client_file),
            store,
        };
        let app = App::open_with(parts, config, wall.clock()).await.unwrap();
        let app = Arc::new(app);
        app.serving().await.unwrap();
        app.show_locally().await;
        let rotator = Arc::new(Rotator::new(Arc::clone(&app), None));
        let task = Arc::clone(&rotator);
        app.supervision
            .spawn("rotator", move || Arc::clone(&task).run());
        Self { app, rotator }
    }
}

/// The key that signs, by the document in memory.
pub(crate) fn current(app: &App) -> Kid {
    let state = app.ledger.state();
    state.ring().unwrap().current().jwk.kid.clone()
}

/// Document, signer and `active.pem` agree that this key signs.
#[track_caller]
pub(crate) fn agree(app: &App, volume: &Volume, kid: &Kid) {
    let stored = &volume.state()["ring"]["current"]["jwk"]["kid"];
    assert_eq!(*stored, kid.as_str(), "the document on the disk");
    assert_eq!(current(app), *kid, "the document in memory");
    assert_eq!(app.signer.current().unwrap().kid(), kid, "the signer");
    assert_eq!(active(volume).as_deref(), Some(kid.as_str()), "active.pem");
}

pub(crate) async fn signs(app: &App, kid: &Kid) {
    eventually("it signs", async || {
        let key = app.signer.current().ok()?;
        (key.kid() == kid).then_some(())
    })
    .await;
}

/// Rotates without the wait, until the new key signs.
pub(crate) async fn rotated(running: &Running) -> Kid {
    let order = Order {
        mode: Mode::Now,
        alg: None,
    };
    let new = running.rotator.order(order).await.unwrap().kid.unwrap();
    signs(&running.app, &new).await;
    new
}

/// The key to which `active.pem` leads.
pub(crate) fn active(volume: &Volume) -> Option<String> {
    let target = fs::read_link(volume.file("active.pem")).ok()?;
    Some(target.file_stem()?.to_str()?.to_owned())
}

/// A member of a JSON file; nothing if there is none.
pub(crate) fn member(path: &Path, name: &str) -> Option<String> {
    let text = fs::read(path).ok()?;
    let value: Value = serde_json::from_slice(&text).ok()?;
    Some(value[name].as_str()?.to_owned())
}

/// Commits as another process would that has the same directories.
pub(crate) fn commit_beside(store: &dyn Store, change: impl FnOnce(&mut State)) {
    let mut loaded = store.load().unwrap();
    change(&mut loaded.state);
    store.commit(&loaded.state, loaded.rev).unwrap();
}

pub(crate) fn store(volume: &Path) -> FileStore {
    FileStore::new(Arc::new(HostDisk), volume, volume)
}

/// The settings of a service with this volume, and these more.
fn config(volume: &Path, settings: &[(&str, &str)]) -> Config {
    let no_file = volume.join("bff.toml");
    fs::write(&no_file, "").unwrap();
    let env: Env = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .chain([("BFF_KEYS_DIR".to_owned(), volume.display().to_string())])
        .collect();
    Config::load(&env, Some(&no_file), &Overrides::default()).unwrap()
}
