//! An IdP that repeats what it was sent among characters that act on a terminal: nothing of it
//! reaches the log as it was written, at any endpoint, not even at `trace`.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;

use bff::oauth::is_odd;
use dev_idp::{DevIdp, Endpoint, Fault};
use serde_json::Value;

use support::child::{Bff, Ended};
use support::environment::Env;
use support::eventually;
use support::world::World;

/// Longest line of the log, in bytes.
const MAX_LINE: usize = 5_000;

/// How every JSON object begins in base64url, and so every assertion.
const JWS: &str = "eyJ";

/// Characters that act on a terminal, as they stand in a text.
const ODD: &str = "\u{1b}[2J\r\nINJECTED \u{85}\u{9b}\u{2028}\u{202e}\u{7f}";

/// The same inside a JSON string.
const ODD_IN_JSON: &str = r"\u001b[2J\r\nINJECTED \u0085\u009b\u2028\u202e\u007f";

fn bodies() -> Vec<String> {
    let long = "x".repeat(100_000);
    vec![
        format!(
            r#"{{"error":"e{ODD_IN_JSON}","error_description":"{{sent}} {ODD_IN_JSON} {long}"}}"#
        ),
        format!(r#"{{"message":"{ODD_IN_JSON} {{sent}}"}}"#),
        format!("<html><title>{ODD} {{sent}} {long}</title>"),
        format!("{ODD} {{sent}} {long}"),
        String::new(),
    ]
}

/// Bodies of a success.
fn successes() -> Vec<String> {
    let long = "x".repeat(100_000);
    let mut bodies = bodies();
    bodies.extend([
        format!(r#"{{"client_id":"{long}"}}"#),
        format!(r#"{{"client_id":"a{ODD_IN_JSON}","issuer":"{ODD_IN_JSON}{long}"}}"#),
        format!(r#"{{"client_id":"a","client_id":"{ODD_IN_JSON}{long}{{sent}}"}}"#),
        format!(
            r#"{{"client_id":"a","scope":"{{sent}} {ODD_IN_JSON}","token_endpoint_auth_method":"{ODD_IN_JSON}{{sent}}","registration_client_uri":"{ODD_IN_JSON}","registration_access_token":"{ODD_IN_JSON}","token":"{ODD_IN_JSON}"}}"#
        ),
    ]);
    bodies
}

/// Every answer there is: a status and a body.
fn answers() -> Vec<(u16, String)> {
    let mut answers = Vec::new();
    for status in [401, 500] {
        answers.extend(bodies().into_iter().map(|body| (status, body)));
    }
    for status in [302, 400, 404] {
        answers.extend(bodies().into_iter().take(1).map(|body| (status, body)));
    }
    answers.extend(successes().into_iter().map(|body| (200, body)));
    answers
}

fn repeat(on: Endpoint, (status, body): (u16, String)) -> Fault {
    Fault::Repeat { on, status, body }
}

fn tracing(env: Env) -> Env {
    env.set("BFF_LOG", "trace")
        .set("BFF_BOOTSTRAP_TIMEOUT", "0s")
}

#[tokio::test]
async fn the_answer_to_a_registration_is_shown_harmless() {
    for answer in answers() {
        let world = World::with(DevIdp::builder().remember_secrets()).await;
        let env = tracing(world.env_with_token());
        world
            .idp
            .faults()
            .set(repeat(Endpoint::Register, answer.clone()));

        let ended = Bff::serve(&env).ended().await;

        assert_ne!(ended.code, Some(0), "{ended}");
        harmless(&world, &ended, &answer);
    }
}

#[tokio::test]
async fn the_answers_to_reads_updates_and_deletions_are_shown_harmless() {
    for answer in answers() {
        for on in [Endpoint::Update, Endpoint::Management] {
            let world = World::with(DevIdp::builder().remember_secrets()).await;
            world.registered().await;
            world.idp.faults().set(repeat(on, answer.clone()));
            let env = tracing(world.env()).set("DCR_SCOPE", "openid");

            let bff = Bff::serve(&env);
            bff.ready().await;
            let updated = bff.stop().await;

            harmless(&world, &updated, &answer);
            if on == Endpoint::Management {
                let env = tracing(world.env_with_token()).set("DCR_FORCE_REPLACE", "true");
                let bff = Bff::serve(&env);
                bff.ready().await;
                harmless(&world, &bff.stop().await, &answer);
            }
        }
    }
}

#[tokio::test]
async fn the_answers_of_the_token_endpoint_are_shown_harmless() {
    for answer in answers() {
        let world = World::with(DevIdp::builder().remember_secrets()).await;
        world
            .idp
            .faults()
            .set(repeat(Endpoint::Token, answer.clone()));
        let env = tracing(world.env_with_token()).set("ALLOW_BOOTSTRAP_FAILURE", "true");
        let bff = Bff::serve(&env);
        eventually("a verdict", async || {
            let log = bff.log();
            let ends = [r#""message":"Ready""#, r#""level":"ERROR""#];
            ends.iter().any(|end| log.contains(end)).then_some(())
        })
        .await;

        let ended = bff.stop().await;

        harmless(&world, &ended, &answer);
    }
}

#[tokio::test]
async fn what_discovery_finds_is_shown_harmless() {
    for answer in answers() {
        let world = World::with(DevIdp::builder().remember_secrets()).await;
        world
            .idp
            .faults()
            .set(repeat(Endpoint::Discovery, answer.clone()));

        let ended = Bff::serve(&tracing(world.env_with_token())).ended().await;

        assert_ne!(ended.code, Some(0), "{ended}");
        harmless(&world, &ended, &answer);
    }
}

#[tokio::test]
async fn the_answers_to_an_administrator_are_shown_harmless() {
    for answer in answers() {
        let world = World::with(DevIdp::builder().remember_secrets()).await;
        world
            .idp
            .faults()
            .set(repeat(Endpoint::Mint, answer.clone()));
        let env = tracing(world.env()).set("BOOTSTRAP_ADMIN_TOKEN", world.idp.admin_token());

        let serve = Bff::serve(&env).ended().await;
        let mint = Bff::start(&["mint-iat"], &env, "").ended().await;

        for ended in [serve, mint] {
            assert_ne!(ended.code, Some(0), "{ended}");
            harmless(&world, &ended, &answer);
        }
    }
}

#[tokio::test]
async fn the_answer_is_stored_as_it_came_and_shown_harmless_after_a_restart_too() {
    for answer in [
        (201, r#"{"client_id":"a","client_id":"{sent}"}"#),
        (500, "cannot do {sent}"),
    ] {
        let world = World::new().await;
        let token = world.idp.mint_iat();
        let (status, body) = answer;
        let answer = (status, body.to_owned());
        world.idp.faults().set(repeat(Endpoint::Register, answer));
        let env = tracing(world.env().set("DCR_IAT", &token));

        for _ in 0..2 {
            let ended = Bff::serve(&env).ended().await;
            assert!(!ended.said().contains(&token), "{ended}");
            stored_as_it_came(&world, &token);
        }
    }
}

#[track_caller]
fn stored_as_it_came(world: &World, token: &str) {
    let files = ["state.json", "state.previous.json"].map(|name| world.volume.file(name));
    let stored = files.iter().any(|file| {
        let text = fs::read_to_string(file).unwrap();
        text.contains(token) && !text.contains("REDACTED")
    });
    assert!(stored, "the answer as received");
}

/// Each line is an event, of a sane length, without odd characters and without a secret.
#[track_caller]
fn harmless(world: &World, ended: &Ended, answer: &(u16, String)) {
    let (status, body) = answer;
    let body: String = body.chars().take(60).collect();
    let mut secrets = world.idp.issued_secrets();
    // An identifier is no secret.
    secrets.retain(|secret| !secret.starts_with("client-"));
    secrets.push(world.idp.admin_token().to_owned());
    secrets.push(JWS.to_owned());
    for line in ended.said().lines() {
        let event: Value = serde_json::from_str(line).unwrap_or(Value::from(line));
        let shown = event["message"].as_str().unwrap_or(line);
        let start: String = line.chars().take(2_000).collect();
        let told = format!("{status} {body}: {start}");
        assert!(!line.chars().any(is_odd), "{told}");
        assert!(!shown.chars().any(is_odd), "{told}");
        assert!(line.len() < MAX_LINE, "{}: {told}", line.len());
        assert!(!line.starts_with("INJECTED"), "{told}");
        for secret in &secrets {
            assert!(!line.contains(secret), "`{secret}` in {told}");
        }
    }
}
