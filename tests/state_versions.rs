//! Documents of format version 1, as the release before wrote them, are read by this one.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bff::disk::HostDisk;
use bff::oauth::AssertionType;
use bff::registration::AuthenticationOutcome;
use bff::state::{Presentation, State};
use bff::store::{FileStore, LoadError, Loaded, Store};
use jiff::Timestamp;
use openssl::sha::sha256;
use serde_json::{Value, json};

use support::child::{Bff, Ended};
use support::environment::Env;
use support::port::Port;
use support::volume::Volume;
use support::{eventually, http};

const CURRENT: &str = "state.json";
const PREVIOUS: &str = "state.previous.json";

#[test]
fn all_that_was_known_is_known_after_the_upgrade() {
    for name in fixtures() {
        let volume = copied(&name);
        let written = document(&volume, CURRENT);

        let loaded = store(&volume).load().unwrap();

        assert_eq!(loaded.fell_back, None, "{name}");
        check_survival(&name, &written, &loaded);
    }
}

#[test]
fn the_revision_before_is_read_where_the_newest_document_is_damaged() {
    for name in fixtures() {
        let volume = copied(&name);
        let written = document(&volume, PREVIOUS);
        volume.write(CURRENT, b"{");

        let loaded = store(&volume).load().unwrap();

        assert!(loaded.fell_back.is_some(), "{name}");
        check_survival(&name, &written, &loaded);
    }
}

#[test]
fn the_next_commit_writes_version_2_and_loses_nothing() {
    for name in fixtures() {
        let volume = copied(&name);
        let before = fs::read(volume.file(CURRENT)).unwrap();
        let store = store(&volume);
        let loaded = store.load().unwrap();

        let rev = store.commit(&loaded.state, loaded.rev).unwrap();

        let again = store.load().unwrap();
        assert_eq!(json!(again.state), json!(loaded.state), "{name}");
        assert_eq!((again.rev, again.fell_back), (rev, None), "{name}");
        assert_eq!(rev, loaded.rev.next(), "{name}");
        assert_eq!(volume.state()["version"], 2, "{name}");
        let kept = fs::read(volume.file(PREVIOUS)).unwrap();
        assert_eq!(kept, before, "the way back to the release before: {name}");
    }
}

#[test]
fn keys_by_value_are_still_to_be_told_only_where_the_idp_does_not_have_them() {
    for (name, told, open) in [
        ("registered", &["current"][..], &[][..]),
        ("prepublished", &["current", "next"], &[]),
        ("prepublished", &["current"], &["jwks"]),
    ] {
        let volume = copied(name);
        let mut written = document(&volume, CURRENT);
        let told: Vec<_> = told
            .iter()
            .map(|key| &written["ring"][key]["jwk"])
            .collect();
        written["registration"]["sent"]["jwks"] = json!({ "keys": told });
        volume.write(CURRENT, &sealed(written.clone()));

        let loaded = store(&volume).load().unwrap();

        check_survival(name, &written, &loaded);
        assert_eq!(loaded.state.projections().open(), open, "{name}");
        assert_eq!(loaded.state.projections().has_keys(), open.is_empty());
    }
}

#[test]
fn a_changed_byte_in_a_document_of_version_1_is_still_noticed() {
    let volume = copied("registered");
    let text = fs::read(volume.file(CURRENT)).unwrap();
    let store = store(&volume);

    for index in 0..text.len() {
        let mut changed = text.clone();
        changed[index] ^= 1;
        volume.write(CURRENT, &changed);

        let loaded = store.load().unwrap();

        assert!(loaded.fell_back.is_some(), "byte {index}");
        assert_eq!(loaded.rev.number(), document(&volume, PREVIOUS)["rev"]);
    }
}

#[tokio::test]
async fn an_unknown_version_stops_everything_and_is_left_as_it_is() {
    let volume = copied("registered");
    let text = fs::read_to_string(volume.file(CURRENT)).unwrap();
    volume.write(
        CURRENT,
        text.replacen("\"version\": 1", "\"version\": 3", 1)
            .as_bytes(),
    );
    let before = volume.snapshot();
    let store = store(&volume);

    let error = store.load().unwrap_err();
    let committed = store.commit(&State::default(), rev(6));
    let (_nowhere, env) = stored_registration(&volume);
    let served = Bff::serve(&env).ended().await;
    let asked = run(&["status", "--json"], &volume).await;

    assert!(
        matches!(error, LoadError::NewerVersion { version: 3, .. }),
        "{error}"
    );
    assert!(committed.is_err());
    served.fails(78, &["format version 3", "or a newer one"]);
    assert_ne!(asked.code, Some(0), "{asked}");
    assert!(asked.said().contains("format version 3"), "{asked}");
    assert_eq!(volume.snapshot(), before);
}

