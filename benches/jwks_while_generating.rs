//! How much slower the JWK Set is served while an RSA-4096 key is made in the same process.
//!
//! Prints the 99th percentiles of the time to an answer, without and with, and their ratio. The
//! two take turns, so that what else the machine does weighs on both.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement connects, waits, prints, and fails by panicking"
)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bff::clock::Clock;
use bff::config::{Config, Env, Overrides};
use bff::service::{Running, start};
use openssl::rsa::Rsa;
use tokio::runtime::Runtime;
use tokio::time::Instant;

/// Turns of each kind.
const TURNS: u32 = 8;

/// Length of one turn.
const TURN: Duration = Duration::from_secs(2);

/// Pause between two requests: fetching is not what keeps the machine busy.
const PAUSE: Duration = Duration::from_millis(1);

fn main() {
    let runtime = Runtime::new().unwrap();
    let volume = tempfile::tempdir().unwrap();
    let env: Env = [
        ("BFF_LISTEN", "127.0.0.1:0".to_owned()),
        ("BFF_KEYS_DIR", volume.path().display().to_string()),
        ("DCR_ENABLED", "false".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let no_file = volume.path().join("bff.toml");
    std::fs::write(&no_file, "").unwrap();
    let config = Config::load(&env, Some(&no_file), &Overrides::default()).unwrap();
    let running: Running = runtime.block_on(start(config, Clock::system())).unwrap();
    let mut client = Client::connect(running.address);
    client.measure(TURN);

    let (mut without, mut with) = (Vec::new(), Vec::new());
    let keys = Arc::new(AtomicU32::new(0));
    for _ in 0..TURNS {
        without.extend(client.measure(TURN));
        let done = Arc::new(AtomicBool::new(false));
        let (until, made) = (Arc::clone(&done), Arc::clone(&keys));
        let making = runtime.spawn_blocking(move || {
            while !until.load(Ordering::Relaxed) {
                Rsa::generate(4096).unwrap();
                made.fetch_add(1, Ordering::Relaxed);
            }
        });
        with.extend(client.measure(TURN));
        done.store(true, Ordering::Relaxed);
        runtime.block_on(making).unwrap();
    }
    let (without, with) = (p99(without), p99(with));
    let ratio = with.as_secs_f64() / without.as_secs_f64();
    println!(
        "p99 without {without:?}, with {with:?}, ratio {ratio:.2} ({} keys of 4096 bits)",
        keys.load(Ordering::Relaxed)
    );
    assert!(runtime.block_on(running.stop(std::future::pending())));
}

/// One connection that is kept.
struct Client {
    stream: TcpStream,
    request: String,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            request: format!("GET /.well-known/jwks.json HTTP/1.1\r\nHost: {address}\r\n\r\n"),
        }
    }

    /// The times to the answers of a while.
    fn measure(&mut self, time: Duration) -> Vec<Duration> {
        let start = Instant::now();
        let mut times = Vec::new();
        let mut buffer = [0; 4096];
        while start.elapsed() < time {
            let asked = Instant::now();
            self.stream.write_all(self.request.as_bytes()).unwrap();
            // The answer is small: it comes in one piece.
            let read = self.stream.read(&mut buffer).unwrap();
            times.push(asked.elapsed());
            assert!(buffer[..read].starts_with(b"HTTP/1.1 200"));
            assert!(buffer[..read].ends_with(b"}]}"));
            std::thread::sleep(PAUSE);
        }
        times
    }
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() * 99 / 100]
}
