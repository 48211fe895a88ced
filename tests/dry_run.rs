//! `bff register --dry-run`: it says what would be sent, writes nothing, and sends nothing but a read
//! by a running service.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use dev_idp::{Endpoint, Fault};
use serde_json::{Value, json};

use support::child::{Bff, Ended};
use support::environment::Env;
use support::world::World;

const ADMIN: &str = "admin-token-of-this-test";

#[tokio::test]
async fn on_an_empty_volume_it_shows_the_registration_and_leaves_the_volume_empty() {
    for jwks in ["uri", "value"] {
        let world = World::new().await;
        let env = world
            .env_with_token()
            .set("DCR_JWKS", jwks)
            .set("DCR_SOFTWARE_STATEMENT", "eyJ.of-nobody.eyJ")
            .set("DCR_EXTRA_METADATA", r#"{"contacts":["ops@app.example"]}"#);

        let text = rehearsed(&env, &[]).await;
        let plan = json_of(&rehearsed(&env, &["--json"]).await);

        let there = fs::read_dir(world.volume.path()).unwrap().count();
        assert_eq!((there, world.idp.requests().len()), (0, 0), "{jwks}");
        assert_eq!(plan["plan"], "register");
        let request = &plan["request"];
        assert_eq!(request["method"], "POST");
        assert_eq!(request["authorization"], "DCR_IAT");
        for words in ["POST", "DCR_IAT", "contacts: [\"ops@app.example\"]"] {
            assert!(text.stdout.contains(words), "no {words} in {text}");
        }
        assert!(!text.stdout.contains("of-nobody"), "{text}");

        world.run(&env).await;
        let [sent] = world.received(Endpoint::Register).try_into().unwrap();
        let mut foreseen = request["body"].clone();
        // A secret, and a key that did not exist.
        for member in ["software_statement", "jwks"] {
            if let Some(value) = sent.request.get(member) {
                foreseen[member] = value.clone();
            }
        }
        assert_eq!(foreseen, sent.request, "{jwks}");
    }
}

#[tokio::test]
async fn the_update_that_it_shows_is_the_one_that_is_sent() {
    for runs in [true, false] {
        let world = World::new().await;
        world.registered().await;
        let env = world.env().set("BFF_ADMIN_TOKEN", ADMIN);
        let changed = env.clone().set("DCR_SCOPE", "openid");
        // A service that could not send the update, so that it is still to be sent.
        let (on, status) = (Endpoint::Update, 503);
        world.idp.faults().set(Fault::Status { on, status });
        let bff = world.ready(&changed).await;
        let bff = if runs {
            Some(bff)
        } else {
            bff.stop().await;
            None
        };
        world.idp.faults().clear();
        let (volume, writes) = (world.volume.snapshot(), world.writes().len());

        let plan = json_of(&rehearsed(&changed, &["--json"]).await);

        assert_eq!(world.writes().len(), writes);
        if !runs {
            assert_eq!(world.volume.snapshot(), volume);
        }
        assert_eq!(plan["plan"], "update", "{plan}");
        let request = &plan["request"];
        assert_eq!(request["method"], "PUT");
        let client_id = world.client_id();
        let url = request["url"].as_str().unwrap();
        assert!(url.ends_with(&client_id), "{url}");
        if let Some(bff) = bff {
            bff.stop().await;
        }
        Bff::start(&["register"], &changed, "").ended().await;
        let updates = world.received(Endpoint::Update);
        assert_eq!(request["body"], updates.last().unwrap().request, "{runs}");
    }
}

#[tokio::test]
async fn an_endpoint_that_was_never_asked_for_is_not_guessed() {
    let world = World::new().await;
    let plan = json_of(&rehearsed(&world.env(), &["--json"]).await);

    assert_eq!(plan["request"].get("url"), None, "{plan}");
    assert_eq!(plan["request"].get("authorization"), None, "{plan}");

    let admin = world.env().set("BOOTSTRAP_ADMIN_TOKEN", "administrator");
    let plan = json_of(&rehearsed(&admin, &["--json"]).await);
    let token = &plan["request"]["authorization"];
    assert_eq!(*token, json!("minted with BOOTSTRAP_ADMIN_TOKEN"));
    assert!(!plan.to_string().contains("\"administrator\""));
}

#[tokio::test]
async fn a_key_that_a_start_cannot_import_is_refused_and_one_that_it_makes_is_not() {
    let world = World::new().await;
    let keys = world.volume.path().join("new");
    let env = world.env_with_token().set("BFF_KEYS_DIR", &keys);
    let with = |key: &Path| env.clone().set("BFF_JWT_SIGNING_KEY", key);
    let dangling = world.volume.path().join("dangling.pem");
    symlink("nowhere.pem", &dangling).unwrap();

    for missing in [&world.volume.path().join("other.pem"), &dangling] {
        let env = with(missing);
        let start = Bff::serve(&env).ended().await;
        fs::remove_dir_all(&keys).unwrap();
        let ended = Bff::start(&["register", "--dry-run"], &env, "")
            .ended()
            .await;

        assert_eq!(ended.code, start.code, "{ended}");
        assert_ne!(ended.code, Some(0), "{ended}");
        assert!(!keys.exists());
    }
    rehearsed(&with(&keys.join("active.pem")), &[]).await;
    assert!(!keys.exists());
}

async fn rehearsed(env: &Env, options: &[&str]) -> Ended {
    let arguments = [options, &["register", "--dry-run"]].concat();
    let ended = Bff::start(&arguments, env, "").ended().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    ended
}

fn json_of(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap()
}
