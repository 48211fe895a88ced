//! Every mistake is reported at once, and none shows a secret.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bff::config::settings::{SETTINGS, Setting};
use bff::config::{Config, ConfigErrors, Env, OldPassphrase, Overrides, Sources};
use proptest::prelude::*;

/// Settings, and those that are reported.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);

/// Stands in every secret of these tests.
const MARK: &str = "hush-7f3a";

#[test]
fn all_mistakes_are_reported_at_once_with_variable_origin_value_and_expectation() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(
        &directory,
        "bff.toml",
        "bff_jwks_max_age = \"25h\"\n\nbff_lisen = \":1\"\n",
    );
    let env = Env::from([
        ("BFF_LISTEN", "foo"),
        ("BFF_SIGNING_ALG", "HS256"),
        (
            "DCR_REDIRECT_URIS",
            "https://a.example/cb#x,http://b.example/cb",
        ),
        ("IDP_BASE_URL", "http://idp:8002/api/oidc"),
        ("MS_BFF_TOKEN_AUTH_METHOD", "client_secret_basic"),
    ]);
    let flags = Overrides::from([("BFF_BOOTSTRAP_TIMEOUT", "soon")]);

    let errors = Config::load(&env, Some(&file), &flags).unwrap_err();

    let file = file.display();
    let expected = [
        format!("bff_lisen ({file} line 3): there is no such setting; did you mean `bff_listen`?"),
        r#"BFF_LISTEN (environment): expected ADDRESS:PORT such as 0.0.0.0:8000, got "foo""#.into(),
        r#"BFF_SIGNING_ALG (environment): expected ES256, ES384, Ed25519, EdDSA, PS256, PS384, PS512, RS256, RS384 or RS512, got "HS256""#.into(),
        format!(r#"BFF_JWKS_MAX_AGE ({file} line 1): expected a duration from 1s to 24h, such as 300 (seconds), 90s, 10m or 1h30m, got "25h""#),
        r#"IDP_BASE_URL (environment): expected https (set BFF_ALLOW_INSECURE_HTTP=true to permit http in a container network), got "http://idp:8002/api/oidc""#.into(),
        r#"DCR_REDIRECT_URIS (environment): expected a URL without a fragment (#…), for each redirect URI, got "https://a.example/cb#x""#.into(),
        r#"DCR_REDIRECT_URIS (environment): expected https for each redirect URI, or http on localhost, 127.0.0.1 or [::1], got "http://b.example/cb""#.into(),
        r#"MS_BFF_TOKEN_AUTH_METHOD (environment): expected private_key_jwt, the only method that this service authenticates with, got "client_secret_basic""#.into(),
        r#"BFF_BOOTSTRAP_TIMEOUT (flag): expected a duration from 0s to 24h, such as 300 (seconds), 90s, 10m or 1h30m, got "soon""#.into(),
        "BFF_BASE_URL (not set): expected the URL at which the IdP reaches this service, such as https://bff.example; or set DCR_JWKS_URI or DCR_JWKS=value".into(),
    ];
    assert_eq!(errors.to_string().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_mistake_does_not_hide_another_one() {
    let cases: [Case<'_>; 2] = [
        (
            &[
                ("BFF_JWK_ROTATE_AFTER_DAYS", "90"),
                ("BFF_ROTATION_PREPUBLISH", "1s"),
            ],
            &["BFF_JWK_RETIRE_AFTER_DAYS", "BFF_ROTATION_PREPUBLISH"],
        ),
        (
            &[("DCR_ENABLED", "true")],
            &["IDP_BASE_URL", "DCR_REDIRECT_URIS", "BFF_BASE_URL"],
        ),
    ];

    for (settings, names) in cases {
        let errors = load(&settings.iter().copied().collect()).unwrap_err();

        let reported: Vec<_> = errors.0.iter().map(|error| error.name.as_str()).collect();
        assert_eq!(reported, names, "{errors}");
    }
}

#[test]
fn a_value_that_is_no_utf8_is_an_error_that_names_the_variable() {
    for setting in SETTINGS {
        let env = Env::from([(setting.name, OsString::from_vec(vec![b'a', 0xff]))]);

        let errors = load(&env).unwrap_err();

        assert!(
            errors
                .0
                .iter()
                .any(|error| error.name == setting.name && error.problem.contains("UTF-8")),
            "{errors}"
        );
    }
}

#[test]
fn a_whole_configuration_with_secrets_prints_none() {
    let directory = tempfile::tempdir().unwrap();
    let iat = write(&directory, "iat", &format!("{MARK}-iat\n"));
    let iat = iat.to_str().unwrap();
    let token = format!("{MARK}-long-enough");
    let statement = format!("{MARK}.{MARK}.{MARK}");
    let env = Env::from([
        ("BFF_ADMIN_TOKEN", token.as_str()),
        ("BFF_BASE_URL", "https://bff.example"),
        ("BFF_KEY_PASSPHRASE", token.as_str()),
        ("BOOTSTRAP_ADMIN_TOKEN", token.as_str()),
        ("DCR_IAT_FILE", iat),
        ("DCR_REDIRECT_URIS", "https://app.example/cb"),
        ("DCR_SOFTWARE_STATEMENT", statement.as_str()),
        ("IDP_BASE_URL", "https://idp.example/api/oidc"),
    ]);

    let config = load(&env).unwrap();

    let printed = format!("{config:?} {config:#?} {:?} {env:?}", config.warnings);
    assert!(!printed.contains(MARK), "{printed}");
    assert_eq!(config.dcr.iat.unwrap().expose(), format!("{MARK}-iat"));
    assert_eq!(config.listen.admin_token.unwrap().expose(), token);
}

#[test]
fn no_mistake_around_a_secret_shows_it() {
    let directory = tempfile::tempdir().unwrap();
    let two_words = format!("{MARK} {MARK}");
    let broken_file = write(&directory, "secret", &two_words);
    let binary = directory.path().join("binary");
    fs::write(&binary, [MARK.as_bytes(), &[0xff]].concat()).unwrap();
    let secrets = SETTINGS
        .iter()
        .filter(|setting| setting.is_secret() && !setting.name.starts_with("BFF_KEY_PASSPHRASE"));

    for setting in secrets {
        let name = setting.name;
        let file = setting.file_name().unwrap();
        let key = setting.key();
        let cases = [
            Env::from([(name, two_words.as_str())]),
            Env::from([(name, format!("{MARK}\u{7}"))]),
            Env::from([(name, MARK), (file.as_str(), MARK)]),
            Env::from([(file.as_str(), MARK)]),
            Env::from([(file.as_str(), broken_file.as_os_str())]),
            Env::from([(file.as_str(), binary.as_os_str())]),
        ];
        for env in cases {
            match load(&env) {
                Err(errors) => assert_silent(&errors),
                // It may be gone once it is used.
                Ok(config) => {
                    assert_eq!(name, "DCR_IAT");
                    assert!(config.dcr.iat_missing.is_some());
                    assert!(!format!("{config:?}").contains(MARK));
                }
            }
        }

        let lines = [
            format!("{key} = {MARK}"),
            format!("{key} = \"{MARK}"),
            format!("{key} = \"{MARK}\"\n{key} = \"{MARK}\""),
            format!("{key} = [\"{MARK}\"]"),
            format!("{key} = {{ a = \"{MARK}\" }}"),
            format!("{key} = \"{MARK} {MARK}\""),
            format!("{key} = '''\n{MARK}\n"),
            format!("{key} \"{MARK}\""),
        ];
        for line in lines {
            let path = write(&directory, "bff.toml", &line);
            let errors = Config::load(&Env::default(), Some(&path), &Overrides::default());
            assert_silent(&errors.unwrap_err());
        }

        let flag = Overrides::from([(name, MARK)]);
        assert_silent(&Config::load(&Env::default(), None, &flag).unwrap_err());
    }
}

#[test]
fn a_secret_file_that_is_missing_or_empty_is_an_error_with_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let empty = write(&directory, "empty", "\n");
    let missing = directory.path().join("missing");

    for (path, problem) in [(&empty, "is empty"), (&missing, "cannot read")] {
        for name in ["BFF_ADMIN_TOKEN_FILE", "DCR_IAT_FILE"] {
            let env = Env::from([(name, path.as_os_str())]);
            let errors = match load(&env) {
                Err(errors) => errors.to_string(),
                Ok(config) => config.dcr.iat_missing.unwrap().to_string(),
            };

            assert!(
                errors.starts_with(&format!("{name} (environment): ")),
                "{errors}"
            );
            let instead = format!("or unset {name}");
            for part in [problem, path.to_str().unwrap(), &instead] {
                assert!(errors.contains(part), "{errors}");
            }
        }
    }
}

#[test]
fn a_secret_file_that_others_can_read_is_warned_about() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(&directory, "token", "a-token-long-enough\n");
    let env = Env::from([("BFF_ADMIN_TOKEN_FILE", file.as_os_str())]);

    let private = load(&env).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let shared = load(&env).unwrap();

    assert_eq!(private.warnings, []);
    assert_eq!(shared.warnings[0].name, "BFF_ADMIN_TOKEN_FILE");
    assert_eq!(
        shared.listen.admin_token.unwrap().expose(),
        "a-token-long-enough"
    );
}

