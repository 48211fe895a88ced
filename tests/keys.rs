//! Whatever PEM an operator has: it is taken, or refused with the reason.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use bff::jose::{Algorithm, LoadKeyError, SigningKey};
use bff::secret::Secret;

use support::child::{Bff, Ended};
use support::environment::Env;
use support::volume::Volume;
use support::world::World;
use support::{PASSPHRASE, fixture};

#[test]
fn what_openssl_and_ssh_keygen_write_is_taken() {
    let table = [
        ("ed25519.pem", Algorithm::EdDsa),
        ("p256-crlf.pem", Algorithm::ES256),
        ("p256-leading-text.pem", Algorithm::ES256),
        ("p256-pkcs8.pem", Algorithm::ES256),
        ("p256-sec1.pem", Algorithm::ES256),
        ("p256-trailing-blank-lines.pem", Algorithm::ES256),
        ("p256-with-certificate.pem", Algorithm::ES256),
        ("p256-with-parameters.pem", Algorithm::ES256),
        ("p384.pem", Algorithm::ES384),
        ("rsa-2048-pkcs1.pem", Algorithm::RS256),
        ("rsa-2048-pkcs8.pem", Algorithm::RS256),
        ("rsa-3072.pem", Algorithm::RS256),
        ("ssh-p256.pem", Algorithm::ES256),
        ("ssh-rsa-2048.pem", Algorithm::RS256),
    ];

    for (name, alg) in table {
        let key = load(name, None).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(key.alg(), alg, "{name}");
    }
}

#[test]
fn one_key_in_two_encodings_has_one_thumbprint() {
    for [one, other] in [
        ["rsa-2048-pkcs1.pem", "rsa-2048-pkcs8.pem"],
        ["p256-pkcs8.pem", "p256-crlf.pem"],
        ["p256-pkcs8.pem", "p256-leading-text.pem"],
    ] {
        let kid = |name| load(name, None).unwrap().kid().clone();
        assert_eq!(kid(one), kid(other));
    }
}

#[test]
fn an_encrypted_key_opens_with_its_passphrase_alone() {
    for name in ["p256-encrypted.pem", "p256-sec1-encrypted.pem"] {
        assert!(load(name, Some(PASSPHRASE)).is_ok(), "{name}");
        assert_eq!(
            load(name, Some("wrong")).unwrap_err(),
            LoadKeyError::BadPassphrase,
            "{name}"
        );
        assert_eq!(
            load(name, None).unwrap_err(),
            LoadKeyError::PassphraseMissing,
            "{name}"
        );
    }
    let (plain, encrypted) = ("p256-pkcs8.pem", "p256-encrypted.pem");
    let kid = |name| load(name, Some(PASSPHRASE)).unwrap().kid().clone();
    assert_eq!(
        kid(plain),
        kid(encrypted),
        "a passphrase too many is no error"
    );
}

#[test]
fn what_cannot_be_used_is_refused_with_what_it_is_and_what_to_do() {
    let table = [
        ("certificate.pem", "CERTIFICATE", "bff keys generate"),
        ("damaged.pem", "is damaged", "from a copy"),
        ("dsa.pem", "DSA", "bff keys generate"),
        ("ed448.pem", "Ed448", "bff keys generate"),
        ("empty.pem", "empty", "bff keys generate"),
        ("jwk.json", "JWK", "bff keys generate"),
        ("openssh.pem", "OPENSSH", "ssh-keygen -p -m PEM"),
        (
            "p256-wrong-half.pem",
            "does not match the private key",
            "from a copy",
        ),
        ("p256.der", "DER", "bff keys generate"),
        ("p521.pem", "secp521r1", "bff keys generate"),
        ("public.pem", "PUBLIC KEY", "bff keys generate"),
        ("rsa-1024.pem", "1024 bits", "bff keys generate"),
        ("rsa-pss.pem", "PSS", "bff keys generate"),
        ("secp256k1.pem", "secp256k1", "bff keys generate"),
        ("truncated.pem", "is damaged", "from a copy"),
        ("two-keys.pem", "2 private keys", "leave one"),
        ("x25519.pem", "X25519", "bff keys generate"),
    ];

    for (name, reason, hint) in table {
        let error = load(name, None).unwrap_err();
        assert!(error.to_string().contains(reason), "{name}: {error}");
        assert!(error.hint().contains(hint), "{name}: {}", error.hint());
    }
}

#[test]
fn an_algorithm_has_to_fit_the_key() {
    let pem = |name| fs::read(fixture(name)).unwrap();
    let load = |name, alg| SigningKey::from_pem(&pem(name), None, Some(alg), None);

    for alg in [Algorithm::PS256, Algorithm::PS512, Algorithm::RS384] {
        assert_eq!(load("rsa-2048-pkcs8.pem", alg).unwrap().alg(), alg);
    }
    let error = load("p256-pkcs8.pem", Algorithm::RS256).unwrap_err();
    assert!(error.to_string().contains("ES256"), "{error}");
    assert!(error.hint().contains("BFF_SIGNING_ALG"));
}

