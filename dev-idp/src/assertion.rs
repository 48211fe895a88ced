//! Client assertions (RFC 7523 §3, as updated by RFC 10070).

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::client::Client;
use crate::fault::{Fault, Verdict};
use crate::jwk;
use crate::provider::{AudiencePolicy, Context, Provider};
use crate::refusal::Refusal;

/// How far `iat` and `nbf` may be ahead, in seconds.
const SKEW: i64 = 60;
/// How far `exp` may be ahead, in seconds.
const MAX_LIFETIME: i64 = 24 * 60 * 60;

/// Authenticates the client that made `jws` for the endpoint at `url`.
///
/// The caller is only told `invalid_client`; the reason goes to the log of exchanges.
pub(crate) async fn authenticate(
    provider: &Provider,
    context: &Context,
    jws: &str,
    url: &str,
) -> Result<Client, Refusal> {
    let Some(parts) = Parts::split(jws) else {
        return Err(refuse("the assertion is not a compact JWS"));
    };
    let (alg, kid) = check_header(&parts.header)?;
    check_type(context, &parts.header)?;
    let client_id = claim(&parts.claims, "sub")?;
    if claim(&parts.claims, "iss")? != client_id {
        return Err(refuse("iss and sub differ"));
    }
    let client = provider.registry().clients.find(client_id).cloned();
    let Some(client) = client else {
        return Err(refuse("the client is unknown").ending(Verdict::UnknownClient));
    };
    if client.text("token_endpoint_auth_method") != Some("private_key_jwt") {
        return Err(refuse("another token_endpoint_auth_method is registered"));
    }
    match client.text("token_endpoint_auth_signing_alg") {
        Some(registered) if registered != alg => {
            return Err(refuse(format!("{alg} is not the registered alg")));
        }
        None if !provider
            .config
            .policy
            .allowed_signing_algs
            .iter()
            .any(|have| have == alg) =>
        {
            return Err(refuse(format!("{alg} is not allowed")));
        }
        _ => {}
    }
    check_audience(provider, context, &parts.claims, url)?;
    let now = context.now.as_second();
    let expires = check_times(&parts.claims, now)?;

    let keys = provider
        .jwks
        .keys(
            context.node,
            &client,
            kid,
            provider.now(),
            &provider.journal,
        )
        .await
        .map_err(|error| refuse(format!("the JWK Set cannot be fetched: {error}")))?;
    let this = Fault::RefuseKey {
        kid: kid.to_owned(),
    };
    if context.suffers(&this) {
        return Err(refuse("a fault is set for this key"));
    }
    if keys.len() > 1 && context.suffers(&Fault::RefuseSeveralKeys) {
        return Err(Refusal::of_status(StatusCode::INTERNAL_SERVER_ERROR, true));
    }
    let Some(key) = jwk::choose(&keys, kid, alg) else {
        let refusal = refuse(format!("the JWK Set has no one {alg} key {kid}"));
        return Err(refusal.ending(Verdict::UnknownKey));
    };
    if !jwk::verifies(key, alg, parts.signed.as_bytes(), &parts.signature) {
        let refusal = refuse("the signature does not verify");
        return Err(refusal.ending(Verdict::WrongSignature));
    }
    let jti = claim(&parts.claims, "jti")?;
    if !provider.first_use(client_id, jti, expires, now) {
        return Err(refuse("the assertion was used before"));
    }
    Ok(client)
}

fn refuse(reason: impl Into<String>) -> Refusal {
    Refusal::invalid_client(reason)
}

struct Parts<'j> {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    signed: &'j str,
    signature: Vec<u8>,
}

impl<'j> Parts<'j> {
    fn split(jws: &'j str) -> Option<Self> {
        let (signed, signature) = jws.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let json = |part: &str| {
            let octets = URL_SAFE_NO_PAD.decode(part).ok()?;
            serde_json::from_slice(&octets).ok()
        };
        Some(Self {
            header: json(header)?,
            claims: json(claims)?,
            signed,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }
}

fn check_header(header: &Map<String, Value>) -> Result<(&str, &str), Refusal> {
    let says = |member: &str| header.get(member).and_then(Value::as_str);
    if header.contains_key("crit") {
        return Err(refuse("crit is not supported"));
    }
    // RFC 10070: no type and the old one are accepted, that of another kind of JWT is not.
    match says("typ").map(str::to_ascii_lowercase).as_deref() {
        None | Some("jwt" | "client-authentication+jwt") => {}
        Some(other) => return Err(refuse(format!("the typ is {other}"))),
    }
    match (says("alg"), says("kid")) {
        (Some(alg), Some(kid)) => Ok((alg, kid)),
        _ => Err(refuse("the header needs alg and kid")),
    }
}

/// Some servers are particular about the type.
fn check_type(context: &Context, header: &Map<String, Value>) -> Result<(), Refusal> {
    let typ = header.get("typ").and_then(Value::as_str);
    for fault in &context.faults {
        if let Fault::OnlyType { typ: only } = fault
            && typ != Some(only)
        {
            let refusal = refuse(format!("the typ is not {only}"));
            return Err(refusal.ending(Verdict::WrongType));
        }
    }
    Ok(())
}

fn claim<'c>(claims: &'c Map<String, Value>, name: &str) -> Result<&'c str, Refusal> {
    claims
        .get(name)
        .and_then(Value::as_str)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| refuse(format!("{name} is missing")))
}

fn check_audience(
    provider: &Provider,
    context: &Context,
    claims: &Map<String, Value>,
    url: &str,
) -> Result<(), Refusal> {
    let audience = match claims.get("aud") {
        Some(Value::String(one)) => one.as_str(),
        Some(Value::Array(list)) => match list.as_slice() {
            [Value::String(one)] => one.as_str(),
            _ => return Err(refuse("aud must be one string")),
        },
        _ => return Err(refuse("aud is missing")),
    };
    let is_issuer = audience == provider.issuer();
    let is_endpoint = audience == url;
    let is_token_endpoint = audience == provider.at("/token");
    let accepted = match provider.audience {
        AudiencePolicy::Any => is_issuer || is_endpoint || is_token_endpoint,
        AudiencePolicy::Issuer => is_issuer,
        AudiencePolicy::Endpoint => is_endpoint,
    };
    let spoiled = (is_issuer && context.suffers(&Fault::RefuseIssuerAudience))
        || (!is_issuer && context.suffers(&Fault::RefuseEndpointAudience));
    if accepted && !spoiled {
        Ok(())
    } else {
        let refusal = refuse(format!("{audience} is not an accepted audience"));
        Err(refusal.ending(Verdict::WrongAudience))
    }
}

/// Checks the times against `now` and answers `exp`, all in seconds since the epoch.
fn check_times(claims: &Map<String, Value>, now: i64) -> Result<i64, Refusal> {
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => value
            .as_i64()
            .map(Some)
            .ok_or_else(|| refuse(format!("{name} must be an integer"))),
    };
    let (Some(expires), Some(issued)) = (time("exp")?, time("iat")?) else {
        return Err(refuse("exp and iat are needed"));
    };
    if expires <= now {
        return Err(refuse("the assertion has expired"));
    }
    if expires > now + MAX_LIFETIME {
        return Err(refuse("exp is too far ahead"));
    }
    if issued.max(time("nbf")?.unwrap_or(issued)) > now + SKEW {
        return Err(refuse("iat or nbf is in the future"));
    }
    Ok(expires)
}
