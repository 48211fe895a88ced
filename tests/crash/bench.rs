//! An IdP, the wires to it, and the time on both sides.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bff::clock::Clock;
use bff::config::{Config, Env, Overrides};
use dev_idp::{DevIdp, JwksCachePolicy};
use jiff::{SignedDuration, Timestamp};
use socket2::{Domain, Socket, Type};

use crate::net::{Wires, listen, proxy, serve_jwks};

/// An IdP and the wires to it, used for one world after the other.
pub(crate) struct Bench {
    pub(crate) idp: DevIdp,
    pub(crate) wires: Arc<Wires>,
    pub(crate) origin: String,
    pub(crate) jwks: SocketAddr,
    /// Holds an address that refuses connections.
    pub(crate) refused: Socket,
    directory: tempfile::TempDir,
    pub(crate) wall: Wall,
}

/// The clock on the wall, in whole seconds, which can be set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wall(Arc<AtomicI64>);

impl Wall {
    pub(crate) fn set_ahead(&self, seconds: i64) {
        self.0.store(seconds, Ordering::Relaxed);
    }

    pub(crate) fn move_on(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(crate) fn clock(&self) -> Clock {
        let wall = self.clone();
        Clock::new(move || wall.now())
    }

    fn now(&self) -> Timestamp {
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
        now + SignedDuration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let (to_idp, idp) = listen().await;
        let (to_proxy, origin) = listen().await;
        let (to_jwks, jwks) = listen().await;
        let origin = format!("http://{origin}");
        let wires = Arc::new(Wires::new());
        tokio::spawn(proxy(to_proxy, idp, Arc::clone(&wires)));
        tokio::spawn(serve_jwks(to_jwks, Arc::clone(&wires)));
        let wall = Wall::default();
        let of_idp = wall.clone();
        let idp = DevIdp::builder()
            .listener(to_idp)
            .base_url(&origin)
            .jwks_cache(JwksCachePolicy::NoCache)
            .clock(move || of_idp.now())
            .remember_secrets()
            .start()
            .await
            .unwrap();
        let refused = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        refused.bind(&any.into()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("bff.toml"), "").unwrap();
        Self {
            idp,
            wires,
            origin,
            jwks,
            refused,
            directory,
            wall,
        }
    }

    /// The configuration of these settings.
    pub(crate) fn config(&self, settings: &BTreeMap<&'static str, String>) -> Config {
        let file = self.directory.path().join("bff.toml");
        let env: Env = settings
            .iter()
            .map(|(name, value)| (*name, value.clone()))
            .collect();
        Config::load(&env, Some(&file), &Overrides::default()).unwrap()
    }
}

/// Prints a line past the test runner, which keeps what a passing test prints.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Does some work on a bench of its own, in this thread.
pub(crate) fn on_a_bench(work: impl AsyncFnOnce(&Bench)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let bench = Bench::new().await;
        work(&bench).await;
    });
}
