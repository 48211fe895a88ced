//! Dynamic client registration and its management (RFC 7591, RFC 7592).

mod target;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Map, Value, json};

use self::target::Target;
use crate::client::Client;
use crate::fault::{Endpoint, Fault};
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
/// Foreign origin of [`Fault::ForeignManagementUri`].
const FOREIGN_ORIGIN: &str = "http://127.0.0.1:9";

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
        provider
            .jwks
            .remember(&client.client_id, &keys, max_age, provider.now());
    }
    let status = if context.suffers(&Fault::OkInsteadOfCreated) {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok(describe(&provider, &context, &client, &rat, status))
}

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

/// Stores a changed client.
pub(crate) fn commit(provider: &Provider, client: &Client) -> io::Result<()> {
    provider.registry().clients.put(client.clone())
}

/// Where a client is managed.
pub(crate) fn management_uri(provider: &Provider, client_id: &str) -> String {
    provider.at(&format!("/dcr/register/{client_id}"))
}

/// The token of an `Authorization: Bearer` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start())
}

/// The body, if it is a JSON object and says so.
pub(crate) fn json_object(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json")) {
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
        provider
            .jwks
            .remember(&client.client_id, &keys, max_age, provider.now());
    }
    Ok(describe(provider, context, &client, &rat, StatusCode::OK))
}

/// The client information response (RFC 7591 §3.2.1).
fn describe(
    provider: &Provider,
    context: &Context,
    client: &Client,
    rat: &str,
    status: StatusCode,
) -> Response {
    let mut body = Map::new();
    body.insert("client_id".to_owned(), json!(client.client_id));
    body.insert(
        "client_id_issued_at".to_owned(),
        json!(client.client_id_issued_at),
    );
    let bare = match context.endpoint {
        Endpoint::Register => Fault::NoManagement,
        _ => Fault::BareManagementAnswers,
    };
    if !context.suffers(&bare) {
        let mut uri = management_uri(provider, &client.client_id);
        if context.suffers(&Fault::ManagementUriWithQuery) {
            uri = provider.at(&format!("/dcr/client?client_id={}", client.client_id));
        }
        if context.suffers(&Fault::ForeignManagementUri) {
            uri = uri.replacen(&provider.base_url, FOREIGN_ORIGIN, 1);
        }
        body.insert("registration_client_uri".to_owned(), json!(uri));
        body.insert("registration_access_token".to_owned(), json!(rat));
    }
    body.extend(client.metadata.clone());
    for fault in &context.faults {
        match fault {
            Fault::OmitMember { member } => {
                body.shift_remove(member);
            }
            Fault::IssueSecret { expires_in } => {
                let secret = provider.issue("secret-").unwrap_or_default();
                let expires_at = expires_in.map_or(0, |wait| context.now.as_second() + wait);
                body.insert("client_secret".to_owned(), json!(secret));
                body.insert("client_secret_expires_at".to_owned(), json!(expires_at));
            }
            _ => {}
        }
    }
    (status, no_store(), Json(Value::Object(body))).into_response()
}
