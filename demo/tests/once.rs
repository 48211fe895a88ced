//! The demonstration as a user starts it.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

#[test]
fn it_tells_the_whole_story_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();

    let output = command(&directory).arg("--once").output().unwrap();

    let shown = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{shown}{complaints}");
    assert_eq!(complaints, "");
    let told = without_line_breaks(&shown);
    for essential in [
        "POST /api/admin/dcr/initial-access-tokens",
        "GET /.well-known/jwks.json",
        "POST /api/oidc/dcr/register",
        "201 Created",
        "Client registered: demo-app",
        "remove DCR_IAT",
        "\"registration_access_token\": \"***\"",
        "\"error\": \"invalid_grant\"",
        "POST /admin/rotate",
        "202 Accepted",
        "signs from now on",
        "previous",
        "last proof accepted",
        "writes sent 0",
        "/.well-known/jwks.json",
        "/healthz",
        "/admin/status",
    ] {
        assert!(told.contains(essential), "no {essential}:\n{shown}");
    }
    let in_token = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    for word in shown.split(|c| !in_token(c)) {
        let secret = word.starts_with("iat-") || word.starts_with("rat-");
        assert!(!secret, "{word} is shown:\n{shown}");
    }
    assert!(!shown.contains("PRIVATE KEY") && !shown.contains('\x1b'));
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
}

#[test]
fn it_serves_on_until_it_is_asked_to_end() {
    let directory = tempfile::tempdir().unwrap();
    let mut demo = command(&directory).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);

    assert!(lines.any(|line| line.contains("Press Ctrl-C to end")));
    assert!(demo.try_wait().unwrap().is_none());
    let pid = rustix::process::Pid::from_child(&demo);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();

    assert!(lines.any(|line| line.contains("Ended")));
    assert!(demo.wait().unwrap().success());
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
}

#[test]
fn a_pipe_that_closes_early_is_no_failure() {
    let directory = tempfile::tempdir().unwrap();
    let mut demo = command(&directory);
    let demo = demo.arg("--once").stdout(Stdio::piped());
    let mut demo = demo.stderr(Stdio::piped()).spawn().unwrap();

    let mut first = String::new();
    let mut shown = BufReader::new(demo.stdout.take().unwrap());
    shown.read_line(&mut first).unwrap();
    drop(shown);

    let output = demo.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert!(output.status.success());
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
}

fn without_line_breaks(shown: &str) -> String {
    let words = shown.split_whitespace().filter(|word| *word != "|");
    words.collect::<Vec<_>>().join(" ")
}

fn command(directory: &tempfile::TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.env("TMPDIR", directory.path()).stdin(Stdio::null());
    command
}
