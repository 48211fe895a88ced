//! What takes minutes and months, by clocks that the test moves.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bff::app::{App, WaitingFor};
use bff::clock::Clock;
use bff::config::{Config, Env, Overrides};
use bff::jose::Kid;
use bff::rotator::{Mode, Order, Rotator};
use bff::service::{Running, start};
use dev_idp::{DevIdp, Fault, JwksCachePolicy};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio::time::{Instant, advance, pause, resume, sleep};

use crate::support::{self, eventually};

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// The wall clock: it goes with the time that tokio tells, and can be set.
#[derive(Clone)]
struct Wall {
    start: Timestamp,
    since: Instant,
    ahead: Arc<AtomicI64>,
}

impl Wall {
    fn new() -> Self {
        Self {
            start: Timestamp::now(),
            since: Instant::now(),
            ahead: Arc::default(),
        }
    }

    fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_secs(self.ahead.load(Ordering::Relaxed));
        self.start + self.since.elapsed() + ahead
    }

    fn set_ahead(&self, by: Duration) {
        let seconds = i64::try_from(by.as_secs()).unwrap();
        self.ahead.store(seconds, Ordering::Relaxed);
    }

    fn clock(&self) -> Clock {
        let wall = self.clone();
        Clock::new(move || wall.now())
    }
}

/// A service that only keeps keys, in this process.
struct KeysOnly {
    app: Arc<App>,
    rotator: Arc<Rotator>,
    _volume: TempDir,
}

impl KeysOnly {
    async fn new(wall: &Wall) -> Self {
        let volume = tempfile::tempdir().unwrap();
        let config = config(volume.path(), &[("DCR_ENABLED", "false")]);
        let app = Arc::new(App::open(config, wall.clock()).await.unwrap());
        app.serving().await.unwrap();
        let rotator = Arc::new(Rotator::new(Arc::clone(&app), None));
        app.shutdown.spawn(Arc::clone(&rotator).run());
        Self {
            app,
            rotator,
            _volume: volume,
        }
    }

    fn current(&self) -> Kid {
        current(&self.app)
    }

