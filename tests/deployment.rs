//! What the files for images and containers say, where the program or the toolchain has it too.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong by panicking"
)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use bff::app::Shutdown;

#[test]
fn an_image_is_built_with_the_toolchain_that_is_tested() {
    let toolchain = read("rust-toolchain.toml");
    let tested = between(&toolchain, "channel = \"", "\"");

    let built = read("Dockerfile");

    let image = between(&built, "ARG RUST_IMAGE=", "\n");
    let tag = image.split('@').next().unwrap();
    assert_eq!(tag, format!("rust:{tested}-slim-bookworm"));
}

#[test]
fn no_base_image_has_a_name_but_the_two_that_can_be_pinned() {
    let built = read("Dockerfile");

    for line in built.lines().filter(|line| line.starts_with("FROM ")) {
        let base = line.split(' ').nth(1).unwrap();
        let of_this_file = ["scratch", "toolchain", "source"].contains(&base);
        assert!(of_this_file || base.starts_with("${"), "{line}");
    }
}

#[test]
fn a_container_is_not_killed_while_a_request_to_the_idp_is_under_way() {
    let client = read("src/transport/http_client.rs");
    let request = between(
        &client,
        "const TIMEOUT: Duration = Duration::from_secs(",
        ")",
    );
    let request = Duration::from_secs(request.parse().unwrap());
    let spare = Duration::from_secs(5);
    assert!(Shutdown::LONGEST >= request + spare, "time to store it");
    let needed = Shutdown::LONGEST + spare;
    for (file, name) in [
        ("docker-compose.yml", "stop_grace_period: "),
        ("docker-compose.production.yml", "stop_grace_period: "),
        (
            "config/kubernetes/deployment.yaml",
            "terminationGracePeriodSeconds: ",
        ),
    ] {
        let text = read(file);
        let given = between(&text, name, "\n").trim_end_matches('s');
        let given = Duration::from_secs(given.parse().unwrap());
        assert!(given >= needed, "{file}: {given:?} is below {needed:?}");
    }
}

#[test]
fn nothing_but_the_service_makes_a_key() {
    for file in [
        "docker-compose.yml",
        "docker-compose.production.yml",
        "config/kubernetes/deployment.yaml",
    ] {
        let text = read(file);
        let settings = text.lines().filter(|line| !line.trim().starts_with('#'));
        for line in settings {
            assert!(!line.contains("generate"), "{file}: {line}");
            assert!(!line.contains("initContainers"), "{file}: {line}");
        }
    }
}

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// What follows `start` for the first time, up to `end`.
#[track_caller]
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text
        .split_once(start)
        .unwrap_or_else(|| panic!("`{start}` is not there"));
    rest.split_once(end).unwrap().0
}
