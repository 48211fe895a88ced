//! What differs between the settings, what was sent and what the IdP has: shown, and never fought
//! over.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use dev_idp::{Endpoint, Fault};
use reqwest::Method;
use serde_json::{Value, json};

use support::child::Bff;
use support::environment::Env;
use support::http::{self, Answer};
use support::world::World;

const UPDATE: Endpoint = Endpoint::Update;
const OURS: &str = "https://app.example/cb";
const NEW: &str = "https://app.example/new";
const THEIRS: &str = "https://other.example/cb";
const ADMIN: &str = "admin-token-of-this-test";

#[tokio::test]
async fn each_mode_treats_redirect_uris_its_own_way() {
    for (mode, expected, reads) in [
        ("auto", &[NEW, THEIRS][..], 1),
        ("merge", &[NEW, OURS, THEIRS], 1),
        ("replace", &[NEW], 1),
    ] {
        let world = World::unfetching().await;
        world.registered().await;
        add_at_the_idp(&world).await;
        let env = redirecting(&world, NEW).set("DCR_REDIRECT_UPDATE_MODE", mode);

        world.run(&env).await;
        world.run(&env).await;

        assert_eq!(world.redirects(), expected, "{mode}");
        // One read and one update are the other engineer's.
        assert_eq!(world.received(Endpoint::Read).len(), 1 + reads, "{mode}");
        assert_eq!(world.received(UPDATE).len(), 2, "{mode}");
    }
}

#[tokio::test]
async fn the_mode_none_leaves_redirect_uris_to_the_idp() {
    let world = World::unfetching().await;
    world.registered().await;
    add_at_the_idp(&world).await;
    let env = redirecting(&world, NEW).set("DCR_REDIRECT_UPDATE_MODE", "none");

    world.run(&env).await;
    assert_eq!(world.received(UPDATE).len(), 1);
    let env = env.set("DCR_CLIENT_NAME", "Shop");
    world.run(&env).await;
    assert_eq!(world.redirects(), [OURS, THEIRS]);

    // What was left out is still to be sent, once it is wanted.
    world.run(&env.unset("DCR_REDIRECT_UPDATE_MODE")).await;
    assert_eq!(world.redirects(), [NEW, THEIRS]);
}

#[tokio::test]
async fn a_safe_rotation_takes_no_redirect_uri_away_even_where_it_cannot_see_them() {
    let world = World::unfetching().await;
    world.registered().await;
    add_at_the_idp(&world).await;
    let env = redirecting(&world, NEW).set("DCR_ROTATION_SAFE", "true");
    let on = Endpoint::Read;
    world
        .idp
        .faults()
        .set_times(Fault::Status { on, status: 500 }, 1);

    let ended = world.run(&env).await;
    assert!(ended.stderr.contains("tried at the next start"), "{ended}");
    assert_eq!(world.redirects(), [OURS, THEIRS]);

    world.run(&env).await;
    assert_eq!(world.redirects(), [NEW, OURS, THEIRS]);
}

#[tokio::test]
async fn a_value_that_the_idp_puts_in_place_of_ours_is_shown_and_not_fought_over() {
    let world = World::new().await;
    let (member, value) = ("scope".to_owned(), json!("openid"));
    world
        .idp
        .faults()
        .set(Fault::SubstituteMember { member, value });
    let first = world.run(&world.env_with_token()).await;
    assert!(shows_both(&first.messages("WARN")), "{first}");
    for _ in 0..3 {
        world.run(&world.env()).await;
    }
    assert_eq!(world.writes().len(), 1);

    // Neither after an update, nor after one whose answer is lost.
    for (uri, lost) in [(NEW, false), (OURS, true)] {
        let on = UPDATE;
        if lost {
            let faults = world.idp.faults();
            faults.set_times(Fault::DropAfter { on }, 1);
        }
        let before = world.received(UPDATE).len();

        let ended = world.run(&redirecting(&world, uri)).await;
        for _ in 0..3 {
            world.run(&redirecting(&world, uri)).await;
        }

        assert!(!shows_both(&ended.messages("WARN")), "once: {ended}");
        assert_eq!(world.received(UPDATE).len(), before + 1);
        assert_eq!(world.redirects(), [uri]);
    }
}

