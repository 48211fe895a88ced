//! Managing a registration (RFC 7592).

use std::io;
use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::information::describe;
use super::target::Target;
use super::{bearer, check_jwks_uri, json_object, substitute};
use crate::client::Client;
use crate::fault::Fault;
use crate::metadata;
use crate::provider::{Context, Provider};
use crate::refusal::{Refusal, no_store};
use crate::token;

/// What only the server may say about a client (RFC 7592 §2.2).
const SERVER_MEMBERS: [&str; 4] = [
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
];

/// Reads a client (RFC 7592 §2.1).
pub(crate) async fn read(
    State(provider): State<Arc<Provider>>,
    Extension(context): Extension<Arc<Context>>,
    Target(client_id): Target,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (mut client, mut rat) = managed(&provider, &client_id, &headers)?;
    if context.suffers(&Fault::RotateOnRead) {
        rat = rotate(&provider, &mut client)?;
        commit(&provider, &client)?;
    }
    Ok(describe(&provider, &context, &client, &rat, StatusCode::OK))
}

/// Replaces a client's metadata (RFC 7592 §2.2).
pub(crate) async fn replace(
    State(provider): State<Arc<Provider>>,
    Extension(context): Extension<Arc<Context>>,
    Target(client_id): Target,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let managed = managed(&provider, &client_id, &headers)?;
    let asked = json_object(&headers, &body)?;
    if asked.get("client_id").and_then(Value::as_str) != Some(client_id.as_str()) {
        return Err(Refusal::bad_request(
            "invalid_request",
            "client_id must be that of this client",
        ));
    }
    change(&provider, &context, managed, &asked).await
}

/// Merges into a client's metadata, as the provider does that operators know; no standard
/// has it. A null removes a member.
pub(crate) async fn merge(
    State(provider): State<Arc<Provider>>,
    Extension(context): Extension<Arc<Context>>,
    Target(client_id): Target,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let managed = managed(&provider, &client_id, &headers)?;
    let asked = json_object(&headers, &body)?;
    if asked
        .get("client_id")
        .is_some_and(|asked| *asked != *client_id)
    {
        return Err(Refusal::bad_request(
            "invalid_request",
            "client_id cannot be changed",
        ));
    }
    let mut merged = managed.0.metadata.clone();
    for (name, value) in asked {
        merged.insert(name, value);
    }
    change(&provider, &context, managed, &merged).await
}

/// Deletes a client; its tokens end with it (RFC 7592 §2.3).
pub(crate) async fn delete(
    State(provider): State<Arc<Provider>>,
    Target(client_id): Target,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    managed(&provider, &client_id, &headers)?;
    provider.registry().clients.remove(&client_id)?;
    provider.jwks.forget(&client_id);
    Ok((StatusCode::NO_CONTENT, no_store()).into_response())
}

/// Gives a client another registration access token; the caller commits it.
pub(crate) fn rotate(provider: &Provider, client: &mut Client) -> io::Result<String> {
    let rat = provider.issue("rat-")?;
    client.registration_access_token_sha256 = Some(token::digest(&rat));
    Ok(rat)
}

/// Stores a changed client, unless it was deleted meanwhile.
pub(crate) fn commit(provider: &Provider, client: &Client) -> Result<(), Refusal> {
    let mut registry = provider.registry();
    if registry.clients.find(&client.client_id).is_none() {
        return Err(Refusal::invalid_token("the client was deleted"));
    }
    Ok(registry.clients.put(client.clone())?)
}

/// The client, and the token that proves the right to manage it.
///
/// A token sent for another client is destroyed, as real providers do (RFC 7592 §2.1: it
/// should be revoked where the client is unknown).
fn managed(
    provider: &Provider,
    client_id: &str,
    headers: &HeaderMap,
) -> Result<(Client, String), Refusal> {
    let rat = bearer(headers).ok_or_else(Refusal::token_needed)?;
    let hash = token::digest(rat);
    let mut registry = provider.registry();
    let owner = registry
        .clients
        .all()
        .iter()
        .find(|client| {
            let have = client.registration_access_token_sha256.as_deref();
            have.is_some_and(|have| token::same(have, &hash))
        })
        .cloned();
    match owner {
        Some(owner) if owner.client_id == client_id => Ok((owner, rat.to_owned())),
        Some(mut owner) => {
            owner.registration_access_token_sha256 = None;
            registry.clients.put(owner)?;
            Err(Refusal::invalid_token(
                "the token belongs to another client and is revoked",
            ))
        }
        None => Err(Refusal::invalid_token(
            "no such client, or the token is not valid for it",
        )),
    }
}

async fn change(
    provider: &Provider,
    context: &Context,
    (mut client, mut rat): (Client, String),
    asked: &Map<String, Value>,
) -> Result<Response, Refusal> {
    if let Some(member) = SERVER_MEMBERS
        .iter()
        .find(|name| asked.contains_key(**name))
    {
        return Err(Refusal::bad_request(
            "invalid_request",
            format!("{member} must not be sent"),
        ));
    }
    for fault in &context.faults {
        if let Fault::ForeignMember { member, .. } = fault
            && asked.contains_key(member)
        {
            return Err(Refusal::bad_request(
                "invalid_client_metadata",
                format!("{member} is not for clients"),
            ));
        }
    }
    if asked.contains_key("client_secret") {
        return Err(Refusal::bad_request(
            "invalid_request",
            "this client has no client_secret",
        ));
    }
    let mut granted = metadata::accept(&provider.config, asked)?;
    let fetched = check_jwks_uri(provider, context, &granted).await?;
    substitute(context, &mut granted);
    client.metadata = granted;
    if context.suffers(&Fault::RotateOnUpdate) {
        rat = rotate(provider, &mut client)?;
    }
    commit(provider, &client)?;
    provider.jwks.forget(&client.client_id);
    if let Some((keys, max_age)) = fetched {
        provider.jwks.remember(
            (context.node, client.client_id.clone()),
            &keys,
            max_age,
            provider.now(),
        );
    }
    Ok(describe(provider, context, &client, &rat, StatusCode::OK))
}
