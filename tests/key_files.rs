//! Who may read the files on the volume, and what protects the keys in them.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test moves files by itself, and fails by panicking"
)]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;

use serde_json::Value;

use support::child::{Bff, Ended, messages};
use support::environment::Env;
use support::port::Port;
use support::volume::Volume;

/// A service that registers nowhere.
fn keys_only(volume: &Volume, port: &Port) -> Env {
    Env::empty()
        .set("BFF_LISTEN", port.address.to_string())
        .set("BFF_KEYS_DIR", volume.path())
}

async fn life(env: &Env) -> Ended {
    let bff = Bff::serve(env);
    bff.serving().await;
    bff.stop().await
}

async fn run(arguments: &[&str], env: &Env) -> Ended {
    Bff::start(arguments, env, "").ended().await
}

/// The file of the one key.
fn key_file(volume: &Volume) -> PathBuf {
    let name = fs::read_link(volume.file("active.pem")).unwrap();
    volume.path().join(name)
}

fn is_encrypted(path: &PathBuf) -> bool {
    fs::read_to_string(path).unwrap().contains("ENCRYPTED")
}

#[tokio::test]
async fn a_restored_volume_starts_and_its_files_are_closed_to_others() {
    let (volume, port) = (Volume::new(), Port::reserve());
    let env = keys_only(&volume, &port);
    life(&env).await;
    let files = [key_file(&volume), volume.file("state.json")];
    for path in &files {
        fs::set_permissions(path, fs::Permissions::from_mode(0o660)).unwrap();
    }
    fs::hard_link(&files[0], volume.file("copy")).unwrap();
    fs::set_permissions(volume.path(), fs::Permissions::from_mode(0o777)).unwrap();

    let ended = life(&env).await;

    for path in &files {
        let mode = fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }
    let mode = fs::metadata(volume.path()).unwrap().mode() & 0o7777;
    assert_eq!(mode, 0o755);
    let warnings = ended.messages("WARN");
    let linked = warnings.iter().filter(|said| said.contains("hard links"));
    assert_eq!(linked.count(), 1, "{ended}");
}

#[tokio::test]
async fn a_link_that_leads_elsewhere_in_the_place_of_a_key_ends_the_start() {
    let (volume, port) = (Volume::new(), Port::reserve());
    let other = Volume::new();
    let env = keys_only(&volume, &port);
    life(&env).await;
    let path = key_file(&volume);
    let elsewhere = other.file("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();

    let ended = Bff::serve(&env).ended().await;

    ended.fails(
        1,
        &[
            "symbolic link is not followed",
            "replace it by a regular file",
        ],
    );
}

#[tokio::test]
async fn the_group_that_is_set_may_read_keys_and_one_that_is_unknown_is_a_mistake() {
    let (volume, port) = (Volume::new(), Port::reserve());
    let env = keys_only(&volume, &port);
    life(&env).await;
    let group = fs::metadata(volume.path()).unwrap().gid();
    fs::set_permissions(volume.path(), fs::Permissions::from_mode(0o700)).unwrap();

    life(&env.clone().set("BFF_KEYS_GROUP", group.to_string())).await;

    let mode = |path: PathBuf| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(key_file(&volume)), 0o640);
    assert_eq!(mode(volume.file("state.json")), 0o600);
    assert_eq!(mode(volume.path().to_owned()), 0o750);
    let unknown = env.clone().set("BFF_KEYS_GROUP", "no-such-group");
    let ended = Bff::serve(&unknown).ended().await;
    assert_eq!(ended.code, Some(78), "{ended}");
    assert!(ended.said().contains("BFF_KEYS_GROUP"), "{ended}");
    life(&env).await;
    assert_eq!(mode(key_file(&volume)), 0o600);
}

#[tokio::test]
async fn a_passphrase_is_set_changed_and_removed_while_the_service_is_stopped() {
    let (volume, port) = (Volume::new(), Port::reserve());
    let clear = keys_only(&volume, &port);
    let one = clear.clone().set("BFF_KEY_PASSPHRASE", "passphrase-one");
    let two = clear.clone().set("BFF_KEY_PASSPHRASE", "passphrase-two");
    life(&clear).await;
    let path = key_file(&volume);

    let bff = Bff::serve(&one);
    bff.serving().await;
    let warned = messages(&bff.log(), "WARN");
    let mixed = warned
        .iter()
        .any(|said| said.contains("bff keys reencrypt"));
    assert!(mixed, "{warned:?}");
    let beside = run(&["keys", "reencrypt"], &one).await;
    assert_eq!(beside.code, Some(1), "{beside}");
    assert!(beside.stderr.contains("stop the service"), "{beside}");
    assert!(!is_encrypted(&path));
    bff.stop().await;

    let done = run(&["--json", "keys", "reencrypt"], &one).await;
    let keys: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(keys[0]["written"], true, "{done}");
    assert!(is_encrypted(&path));
    let started = life(&one).await;
    assert!(!started.said().contains("reencrypt"), "{started}");

    let wrong = run(&["keys", "reencrypt"], &two).await;
    assert_eq!(wrong.code, Some(78), "{wrong}");
    assert!(wrong.stderr.contains("BFF_KEY_PASSPHRASE_OLD"), "{wrong}");
    let old = volume.write("old", b"passphrase-one\n");
    let changed = two.clone().set("BFF_KEY_PASSPHRASE_OLD_FILE", &old);
    let done = run(&["keys", "reencrypt"], &changed).await;
    assert_eq!(done.code, Some(0), "{done}");
    life(&two).await;
    let ended = Bff::serve(&one).ended().await;
    ended.fails(1, &["passphrase", "bff keys reencrypt"]);

    let not_asked = run(&["keys", "reencrypt"], &clear).await;
    assert_eq!(not_asked.code, Some(78), "{not_asked}");
    let old = clear
        .clone()
        .set("BFF_KEY_PASSPHRASE_OLD", "passphrase-two");
    let done = run(&["keys", "reencrypt", "--clear"], &old).await;
    assert_eq!(done.code, Some(0), "{done}");
    assert!(!is_encrypted(&path));
    life(&clear).await;
}