#[tokio::test]
async fn a_rehearsal_shows_three_ways_and_changes_nothing() {
    let world = World::unfetching().await;
    world.registered().await;
    add_at_the_idp(&world).await;
    let env = redirecting(&world, NEW);
    // The last read is the running service's.
    let bff = world
        .ready(&world.env().set("BFF_ADMIN_TOKEN", ADMIN))
        .await;
    order(&world, "/admin/register?dry_run=true").await;
    bff.stop().await;
    let (writes, requests) = (world.writes().len(), world.idp.requests().len());
    let before = world.volume.snapshot();

    let text = Bff::start(&["register", "--dry-run"], &env, "")
        .ended()
        .await;
    let arguments = ["--json", "register", "--dry-run"];
    let json = Bff::start(&arguments, &env, "").ended().await;

    assert_eq!(text.code, Some(0), "{text}");
    for words in [
        "plan: update".to_owned(),
        "redirect_uris".to_owned(),
        format!("desired     [\"{NEW}\"]"),
        format!("last sent   [\"{OURS}\"]"),
        format!("at the IdP  [\"{OURS}\",\"{THEIRS}\"]"),
    ] {
        assert!(text.stdout.contains(&words), "`{words}` in {text}");
    }
    let plan: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(plan["plan"], "update");
    assert_eq!(plan["diff"][0]["sent"], json!([OURS]));
    assert_eq!(plan["seen_at"], last_read(&world)["at"]);
    assert_eq!(world.writes().len(), writes);
    assert_eq!(world.idp.requests().len(), requests, "nobody is asked");
    assert!(world.volume.snapshot() == before, "something was written");
}

#[tokio::test]
async fn a_rehearsal_says_of_each_start_what_it_would_do() {
    let world = World::new().await;
    let plan = async |env: &Env| {
        let arguments = ["--json", "register", "--dry-run"];
        let ended = Bff::start(&arguments, env, "").ended().await;
        assert_eq!(ended.code, Some(0), "{ended}");
        let plan: Value = serde_json::from_str(&ended.stdout).unwrap();
        plan["plan"].as_str().unwrap().to_owned()
    };

    assert_eq!(plan(&world.env_with_token()).await, "register");
    assert_eq!(world.writes().len(), 0);
    world.registered().await;
    assert_eq!(plan(&world.env()).await, "nothing");
    let replace = world.env_with_token().set("DCR_FORCE_REPLACE", "true");
    assert_eq!(plan(&replace).await, "replace");
    let elsewhere = world.env().set("OIDC_ISSUER", "https://other.example");
    assert_eq!(plan(&elsewhere).await, "refuse");
    assert_eq!(world.writes().len(), 1);
}

#[tokio::test]
async fn a_running_service_rehearses_and_carries_out() {
    let world = World::new().await;
    world.idp.faults().set(Fault::RotateOnRead);
    world.registered().await;
    let on = UPDATE;
    let faults = world.idp.faults();
    faults.set_times(Fault::DropBefore { on }, 1);
    let env = redirecting(&world, NEW).set("BFF_ADMIN_TOKEN", ADMIN);
    let bff = world.ready(&env).await;
    let writes = world.writes().len();

    let rehearsal = order(&world, "/admin/register?dry_run=true").await;
    assert_eq!(rehearsal.status, 200, "{rehearsal:?}");
    assert_eq!(rehearsal.json()["plan"], "update");
    assert_eq!(rehearsal.json()["diff"][0]["desired"], json!([NEW]));
    assert_eq!(world.writes().len(), writes);
    // The same through the command, which finds the volume taken.
    let command = Bff::start(&["register", "--dry-run"], &env, "");
    assert!(command.ended().await.stdout.contains("plan: update"));

    let done = order(&world, "/admin/register").await;
    assert_eq!(done.json()["state"], "registered", "{done:?}");
    assert_eq!(world.redirects(), [NEW]);
    let status = http::request(Method::GET, &world.port.url("/admin/status"));
    let status = http::send(status.bearer_auth(ADMIN)).await.json();
    assert_eq!(status["registration"]["state"], "registered");
    assert_eq!(
        order(&world, "/admin/register?dry_run=true").await.json()["plan"],
        "nothing"
    );
    bff.stop().await;
}

