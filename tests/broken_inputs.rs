//! Broken inputs: each ends in one message with the way out, the right exit code and no harm.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bff::disk::HostDisk;
use bff::local_files::Directories;
use openssl::sha::sha256;

use support::cases::{MARK, Table};
use support::child::Bff;
use support::environment::Env;
use support::fixture;
use support::port::Port;
use support::volume::Volume;
use support::world::World;

#[tokio::test]
async fn a_wrong_setting_of_listeners_keys_or_log_is_named_with_what_was_expected() {
    let world = registered().await;
    let directory = Volume::new();
    let missing = directory.file("missing").display().to_string();
    let empty = directory.write("empty", b"").display().to_string();
    let no_file = directory.path().display().to_string();
    let pem = fs::read_to_string(fixture("p256-pkcs8.pem")).unwrap();
    let same_port = world.port.address.to_string();
    let with_spaces = format!("{MARK} with spaces");
    let mut table = Table::of(&world);
    for (name, value, words) in [
        ("BFF_LISTEN", "foo", "ADDRESS:PORT"),
        ("BFF_LISTEN", "127.0.0.1:70000", "ADDRESS:PORT"),
        (
            "BFF_ADMIN_LISTEN",
            &same_port,
            "another port than BFF_LISTEN",
        ),
        ("BFF_ADMIN_TOKEN", &with_spaces, "visible ASCII"),
        ("BFF_KEY_PASSPHRASE_FILE", &missing, "missing"),
        ("BFF_KEY_PASSPHRASE_FILE", &empty, "empty"),
        ("BFF_KEY_PASSPHRASE_FILE", &no_file, "directory"),
        ("BFF_JWT_SIGNING_KEY", &pem, "the content of one"),
        ("BFF_KID", "my key", "visible ASCII"),
        ("BFF_SIGNING_ALG", "HS256", "ES256"),
        ("BFF_SIGNING_ALG", "none", "ES256"),
        ("BFF_JWKS_MAX_AGE", "25h", "1s to 24h"),
        ("BFF_JWK_ROTATE_AFTER_DAYS", "-1", "whole number"),
        (
            "BFF_JWK_RETIRE_AFTER_DAYS",
            "7",
            "BFF_JWK_ROTATE_AFTER_DAYS",
        ),
        ("BFF_JWK_MAX_KEYS", "1", "whole number"),
        ("BFF_ROTATION_PREPUBLISH", "1s", "BFF_JWKS_MAX_AGE"),
        ("BFF_LOG", "debgu", "a level"),
        ("BFF_LOG_FORMAT", "xml", "text or json"),
    ] {
        table.add(name, 78, &[name, words], |env| env.set(name, value));
    }

    table.check(&[&pem[40..90]]).await;
}

