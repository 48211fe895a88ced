//! What an administrator does: initial and registration access tokens, faults.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fault::ActiveFault;
use crate::initial_access::Grant;
use crate::provider::{Context, Provider};
use crate::refusal::{Refusal, no_store};
use crate::registration::{bearer, commit, json_object, management_uri, rotate};
use crate::token;

/// Lifetime of an initial access token that names none, in seconds.
pub(crate) const DEFAULT_LIFETIME: u64 = 3600;

#[derive(Deserialize)]
struct MintRequest {
    label: Option<String>,
    expires_in: Option<u64>,
    max_uses: Option<u32>,
    max_usages: Option<u32>,
}

/// Mints an initial access token.
pub(crate) async fn mint(
    State(provider): State<Arc<Provider>>,
    Extension(context): Extension<Arc<Context>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    authorize(&provider, &headers)?;
    let request: MintRequest = if body.is_empty() {
        serde_json::from_value(json!({}))
    } else {
        serde_json::from_value(Value::Object(json_object(&headers, &body)?))
    }
    .map_err(|error| Refusal::bad_request("invalid_request", error.to_string()))?;
    let max_uses = match (request.max_uses, request.max_usages) {
        (Some(uses), Some(usages)) if uses != usages => {
            return Err(Refusal::bad_request(
                "invalid_request",
                "max_uses and max_usages differ",
            ));
        }
        (Some(uses), _) | (None, Some(uses)) => uses,
        (None, None) => 1,
    };
    let lifetime = request.expires_in.unwrap_or(DEFAULT_LIFETIME);
    if max_uses == 0 || lifetime == 0 {
        return Err(Refusal::bad_request(
            "invalid_request",
            "max_uses and expires_in must be at least 1",
        ));
    }
    let token = provider.issue("iat-")?;
    let grant = Grant::new(context.now, Duration::from_secs(lifetime), max_uses);
    let answer = json!({
        "token": token,
        "id": token::fingerprint(&token),
        "label": request.label,
        "expires_at": format!("{:.0}", grant.expires_at),
        "max_uses": max_uses,
    });
    provider.registry().initial.insert(&token, grant);
    Ok((StatusCode::CREATED, no_store(), Json(answer)).into_response())
}

/// Gives a client another registration access token.
pub(crate) async fn renew(
    State(provider): State<Arc<Provider>>,
    Path(client_id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    authorize(&provider, &headers)?;
    let client = provider.registry().clients.find(&client_id).cloned();
    let Some(mut client) = client else {
        return Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "no such client",
        ));
    };
    let rat = rotate(&provider, &mut client)?;
    commit(&provider, &client)?;
    let answer = json!({
        "client_id": client_id,
        "registration_client_uri": management_uri(&provider, &client_id),
        "registration_access_token": rat,
    });
    Ok((StatusCode::CREATED, no_store(), Json(answer)).into_response())
}

/// Sets a fault: `{"fault": …, "times": …}`.
pub(crate) async fn set_fault(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    authorize(&provider, &headers)?;
    let fault: ActiveFault =
        serde_json::from_value(Value::Object(json_object(&headers, &body)?))
            .map_err(|error| Refusal::bad_request("invalid_request", error.to_string()))?;
    provider.faults.push(fault);
    Ok((StatusCode::CREATED, Json(provider.faults.active())).into_response())
}

/// Lists the faults that are set.
pub(crate) async fn list_faults(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
) -> Result<Json<Vec<ActiveFault>>, Refusal> {
    authorize(&provider, &headers)?;
    Ok(Json(provider.faults.active()))
}

/// Ends all faults.
pub(crate) async fn clear_faults(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    authorize(&provider, &headers)?;
    provider.faults.clear();
    Ok(StatusCode::NO_CONTENT)
}

fn authorize(provider: &Provider, headers: &HeaderMap) -> Result<(), Refusal> {
    match bearer(headers) {
        None => Err(Refusal::token_needed()),
        Some(token) if token::same(token, &provider.admin_token) => Ok(()),
        Some(_) => Err(Refusal::invalid_token("this is not the admin token")),
    }
}
