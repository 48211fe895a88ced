//! The program as an operator and a container run it.

#![cfg(unix)]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dev-idp"));
    command
        .env_remove("DEV_IDP_ADMIN_TOKEN")
        .env_remove("DEV_IDP_ADMIN_TOKEN_FILE");
    command
}

fn refusal(arguments: &[&str], admin_token: Option<&str>) -> String {
    let mut command = program();
    command.args(arguments);
    if let Some(token) = admin_token {
        command.env("DEV_IDP_ADMIN_TOKEN", token);
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

/// Ends the program if the test ends early.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn it_refuses_to_start_without_an_admin_token_and_says_what_to_do() {
    let error = refusal(&["--listen", "127.0.0.1:0"], None);

    assert!(error.contains("DEV_IDP_ADMIN_TOKEN"), "{error}");
    assert!(error.contains("--admin-token-out"), "{error}");
}

#[test]
fn it_refuses_addresses_that_others_can_reach() {
    let token = Some("0123456789abcdef");

    let error = refusal(&["--listen", "0.0.0.0:0"], token);
    assert!(error.contains("--container"), "{error}");
    let error = refusal(&["--container", "--listen", "8.8.8.8:80"], token);
    assert!(error.contains("never"), "{error}");
}

#[test]
fn it_names_a_mistake_in_the_policy() {
    let directory = tempfile::tempdir().unwrap();
    let policy = directory.path().join("dcr_config.yaml");
    fs::write(&policy, "policy: {allowed_scope: []}\n").unwrap();

    let arguments = ["--config", policy.to_str().unwrap()];
    let error = refusal(&arguments, Some("0123456789abcdef"));

    assert!(error.contains("dcr_config.yaml"), "{error}");
    assert!(error.contains("allowed_scope"), "{error}");
}

#[test]
fn it_says_what_it_is_writes_its_tokens_and_stops_on_a_signal() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let child = program()
        .args(["--listen", "127.0.0.1:0"])
        .arg("--iat-out")
        .arg(file("iat"))
        .arg("--admin-token-out")
        .arg(file("admin"))
        .arg("--clients")
        .arg(file("clients.yaml"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let mut out = BufReader::new(running.0.stdout.take().unwrap());
    let mut line = || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        line
    };

    assert!(line().contains("never put it on a network you do not own"));
    let listening = line();
    let address = listening.split([' ', ',']).nth(2).unwrap();
    let url = format!("http://{address}/healthz");
    let health = |url: &str| {
        let output = program().args(["healthcheck", "--url", url]).output();
        output.unwrap().status.code()
    };
    assert_eq!(health(&url), Some(0));
    assert!(line().ends_with("GET /healthz 200\n"));
    for name in ["iat", "admin"] {
        let mode = fs::metadata(file(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        assert!(fs::read_to_string(file(name)).unwrap().len() > 40);
    }

    let pid = running.0.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(sent.unwrap().success());
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "stopped\n");
    assert_eq!(health(&url), Some(1));
}