#[tokio::test]
async fn status_and_keys_are_shown_from_a_document_of_version_1_and_nothing_is_written() {
    for name in fixtures() {
        let volume = copied(&name);
        let written = document(&volume, CURRENT);
        let before = volume.snapshot();

        let status = run(&["status", "--json"], &volume).await;
        let keys = run(&["keys", "list", "--json"], &volume).await;

        assert_eq!(
            (status.code, keys.code),
            (Some(0), Some(0)),
            "{status}{keys}"
        );
        assert_eq!(volume.snapshot(), before, "{name}");
        let status: Value = serde_json::from_str(&status.stdout).unwrap();
        let keys: Value = serde_json::from_str(&keys.stdout).unwrap();
        assert_eq!(status["keys"], keys, "{name}");
        assert_eq!(kids(&keys), published(&written), "{name}");
        assert_eq!(keys[0]["state"], "current", "{name}");
        let registration = &status["registration"];
        assert_eq!(registration["state"], standing(&written), "{name}");
        let client = &written["registration"];
        for (shown, stored) in [
            ("client_id", "client_id"),
            ("registered_at", "registered_at"),
            ("gone_since", "gone_since"),
        ] {
            assert_eq!(registration[shown], client[stored], "{name}: {shown}");
        }
        let orphans = |of: &Value| of["orphans"].as_array().map_or(0, Vec::len);
        assert_eq!(orphans(&status), orphans(&written), "{name}");
        assert_eq!(status["projections"], Value::Null, "{name}");
        assert_eq!(status["journal"], written["journal"], "{name}");
    }
}

#[tokio::test]
async fn the_service_goes_on_with_exactly_the_keys_that_were_stored() {
    for name in ["registered", "prepublished", "rotated", "gone"] {
        let volume = copied(name);
        let written = document(&volume, CURRENT);
        let (port, env) = stored_registration(&volume);

        let bff = Bff::serve(&env);
        bff.ready().await;

        let set = http::get(&port.url("/.well-known/jwks.json")).await.json();
        assert_eq!(kids(&set["keys"]), published(&written), "{name}");
        let current = written["ring"]["current"]["jwk"]["kid"].as_str().unwrap();
        let active = eventually("active.pem is there", async || {
            fs::read_link(volume.file("active.pem")).ok()
        })
        .await;
        assert_eq!(active, Path::new(&format!("{current}.pem")), "{name}");
        assert_eq!(bff.stop().await.code, Some(0), "{name}");
        let ring = &volume.state()["ring"];
        assert_eq!(ring["current"], written["ring"]["current"], "{name}");
    }
}

/// What `loaded` has to have of the document that was `written`.
fn check_survival(name: &str, written: &Value, loaded: &Loaded) {
    let (state, read) = (&loaded.state, json!(loaded.state));
    assert_eq!(loaded.rev.number(), written["rev"], "{name}");
    for member in ["ring", "attempt", "minted", "journal"] {
        assert_eq!(read[member], written[member], "{name}: {member}");
    }
    let list = |of: &Value| of.as_array().cloned().unwrap_or_default();
    assert_eq!(
        json!(state.orphans()),
        json!(list(&written["orphans"])),
        "{name}"
    );

    let client = &written["registration"];
    let mut kept = client.clone();
    if let Value::Object(members) = &mut kept {
        members.shift_remove("tokens");
        members.shift_remove("gone_since");
    }
    assert_eq!(read["registration"], kept, "{name}");
    assert_eq!(
        json!(state.spent()),
        json!(list(&client["tokens"])),
        "{name}"
    );
    let gone = state
        .gone()
        .map(|gone| (json!(gone.client_id), json!(gone.since)));
    let since = client.get("gone_since");
    let expected = since.map(|since| (client["client_id"].clone(), since.clone()));
    assert_eq!(gone, expected, "{name}");

    let audience = &written["audience"];
    let issuer = audience["issuer"].as_str().unwrap_or("http://127.0.0.1");
    let known = state.idp(issuer);
    let learnt = known.and_then(|known| known.presentation("token_endpoint"));
    let of = |learnt: &Presentation| (json!(learnt.audience), learnt.assertion_type);
    let expected = audience["value"]
        .as_str()
        .map(|value| (json!(value), AssertionType::Jwt));
    assert_eq!(learnt.as_ref().map(of), expected, "{name}");
    // A key that was accepted is so after the change of the version.
    let verdict = expected.map(|_| AuthenticationOutcome::Accepted);
    if state
        .registration()
        .is_some_and(|client| client.issuer == issuer)
    {
        assert_eq!(state.verdict(), verdict, "{name}");
    }
    assert!(state.idp("https://another.example").is_none());

    check_projections(name, written, state);
    let members: Vec<&String> = read.as_object().unwrap().keys().collect();
    assert!(
        !members.iter().any(|name| *name == "audience"),
        "{name}: {members:?}"
    );
}

