//! Client metadata: what a request asks for, and what it gets (RFC 7591 §2).

use axum::http::Uri;
use serde_json::{Map, Value, json};
use url::{Host, Url};

use crate::config::{Config, Policy};
use crate::refusal::Refusal;

const STRINGS: [&str; 15] = [
    "client_name",
    "client_profile",
    "client_uri",
    "id_token_signed_response_alg",
    "initiate_login_uri",
    "jwks_uri",
    "logo_uri",
    "policy_uri",
    "scope",
    "software_id",
    "software_version",
    "subject_type",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "tos_uri",
];
const ARRAYS: [&str; 5] = [
    "contacts",
    "grant_types",
    "post_logout_redirect_uris",
    "redirect_uris",
    "response_types",
];
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Turns a request into the metadata that is registered, or says what is wrong with it.
///
/// Nulls count as absent, and names that are not known are dropped (RFC 7591 §2).
pub(crate) fn accept(
    config: &Config,
    asked: &Map<String, Value>,
) -> Result<Map<String, Value>, Refusal> {
    let mut metadata = known_members(asked)?;
    apply_profile(config, &mut metadata)?;
    apply_defaults(&mut metadata);
    check_authentication(&config.policy, &metadata)?;
    check_keys(&config.policy, &metadata)?;
    check_grants(&config.policy, &metadata)?;
    check_redirect_uris(&config.policy, &metadata)?;
    check_scope(&config.policy, &metadata)?;
    Ok(metadata)
}

fn known_members(asked: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    let mut metadata = Map::new();
    for (name, value) in asked {
        let name = name.as_str();
        if value.is_null() {
            continue;
        }
        let (known, well_formed) = if STRINGS.contains(&name) {
            (true, value.is_string())
        } else if ARRAYS.contains(&name) {
            (true, is_array_of_strings(value))
        } else {
            (name == "jwks", value.is_object())
        };
        if known && !well_formed {
            return Err(invalid(format!("{name} has the wrong JSON type")));
        }
        if known {
            metadata.insert(name.to_owned(), value.clone());
        }
    }
    Ok(metadata)
}

fn apply_profile(config: &Config, metadata: &mut Map<String, Value>) -> Result<(), Refusal> {
    let Some(name) = metadata.get("client_profile").and_then(Value::as_str) else {
        return Ok(());
    };
    let Some(profile) = config.client_profiles.get(name) else {
        return Err(invalid(format!(
            "client_profile {name} is not in client_profiles"
        )));
    };
    let name = name.to_owned();
    let method = Value::from(profile.token_endpoint_auth_method.as_str());
    if *metadata
        .entry("token_endpoint_auth_method")
        .or_insert_with(|| method.clone())
        != method
    {
        return Err(invalid(format!(
            "client_profile {name} needs token_endpoint_auth_method {}",
            profile.token_endpoint_auth_method
        )));
    }
    metadata
        .entry("grant_types")
        .or_insert_with(|| json!(profile.grant_types));
    if let Some(foreign) =
        strings(metadata, "grant_types").find(|grant| !contains(&profile.grant_types, grant))
    {
        return Err(invalid(format!(
            "grant type {foreign} is not in client_profile {name}"
        )));
    }
    if strings(metadata, "grant_types").any(|grant| grant == "authorization_code") {
        metadata
            .entry("response_types")
            .or_insert_with(|| json!(profile.response_types));
    }
    if let Some(scope) = &profile.scope {
        metadata.entry("scope").or_insert_with(|| json!(scope));
    }
    Ok(())
}

fn apply_defaults(metadata: &mut Map<String, Value>) {
    metadata
        .entry("token_endpoint_auth_method")
        .or_insert_with(|| json!("client_secret_basic"));
    metadata
        .entry("grant_types")
        .or_insert_with(|| json!(["authorization_code"]));
    let code = strings(metadata, "grant_types").any(|grant| grant == "authorization_code");
    metadata.entry("response_types").or_insert_with(
        || {
            if code { json!(["code"]) } else { json!([]) }
        },
    );
}

fn check_authentication(policy: &Policy, metadata: &Map<String, Value>) -> Result<(), Refusal> {
    if text(metadata, "token_endpoint_auth_method") != Some("private_key_jwt") {
        return Err(invalid(
            "token_endpoint_auth_method must be private_key_jwt (absent means client_secret_basic)",
        ));
    }
    match text(metadata, "token_endpoint_auth_signing_alg") {
        Some(alg) if !contains(&policy.allowed_signing_algs, alg) => Err(invalid(format!(
            "token_endpoint_auth_signing_alg {alg} is not supported"
        ))),
        _ => Ok(()),
    }
}

