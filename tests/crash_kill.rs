//! The program itself, killed at random moments.
//!
//! `BFF_CRASH_KILLS` says how often, `BFF_CRASH_SEED` chooses other moments.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong by panicking"
)]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dev_idp::{DevIdp, Endpoint, Fault, JwksCachePolicy};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

/// Longest time for a start that nobody kills.
const PATIENCE: Duration = Duration::from_secs(30);

/// Kills in the life of one client.
const KILLS: u64 = 10;

/// One client, from an empty volume on.
struct Life {
    idp: DevIdp,
    settings: BTreeMap<&'static str, String>,
    directory: TempDir,
    /// How often an operator had to mint another token.
    helped: usize,
    /// Holds the port that the program listens on, without listening itself.
    _port: Socket,
}

/// What may end a run.
enum Moment {
    After(Duration),
    /// When the IdP has seen so many requests.
    Exchange(u64),
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_manageable_client_is_left_however_often_the_program_is_killed() {
    let kills = number("BFF_CRASH_KILLS", 40);
    let mut random = Random(number("BFF_CRASH_SEED", 1));
    let (mut helped, mut ended) = (0, 0);
    for _ in 0..kills.div_ceil(KILLS) {
        let mut life = Life::begin().await;
        for round in 0..KILLS {
            life.want(&format!("https://app.example/{round}"));
            let moment = match random.below(3) {
                0 => Moment::After(Duration::from_millis(random.below(250))),
                _ => Moment::Exchange(1 + random.below(6)),
            };
            if let Some(log) = life.killed(&moment).await {
                ended += 1;
                life.follow(&log);
            }
        }

        life.want("https://app.example/last");
        life.settle().await;
        life.is_the_only_client("https://app.example/last");

        let before = life.writes();
        life.want("https://app.example/changed");
        let output = life.run().await;
        assert!(output.status.success(), "{output:?}");
        life.is_the_only_client("https://app.example/changed");
        assert_eq!(life.writes()[before.len()..], [Endpoint::Update]);
        life.no_token_was_sent_twice();
        helped += life.helped;
    }
    let line = format!(
        "{kills} kills ({ended} runs had failed by then): 0 lost, 0 doubled, 0 torn; an operator had to \
         mint {helped} tokens\n"
    );
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_restarts_with_nothing_changed_write_nothing() {
    let life = Life::begin().await;
    assert!(life.run().await.status.success());
    let before = life.writes();

    for _ in 0..50 {
        assert!(life.run().await.status.success());
    }

    assert_eq!(life.writes(), before);
}

impl Life {
    async fn begin() -> Self {
        let idp = DevIdp::builder()
            .jwks_cache(JwksCachePolicy::NoCache)
            .start()
            .await
            .unwrap();
        idp.faults().set(Fault::RotateOnRead);
        idp.faults().set(Fault::RotateOnUpdate);
        let directory = tempfile::tempdir().unwrap();
        let port = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        port.set_reuse_address(true).unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        port.bind(&any.into()).unwrap();
        let address = port.local_addr().unwrap().as_socket().unwrap();
        let settings = BTreeMap::from([
            ("BFF_LISTEN", address.to_string()),
            ("BFF_BASE_URL", format!("http://{address}")),
            (
                "BFF_KEYS_DIR",
                directory.path().join("keys").display().to_string(),
            ),
            ("BFF_LOG_FORMAT", "text".to_owned()),
            ("BOOTSTRAP_ADMIN_TOKEN", idp.admin_token().to_owned()),
            ("DCR_CLIENT_ID", "survivor".to_owned()),
            ("DCR_IAT", idp.mint_iat()),
            ("DCR_REDIRECT_URIS", "https://app.example/first".to_owned()),
            ("DCR_REDIRECT_UPDATE_MODE", "replace".to_owned()),
            ("IDP_BASE_URL", idp.issuer()),
        ]);
        Self {
            idp,
            settings,
            directory,
            helped: 0,
            _port: port,
        }
    }

    fn want(&mut self, redirect_uri: &str) {
        self.settings
            .insert("DCR_REDIRECT_URIS", redirect_uri.to_owned());
    }

    fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bff"));
        command
            .arg(subcommand)
            .env_clear()
            .envs(&self.settings)
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// A start that is killed; its log, if it had ended by then.
    async fn killed(&self, moment: &Moment) -> Option<String> {
        let mut exchanges = self.idp.subscribe();
        let mut command = self.command("serve");
        let mut run = Run::start(command.stdout(Stdio::null()).stderr(Stdio::piped()));
        let limit = match moment {
            Moment::After(time) => *time,
            Moment::Exchange(_) => Duration::from_millis(500),
        };
        // A run that asks the IdP for less is killed when it idles.
        drop(
            tokio::time::timeout(limit, async {
                if let Moment::Exchange(count) = moment {
                    for _ in 0..*count {
                        exchanges.recv().await.unwrap();
                    }
                } else {
                    std::future::pending::<()>().await;
                }
            })
            .await,
        );
        run.kill()
    }

    /// A start that nobody kills, until it is ready.
    async fn run(&self) -> Output {
        let mut command = self.command("register");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        tokio::time::timeout(PATIENCE, output)
            .await
            .expect("it ends")
            .unwrap()
    }

    /// Starts until all is well, with an operator who does what the hints say.
    async fn settle(&mut self) {
        let mut logs = Vec::new();
        let wanted = self.settings.get("DCR_REDIRECT_URIS").cloned();
        for _ in 0..4 {
            let output = self.run().await;
            let log = String::from_utf8_lossy(&output.stderr).into_owned();
            if output.status.success() {
                if self.redirect_uris().first() == wanted.as_ref() {
                    return;
                }
            } else {
                assert!(self.follow(&log), "{log}");
            }
            logs.push(log);
        }
        panic!("not settled:\n{}", logs.join("\n"));
    }

    /// Does what a hint says, if there is one for an operator.
    fn follow(&mut self, log: &str) -> bool {
        if !log.contains("bff mint-iat") {
            return false;
        }
        for (client_id, _) in self.idp.clients() {
            self.idp.delete_client(&client_id).unwrap();
        }
        self.settings.insert("DCR_IAT", self.idp.mint_iat());
        self.helped += 1;
        true
    }

    fn is_the_only_client(&self, redirect_uri: &str) {
        let clients = self.idp.clients();
        assert_eq!(clients.len(), 1, "{clients:?}");
        assert_eq!(self.redirect_uris(), [redirect_uri], "{clients:?}");
    }

    fn redirect_uris(&self) -> Vec<String> {
        let clients = self.idp.clients();
        let uris = clients
            .first()
            .map(|(_, metadata)| &metadata["redirect_uris"]);
        serde_json::from_value(uris.cloned().unwrap_or_default()).unwrap_or_default()
    }

    /// The changes that the IdP was asked for.
    fn writes(&self) -> Vec<Endpoint> {
        let requests = self.idp.requests().into_iter();
        requests
            .filter(|exchange| exchange.write)
            .map(|exchange| exchange.endpoint)
            .collect()
    }

    fn no_token_was_sent_twice(&self) {
        let mut tokens: Vec<_> = self
            .idp
            .requests()
            .into_iter()
            .filter(|exchange| exchange.endpoint == Endpoint::Register)
            .map(|exchange| exchange.authorization)
            .collect();
        let sent = tokens.len();
        tokens.sort();
        tokens.dedup();
        assert_eq!(tokens.len(), sent, "{tokens:?}");
    }
}

/// A child process, killed at the latest when this is dropped.
struct Run {
    child: Child,
    log: Option<JoinHandle<String>>,
}

impl Run {
    fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = thread::spawn(move || {
            let mut log = String::new();
            stderr.read_to_string(&mut log).unwrap();
            log
        });
        Self {
            child,
            log: Some(log),
        }
    }

    /// Kills it; its log, if it had ended by itself.
    fn kill(&mut self) -> Option<String> {
        let ended = self.child.try_wait().unwrap().is_some();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let log = self.log.take().unwrap().join().unwrap();
        // What a damaged state is called.
        assert!(
            !log.contains("is damaged") && !log.contains("panicked"),
            "{log}"
        );
        ended.then_some(log)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Numbers that look random and are the same for the same seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |number| number.parse().unwrap())
}