#[tokio::test]
async fn everything_that_a_request_can_hold_is_registered_and_updated() {
    let world = World::new().await;
    let env = world
        .env_with_token()
        .set("DCR_CLIENT_PROFILE", "code-flow-pkjwt")
        .set(
            "DCR_SOFTWARE_STATEMENT",
            "eyJhbGciOiJub25lIn0.e30.c2lnbmF0dXJl",
        )
        .set("DCR_EXTRA_METADATA", r#"{"contacts":["ops@app.example"]}"#);
    world.run(&env).await;
    let asked = &world.received(Endpoint::Register)[0].request;
    assert_eq!(asked["client_profile"], "code-flow-pkjwt");
    assert!(asked.get("software_statement").is_some());
    assert_eq!(asked["contacts"], json!(["ops@app.example"]));

    let env = env.set("DCR_EXTRA_METADATA", r#"{"contacts":["noc@app.example"]}"#);
    world.run(&env).await;
    world.run(&env).await;

    let [update] = world.received(UPDATE).try_into().unwrap();
    assert_eq!(update.request["contacts"], json!(["noc@app.example"]));
    assert_eq!(update.request["client_profile"], "code-flow-pkjwt");
    assert_eq!(update.status, Some(200));
}

#[tokio::test]
async fn an_identifier_that_cannot_be_changed_is_said_to_stay() {
    let world = World::new().await;
    let client_id = world.registered().await;

    let ended = world.run(&world.env().set("DCR_CLIENT_ID", "shop")).await;

    let warnings = ended.messages("WARN");
    let [warning] = warnings.as_slice() else {
        unreachable!("{ended}");
    };
    for words in ["DCR_CLIENT_ID", &client_id, "DCR_FORCE_REPLACE=true"] {
        assert!(warning.contains(words), "{warning}");
    }
    // The name follows from the identifier, unless it is set.
    assert_eq!(world.received(UPDATE).len(), 1);
    let again = world.run(&world.env().set("DCR_CLIENT_ID", "shop")).await;
    assert_eq!(again.messages("WARN").len(), 1, "{again}");
    assert_eq!(world.received(UPDATE).len(), 1);
    assert_eq!(world.clients(), [client_id]);
}

fn redirecting(world: &World, uri: &str) -> Env {
    world.env().set("DCR_REDIRECT_URIS", uri)
}

/// Somebody else adds a redirect URI, with the token that we hold, and it stays valid.
async fn add_at_the_idp(world: &World) {
    let management = world.volume.state()["registration"]["management"].clone();
    let uri = management["registration_client_uri"].as_str().unwrap();
    let token = management["registration_access_token"].as_str().unwrap();
    let request = |method| http::request(method, uri).bearer_auth(token);
    let mut metadata = http::send(request(Method::GET)).await.json();
    for name in [
        "registration_client_uri",
        "registration_access_token",
        "client_id_issued_at",
    ] {
        metadata.as_object_mut().unwrap().remove(name);
    }
    metadata["redirect_uris"] = json!([OURS, THEIRS]);
    let put = request(Method::PUT)
        .header("content-type", "application/json")
        .body(metadata.to_string());
    assert_eq!(http::send(put).await.status, 200);
}

async fn order(world: &World, path: &str) -> Answer {
    let request = http::request(Method::POST, &world.port.url(path));
    http::send(request.bearer_auth(ADMIN)).await
}

/// What the IdP last said that it has, as stored.
fn last_read(world: &World) -> Value {
    world.volume.state()["registration"]["seen"].clone()
}

/// Whether a warning shows the scope asked for and the one granted.
fn shows_both(warnings: &[String]) -> bool {
    warnings
        .iter()
        .any(|text| text.contains("openid profile") && text.contains("granted something else"))
}