#[tokio::test]
async fn a_wrong_setting_of_the_registration_is_named_with_what_was_expected() {
    let world = registered().await;
    let two_lines = format!("{MARK}\n{MARK}");
    let with_password = format!("https://user:{MARK}@idp.example");
    let no_jwt = format!("{MARK}-0123456789");
    let missing = world.volume.file("missing").display().to_string();
    let mut table = Table::of(&world);
    for (name, value, words) in [
        ("BFF_BASE_URL", "bff.example", "expected"),
        ("BFF_BASE_URL", "", "DCR_JWKS_URI"),
        ("DCR_ENABLED", "perhaps", "true or false"),
        ("IDP_BASE_URL", "idp", "expected"),
        ("IDP_BASE_URL", "ftp://idp.example", "http"),
        (
            "IDP_BASE_URL",
            "http://idp.example",
            "BFF_ALLOW_INSECURE_HTTP",
        ),
        ("IDP_BASE_URL", &with_password, "expected"),
        ("IDP_BASE_URL", "https://idp.example/?a=b", "query"),
        ("DCR_IAT", &two_lines, "visible ASCII"),
        ("DCR_CLIENT_ID", "my client", "visible ASCII"),
        ("DCR_REDIRECT_URIS", "", "at least one redirect URI"),
        ("DCR_REDIRECT_URIS", "http://app.example/cb", "https"),
        ("DCR_REDIRECT_URIS", "https://app.example/cb#x", "fragment"),
        ("DCR_EXTRA_METADATA", "{", "JSON"),
        ("DCR_EXTRA_METADATA", r#"{"jwks":{}}"#, "DCR_JWKS"),
        ("DCR_SOFTWARE_STATEMENT", &no_jwt, "JWT"),
        ("DCR_JWKS", "inline", "uri or value"),
        ("MS_BFF_TOKEN_AUTH_METHOD", "none", "private_key_jwt"),
        ("BFF_ASSERTION_AUDIENCE", "both", "auto, issuer or endpoint"),
        ("BFF_BOOTSTRAP_TIMEOUT", "soon", "0s to 24h"),
        ("BFF_CA_FILE", &missing, "missing"),
    ] {
        table.add(name, 78, &[name, words], |env| env.set(name, value));
    }

    table.check(&[]).await;
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_named_both() {
    let world = registered().await;
    let token = world.volume.write("token", MARK.as_bytes());
    let token = token.to_str().unwrap();
    let mut table = Table::of(&world);
    for [(one, a), (other, b)] in [
        [
            ("BFF_JWT_SIGNING_KEY", "a.pem"),
            ("DCR_SIGNING_KEY", "b.pem"),
        ],
        [("DCR_CLIENT_ID", "a"), ("AUTH_CLIENT_ID", "b")],
        [("DCR_SCOPE", "openid"), ("OIDC_SCOPES", "email")],
        [
            ("DCR_ROTATION_SAFE", "true"),
            ("DCR_REDIRECT_UPDATE_MODE", "replace"),
        ],
        [("DCR_ENABLED", "true"), ("IDP_BASE_URL", "")],
        [("DCR_IAT", MARK), ("DCR_IAT_FILE", token)],
    ] {
        table.add(one, 78, &[one, other], |env| env.set(one, a).set(other, b));
    }

    table.check(&[]).await;
}

#[tokio::test]
async fn a_settings_file_that_cannot_be_used_is_named_with_the_line() {
    let world = registered().await;
    let directory = Volume::new();
    directory.write("bad.toml", b"bff_listen = [");
    directory.write("unknown.toml", b"\nbff_lisen = \":1\"");
    let mut table = Table::of(&world);
    for (name, words) in [
        ("missing.toml", ["missing.toml", "readable TOML file"]),
        ("bad.toml", ["bad.toml", "line 1"]),
        ("unknown.toml", ["unknown.toml line 2", "`bff_listen`"]),
    ] {
        let file = directory.file(name);
        table.add(name, 78, &words, |env| env);
        table.arguments(&["serve", "--config", file.to_str().unwrap()]);
    }

    table.check(&[]).await;
}

#[tokio::test]
async fn a_wrong_command_line_is_explained() {
    let world = registered().await;
    let mut table = Table::of(&world);
    for (arguments, words) in [
        (&["serve", "--prot", "80"][..], "--help"),
        (&["sevre"], "serve"),
        (&["serve", "--dcr-iat", "x"], "--help"),
        (&["mint-iat", "--max-uses", "many"], "--max-uses"),
        (&["keys", "generate", "--alg", "HS256"], "HS256"),
    ] {
        table.add("command line", 64, &[words], |env| env);
        table.arguments(arguments);
    }

    table.check(&[]).await;
}

#[tokio::test]
async fn a_machine_that_is_not_as_it_should_be_is_described() {
    let world = registered().await;
    let elsewhere = Volume::new();
    let file = elsewhere.write("file", b"");
    let below_a_file = file.join("keys");
    let taken = Port::reserve();
    let mut table = Table::of(&world);
    for name in ["BFF_KEYS_DIR", "BFF_STATE_DIR"] {
        for path in [&below_a_file, &file] {
            table.add(name, 1, &[path.to_str().unwrap(), name], |env| {
                env.set(name, path)
            });
        }
    }
    for (name, port) in [("BFF_LISTEN", &world.port), ("BFF_ADMIN_LISTEN", &taken)] {
        let address = port.address.to_string();
        table.add(name, 1, &["cannot listen", &address, name], |env| {
            env.set(name, &address)
        });
        table.hold(TcpListener::bind(port.address).unwrap());
        table.check(&[]).await;
    }
    table.add(
        "a locked volume",
        1,
        &["locked by", "a test", "BFF_STATE_DIR"],
        |env| env,
    );
    let path = world.volume.path();
    table.hold(Directories::open(Arc::new(HostDisk), path, path, "a test").unwrap());

    table.check(&[]).await;
}

#[tokio::test]
async fn a_volume_that_is_damaged_is_left_as_it_is() {
    let good = registered().await;
    let state = fs::read_to_string(good.volume.file("state.json")).unwrap();
    let kid = good.volume.state()["ring"]["current"]["jwk"]["kid"]
        .as_str()
        .unwrap()
        .to_owned();
    let key = format!("{kid}.pem");
    let other = fs::read(fixture("ed25519.pem")).unwrap();
    let alike = fs::read(fixture("p256-pkcs8.pem")).unwrap();
    let newer = state.replacen("\"version\": 2", "\"version\": 3", 1);
    let edited = state.replacen("openid profile", "openid profil", 1);
    let unknown = sealed(&state.replacen("\"EC\"", "\"ML-DSA\"", 1));
    let half = &state.as_bytes()[..state.len() / 2];
    let (state, previous) = ("state.json", "state.previous.json");
    for (name, code, files, words) in [
        (
            "truncated",
            1,
            vec![(state, half), (previous, b"" as &[u8])],
            ["state.json", "BFF_STATE_DIR"],
        ),
        (
            "edited",
            1,
            vec![(state, edited.as_bytes()), (previous, b"{}")],
            ["checksum", "BFF_STATE_DIR"],
        ),
        (
            "from a newer version",
            78,
            vec![(state, newer.as_bytes())],
            ["format version 3", "newer"],
        ),
        (
            "with a key of a kind that a newer version knows",
            78,
            vec![(state, unknown.as_bytes())],
            ["is intact", "newer"],
        ),
        (
            "an empty key",
            1,
            vec![(&*key, b"" as &[u8])],
            [&kid, "BFF_KEYS_DIR"],
        ),
        (
            "another key under its name",
            1,
            vec![(&*key, &other)],
            [&kid, "BFF_KEYS_DIR"],
        ),
        (
            "another key of the same type under its name",
            1,
            vec![(&*key, &alike)],
            [&kid, "BFF_KEYS_DIR"],
        ),
    ] {
        let world = copy_of(&good).await;
        for (file, contents) in files {
            world.volume.write(file, contents);
        }
        let mut table = Table::of(&world);
        table.add(name, code, &words, |env| env);
        table.check(&[]).await;
    }

    let world = copy_of(&good).await;
    fs::remove_file(world.volume.file(&key)).unwrap();
    let mut table = Table::of(&world);
    table.add("a lost key", 1, &[&kid, "backup of BFF_KEYS_DIR"], |env| {
        env
    });
    table.check(&[]).await;
}

#[tokio::test]
async fn a_pem_that_is_no_signing_key_starts_nothing() {
    let world = World::new().await;
    let mut table = Table::of(&world);
    // Directly in an empty keys directory it would be made.
    let missing = world.volume.file("elsewhere").join("missing.pem");
    let set = |path: PathBuf| move |env: Env| env.set("BFF_JWT_SIGNING_KEY", path);
    table.add(
        "missing",
        78,
        &["missing.pem", "BFF_JWT_SIGNING_KEY", "bff keys generate"],
        set(missing),
    );
    table.add(
        "a directory",
        78,
        &["BFF_JWT_SIGNING_KEY"],
        set(world.volume.path().to_owned()),
    );
    for (name, word, hint) in [
        ("empty.pem", "empty", "bff keys generate"),
        ("jwk.json", "JWK", "bff keys generate"),
        ("openssh.pem", "OPENSSH", "ssh-keygen -p -m PEM"),
        ("p256-encrypted.pem", "encrypted", "BFF_KEY_PASSPHRASE"),
        ("p256.der", "DER", "bff keys generate"),
        ("public.pem", "PUBLIC KEY", "bff keys generate"),
        ("rsa-1024.pem", "1024 bits", "bff keys generate"),
        ("truncated.pem", "damaged", "from a copy"),
        ("two-keys.pem", "2 private keys", "leave one"),
    ] {
        let words = [name, word, hint];
        table.add(name, 78, &words, set(fixture(name)));
    }
    table.add(
        "a wrong passphrase",
        78,
        &["does not open it", "BFF_KEY_PASSPHRASE"],
        |env| {
            env.set("BFF_JWT_SIGNING_KEY", fixture("p256-encrypted.pem"))
                .set("BFF_KEY_PASSPHRASE", format!("{MARK}-passphrase"))
        },
    );
    table.add(
        "an algorithm that does not fit",
        78,
        &["RS256", "P-256", "BFF_SIGNING_ALG"],
        |env| {
            env.set("BFF_JWT_SIGNING_KEY", fixture("p256-pkcs8.pem"))
                .set("BFF_SIGNING_ALG", "RS256")
        },
    );
    let lines = ["p256-pkcs8.pem", "rsa-1024.pem", "truncated.pem"].map(|name| {
        let text = fs::read_to_string(fixture(name)).unwrap();
        text.lines().nth(1).unwrap().to_owned()
    });
    let lines = lines.each_ref().map(String::as_str);
    table.check(&lines).await;

    world.volume.put_key("ed25519.pem");
    world.volume.put_key("p384.pem");
    let mut table = Table::of(&world);
    let words = ["ed25519", "p384", "BFF_JWT_SIGNING_KEY"];
    table.add("strays", 78, &words, |env| env);
    table.add(
        "a name that is taken",
        1,
        &["ed25519.pem", "BFF_KID"],
        |env| {
            env.set("BFF_JWT_SIGNING_KEY", fixture("p256-pkcs8.pem"))
                .set("BFF_KID", "ed25519")
        },
    );
    table.check(&lines).await;
}

#[tokio::test]
async fn an_idp_that_says_no_costs_neither_keys_nor_registration() {
    let world = World::new().await;
    offline(&world).await;
    let nobody = Port::reserve();
    let used = world.idp.mint_iat();
    spend(&world, &used).await;
    let mut table = Table::of(&world);
    table.add(
        "nobody there",
        69,
        &["cannot connect", "IDP_BASE_URL"],
        |env| {
            env.set("IDP_BASE_URL", nobody.url("/api/oidc"))
                .set("BFF_BOOTSTRAP_TIMEOUT", "0s")
        },
    );
    table.add("a wrong path", 78, &["HTTP 404", "IDP_BASE_URL"], |env| {
        env.set("IDP_BASE_URL", world.idp.base_url())
    });
    table.add(
        "another issuer",
        78,
        &["OIDC_ISSUER", "each slash"],
        |env| env.set("OIDC_ISSUER", "https://idp.example"),
    );
    table.add(
        "no trust anchor",
        78,
        &["no certificate", "BFF_CA_FILE"],
        |env| env.set("BFF_CA_FILE", fixture("ed25519.pem")),
    );
    table.add("nothing stored", 78, &["SKIP_DCR_BOOTSTRAP=false"], |env| {
        env.set("SKIP_DCR_BOOTSTRAP", "true")
    });
    for (name, token) in [("used", &*used), ("unknown", MARK)] {
        table.add(name, 77, &["HTTP 401", "bff mint-iat", "DCR_IAT"], |env| {
            env.set("DCR_IAT", token)
        });
        table.identity_only();
    }
    table.add(
        "a refused scope",
        78,
        &["invalid_scope", "DCR_SCOPE"],
        |env| env.set("DCR_SCOPE", "admin"),
    );
    table.identity_only();
    table.check(&[]).await;
}

#[tokio::test]
async fn a_command_that_cannot_do_its_work_says_so() {
    let world = World::new().await;
    offline(&world).await;
    let nobody = Port::reserve();
    let wrong = format!("{MARK}-wrong-admin-token");
    let existing = world.volume.file("state.json");
    let existing = existing.to_str().unwrap();
    let admin = world.idp.admin_token();
    let mut table = Table::of(&world);
    table.add("no token", 78, &["BOOTSTRAP_ADMIN_TOKEN_FILE"], |env| env);
    table.arguments(&["mint-iat"]);
    let words = ["HTTP 401", "BOOTSTRAP_ADMIN_TOKEN"];
    table.add("a wrong token", 77, &words, |env| {
        env.set("BOOTSTRAP_ADMIN_TOKEN", &wrong)
    });
    table.arguments(&["mint-iat"]);
    table.add(
        "nobody there",
        69,
        &["cannot connect", "IDP_ADMIN_BASE_URL"],
        |env| {
            env.set("BOOTSTRAP_ADMIN_TOKEN", admin)
                .set("IDP_ADMIN_BASE_URL", nobody.url("/api/admin"))
        },
    );
    table.arguments(&["mint-iat"]);
    table.add(
        "a wrong path",
        1,
        &["HTTP 404", "IDP_ADMIN_BASE_URL"],
        |env| {
            env.set("BOOTSTRAP_ADMIN_TOKEN", admin)
                .set("IDP_ADMIN_BASE_URL", world.idp.base_url())
        },
    );
    table.arguments(&["mint-iat"]);
    table.add(
        "a file in the way",
        1,
        &["exists already", "--out"],
        |env| env.set("BOOTSTRAP_ADMIN_TOKEN", admin),
    );
    table.arguments(&["mint-iat", "--out", existing]);
    table.add("a key in the way", 1, &["never replaced", "--out"], |env| {
        env
    });
    table.arguments(&["keys", "generate", "--out", existing]);
    table.add("no PEM to read", 1, &["missing.pem"], |env| env);
    table.arguments(&["keys", "import", "missing.pem"]);
    table.add(
        "no client",
        1,
        &["no client is registered", "bff serve"],
        |env| env,
    );
    table.arguments(&["assertion"]);
    table.add("no service", 1, &["cannot connect", "BFF_LISTEN"], |env| {
        env
    });
    table.arguments(&["healthcheck"]);

    table.check(&[]).await;
    assert_eq!(
        world
            .idp
            .requests()
            .iter()
            .filter(|e| e.status == Some(201))
            .count(),
        0
    );
}

/// The text of a document whose checksum is that of its contents.
fn sealed(text: &str) -> String {
    let (covered, _) = text.split_once(",\n  \"checksum\"").unwrap();
    let checksum = URL_SAFE_NO_PAD.encode(sha256(covered.as_bytes()));
    format!("{covered},\n  \"checksum\": \"sha256:{checksum}\"\n}}\n")
}

/// A world whose volume holds a registered client.
async fn registered() -> World {
    let world = World::new().await;
    world.registered().await;
    world
}

/// Another world whose volume holds the same files.
async fn copy_of(good: &World) -> World {
    let world = World::new().await;
    for (path, contents) in good.volume.snapshot() {
        let name = path.file_name().unwrap().to_str().unwrap();
        world.volume.write(name, &contents);
    }
    world
}

/// Brings a key into the volume without asking anybody.
async fn offline(world: &World) {
    let bff = Bff::serve(&world.env().set("DCR_ENABLED", "false"));
    bff.says("Registration is off").await;
    bff.stop().await;
}

/// Uses a token up, from another volume.
async fn spend(world: &World, token: &str) {
    let volume = Volume::new();
    let env = world.env().set("BFF_KEYS_DIR", volume.path());
    world.run(&env.set("DCR_IAT", token)).await;
}
