//! The registration of the client.

#![expect(
    clippy::option_option,
    reason = "a wrong value and an unset one are different answers"
)]

mod members;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

pub use self::members::RedirectUpdateMode;

use self::members::{
    check_redirects, extra_metadata, redirect_update_mode, scope, without_repeats,
};
use super::mistakes::ConfigError;
use super::parse;
use super::reader::Reader;
use super::section::Section;
use super::settings::{
    ALLOW_BOOTSTRAP_FAILURE, AUTH_CLIENT_ID, BFF_ASSERTION_AUDIENCE, BFF_ASSERTION_TYPE,
    BFF_BASE_URL, BFF_BOOTSTRAP_TIMEOUT, BFF_CLIENT_CRED_PATH, BFF_DRIFT_CHECK, BFF_PROOF_INTERVAL,
    BOOTSTRAP_ADMIN_TOKEN, DCR_CLIENT_ID, DCR_CLIENT_NAME, DCR_CLIENT_PROFILE, DCR_ENABLED,
    DCR_FORCE_REPLACE, DCR_GRANT_TYPES, DCR_IAT, DCR_JWKS, DCR_JWKS_URI, DCR_REDIRECT_URIS,
    DCR_SIGNING_KEY, DCR_SOFTWARE_STATEMENT, IDP_BASE_URL, MS_BFF_TOKEN_AUTH_METHOD, SETTINGS,
    SKIP_DCR_BOOTSTRAP,
};
use crate::oauth::{AssertionType, EndpointUrl};
use crate::secret::Secret;

/// `client_name` if nothing else names the client.
const DEFAULT_CLIENT_NAME: &str = "bff-server";

const PROOF_INTERVALS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(30 * 24);

const DRIFT_CHECKS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(30 * 24);

const BOOTSTRAP_TIMEOUTS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(24);

/// Whether, how and as what the client is registered.
///
/// What registering needs is checked here if `enabled` and not `skip`: redirect URIs for the
/// grants that use them, and a `jwks_uri`.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct DcrConfig {
    /// Whether there is a registration at all.
    pub enabled: bool,
    /// Use the stored registration, without a request to the IdP at a start.
    pub skip: bool,
    /// Keep serving keys when the registration fails, instead of exiting.
    pub allow_failure: bool,
    /// The initial access token, used once; the service takes it out of here.
    pub iat: Option<Secret>,
    /// Why there is no such token although a file for it is configured: it is missing or empty,
    /// which is a mistake only until the token is used.
    pub iat_missing: Option<ConfigError>,
    /// The token of the IdP's administrator: mints an initial or renews a registration access
    /// token.
    pub idp_admin_token: Option<Secret>,
    /// The requested `client_id`.
    pub client_id: Option<String>,
    /// `client_name`.
    pub client_name: String,
    /// `client_profile`.
    pub client_profile: Option<String>,
    /// `redirect_uris`, exactly as they were given, none twice.
    pub redirect_uris: Vec<String>,
    /// `scope`: values with one space between them, none twice.
    pub scope: Option<String>,
    /// `grant_types`, none twice, never empty.
    pub grant_types: Vec<String>,
    /// How changed redirect URIs are updated.
    pub redirect_update_mode: RedirectUpdateMode,
    /// Replace the client, once per initial access token.
    pub force_replace: bool,
    /// How the IdP gets the keys.
    pub jwks: JwksMode,
    /// `jwks_uri`; always there if it is to be registered.
    pub jwks_uri: Option<EndpointUrl>,
    /// More members of the registration request; none that another setting decides.
    pub extra_metadata: Map<String, Value>,
    /// The software statement (RFC 7591 §2.3).
    pub software_statement: Option<Secret>,
    /// `aud` of client assertions.
    pub assertion_audience: AssertionAudience,
    /// `typ` of client assertions; found out if there is none.
    pub assertion_type: Option<AssertionType>,
    /// How often the key that signs is proven again, up to 30 days; zero means only at a start and
    /// after a rejection.
    pub proof_interval: Duration,
    /// How often the registration is read at the IdP and compared, up to 30 days; never if there is
    /// none.
    pub drift_check: Option<Duration>,
    /// Where the client's public data is written for the application.
    pub client_cred_path: Option<PathBuf>,
    /// How long transient failures are retried at start, up to 24 h; zero means one try.
    pub bootstrap_timeout: Duration,
}