    fn published(&self) -> usize {
        let state = self.app.ledger.state();
        state.ring().unwrap().published().count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_signs_when_its_time_has_come_and_not_a_second_before() {
    let wall = Wall::new();
    let service = KeysOnly::new(&wall).await;
    let old = service.current();

    let status = service.rotator.order(Order::default()).await.unwrap();

    let earliest = status.earliest_promotion.unwrap();
    let wait = Duration::try_from(earliest.duration_since(wall.now())).unwrap();
    assert!(wait > 9 * MINUTE && wait <= 10 * MINUTE, "{wait:?}");
    sleep(wait.saturating_sub(Duration::from_secs(1))).await;
    assert_eq!(service.current(), old);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(Some(service.current()), status.kid);
    assert_eq!(
        service.app.signer.current().unwrap().kid(),
        &service.current()
    );
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ahead_does_not_shorten_the_wait() {
    let wall = Wall::new();
    let service = KeysOnly::new(&wall).await;
    let old = service.current();
    let status = service.rotator.order(Order::default()).await.unwrap();

    wall.set_ahead(365 * DAY);

    sleep(9 * MINUTE).await;
    assert_eq!(service.current(), old);
    sleep(2 * MINUTE).await;
    assert_eq!(Some(service.current()), status.kid);
}

#[tokio::test(start_paused = true)]
async fn keys_are_replaced_at_their_age_and_leave_at_theirs() {
    let service = KeysOnly::new(&Wall::new()).await;
    let first = service.current();

    sleep((30 * DAY).saturating_sub(MINUTE)).await;
    assert_eq!((service.published(), service.current()), (1, first.clone()));
    sleep(DAY).await;
    let second = service.current();
    assert_ne!(first, second);
    assert_eq!(service.published(), 2);

    sleep(28 * DAY).await;
    assert_eq!(service.published(), 2, "the first key is not 60 days old");
    sleep(2 * DAY).await;
    assert_ne!(service.current(), second, "the second one is 30 days old");
    let state = service.app.ledger.state();
    let gone: Vec<&Kid> = state
        .ring()
        .unwrap()
        .retired()
        .iter()
        .map(|r| &r.kid)
        .collect();
    assert_eq!(gone, [&first]);
}

#[tokio::test]
async fn a_scheduled_rotation_waits_and_then_proves_the_key() {
    let scene = Scene::new().await;
    let running = scene.serve().await;
    let old = current(&running.app);
    let status = running.rotator.order(Order::default()).await.unwrap();
    let new = status.kid.unwrap();

    scene
        .pass_until(status.earliest_promotion.unwrap(), Duration::from_secs(5))
        .await;
    assert_eq!(current(&running.app), old);
    assert_eq!(scene.accepted(&new), 0, "not even tried");

    scene.pass(Duration::from_secs(5)).await;
    signs(&running, &new).await;
    assert_eq!(scene.accepted(&new), 3);
    assert!(running.stop(std::future::pending()).await);
}

#[tokio::test]
async fn rejected_after_its_promotion_a_key_gives_way_even_after_a_restart() {
    let scene = Scene::new().await;
    let running = scene.serve().await;
    let old = current(&running.app);
    let order = Order {
        mode: Mode::Now,
        alg: None,
    };
    let new = running.rotator.order(order).await.unwrap().kid.unwrap();
    signs(&running, &new).await;
    eventually("it is looked after", async || {
        (running.rotator.report().waiting_for == Some(WaitingFor::Probation)).then_some(())
    })
    .await;
    assert!(running.stop(std::future::pending()).await);
    let running = scene.serve().await;

    let kid = new.as_str().to_owned();
    scene.idp.faults().set(Fault::RefuseKey { kid });
    scene.pass(Duration::from_secs(16)).await;

    signs(&running, &old).await;
    let status = eventually("the rejection is shown", async || {
        let status = running.rotator.report();
        (status.rejections > 0).then_some(status)
    })
    .await;
    assert_eq!(status.kid, Some(new), "it gets another chance");
    assert_eq!(status.waiting_for, Some(WaitingFor::Time));
    assert!(running.stop(std::future::pending()).await);
}

#[tokio::test]
async fn after_a_revocation_it_is_seen_whether_the_idp_takes_the_new_key() {
    let scene = Scene::new().await;
    let running = scene.serve().await;
    let order = Order {
        mode: Mode::Compromised,
        alg: None,
    };
    let new = running.rotator.order(order).await.unwrap().kid.unwrap();

    scene.pass(Duration::from_secs(16)).await;

    eventually("it is proven", async || {
        (scene.accepted(&new) > 0).then_some(())
    })
    .await;
    assert_eq!(running.app.condition.proof().unwrap().kid, new);
    assert!(running.stop(std::future::pending()).await);
}

/// An IdP and a service in this process, whose clocks move together.
struct Scene {
    wall: Wall,
    idp: DevIdp,
    volume: TempDir,
    port: support::port::Port,
}

impl Scene {
    async fn new() -> Self {
        let wall = Wall::new();
        let of_idp = wall.clone();
        let cooldown = Duration::from_secs(1);
        let idp = DevIdp::builder()
            .jwks_cache(JwksCachePolicy::RefetchOnMiss { cooldown })
            .clock(move || of_idp.now())
            .start()
            .await
            .unwrap();
        Self {
            wall,
            idp,
            volume: tempfile::tempdir().unwrap(),
            port: support::port::Port::reserve(),
        }
    }

    async fn serve(&self) -> Running {
        let token = self.idp.mint_iat();
        let settings = [
            ("BFF_LISTEN", self.port.address.to_string()),
            ("BFF_BASE_URL", self.port.url("")),
            ("IDP_BASE_URL", self.idp.issuer()),
            ("DCR_REDIRECT_URIS", "https://app.example/cb".to_owned()),
            ("DCR_SCOPE", "openid".to_owned()),
            ("DCR_IAT", token),
        ];
        let settings: Vec<_> = settings
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let config = config(self.volume.path(), &settings);
        let running = start(config, self.wall.clock()).await.unwrap();
        running.bootstrap().await.unwrap();
        running
    }

    /// Lets time go by while nothing is under way.
    async fn pass(&self, time: Duration) {
        // What was just ordered comes to its next wait.
        sleep(Duration::from_millis(200)).await;
        pause();
        advance(time).await;
        resume();
        sleep(Duration::from_millis(200)).await;
    }

    async fn pass_until(&self, moment: Timestamp, short_of: Duration) {
        let wait = Duration::try_from(moment.duration_since(self.wall.now())).unwrap();
        self.pass(wait.saturating_sub(short_of)).await;
    }

    /// How often the IdP has accepted that key.
    fn accepted(&self, kid: &Kid) -> usize {
        let requests = self.idp.requests();
        let with = |exchange: &&dev_idp::Exchange| {
            exchange.status == Some(400) && crate::stage::kid_of(exchange) == Some(kid.as_str())
        };
        requests.iter().filter(with).count()
    }
}

async fn signs(running: &Running, kid: &Kid) {
    eventually("it signs", async || {
        (running.app.signer.current().unwrap().kid() == kid).then_some(())
    })
    .await;
    assert_eq!(current(&running.app), *kid);
}

fn current(app: &App) -> Kid {
    let state = app.ledger.state();
    state.ring().unwrap().current().jwk.kid.clone()
}

/// The settings of a service with this volume, and these more.
fn config(volume: &Path, settings: &[(&str, &str)]) -> Config {
    let no_file = volume.join("bff.toml");
    std::fs::write(&no_file, "").unwrap();
    let env: Env = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .chain([("BFF_KEYS_DIR".to_owned(), volume.display().to_string())])
        .collect();
    Config::load(&env, Some(&no_file), &Overrides::default()).unwrap()
}