/// They are what the next transition would make of keys and registration.
fn check_projections(name: &str, written: &Value, state: &State) {
    let mut again = state.clone();
    again.withdraw_algorithm(Timestamp::UNIX_EPOCH);
    let mut expected = json!(again.projections());
    for projection in expected.as_object_mut().unwrap().values_mut() {
        projection
            .as_object_mut()
            .unwrap()
            .shift_remove("open_since");
    }
    assert_eq!(json!(state.projections()), expected, "{name}");
    let alg = state.projections().wanted_algorithm();
    match written.get("registration") {
        Some(_) => assert_eq!(json!(alg), written["ring"]["current"]["jwk"]["alg"]),
        None => assert!(state.projections().is_empty(), "{name}"),
    }
    if written["registration"]["sent"].get("jwks").is_none() {
        assert!(state.projections().open().is_empty(), "{name}");
    }
}

/// How a registration that is written so stands.
fn standing(written: &Value) -> &'static str {
    let client = &written["registration"];
    let has = |member| client.get(member).is_some();
    match (client, written.get("attempt")) {
        (Value::Null, None) => "none",
        (Value::Null, Some(_)) => "attempt",
        _ if has("gone_since") => "gone",
        _ if has("management") && !has("unmanageable") => "registered",
        _ => "unmanageable",
    }
}

/// The key IDs of a ring in the order in which they are published.
fn published(written: &Value) -> Vec<String> {
    let ring = &written["ring"];
    let previous = ring["previous"].as_array().into_iter().flatten();
    [&ring["current"], &ring["next"]]
        .into_iter()
        .chain(previous)
        .filter_map(|key| key["jwk"]["kid"].as_str())
        .map(str::to_owned)
        .collect()
}

fn kids(keys: &Value) -> Vec<String> {
    let kid = |key: &Value| key["kid"].as_str().unwrap().to_owned();
    keys.as_array().unwrap().iter().map(kid).collect()
}

/// The document with a checksum over its compact form, as the release before computed it.
fn sealed(mut document: Value) -> Vec<u8> {
    let members = document.as_object_mut().unwrap();
    members.shift_remove("checksum");
    let checksum = sha256(&serde_json::to_vec(&document).unwrap());
    let checksum = format!("sha256:{}", URL_SAFE_NO_PAD.encode(checksum));
    document["checksum"] = json!(checksum);
    serde_json::to_vec_pretty(&document).unwrap()
}

/// Settings that use what is stored, at an address that is kept for them. The IdP is where nobody
/// listens.
fn stored_registration(volume: &Volume) -> (Port, Env) {
    let port = Port::reserve();
    let written = document(volume, CURRENT);
    let issuer = written["registration"]["issuer"].as_str().unwrap();
    let env = Env::empty()
        .set("BFF_LISTEN", port.address.to_string())
        .set("BFF_BASE_URL", port.url(""))
        .set("BFF_KEYS_DIR", volume.path())
        .set("IDP_BASE_URL", port.url("/nowhere"))
        .set("OIDC_ISSUER", issuer)
        .set("DCR_REDIRECT_URIS", "https://app.example/cb")
        .set("SKIP_DCR_BOOTSTRAP", "true")
        .set("BFF_JWK_ROTATE_AFTER_DAYS", "0")
        // The fixtures only grow older.
        .set("BFF_JWK_RETIRE_AFTER_DAYS", "3650");
    (port, env)
}

async fn run(arguments: &[&str], volume: &Volume) -> Ended {
    let env = Env::empty().set("BFF_KEYS_DIR", volume.path());
    Bff::start(arguments, &env, "").ended().await
}

fn store(volume: &Volume) -> FileStore {
    FileStore::new(Arc::new(HostDisk), volume.path(), volume.path())
}

fn document(volume: &Volume, name: &str) -> Value {
    serde_json::from_slice(&fs::read(volume.file(name)).unwrap()).unwrap()
}

fn rev(number: u64) -> bff::state::Rev {
    serde_json::from_value(json!(number)).unwrap()
}

/// A volume that is a copy of this fixture, for its owner alone.
fn copied(name: &str) -> Volume {
    let volume = Volume::new();
    fs::set_permissions(volume.path(), fs::Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(folder().join(name)).unwrap() {
        let entry = entry.unwrap();
        let file = entry.file_name().into_string().unwrap();
        volume.write(&file, &fs::read(entry.path()).unwrap());
    }
    volume
}

/// The names of all fixtures.
fn fixtures() -> Vec<String> {
    let entries = fs::read_dir(folder()).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = folders
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() > 20, "{names:?}");
    names
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/state-v1")
}