/// `aud` of client assertions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AssertionAudience {
    /// What the IdP accepts, found out once.
    Auto,
    /// The URL called.
    Endpoint,
    /// The issuer.
    Issuer,
}

/// How the IdP gets the keys: one of the two, never both (RFC 7591 §2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JwksMode {
    /// `jwks_uri`: it fetches them.
    Uri,
    /// `jwks`: they are pushed.
    Value,
}

impl Section for DcrConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let enabled = enabled(reader);
        let skip = reader.value(SKIP_DCR_BOOTSTRAP, parse::boolean);
        let allow_failure = reader.value(ALLOW_BOOTSTRAP_FAILURE, parse::boolean);
        let (iat, iat_missing) = reader.used_up_secret(DCR_IAT, parse::token);
        let idp_admin_token = reader.secret(BOOTSTRAP_ADMIN_TOKEN, parse::token);
        let client_id = reader.either(DCR_CLIENT_ID, AUTH_CLIENT_ID, parse::client_id);
        let client_name = reader.optional(DCR_CLIENT_NAME, parse::line);
        let client_profile = reader.optional(DCR_CLIENT_PROFILE, parse::line);
        let redirect_uris = reader.list(DCR_REDIRECT_URIS, comma_or_space, parse::redirect_uri);
        let scope = scope(reader);
        let grant_types = reader.list(DCR_GRANT_TYPES, comma_or_space, parse::grant_type);
        let redirect_update_mode = redirect_update_mode(reader);
        let force_replace = reader.value(DCR_FORCE_REPLACE, parse::boolean);
        let jwks = reader.value(
            DCR_JWKS,
            parse::choice(&[("uri", JwksMode::Uri), ("value", JwksMode::Value)]),
        );
        let jwks_uri = jwks_uri(reader);
        let extra_metadata = extra_metadata(reader);
        let software_statement = reader.secret(DCR_SOFTWARE_STATEMENT, parse::jwt);
        let method = auth_method(reader);
        let assertion_audience = reader.value(
            BFF_ASSERTION_AUDIENCE,
            parse::choice(&[
                ("auto", AssertionAudience::Auto),
                ("issuer", AssertionAudience::Issuer),
                ("endpoint", AssertionAudience::Endpoint),
            ]),
        );
        let assertion_type = reader.value(
            BFF_ASSERTION_TYPE,
            parse::choice(&[
                ("auto", None),
                (
                    AssertionType::Explicit.value(),
                    Some(AssertionType::Explicit),
                ),
                (AssertionType::Jwt.value(), Some(AssertionType::Jwt)),
            ]),
        );
        let proof_interval = reader.value(BFF_PROOF_INTERVAL, parse::duration(PROOF_INTERVALS));
        let drift_check = reader.value(BFF_DRIFT_CHECK, parse::interval(DRIFT_CHECKS));
        let client_cred_path = reader.optional(BFF_CLIENT_CRED_PATH, parse::path);
        let bootstrap_timeout =
            reader.value(BFF_BOOTSTRAP_TIMEOUT, parse::duration(BOOTSTRAP_TIMEOUTS));

        let redirect_uris =
            redirect_uris.map(|uris| without_repeats(reader, DCR_REDIRECT_URIS, uris));
        let grant_types =
            grant_types.map(|grants| without_repeats(reader, DCR_GRANT_TYPES, grants));
        let registers = enabled == Some(true) && skip == Some(false);
        let redirects = grant_types.as_deref().zip(redirect_uris.as_deref());
        let fitting =
            redirects.map(|(grants, uris)| check_redirects(reader, grants, uris, registers));
        if let (true, Some(JwksMode::Uri), Some(None)) = (registers, jwks, &jwks_uri) {
            reader.missing::<()>(
                BFF_BASE_URL,
                "expected the URL at which the IdP reaches this service, such as \
                 https://bff.example; or set DCR_JWKS_URI or DCR_JWKS=value",
            );
        }

        let client_id = client_id?;
        fitting??;
        method?;
        Some(Self {
            enabled: enabled?,
            skip: skip?,
            allow_failure: allow_failure?,
            iat: iat?,
            iat_missing,
            idp_admin_token: idp_admin_token?,
            client_name: client_name?
                .or_else(|| client_id.clone())
                .unwrap_or_else(|| DEFAULT_CLIENT_NAME.to_owned()),
            client_id,
            client_profile: client_profile?,
            redirect_uris: redirect_uris?,
            scope: scope?,
            grant_types: grant_types?,
            redirect_update_mode: redirect_update_mode?,
            force_replace: force_replace?,
            jwks: jwks?,
            jwks_uri: jwks_uri?,
            extra_metadata: extra_metadata?,
            software_statement: software_statement?,
            assertion_audience: assertion_audience?,
            assertion_type: assertion_type?,
            proof_interval: proof_interval?,
            drift_check: drift_check?,
            client_cred_path: client_cred_path?,
            bootstrap_timeout: bootstrap_timeout?,
        })
    }
}