fn check_keys(policy: &Policy, metadata: &Map<String, Value>) -> Result<(), Refusal> {
    match (text(metadata, "jwks_uri"), metadata.get("jwks")) {
        (Some(_), Some(_)) => Err(invalid("jwks and jwks_uri must not both be present")),
        (None, None) => Err(invalid("private_key_jwt needs jwks_uri or jwks")),
        (Some(uri), None) => match Url::parse(uri) {
            Ok(url) if url.scheme() == "https" => Ok(()),
            Ok(url) if url.scheme() == "http" && policy.allow_http_jwks_uri => Ok(()),
            _ => Err(invalid("jwks_uri must be an https URL")),
        },
        (None, Some(jwks)) => check_jwks(jwks),
    }
}

/// Refuses what is not a set of public keys (RFC 7517 §5).
pub(crate) fn check_jwks(jwks: &Value) -> Result<(), Refusal> {
    let keys = jwks.get("keys").and_then(Value::as_array);
    let Some(keys) = keys.filter(|keys| !keys.is_empty()) else {
        return Err(invalid("the JWK Set has no keys"));
    };
    for key in keys.iter().filter_map(Value::as_object) {
        if PRIVATE_MEMBERS.iter().any(|name| key.contains_key(*name)) {
            return Err(invalid("the JWK Set holds private or symmetric keys"));
        }
    }
    Ok(())
}

fn check_grants(policy: &Policy, metadata: &Map<String, Value>) -> Result<(), Refusal> {
    if let Some(foreign) =
        strings(metadata, "grant_types").find(|grant| !contains(&policy.allowed_grant_types, grant))
    {
        return Err(invalid(format!(
            "grant type {foreign} is not in policy.allowed_grant_types"
        )));
    }
    if let Some(other) = strings(metadata, "response_types").find(|kind| *kind != "code") {
        return Err(invalid(format!("response type {other} is not supported")));
    }
    let code_grant = strings(metadata, "grant_types").any(|grant| grant == "authorization_code");
    let code_response = strings(metadata, "response_types").next().is_some();
    if code_grant == code_response {
        Ok(())
    } else {
        Err(invalid(
            "grant type authorization_code and response type code go together",
        ))
    }
}

fn check_redirect_uris(policy: &Policy, metadata: &Map<String, Value>) -> Result<(), Refusal> {
    let refuse = |why: String| Refusal::bad_request("invalid_redirect_uri", why);
    for uri in strings(metadata, "redirect_uris") {
        let Ok(url) = Url::parse(uri) else {
            return Err(refuse(format!("{uri} is not a URI")));
        };
        let app_scheme = url.scheme().contains('.');
        let loopback_http =
            url.scheme() == "http" && policy.allow_http_loopback_redirects && is_loopback(&url);
        if url.fragment().is_some() {
            return Err(refuse(format!("{uri} has a fragment")));
        }
        if url.scheme() != "https" && !app_scheme && !loopback_http {
            return Err(refuse(format!("{uri} must be https, or http on loopback")));
        }
    }
    let needed = strings(metadata, "grant_types").any(|grant| grant == "authorization_code");
    if needed && strings(metadata, "redirect_uris").next().is_none() {
        return Err(refuse(
            "grant type authorization_code needs redirect_uris".to_owned(),
        ));
    }
    Ok(())
}

fn check_scope(policy: &Policy, metadata: &Map<String, Value>) -> Result<(), Refusal> {
    let scope = text(metadata, "scope").unwrap_or_default();
    match scope
        .split_whitespace()
        .find(|scope| !contains(&policy.allowed_scopes, scope))
    {
        Some(foreign) => Err(Refusal::bad_request(
            "invalid_scope",
            format!("{foreign} is not in policy.allowed_scopes"),
        )),
        None => Ok(()),
    }
}

/// Refuses a requested `client_id` that could not stand in a URL path.
pub(crate) fn check_client_id(client_id: &str) -> Result<(), Refusal> {
    let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    if client_id.is_empty()
        || client_id.len() > 128
        || !client_id.chars().all(unreserved)
        || client_id.parse::<Uri>().is_err()
    {
        return Err(invalid("client_id may hold letters, digits and -._~ only"));
    }
    Ok(())
}

pub(crate) fn invalid(why: impl Into<String>) -> Refusal {
    Refusal::bad_request("invalid_client_metadata", why)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn is_array_of_strings(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|values| values.iter().all(Value::is_string))
}

fn text<'m>(metadata: &'m Map<String, Value>, member: &str) -> Option<&'m str> {
    metadata.get(member)?.as_str()
}

fn strings<'m>(
    metadata: &'m Map<String, Value>,
    member: &str,
) -> impl Iterator<Item = &'m str> + use<'m> {
    let values = metadata.get(member).and_then(Value::as_array);
    values.into_iter().flatten().filter_map(Value::as_str)
}

fn contains(list: &[String], value: &str) -> bool {
    list.iter().any(|have| have == value)
}
