//! What settings mean: precedence, other names, what fits together, and what is warned about.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bff::config::{
    Config, ConfigErrors, Env, KeysConfig, ListenConfig, MintConfig, Overrides, RedirectUpdateMode,
    Sources,
};
use bff::jose::Algorithm;

/// Settings, the one that is reported, and a part of the report.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);

/// What a usual operator sets.
const USUAL: [(&str, &str); 3] = [
    ("BFF_BASE_URL", "https://bff.example/app/"),
    ("DCR_REDIRECT_URIS", "https://app.example/cb"),
    ("IDP_BASE_URL", "https://idp.example/api/oidc/"),
];

#[test]
fn a_flag_is_stronger_than_the_environment_that_than_the_file_and_that_than_the_default() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bff.toml");
    fs::write(
        &file,
        "bff_kid = \"file\"\nbff_keys_dir = \"file\"\nbff_jwks_max_age = 60\nbff_log = \"\"\n",
    )
    .unwrap();
    let env = Env::from([
        ("BFF_KID", "environment"),
        ("BFF_KEYS_DIR", "environment"),
        ("BFF_JWKS_MAX_AGE", ""),
    ]);
    let flags = Overrides::from([("BFF_KID", "flag")]);

    let config = Config::load(&env, Some(&file), &flags).unwrap();

    assert_eq!(config.keys.kid.unwrap().as_str(), "flag");
    assert_eq!(config.keys.keys_dir, Path::new("environment"));
    assert_eq!(config.rotation.jwks_max_age, Duration::from_mins(1));
    assert_eq!(config.log.filter, "info");
}

#[test]
fn the_file_is_that_of_the_flag_else_of_the_variable_and_must_exist() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| {
        let path = directory.path().join(name);
        fs::write(&path, format!("bff_kid = \"{name}\"")).unwrap();
        path
    };
    let env = Env::from([("BFF_CONFIG", path("of-variable"))]);
    let kid = |file: Option<PathBuf>| {
        let config = Config::load(&env, file.as_deref(), &Overrides::default());
        config.unwrap().keys.kid.unwrap().as_str().to_owned()
    };

    assert_eq!(kid(None), "of-variable");
    assert_eq!(kid(Some(path("of-flag"))), "of-flag");

    let missing = Env::from([("BFF_CONFIG", "/nowhere/bff.toml"), ("BFF_LISTEN", "foo")]);
    let lines = refused(&missing);
    assert!(lines[0].starts_with("BFF_CONFIG (environment): cannot read \"/nowhere/bff.toml\""));
    assert!(
        lines[1].starts_with("BFF_LISTEN"),
        "the rest is checked too"
    );
}

#[test]
fn the_file_takes_the_types_of_toml() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bff.toml");
    fs::write(
        &file,
        r#"
        bff_base_url = "https://bff.example"
        bff_allow_insecure_http = true
        bff_jwk_rotate_after_days = 0
        bff_rotation_prepublish = "1h"
        bff_log_format = "JSON"
        dcr_grant_types = ["authorization_code", "refresh_token"]
        dcr_redirect_uris = ["https://app.example/cb?a=1,2", "http://localhost:3000/cb"]
        dcr_extra_metadata = { contacts = ["ops@app.example"], n = 1, deep = { on = true } }
        idp_base_url = "http://idp:8002/api/oidc"
        "#,
    )
    .unwrap();

    let config = Config::load(&Env::default(), Some(&file), &Overrides::default()).unwrap();

    assert_eq!(config.rotation.rotate_after, None);
    assert_eq!(config.rotation.prepublish, Duration::from_hours(1));
    assert_eq!(config.log.text, Some(false));
    assert_eq!(
        config.dcr.grant_types,
        ["authorization_code", "refresh_token"]
    );
    assert_eq!(
        config.dcr.redirect_uris,
        ["https://app.example/cb?a=1,2", "http://localhost:3000/cb"]
    );
    assert_eq!(
        serde_json::Value::from(config.dcr.extra_metadata),
        serde_json::json!({"contacts": ["ops@app.example"], "n": 1, "deep": {"on": true}})
    );
    assert_eq!(
        config.idp.unwrap().base_url.as_str(),
        "http://idp:8002/api/oidc"
    );
    assert_eq!(config.warnings[0].name, "BFF_ALLOW_INSECURE_HTTP");
}