#[test]
fn a_private_key_or_a_password_in_the_wrong_place_is_not_shown() {
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{MARK}\n-----END PRIVATE KEY-----");
    let url = format!("https://user:{MARK}@idp.example/api/oidc");
    let json = format!("{{\"a\": \"{MARK}\"");

    for (name, value) in [
        ("BFF_JWT_SIGNING_KEY", &pem),
        ("DCR_EXTRA_METADATA", &json),
        ("IDP_BASE_URL", &url),
        ("OIDC_TOKEN_URL", &url),
    ] {
        assert_silent(&load(&Env::from([(name, value)])).unwrap_err());
    }
}

proptest! {
    #[test]
    fn no_value_of_any_setting_panics_and_no_secret_shows(
        index in 0..SETTINGS.len(),
        // An arbitrary text, or one made of what settings are made of.
        value in prop_oneof![any::<String>(), "[-a-z0-9:/.,{}\"# @%\\[\\]=]{0,40}", "[0-9]{1,25}[smhd]?"],
    ) {
        let setting = SETTINGS[index];
        let given = if setting.is_secret() { format!("{value}{MARK}{value}") } else { value };
        let env = Env::from([
            ("IDP_BASE_URL", "https://idp.example"),
            (setting.name, given.as_str()),
        ]);

        let printed = printed(load(&env));
        prop_assert!(!printed.contains(MARK), "{}", printed);
    }

    #[test]
    fn no_file_panics_and_none_shows_a_secret(
        before in prop_oneof![Just(String::new()), any::<String>()],
        after in "[ a-z]{0,6}\"?[ \"'=\\[\\]{}a-z\n#.]{0,12}",
    ) {
        let directory = tempfile::tempdir().unwrap();
        let text = format!("{before}\ndcr_iat = \"{MARK}{after}");
        let path = write(&directory, "bff.toml", &text);

        let loaded = Config::load(&Env::default(), Some(&path), &Overrides::default());

        let printed = printed(loaded);
        prop_assert!(!printed.contains(MARK), "{}", printed);
    }
}

