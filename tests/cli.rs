//! The commands beside `bff serve`, as a shell uses them.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bff::jose::{Algorithm, SigningKey};
use dev_idp::Endpoint;
use reqwest::Method;
use serde_json::{Value, json};

use support::child::{Bff, Ended};
use support::environment::Env;
use support::fixture;
use support::http::{Answer, request, send};
use support::volume::Volume;
use support::world::World;

#[tokio::test]
async fn a_minted_token_is_alone_on_standard_output_and_registers_a_client() {
    let world = World::new().await;
    let env = admin(&world);

    let minted = run(&["mint-iat", "--label", "shop", "--expires-in", "60"], &env).await;

    assert_eq!(minted.code, Some(0), "{minted}");
    let token = minted.stdout.strip_suffix('\n').unwrap();
    assert!(token.starts_with("iat-") && !token.contains(char::is_whitespace));
    assert!(!minted.stderr.contains(token), "{minted}");
    assert_eq!(
        world.received(Endpoint::Mint)[0].request,
        json!({"label": "shop", "expires_in": 60, "max_uses": 1, "max_usages": 1})
    );
    world.run(&world.env().set("DCR_IAT", token)).await;
    assert_eq!(world.idp.iat_uses(token), Some(1));
}

#[tokio::test]
async fn a_token_can_be_good_for_several_registrations() {
    let world = World::new().await;

    let minted = run(&["mint-iat", "--max-uses", "2"], &admin(&world)).await;

    assert_eq!(minted.code, Some(0), "{minted}");
    let asked = &world.received(Endpoint::Mint)[0].request;
    assert_eq!(
        (&asked["max_uses"], &asked["max_usages"]),
        (&json!(2), &json!(2))
    );
}

#[tokio::test]
async fn a_token_can_be_written_to_a_file_that_only_its_owner_reads() {
    let world = World::new().await;
    let file = world.volume.file("iat");
    let arguments = ["mint-iat", "--out", file.to_str().unwrap()];

    let minted = run(&arguments, &admin(&world)).await;

    assert_eq!(
        (minted.code, minted.stdout.as_str()),
        (Some(0), ""),
        "{minted}"
    );
    assert_eq!(mode(&file), 0o600);
    world.run(&world.env().set("DCR_IAT_FILE", &file)).await;
}

/// A killed command leaves a secret in a file that nobody looks for.
#[tokio::test]
async fn what_a_killed_command_left_goes_when_the_same_file_is_written() {
    let world = World::new().await;
    let file = |name: &str| world.volume.file(name).to_str().unwrap().to_owned();
    let left = |name: &str| {
        world
            .volume
            .write(&format!(".{name}.0badcafe.bff-tmp"), b"secret")
    };
    let of_token = left("token");
    let of_key = left("token.pem");

    let minted = run(&["mint-iat", "--out", &file("token")], &admin(&world)).await;

    assert_eq!(minted.code, Some(0), "{minted}");
    assert!(!of_token.exists() && of_key.exists());
    let arguments = ["keys", "generate", "--out", &file("token.pem")];
    let made = run(&arguments, &Env::empty()).await;
    assert_eq!(made.code, Some(0), "{made}");
    assert!(!of_key.exists());
}

#[tokio::test]
async fn the_administrators_token_comes_from_a_file_or_from_standard_input_too() {
    let world = World::new().await;
    let token = world.idp.admin_token();
    let file = world.volume.write("admin", format!("{token}\n").as_bytes());
    let from_file = world.env().set("BOOTSTRAP_ADMIN_TOKEN_FILE", file);

    let from_file = run(&["mint-iat"], &from_file).await;
    let piped = Bff::start(&["mint-iat"], &world.env(), &format!("{token}\n"));
    let piped = piped.ended().await;

    assert_eq!((from_file.code, piped.code), (Some(0), Some(0)), "{piped}");
    assert_eq!(world.received(Endpoint::Mint).len(), 2);
}