fn enabled(reader: &mut Reader<'_>) -> Option<bool> {
    let wished = reader.optional(DCR_ENABLED, parse::boolean)?;
    let has_idp = reader.is_set(IDP_BASE_URL);
    let enabled = wished.unwrap_or(has_idp);
    if enabled && !has_idp {
        reader.missing::<()>(
            IDP_BASE_URL,
            "expected the URL of the IdP, such as https://idp.example/api/oidc, to register there; \
             or set DCR_ENABLED=false",
        );
    }
    if !enabled {
        let reason = match wished {
            Some(_) => "while DCR_ENABLED is false",
            None => "without IDP_BASE_URL",
        };
        if reader.is_set(DCR_IAT) {
            reader.warn(
                DCR_IAT.name,
                format!("has no effect {reason}; remove the token if it is not needed"),
            );
        }
        if wished.is_none() {
            let idle: Vec<_> = SETTINGS
                .iter()
                .filter(|setting| setting.name.starts_with("DCR_") && !setting.is_secret())
                .filter(|setting| reader.is_changed(**setting) && **setting != DCR_SIGNING_KEY)
                .map(|setting| setting.name)
                .collect();
            if !idle.is_empty() {
                reader.warn(
                    IDP_BASE_URL.name,
                    format!(
                        "is not set, so no client is registered and these have no effect: {}",
                        idle.join(", ")
                    ),
                );
            }
        }
    }
    Some(enabled)
}

fn jwks_uri(reader: &mut Reader<'_>) -> Option<Option<EndpointUrl>> {
    let base_url = reader.optional(BFF_BASE_URL, |text| parse::base_url(text, true));
    let own = reader.optional(DCR_JWKS_URI, |text| parse::endpoint_url(text, true));
    let (setting, url) = match (own?, base_url?) {
        (Some(url), _) => (DCR_JWKS_URI, url),
        (None, Some(base)) => (BFF_BASE_URL, base.append("/.well-known/jwks.json")),
        (None, None) => return Some(None),
    };
    if url.is_insecure() {
        reader.warn(
            setting.name,
            "uses http: an IdP may refuse it, and anyone on the network path can replace the keys",
        );
    }
    let idp = reader.optional(IDP_BASE_URL, |text| parse::base_url(text, true))?;
    if url.is_loopback() && idp.is_some_and(|idp| !idp.is_loopback()) {
        reader.warn(
            setting.name,
            "is on loopback, where an IdP on another host cannot fetch the JWK Set",
        );
    }
    Some(Some(url))
}

fn auth_method(reader: &mut Reader<'_>) -> Option<()> {
    reader.value(MS_BFF_TOKEN_AUTH_METHOD, |text| match text {
        "private_key_jwt" => Ok(()),
        _ => Err(parse::Wrong::expected(
            "private_key_jwt, the only method that this service authenticates with",
        )),
    })
}

/// What stands between the items of a list.
fn comma_or_space(c: char) -> bool {
    c == ',' || c.is_whitespace()
}
