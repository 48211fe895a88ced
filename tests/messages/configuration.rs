//! The mistakes and oddities of a configuration.

use std::fmt::Write as _;

use crate::config::settings::SETTINGS;
use crate::config::{Config, Env, OldPassphrase, Overrides, Sources};

/// A control character, which no setting takes.
const BELL: &str = "\u{7}";

/// Settings that are wrong or odd for reasons of their own.
const CASES: &[&[(&str, &str)]] = &[
    &[("BFF_ADMIN_LISTEN", "0.0.0.0:8000")],
    &[("BFF_ADMIN_TOKEN", "short")],
    &[("BFF_BASE_URL", "http://bff.example")],
    &[("BFF_BASE_URL", "https://bff.example/?a=b")],
    &[("BFF_BASE_URL", "https://bff.example/.well-known/jwks.json")],
    &[("BFF_CA_FILE", "/")],
    &[("BFF_CA_FILE", "/nowhere/ca.pem")],
    &[("BFF_ADMIN_TOKEN_FILE", "/nowhere/token")],
    &[("BFF_ADMIN_TOKEN_FILE", "/dev/null")],
    &[("BFF_ADMIN_TOKEN", "a b")],
    &[
        ("BFF_ADMIN_TOKEN", "one"),
        ("BFF_ADMIN_TOKEN_FILE", "/dev/null"),
    ],
    &[("BFF_JWT_SIGNING_KEY", "-----BEGIN CERTIFICATE-----")],
    &[
        ("BFF_JWT_SIGNING_KEY", "one.pem"),
        ("DCR_SIGNING_KEY", "other.pem"),
    ],
    &[("BFF_KEYS_DIR", "\"keys\"")],
    &[("DCR_IAT_FILE", "/nowhere/iat")],
    &[("BFF_JWK_MAX_KEYS", "1")],
    &[("BFF_JWK_ROTATE_AFTER_DAYS", "90")],
    &[("BFF_ROTATION_PREPUBLISH", "1s")],
    &[("BFF_KEYS_GROUP", "no-such-group")],
    &[("BFF_KEYS_DIR_FILE", "/x")],
    &[("BFF_LISEN", ":1")],
    &[("BFF_SOMETHING_ELSE_ENTIRELY", "1")],
    &[("BFF_CONFIG", "/nowhere/bff.toml")],
    &[("DCR_ENABLED", "true")],
    &[("DCR_ENABLED", "false"), ("DCR_IAT", "token")],
    &[("DCR_IAT", "token")],
    &[("DCR_SCOPE", "openid,profile")],
    &[("DCR_SCOPE", "openid"), ("OIDC_SCOPES", "email")],
    &[
        ("DCR_REDIRECT_UPDATE_MODE", "replace"),
        ("DCR_ROTATION_SAFE", "true"),
    ],
    &[("DCR_EXTRA_METADATA", "[]")],
    &[("DCR_EXTRA_METADATA", "{")],
    &[("DCR_EXTRA_METADATA", r#"{"scope":"openid"}"#)],
    &[("DCR_GRANT_TYPES", "implicit")],
    &[("DCR_GRANT_TYPES", "pass word\"")],
    &[
        ("DCR_GRANT_TYPES", "client_credentials"),
        ("DCR_REDIRECT_URIS", "https://app.example/cb"),
    ],
    &[(
        "DCR_REDIRECT_URIS",
        "https://app.example/cb https://app.example/cb",
    )],
    &[("DCR_REDIRECT_URIS", "http://app.example/cb")],
    &[("DCR_REDIRECT_URIS", "https://app.example/cb#x")],
    &[("DCR_SOFTWARE_STATEMENT", "a.b")],
    &[("IDP_BASE_URL", "https://idp.example")],
    &[
        ("IDP_BASE_URL", "https://idp.example"),
        ("BFF_BASE_URL", "https://localhost:8000"),
        ("DCR_GRANT_TYPES", "client_credentials"),
    ],
    &[
        ("IDP_BASE_URL", "http://idp.example"),
        ("DCR_ENABLED", "false"),
    ],
    &[
        ("IDP_BASE_URL", "http://idp.example"),
        ("BFF_ALLOW_INSECURE_HTTP", "true"),
        ("DCR_ENABLED", "false"),
    ],
    &[
        ("IDP_BASE_URL", "https://me:pw@idp.example"),
        ("DCR_ENABLED", "false"),
    ],
    &[
        ("IDP_BASE_URL", "https://b\u{fc}cher.example"),
        ("DCR_ENABLED", "false"),
    ],
    &[
        ("IDP_BASE_URL", "https://idp.example/a b"),
        ("DCR_ENABLED", "false"),
    ],
    &[
        ("IDP_BASE_URL", "https://idp.example/a/../b"),
        ("DCR_ENABLED", "false"),
    ],
    &[("MS_BFF_TOKEN_AUTH_METHOD", "client_secret_basic")],
];

/// Settings that are wrong as flags.
const FLAGS: &[(&str, &str)] = &[("DCR_IAT", "token"), ("BFF_NOTHING", "1")];

pub(super) fn messages() -> String {
    let mut text = String::from("== Configuration\n");
    let nothing = Overrides::default();
    for setting in SETTINGS {
        let found = of(&Env::from([(setting.name, BELL)]), &nothing);
        assert!(
            !found.is_empty(),
            "{} takes a control character",
            setting.name
        );
        add(&mut text, &format!("{}=\\u{{7}}", setting.name), &found);
    }
    for case in CASES {
        let name: Vec<_> = case
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let found = of(&case.iter().copied().collect(), &nothing);
        assert!(!found.is_empty(), "nothing is wrong about {name:?}");
        add(&mut text, &name.join(" "), &found);
    }
    for (name, value) in FLAGS {
        let found = of(&Env::default(), &Overrides::from([(*name, *value)]));
        add(&mut text, &format!("flag {name}={value}"), &found);
    }
    text
}

fn add(text: &mut String, name: &str, found: &[String]) {
    writeln!(text, "\n{name}").unwrap();
    for line in found {
        writeln!(text, "  {line}").unwrap();
    }
}

/// Mistakes, or else warnings.
fn of(env: &Env, flags: &Overrides) -> Vec<String> {
    if let Err(errors) = Sources::open(env, None, flags).read::<(Config, OldPassphrase)>() {
        return errors.0.iter().map(ToString::to_string).collect();
    }
    let config = Config::load(env, None, flags).unwrap();
    let warnings = config.warnings.iter();
    warnings
        .map(|warning| format!("warning: {warning}"))
        .collect()
}