#[test]
fn the_usual_settings_register_a_client_and_the_rest_follows_from_them() {
    let config = usual(&[]).unwrap();

    let idp = config.idp.unwrap();
    assert!(config.dcr.enabled);
    assert_eq!(
        idp.issuer, "https://idp.example/api/oidc/",
        "exactly as given"
    );
    assert_eq!(idp.admin_base_url.as_str(), "https://idp.example/api/admin");
    assert_eq!(
        idp.fallback_registration_endpoint().as_str(),
        "https://idp.example/api/oidc/dcr/register"
    );
    assert_eq!(
        config.dcr.jwks_uri.unwrap().as_str(),
        "https://bff.example/app/.well-known/jwks.json"
    );
    assert_eq!(config.dcr.client_name, "bff-server");
    assert_eq!(config.keys.state_dir, Path::new("keys"));
    assert_eq!(config.warnings, []);
}

#[test]
fn other_names_are_accepted_alone_and_must_agree_with_the_first() {
    let config = usual(&[
        ("DCR_SIGNING_KEY", "keys/a.pem"),
        ("AUTH_CLIENT_ID", "app"),
        ("OIDC_SCOPES", "openid  profile openid"),
        ("DCR_ROTATION_SAFE", "yes"),
    ])
    .unwrap();
    assert_eq!(config.keys.signing_key.unwrap(), Path::new("keys/a.pem"));
    assert_eq!(config.dcr.client_id.unwrap(), "app");
    assert_eq!(config.dcr.client_name, "app");
    assert_eq!(config.dcr.scope.unwrap(), "openid profile");
    assert_eq!(config.dcr.redirect_update_mode, RedirectUpdateMode::Merge);

    let agreeing = [("DCR_SCOPE", "a b"), ("OIDC_SCOPES", "b a")];
    assert_eq!(usual(&agreeing).unwrap().dcr.scope.unwrap(), "a b");

    for (first, one, second, other) in [
        ("BFF_JWT_SIGNING_KEY", "a.pem", "DCR_SIGNING_KEY", "b.pem"),
        ("DCR_CLIENT_ID", "a", "AUTH_CLIENT_ID", "b"),
        ("DCR_SCOPE", "a b", "OIDC_SCOPES", "a"),
        (
            "DCR_REDIRECT_UPDATE_MODE",
            "replace",
            "DCR_ROTATION_SAFE",
            "true",
        ),
    ] {
        let errors = usual(&[(first, one), (second, other)]).unwrap_err();
        assert_eq!(errors.0.len(), 1, "{errors}");
        assert_eq!(errors.0[0].name, second);
        assert!(errors.0[0].problem.contains(first), "{errors}");
    }
}