#[tokio::test]
async fn a_made_key_is_private_and_is_the_one_that_the_service_publishes() {
    let world = World::new().await;
    for (name, alg) in [
        ("EdDSA", Algorithm::EdDsa),
        ("ES256", Algorithm::ES256),
        ("ES384", Algorithm::ES384),
        ("PS256", Algorithm::PS256),
    ] {
        let file = world.volume.file(&format!("{name}.pem"));
        let arguments = [
            "keys",
            "generate",
            "--alg",
            name,
            "--out",
            file.to_str().unwrap(),
        ];

        let made = run(&arguments, &Env::empty()).await;

        assert_eq!(made.code, Some(0), "{made}");
        assert_eq!(mode(&file), 0o600);
        let pem = fs::read(&file).unwrap();
        let key = SigningKey::from_pem(&pem, None, Some(alg), None).unwrap();
        assert_eq!(made.stdout, format!("{}\n", key.kid()));
    }
    let pem = world.volume.file("ES384.pem");
    let env = world.env_with_token().set("BFF_JWT_SIGNING_KEY", pem);

    let bff = world.ready(&env).await;

    assert_eq!(world.keys().await[0]["alg"], "ES384");
    drop(bff);
}

#[tokio::test]
async fn a_key_that_is_there_is_kept() {
    let volume = Volume::new();
    let file = volume.file("bff.pem");
    let env = Env::empty().set("BFF_JWT_SIGNING_KEY", &file);
    let generate = ["keys", "generate", "--if-missing"];
    let first = run(&generate, &env).await;
    let before = volume.snapshot();

    let again = run(&generate, &env).await;
    let replaced = run(&["keys", "generate"], &env).await;

    assert_eq!((first.code, again.code), (Some(0), Some(0)), "{again}");
    assert_eq!(again.stdout, first.stdout);
    assert_eq!(replaced.code, Some(1), "{replaced}");
    assert_eq!(volume.snapshot(), before);
}

#[tokio::test]
async fn a_key_is_imported_from_standard_input() {
    let volume = Volume::new();
    let env = Env::empty().set("BFF_JWT_SIGNING_KEY", volume.file("bff.pem"));
    let pem = fs::read_to_string(fixture("p256-sec1.pem")).unwrap();

    let imported = Bff::start(&["--json", "keys", "import", "-"], &env, &pem);
    let imported = imported.ended().await;

    assert_eq!(imported.code, Some(0), "{imported}");
    let key: Value = serde_json::from_str(&imported.stdout).unwrap();
    assert_eq!(key["alg"], "ES256");
    assert_eq!(key["kid"], key["jwk"]["kid"]);
    assert!(key["jwk"].get("d").is_none());
}

#[tokio::test]
async fn keys_are_listed_beside_the_running_service() {
    let world = World::new().await;
    let before = run(&["keys", "list"], &world.env()).await;
    assert_eq!((before.code, before.stdout.as_str()), (Some(0), ""));
    assert!(before.stderr.contains("no keys yet"), "{before}");
    let bff = world.ready(&world.env_with_token()).await;
    let kid = world.keys().await[0]["kid"].as_str().unwrap().to_owned();

    let text = run(&["keys", "list"], &world.env()).await;
    let json = run(&["--json", "keys", "list"], &world.env()).await;

    assert!(text.stdout.starts_with("current"), "{text}");
    assert!(text.stdout.contains(&kid), "{text}");
    let keys: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(keys[0]["kid"], kid);
    assert_eq!(keys[0]["state"], "current");
    drop(bff);
}