#[tokio::test]
async fn an_imported_key_is_where_the_first_start_looks_for_it() {
    for name in [
        "rsa-2048-pkcs1.pem",
        "p256-with-parameters.pem",
        "ed25519.pem",
    ] {
        let world = World::new().await;
        let env = world
            .env_with_token()
            .set("BFF_JWT_SIGNING_KEY", world.volume.file("mine.pem"));

        let ended = import(name, &env).await;
        assert_eq!(ended.code, Some(0), "{ended}");
        let kid = load(name, None).unwrap().kid().to_string();
        assert_eq!(ended.stdout.trim(), kid, "{ended}");
        let mode = fs::metadata(world.volume.file("mine.pem")).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);

        let bff = world.ready(&env).await;
        assert_eq!(world.keys().await[0]["kid"], kid);
        drop(bff);
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_imported_leaves_nothing_behind() {
    for (name, reason) in [
        ("openssh.pem", "ssh-keygen -p -m PEM"),
        ("p521.pem", "secp521r1"),
        ("p256-encrypted.pem", "BFF_KEY_PASSPHRASE"),
        ("two-keys.pem", "2 private keys"),
    ] {
        let volume = Volume::new();
        let env = Env::empty().set("BFF_KEYS_DIR", volume.path());

        let ended = import(name, &env).await;

        assert_eq!(ended.code, Some(78), "{ended}");
        assert!(ended.stderr.contains(reason), "{ended}");
        assert!(volume.snapshot().is_empty());
    }
}

#[tokio::test]
async fn an_encrypted_key_is_kept_encrypted() {
    let world = World::new().await;
    let pem = world.volume.put_key("p256-encrypted.pem");
    let env = world
        .env_with_token()
        .set("BFF_JWT_SIGNING_KEY", pem)
        .set("BFF_KEY_PASSPHRASE", PASSPHRASE);

    let bff = world.ready(&env).await;

    let kid = world.keys().await[0]["kid"].as_str().unwrap().to_owned();
    let kept = fs::read_to_string(world.volume.file(&format!("{kid}.pem"))).unwrap();
    assert!(kept.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    bff.stop().await;
    let unset = world.env();
    let ended = Bff::serve(&unset).ended().await;
    ended.fails(1, &["encrypted", "BFF_KEY_PASSPHRASE"]);
}

#[tokio::test]
async fn a_key_that_an_interrupted_first_start_left_goes_on_under_its_name() {
    let world = World::new().await;
    let pem = fs::read(fixture("p256-pkcs8.pem")).unwrap();
    world.volume.write("my-key.pem", &pem);

    let bff = world
        .ready(&world.env_with_token().set("BFF_KID", "my-key"))
        .await;

    assert_eq!(world.keys().await[0]["kid"], "my-key");
    drop(bff);
}

#[tokio::test]
async fn a_private_key_that_others_can_read_is_warned_about() {
    let world = World::new().await;
    let pem = world.volume.put_key("p256-pkcs8.pem");
    let env = world.env_with_token().set("BFF_JWT_SIGNING_KEY", &pem);
    fs::set_permissions(&pem, fs::Permissions::from_mode(0o640)).unwrap();

    let ended = world.run(&env).await;

    let warnings = ended.messages("WARN");
    assert!(
        warnings
            .iter()
            .any(|text| text.contains("mode 640") && text.contains("chmod 600")),
        "{ended}"
    );
}

#[tokio::test]
async fn another_pem_at_the_same_path_comes_in_by_a_rotation_and_does_not_sign_at_once() {
    let world = World::new().await;
    let pem = world.volume.put_key("p256-pkcs8.pem");
    let env = world.env_with_token().set("BFF_JWT_SIGNING_KEY", &pem);
    let bff = world.ready(&env).await;
    let first = world.keys().await;
    bff.stop().await;
    fs::copy(fixture("ed25519.pem"), &pem).unwrap();

    let bff = world
        .ready(&world.env().set("BFF_JWT_SIGNING_KEY", &pem))
        .await;
    bff.says("rotation begun").await;

    let keys = world.keys().await;
    assert_eq!(keys.len(), 2, "both are published");
    assert_eq!(keys[0], first[0], "the first one signs");
}

fn load(name: &str, passphrase: Option<&str>) -> Result<SigningKey, LoadKeyError> {
    let text = fs::read(fixture(name)).unwrap();
    let passphrase = passphrase.map(Secret::new);
    SigningKey::from_pem(&text, passphrase.as_ref(), None, None)
}

async fn import(name: &str, env: &Env) -> Ended {
    let path = fixture(name);
    let arguments = ["keys", "import", path.to_str().unwrap()];
    Bff::start(&arguments, env, "").ended().await
}
