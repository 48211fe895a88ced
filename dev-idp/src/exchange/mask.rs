//! Bodies and request targets without their secrets.

use axum::http::{HeaderMap, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::header_fields::has_media_type;
use crate::token::fingerprint;

const MASK: &str = "***";
const SECRETS: [&str; 11] = [
    "access_token",
    "admin_token",
    "assertion",
    "client_secret",
    "code",
    "code_verifier",
    "id_token",
    "password",
    "refresh_token",
    "registration_access_token",
    "token",
];
/// Longest text that is shown as it is, in octets.
const SHOWN: usize = 2048;

pub(super) fn target(uri: &Uri) -> String {
    let Some(query) = uri.query() else {
        return uri.path().to_owned();
    };
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| match &*name {
            "client_id" => format!("{name}={value}"),
            _ => format!("{name}={MASK}"),
        })
        .collect();
    format!("{}?{}", uri.path(), pairs.join("&"))
}

pub(super) fn request(headers: &HeaderMap, body: &[u8]) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    if has_media_type(headers, "application/x-www-form-urlencoded") {
        let members: Map<_, _> = form_urlencoded::parse(body)
            .map(|(name, value)| {
                let shown = match &*name {
                    "client_assertion" => without_signature(&value),
                    "code" | "code_verifier" => json!(format!("#{}", fingerprint(&value))),
                    name if SECRETS.contains(&name) => json!(MASK),
                    _ => json!(value),
                };
                (name.into_owned(), shown)
            })
            .collect();
        return Value::Object(members);
    }
    match serde_json::from_slice(body) {
        Ok(value) => without_secrets(value),
        Err(_) => json!(format!("({} octets that are not JSON)", body.len())),
    }
}

/// As for a request, but text is shown: this provider wrote it.
pub(super) fn answer(body: &[u8]) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    match serde_json::from_slice(body) {
        Ok(value) => without_secrets(value),
        Err(_) => json!(String::from_utf8_lossy(body.get(..SHOWN).unwrap_or(body))),
    }
}

fn without_secrets(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let value = match &*name {
                        known if SECRETS.contains(&known) => json!(MASK),
                        _ => without_secrets(value),
                    };
                    (name, value)
                })
                .collect(),
        ),
        Value::Array(values) => values.into_iter().map(without_secrets).collect(),
        other => other,
    }
}

/// Header and claims of a JWS; it cannot be used without its signature.
fn without_signature(jws: &str) -> Value {
    let mut parts = jws.split('.').map(|part| {
        let json = URL_SAFE_NO_PAD.decode(part).ok()?;
        serde_json::from_slice::<Value>(&json).ok()
    });
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(header), Some(claims)) => json!({"header": header, "claims": claims}),
        _ => json!(MASK),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_at_every_depth() {
        let answer = answer(br#"{"a":[{"registration_access_token":"rat"}],"token":"iat"}"#);

        assert_eq!(
            answer,
            json!({"a": [{"registration_access_token": MASK}], "token": MASK})
        );
    }

    #[test]
    fn of_a_query_only_the_client_id_is_shown() {
        let uri = Uri::from_static("/c?client_id=web&access_token=hunter2");

        assert_eq!(target(&uri), "/c?client_id=web&access_token=***");
    }
}
