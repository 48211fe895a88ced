//! Dynamic client registration (RFC 7591), and its management below.

mod information;
mod management;
mod target;

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde_json::{Map, Value, json};

use self::information::describe;
pub(crate) use self::information::management_uri;
pub(crate) use self::management::{commit, delete, merge, read, replace, rotate};
use crate::client::Client;
use crate::fault::Fault;
use crate::header_fields::has_media_type;
use crate::metadata;
use crate::provider::{Context, Provider};
use crate::refusal::Refusal;
use crate::token;

/// Registers a client (RFC 7591 §3).
///
/// The token's use and the client are committed together, after everything was checked.
pub(crate) async fn register(
    State(provider): State<Arc<Provider>>,
    Extension(context): Extension<Arc<Context>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let initial = bearer(&headers);
    may_register(&provider, &context, initial)?;
    let asked = json_object(&headers, &body)?;
    let mut granted = metadata::accept(&provider.config, &asked)?;
    let fetched = check_jwks_uri(&provider, &context, &granted).await?;
    substitute(&context, &mut granted);

    let chosen = chosen_client_id(&provider, &asked)?;
    let client_id = match chosen {
        Some(chosen) => chosen,
        None => provider.issue("client-")?,
    };
    let rat = provider.issue("rat-")?;
    let client = Client {
        client_id,
        client_id_issued_at: context.now.as_second(),
        registration_access_token_sha256: Some(token::digest(&rat)),
        metadata: granted,
    };
    {
        let mut registry = provider.registry();
        // Another request may have come first while the JWK Set was fetched.
        if let Some(objection) =
            initial.and_then(|token| registry.initial.objection(token, context.now))
        {
            return Err(Refusal::invalid_token(objection));
        }
        if registry.clients.find(&client.client_id).is_some() {
            return Err(taken(&client.client_id));
        }
        registry.clients.put(client.clone())?;
        if let Some(token) = initial {
            registry.initial.count_use(token);
        }
    }
    if let Some((keys, max_age)) = fetched {
        provider.jwks.remember(
            (context.node, client.client_id.clone()),
            &keys,
            max_age,
            provider.now(),
        );
    }
    let status = if context.suffers(&Fault::OkInsteadOfCreated) {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok(describe(&provider, &context, &client, &rat, status))
}

/// The token of an `Authorization: Bearer` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start())
}

/// The body, if it is a JSON object and has the media type of one.
pub(crate) fn json_object(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    if !has_media_type(headers, "application/json") {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "invalid_request",
            "the body must be application/json",
        ));
    }
    serde_json::from_slice(body)
        .map_err(|_| Refusal::bad_request("invalid_request", "the body must be a JSON object"))
}

fn may_register(
    provider: &Provider,
    context: &Context,
    initial: Option<&str>,
) -> Result<(), Refusal> {
    match initial {
        Some(token) => match provider.registry().initial.objection(token, context.now) {
            Some(objection) => Err(Refusal::invalid_token(objection)),
            None => Ok(()),
        },
        None if provider.config.policy.require_initial_access_token => Err(Refusal::token_needed()),
        None => Ok(()),
    }
}

type FetchedSet = (Arc<Vec<Value>>, Duration);

async fn check_jwks_uri(
    provider: &Provider,
    context: &Context,
    metadata: &Map<String, Value>,
) -> Result<Option<FetchedSet>, Refusal> {
    let Some(uri) = metadata.get("jwks_uri").and_then(Value::as_str) else {
        return Ok(None);
    };
    if context.suffers(&Fault::RefuseJwksUri) {
        return Err(metadata::invalid(
            "the host of jwks_uri resolves to a special-use address",
        ));
    }
    if !provider.config.policy.fetch_jwks_at_registration {
        return Ok(None);
    }
    let fetched = provider
        .jwks
        .fetch(uri, provider.now(), &provider.journal)
        .await
        .map_err(|error| metadata::invalid(format!("jwks_uri cannot be fetched: {error}")))?;
    metadata::check_jwks(&json!({"keys": *fetched.0}))?;
    Ok(Some(fetched))
}

fn substitute(context: &Context, metadata: &mut Map<String, Value>) {
    for fault in &context.faults {
        if let Fault::SubstituteMember { member, value } = fault {
            metadata.insert(member.clone(), value.clone());
        }
    }
}

fn chosen_client_id(
    provider: &Provider,
    asked: &Map<String, Value>,
) -> Result<Option<String>, Refusal> {
    let chosen = asked.get("client_id").and_then(Value::as_str);
    let Some(chosen) = chosen.filter(|_| provider.config.policy.allow_chosen_client_id) else {
        return Ok(None);
    };
    metadata::check_client_id(chosen)?;
    if provider.registry().clients.find(chosen).is_some() {
        return Err(taken(chosen));
    }
    Ok(Some(chosen.to_owned()))
}

fn taken(client_id: &str) -> Refusal {
    metadata::invalid(format!("client_id {client_id} is taken"))
}