#[test]
fn what_does_not_fit_together_is_an_error_that_says_what_would() {
    let cases: [Case<'_>; 17] = [
        (
            &[
                ("BFF_JWKS_MAX_AGE", "1h"),
                ("BFF_ROTATION_PREPUBLISH", "1h"),
            ],
            "BFF_ROTATION_PREPUBLISH",
            "at least 1h1m",
        ),
        (
            &[("BFF_JWK_ROTATE_AFTER_DAYS", "90")],
            "BFF_JWK_RETIRE_AFTER_DAYS",
            "at least BFF_JWK_ROTATE_AFTER_DAYS (90)",
        ),
        (
            &[("BFF_JWK_MAX_KEYS", "1")],
            "BFF_JWK_MAX_KEYS",
            "from 2 to 100",
        ),
        (
            &[("BFF_ADMIN_LISTEN", "127.0.0.1:8000")],
            "BFF_ADMIN_LISTEN",
            "another port",
        ),
        (
            &[("DCR_REDIRECT_URIS", "")],
            "DCR_REDIRECT_URIS",
            "DCR_GRANT_TYPES=client_credentials",
        ),
        (&[("BFF_BASE_URL", "")], "BFF_BASE_URL", "DCR_JWKS=value"),
        (
            &[("IDP_BASE_URL", ""), ("DCR_ENABLED", "true")],
            "IDP_BASE_URL",
            "DCR_ENABLED=false",
        ),
        (
            &[("DCR_GRANT_TYPES", "refresh_token implicit")],
            "DCR_GRANT_TYPES",
            "RFC 9700",
        ),
        (
            &[("OIDC_TOKEN_URL", "https://idp.example/a/../token")],
            "OIDC_TOKEN_URL",
            "`/token`",
        ),
        (
            &[("IDP_BASE_URL", "https://bücher.example")],
            "IDP_BASE_URL",
            "xn--bcher-kva.example",
        ),
        (
            &[("OIDC_TOKEN_URL", "http://idp:8002/token")],
            "OIDC_TOKEN_URL",
            "BFF_ALLOW_INSECURE_HTTP",
        ),
        (
            &[("BFF_BASE_URL", "https://bff.example/?a=b")],
            "BFF_BASE_URL",
            "without a query",
        ),
        (
            &[(
                "IDP_BASE_URL",
                "https://idp.example/.well-known/openid-configuration",
            )],
            "IDP_BASE_URL",
            "before /.well-known/",
        ),
        (
            &[("DCR_EXTRA_METADATA", r#"{"jwks_uri":"https://x.example"}"#)],
            "DCR_EXTRA_METADATA",
            "`jwks_uri`: set DCR_JWKS_URI",
        ),
        (
            &[("DCR_EXTRA_METADATA", "[]")],
            "DCR_EXTRA_METADATA",
            "a JSON object",
        ),
        (
            &[("DCR_GRANT_TYPES", "authorisation_code")],
            "DCR_GRANT_TYPES",
            "authorization_code",
        ),
        (&[("BFF_KID", &"k".repeat(129))], "BFF_KID", "1 to 128"),
    ];

    for (settings, name, part) in cases {
        let errors = usual(settings).unwrap_err();
        assert_eq!(errors.0.len(), 1, "{errors}");
        assert_eq!(errors.0[0].name, name);
        assert!(errors.0[0].problem.contains(part), "{errors}");
    }
}

#[test]
fn what_looks_close_to_a_mistake_is_permitted_where_it_is_none() {
    let cases: [&[(&str, &str)]; 8] = [
        // The default of the waiting time grows with the cache lifetime.
        &[("BFF_JWKS_MAX_AGE", "24h")],
        &[
            ("BFF_JWK_ROTATE_AFTER_DAYS", "0"),
            ("BFF_JWK_RETIRE_AFTER_DAYS", "0"),
        ],
        &[
            ("BFF_LISTEN", "127.0.0.1:0"),
            ("BFF_ADMIN_LISTEN", "127.0.0.1:0"),
        ],
        &[
            ("BFF_LISTEN", "127.0.0.1:80"),
            ("BFF_ADMIN_LISTEN", "127.0.0.2:80"),
        ],
        &[("DCR_REDIRECT_URIS", ""), ("SKIP_DCR_BOOTSTRAP", "1")],
        &[
            ("DCR_REDIRECT_URIS", ""),
            ("DCR_GRANT_TYPES", "client_credentials"),
        ],
        &[("BFF_BASE_URL", ""), ("DCR_JWKS", "value")],
        &[
            ("IDP_BASE_URL", "http://127.0.0.1:8002"),
            ("BFF_BASE_URL", "http://localhost:8000"),
        ],
    ];

    for settings in cases {
        let config = usual(settings).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(config.warnings, [], "{settings:?}");
    }
    assert_eq!(
        usual(&[("DCR_GRANT_TYPES", ",")]).unwrap().dcr.grant_types,
        ["authorization_code"]
    );
    let raised = usual(&[("BFF_JWKS_MAX_AGE", "24h")]).unwrap();
    assert_eq!(raised.rotation.prepublish, Duration::from_mins(24 * 60 + 1));
}

#[test]
fn what_is_probably_not_meant_is_warned_about() {
    let cases: [Case<'_>; 14] = [
        (
            &[("BFF_LISEN", "x")],
            "BFF_LISEN",
            "did you mean BFF_LISTEN?",
        ),
        (
            &[("DCR_REDIRECT_URI", "x")],
            "DCR_REDIRECT_URI",
            "did you mean DCR_REDIRECT_URIS?",
        ),
        (
            &[("BFF_KEYS_DIR_FILE", "x")],
            "BFF_KEYS_DIR_FILE",
            "set BFF_KEYS_DIR",
        ),
        (
            &[("BFF_XYZZY_PLUGH", "x")],
            "BFF_XYZZY_PLUGH",
            "not a setting",
        ),
        (
            &[("IDP_BASEURL", "x")],
            "IDP_BASEURL",
            "did you mean IDP_BASE_URL?",
        ),
        (
            &[("BFF_ADMIN_TOKEN", "short")],
            "BFF_ADMIN_TOKEN",
            "16 characters",
        ),
        (
            &[("BFF_BASE_URL", "http://bff:8000")],
            "BFF_BASE_URL",
            "http",
        ),
        (
            &[("BFF_BASE_URL", "https://localhost")],
            "BFF_BASE_URL",
            "loopback",
        ),
        (&[("DCR_SCOPE", "openid,profile")], "DCR_SCOPE", "comma"),
        (
            &[("DCR_GRANT_TYPES", "client_credentials")],
            "DCR_REDIRECT_URIS",
            "no effect, because no grant type",
        ),
        (
            &[("DCR_REDIRECT_URIS", "https://a.example https://a.example")],
            "DCR_REDIRECT_URIS",
            "twice",
        ),
        (
            &[("DCR_ENABLED", "false"), ("DCR_IAT", "t")],
            "DCR_IAT",
            "while DCR_ENABLED is false",
        ),
        (
            &[("IDP_BASE_URL", "")],
            "IDP_BASE_URL",
            "no effect: DCR_REDIRECT_URIS",
        ),
        (
            &[
                ("BFF_ALLOW_INSECURE_HTTP", "1"),
                ("IDP_BASE_URL", "http://idp"),
            ],
            "BFF_ALLOW_INSECURE_HTTP",
            "unencrypted",
        ),
    ];

    for (settings, name, part) in cases {
        let warnings = usual(settings)
            .unwrap_or_else(|errors| panic!("{errors}"))
            .warnings;
        assert_eq!(warnings.len(), 1, "{settings:?} {warnings:?}");
        assert_eq!(warnings[0].name, name);
        assert!(warnings[0].message.contains(part), "{}", warnings[0]);
    }
}

#[test]
fn variables_of_others_are_not_warned_about() {
    let config = usual(&[
        ("BFF_PORT", "tcp://10.0.0.1:80"),
        ("BFF_PORT_80_TCP_PROTO", "tcp"),
        ("BFF_SERVICE_HOST", "10.0.0.1"),
        ("BFF_UNSET", ""),
        ("DCR_IAT_FILE", ""),
        ("IDP_CLIENT_SECRET", "x"),
        ("OIDC_CLIENT_ID", "x"),
    ])
    .unwrap();

    assert_eq!(config.warnings, []);
}

#[test]
fn a_command_that_reads_a_part_does_not_meet_the_mistakes_of_another() {
    let env = Env::from([
        ("BFF_LISTEN", "foo"),
        ("BFF_SIGNING_ALG", "EdDSA"),
        ("BOOTSTRAP_ADMIN_TOKEN", "token"),
        ("IDP_BASE_URL", "https://idp.example"),
    ]);
    let sources = Sources::open(&env, None, &Overrides::default());

    let ((keys, mint), _) = sources.read::<(KeysConfig, MintConfig)>().unwrap();
    assert_eq!(keys.algorithm, Some(Algorithm::EdDsa));
    assert_eq!(mint.idp_admin_token.unwrap().expose(), "token");
    assert_eq!(sources.read::<ListenConfig>().unwrap_err().0.len(), 1);

    let without_idp = Sources::open(&Env::default(), None, &Overrides::default());
    let errors = without_idp.read::<MintConfig>().unwrap_err();
    assert_eq!(errors.0[0].name, "IDP_BASE_URL");
}

#[test]
fn the_log_has_no_colours_if_no_color_says_anything() {
    for (value, colour) in [("", true), ("1", false), ("false", false)] {
        let config = usual(&[("NO_COLOR", value)]).unwrap();

        assert_eq!(config.log.colour, colour, "{value:?}");
        assert_eq!(config.warnings, []);
    }
}

#[test]
fn the_registration_is_looked_at_daily_unless_told_otherwise() {
    let daily = Some(Duration::from_hours(24));
    for (text, expected) in [
        ("", daily),
        ("90m", Some(Duration::from_mins(90))),
        ("0", None),
        ("off", None),
    ] {
        let config = usual(&[("BFF_DRIFT_CHECK", text)]).unwrap();

        assert_eq!(config.dcr.drift_check, expected, "{text:?}");
    }
}

#[test]
fn the_file_for_the_application_cannot_be_one_of_ours() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().display();
    let keys = format!("{root}/keys");
    fs::create_dir(directory.path().join("state")).unwrap();
    let state = format!("{root}/state");
    let ours = [
        format!("{keys}/state.json"),
        format!("{keys}/../keys/./state.previous.json"),
        format!("{root}/new/../keys/any.pem"),
        format!("{keys}/ANY.PEM"),
        format!("{keys}/bff.lock"),
        format!("{state}/state.revisions"),
        format!("{state}/.bff-tmp-1"),
        format!("{root}/./state/state.json"),
    ];
    let others = [
        format!("{keys}/client.json"),
        format!("{root}/state.json"),
        format!("{state}/app/state.json"),
    ];
    let load = |path: &str| {
        usual(&[
            ("BFF_KEYS_DIR", &keys),
            ("BFF_STATE_DIR", &state),
            ("BFF_CLIENT_CRED_PATH", path),
        ])
    };

    for path in ours {
        let errors = load(&path).map(drop).unwrap_err().to_string();
        assert!(
            errors.starts_with("BFF_CLIENT_CRED_PATH"),
            "{path}: {errors}"
        );
    }
    for path in others {
        assert!(load(&path).is_ok(), "{path}");
    }
}

fn usual(more: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let env: Env = USUAL.iter().chain(more).copied().collect();
    Config::load(&env, None, &Overrides::default())
}

fn refused(env: &Env) -> Vec<String> {
    let errors = Config::load(env, None, &Overrides::default()).unwrap_err();
    errors.to_string().lines().map(str::to_owned).collect()
}
