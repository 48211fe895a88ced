//! Being asked to end: politely, twice, and in the middle of something.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use dev_idp::{Endpoint, Fault};
use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use support::child::Bff;
use support::eventually;
use support::http::request;
use support::port::Port;
use support::volume::Volume;
use support::world::{World, env};

const TOKEN: &str = "an-admin-token-of-32-characters!";

/// Longer than the grace for work without an effect, in milliseconds.
const LATE: u64 = 12_000;

/// Half of the time after which work is cut off even without a second signal.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_signal_ends_the_service_with_success_and_frees_port_and_volume() {
    let world = World::new().await;
    world.registered().await;

    for signal in ["TERM", "INT", "HUP", "QUIT"] {
        let bff = world.ready(&world.env()).await;

        bff.signal(signal);

        let ended = bff.ended().await;
        assert_eq!(ended.code, Some(0), "{ended}");
        assert!(ended.stderr.contains(&format!("SIG{signal}: stopping")));
    }
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_holds_nobody_up() {
    let world = World::new().await;
    let bff = world.ready(&world.env_with_token()).await;
    let mut idle = TcpStream::connect(world.port.address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: bff\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 12];
    idle.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let before = Instant::now();

    let ended = bff.stop().await;

    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(before.elapsed() < SOON);
}

#[tokio::test]
async fn a_request_at_hand_is_answered_before_the_end() {
    let world = World::new().await;
    let (bff, asking) = busy(&world, 500).await;

    let ended = bff.stop().await;

    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(asking.await.unwrap().unwrap(), 200);
}

#[tokio::test]
async fn a_second_signal_waits_for_nothing() {
    let world = World::new().await;
    let (bff, asking) = busy(&world, 60_000).await;
    let before = Instant::now();
    bff.signal("TERM");
    bff.says("SIGTERM: stopping").await;

    let ended = bff.stop().await;

    assert!(before.elapsed() < SOON, "{ended}");
    assert!(ended.stderr.contains("work unfinished"), "{ended}");
    assert!(asking.await.unwrap().is_err(), "nobody answered");
}

#[tokio::test]
async fn a_start_that_waits_for_its_idp_ends_at_once() {
    let (nobody, volume, port) = (Port::reserve(), Volume::new(), Port::reserve());
    let env = env(&volume, &port, &nobody.url("/api/oidc")).set("BFF_BOOTSTRAP_TIMEOUT", "1h");
    let bff = Bff::serve(&env);
    bff.says("trying again").await;
    let before = Instant::now();

    let ended = bff.stop().await;

    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(before.elapsed() < SOON, "{ended}");
}

#[tokio::test]
async fn a_registration_under_way_is_seen_through() {
    let world = World::new().await;
    let bff = registering(&world, 500).await;

    let ended = bff.stop().await;

    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(world.clients(), [world.client_id()]);
    world.run(&world.env_with_token()).await;
    assert_eq!(world.received(Endpoint::Register).len(), 1);
}

/// Its answer names a client that would otherwise be lost.
#[tokio::test]
async fn a_registration_under_way_is_waited_for_to_its_own_time_limit() {
    let world = World::new().await;
    let bff = registering(&world, LATE).await;

    let ended = bff.stop().await;

    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(world.clients(), [world.client_id()]);
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_a_registration() {
    let world = World::new().await;
    let bff = registering(&world, 60_000).await;
    let before = Instant::now();
    bff.signal("TERM");
    bff.says("SIGTERM: stopping").await;

    let ended = bff.stop().await;

    assert!(before.elapsed() < SOON, "{ended}");
    assert!(ended.stderr.contains("work unfinished"), "{ended}");
}

/// Nobody else has the token.
#[tokio::test]
async fn a_token_that_is_being_minted_is_printed_before_the_end() {
    let world = World::new().await;
    let (on, millis) = (Endpoint::Mint, 1_000);
    world.idp.faults().set(Fault::Delay { on, millis });
    let token = world.idp.admin_token();
    let env = world.env().set("BOOTSTRAP_ADMIN_TOKEN", token);
    let command = Bff::start(&["mint-iat"], &env, "");
    arrived(&world, on).await;

    let ended = command.stop().await;

    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(world.idp.iat_uses(ended.stdout.trim()), Some(0), "{ended}");
}

/// The IdP answers the discovery after the signal: no registration follows.
#[tokio::test]
async fn nothing_that_has_an_effect_begins_after_a_signal() {
    let world = World::new().await;
    let (on, millis) = (Endpoint::Discovery, 2_000);
    world.idp.faults().set(Fault::Delay { on, millis });
    let bff = Bff::serve(&world.env_with_token());
    arrived(&world, Endpoint::Discovery).await;

    let ended = bff.stop().await;

    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(world.received(Endpoint::Register).is_empty());
}

/// A `bff` whose registration has arrived, and is answered after this time.
async fn registering(world: &World, millis: u64) -> Bff {
    let on = Endpoint::Register;
    world.idp.faults().set(Fault::Delay { on, millis });
    let bff = Bff::serve(&world.env_with_token());
    arrived(world, on).await;
    bff
}

async fn arrived(world: &World, at: Endpoint) {
    eventually("the request has arrived", async || {
        (!world.received(at).is_empty()).then_some(())
    })
    .await;
}

type Asking = tokio::task::JoinHandle<reqwest::Result<u16>>;

/// A ready `bff` with a request at hand, whose answer takes as long as the IdP does.
async fn busy(world: &World, millis: u64) -> (Bff, Asking) {
    let env = world.env_with_token().set("BFF_ADMIN_TOKEN", TOKEN);
    let bff = world.ready(&env).await;
    let seen = world.received(Endpoint::Discovery).len();
    let on = Endpoint::Discovery;
    world.idp.faults().set(Fault::Delay { on, millis });
    let request = request(Method::POST, &world.port.url("/admin/register")).bearer_auth(TOKEN);
    #[expect(clippy::disallowed_methods, reason = "a test has no task tracker")]
    let asking = tokio::spawn(async move {
        let response = request.send().await?;
        Ok(response.status().as_u16())
    });
    eventually("the IdP is being asked", async || {
        (world.received(Endpoint::Discovery).len() > seen).then_some(())
    })
    .await;
    (bff, asking)
}