#[tokio::test]
async fn a_printed_assertion_gets_an_access_token() {
    let world = World::new().await;
    let env = world
        .env_with_token()
        .set("DCR_GRANT_TYPES", "client_credentials");
    let bff = world.ready(&env).await;
    let endpoint = format!("{}/token", world.idp.issuer());

    for arguments in [&["assertion"][..], &["assertion", "--audience", &endpoint]] {
        let printed = run(arguments, &world.env()).await;
        assert_eq!(printed.code, Some(0), "{printed}");

        let answer = redeem(&endpoint, printed.stdout.trim()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let again = redeem(&endpoint, printed.stdout.trim()).await;
        assert_eq!(again.status, 401, "an assertion is good for one request");
    }
    drop(bff);
}

#[tokio::test]
async fn a_healthcheck_says_by_its_exit_code_whether_the_service_is_ready() {
    let world = World::new().await;
    let env = world
        .env()
        .set("DCR_IAT", "iat-that-nobody-minted")
        .set("ALLOW_BOOTSTRAP_FAILURE", "true");
    let bff = Bff::serve(&env);
    bff.says("Continuing without a registration").await;
    let not_ready = run(&["healthcheck"], &env).await;
    let live = run(&["healthcheck", "--live"], &env).await;
    bff.stop().await;
    let env = world.env_with_token().set(
        "BFF_LISTEN",
        format!("0.0.0.0:{}", world.port.address.port()),
    );
    let bff = world.ready(&env).await;

    let ready = run(&["healthcheck"], &env).await;

    drop(bff);
    let gone = run(&["healthcheck"], &env).await;
    let misconfigured = run(&["healthcheck"], &env.set("BFF_LISTEN", "foo")).await;
    assert_eq!(not_ready.code, Some(1), "{not_ready}");
    assert_eq!(live.code, Some(0), "{live}");
    assert_eq!(
        (ready.code, ready.said().as_str()),
        (Some(0), ""),
        "{ready}"
    );
    assert_eq!(gone.code, Some(1), "{gone}");
    assert_eq!(misconfigured.code, Some(1), "{misconfigured}");
}

#[tokio::test]
async fn the_plan_is_told_without_carrying_it_out() {
    let world = World::new().await;
    let env = world.env_with_token();

    let before = run(&["register", "--dry-run"], &env).await;
    assert_eq!(before.code, Some(0), "{before}");
    assert!(before.stdout.starts_with("plan: register"), "{before}");
    assert!(world.writes().is_empty());

    let registered = run(&["register"], &env).await;
    assert_eq!(registered.code, Some(0), "{registered}");
    assert_eq!(world.clients(), [world.client_id()]);

    let after = run(&["register", "--dry-run"], &world.env()).await;
    assert!(after.stdout.starts_with("plan: nothing"), "{after}");
    let changed = world.env().set("DCR_SCOPE", "openid");
    let changed = run(&["register", "--dry-run"], &changed).await;
    assert!(changed.stdout.starts_with("plan: update"), "{changed}");
    assert_eq!(world.writes().len(), 1);
}

#[tokio::test]
async fn the_status_is_told_with_and_without_a_running_service() {
    let world = World::new().await;
    let env = world
        .env()
        .set("BFF_ADMIN_TOKEN", "an-admin-token-of-32-characters!");
    let token = world.idp.mint_iat();
    let bff = world.ready(&env.clone().set("DCR_IAT", token)).await;
    let client_id = world.client_id();

    let running = run(&["--json", "status"], &env).await;
    bff.stop().await;
    let stopped = run(&["--json", "status"], &env).await;
    let text = run(&["status"], &env).await;

    for status in [&running, &stopped] {
        let told: Value = serde_json::from_str(&status.stdout).unwrap();
        assert_eq!(told["registration"]["client_id"], client_id, "{status}");
        assert_eq!(told["keys"][0]["state"], "current", "{status}");
    }
    let told: Value = serde_json::from_str(&running.stdout).unwrap();
    assert_eq!(told["proof"]["outcome"], "accepted", "{running}");
    assert!(text.stdout.contains(&client_id), "{text}");
}

#[tokio::test]
async fn help_and_version_are_no_errors_and_a_wrong_flag_is_one() {
    let version = run(&["--version"], &Env::empty()).await;
    let help = run(&["--help"], &Env::empty()).await;
    let wrong = run(&["--no-such-flag"], &Env::empty()).await;

    let expected = concat!("bff ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!((version.code, version.stdout.as_str()), (Some(0), expected));
    assert_eq!(help.code, Some(0));
    for word in [
        "serve",
        "mint-iat",
        "keys",
        "healthcheck",
        "assertion",
        "78",
    ] {
        assert!(help.stdout.contains(word), "{word} in {help}");
    }
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(64), ""));
}

async fn run(arguments: &[&str], env: &Env) -> Ended {
    Bff::start(arguments, env, "").ended().await
}

fn admin(world: &World) -> Env {
    let token = world.idp.admin_token();
    world.env().set("BOOTSTRAP_ADMIN_TOKEN", token)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn redeem(endpoint: &str, assertion: &str) -> Answer {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair(
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        )
        .append_pair("client_assertion", assertion)
        .finish();
    let post = request(Method::POST, endpoint)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    send(post).await
}

#[tokio::test]
async fn a_start_that_fails_says_why_even_where_the_log_is_off() {
    let world = World::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for filter in ["off", "hyper=info"] {
        let env = world
            .env()
            .set("BFF_LISTEN", &address)
            .set("BFF_LOG", filter);

        let ended = Bff::serve(&env).ended().await;

        assert_eq!(ended.code, Some(1), "{ended}");
        for words in ["error: cannot listen on", "hint: ", "BFF_LISTEN"] {
            assert!(ended.stderr.contains(words), "{words} in {ended}");
        }
    }
}