#[test]
fn the_client_file_cannot_have_the_path_of_a_key_or_of_the_state() {
    let volume = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let link = other.path().join("link");
    std::os::unix::fs::symlink(volume.path(), &link).unwrap();
    for (path, accepted) in [
        (volume.path().join("client.json"), true),
        (other.path().join("state.json"), true),
        (PathBuf::from("client.json"), true),
        (volume.path().join("state.json"), false),
        (link.join("state.previous.json"), false),
        (volume.path().join("./active.pem"), false),
        (PathBuf::from("./first.pem"), false),
    ] {
        let env = Env::from([
            ("BFF_KEYS_DIR", volume.path().as_os_str()),
            ("BFF_JWT_SIGNING_KEY", OsStr::new("first.pem")),
            ("BFF_CLIENT_CRED_PATH", path.as_os_str()),
        ]);

        let loaded = load(&env);

        assert_eq!(loaded.is_ok(), accepted, "{}", path.display());
        if let Err(errors) = loaded {
            assert_eq!(errors.0[0].name, "BFF_CLIENT_CRED_PATH", "{errors}");
        }
    }
}

fn load(env: &Env) -> Result<Config, ConfigErrors> {
    // `bff keys reencrypt` alone reads it.
    Sources::open(env, None, &Overrides::default()).read::<OldPassphrase>()?;
    Config::load(env, None, &Overrides::default())
}

fn printed(loaded: Result<Config, ConfigErrors>) -> String {
    match loaded {
        Ok(config) => format!("{config:?}"),
        Err(errors) => format!("{errors} {errors:?}"),
    }
}

fn assert_silent(errors: &ConfigErrors) {
    let printed = format!("{errors} {errors:?}");
    assert!(!errors.0.is_empty());
    assert!(!printed.contains(MARK), "{printed}");
}

fn write(directory: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path: PathBuf = Path::new(directory.path()).join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

#[test]
fn quotes_that_were_kept_are_a_mistake_of_every_setting() {
    let names = SETTINGS.iter().flat_map(|setting| {
        let file = setting.file_name();
        [Some(setting.name.to_owned()), file].into_iter().flatten()
    });
    for name in names.chain(["BFF_CONFIG".to_owned()]) {
        for quote in ['"', '\''] {
            let value = format!("{quote}{MARK}{quote}");
            let env: Env = [(name.clone(), value)].into_iter().collect();
            let flags = Overrides::default();

            let read = Sources::open(&env, None, &flags).read::<(Config, OldPassphrase)>();

            let errors = read.unwrap_err();
            let of_quotes = |error: &&bff::config::ConfigError| {
                error.name == name && error.problem.contains("without quotes around it")
            };
            assert_eq!(errors.0.iter().filter(of_quotes).count(), 1, "{errors}");
            assert!(!errors.to_string().contains(MARK), "{errors}");
        }
    }
    let env = Env::from([("DCR_CLIENT_NAME", "the \"new\" app")]);
    Config::load(&env, None, &Overrides::default()).unwrap();
}

#[test]
fn what_is_no_file_is_said_so_and_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let status = std::process::Command::new("mkfifo")
        .arg(path("fifo"))
        .status();
    assert!(status.unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    let secrets = SETTINGS.iter().filter_map(Setting::file_name);
    let names = secrets.chain(["BFF_CA_FILE", "BFF_CONFIG"].map(str::to_owned));
    for name in names {
        for (path, kind) in [
            (path("fifo"), "a FIFO"),
            (path("socket"), "a socket"),
            (path(""), "a directory"),
            ("/dev/zero".to_owned(), "a device"),
        ] {
            let env: Env = [(name.clone(), path)].into_iter().collect();
            let flags = Overrides::default();

            let read = Sources::open(&env, None, &flags).read::<(Config, OldPassphrase)>();

            let errors = read.unwrap_err();
            let expected = format!("it is {kind}, not a file");
            assert_eq!(errors.0[0].name, name, "{errors}");
            assert!(errors.0[0].problem.contains(&expected), "{errors}");
        }
    }
}
