//! The token endpoint and pushed authorization requests (RFC 6749 §3.2, RFC 9126).

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;
use url::form_urlencoded;

use crate::assertion;
use crate::client::Client;
use crate::fault::Verdict;
use crate::header_fields::has_media_type;
use crate::provider::{Context, Provider};
use crate::refusal::{Refusal, no_store};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Lifetime of an access token, in seconds.
const TOKEN_LIFETIME: u64 = 300;
/// Lifetime of a pushed request, in seconds.
const REQUEST_LIFETIME: u64 = 60;

/// Grants tokens. The client is authenticated before anything else is looked at.
pub(crate) async fn token(
    State(provider): State<Arc<Provider>>,
    Extension(context): Extension<Arc<Context>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let form = parse_form(&headers, &body)?;
    let client = authenticate(&provider, &context, &headers, &form, "/token").await?;
    let refuse = Refusal::bad_request;
    let Some(grant) = form.get("grant_type").map(String::as_str) else {
        return Err(refuse("invalid_request", "grant_type is missing"));
    };
    let offered = ["authorization_code", "refresh_token", "client_credentials"];
    if !offered.contains(&grant) {
        return Err(refuse("unsupported_grant_type", "not offered here"));
    }
    if !client.lists("grant_types", grant) {
        return Err(refuse(
            "unauthorized_client",
            "not registered for this grant",
        ));
    }
    match grant {
        "client_credentials" => client_credentials(&provider, &client, &form),
        "refresh_token" if form.contains_key("refresh_token") => {
            Err(refuse("invalid_grant", "the refresh token is unknown"))
        }
        "authorization_code" if form.contains_key("code") => {
            let refusal = refuse("invalid_grant", "the code is unknown");
            Err(refusal.ending(Verdict::Authenticated))
        }
        _ => Err(refuse("invalid_request", "the grant itself is missing")),
    }
}

/// Takes a pushed authorization request (RFC 9126 §2).
pub(crate) async fn push(
    State(provider): State<Arc<Provider>>,
    Extension(context): Extension<Arc<Context>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let form = parse_form(&headers, &body)?;
    let client = authenticate(&provider, &context, &headers, &form, "/par").await?;
    let says = |name: &str| form.get(name).map(String::as_str);
    let refuse = |why: &str| Err(Refusal::bad_request("invalid_request", why));
    if form.contains_key("request_uri") {
        return refuse("request_uri must not be pushed");
    }
    if says("client_id").is_none() {
        return refuse("client_id is missing");
    }
    if says("response_type") != Some("code") {
        return refuse("response_type must be code");
    }
    if !says("redirect_uri").is_some_and(|uri| client.lists("redirect_uris", uri)) {
        return refuse("redirect_uri is not registered");
    }
    let reference = provider.issue("")?;
    let answer = json!({
        "request_uri": format!("urn:ietf:params:oauth:request_uri:{reference}"),
        "expires_in": REQUEST_LIFETIME,
    });
    Ok((StatusCode::CREATED, no_store(), Json(answer)).into_response())
}

/// There is nobody to log in here.
pub(crate) async fn authorize() -> Refusal {
    Refusal::new(
        StatusCode::NOT_IMPLEMENTED,
        "temporarily_unavailable",
        "the development identity provider has no users and no login",
    )
}

fn client_credentials(
    provider: &Provider,
    client: &Client,
    form: &HashMap<String, String>,
) -> Result<Response, Refusal> {
    let registered = client.text("scope").unwrap_or_default();
    let scope = form.get("scope").map_or(registered, String::as_str);
    let permitted: Vec<_> = registered.split_whitespace().collect();
    if !scope.split_whitespace().all(|one| permitted.contains(&one)) {
        return Err(Refusal::bad_request(
            "invalid_scope",
            "not registered for this scope",
        ));
    }
    let access_token = provider.issue("at-")?;
    let mut answer = json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": TOKEN_LIFETIME,
    });
    if let (Some(members), false) = (answer.as_object_mut(), scope.is_empty()) {
        members.insert("scope".to_owned(), json!(scope));
    }
    Ok((no_store(), Json(answer)).into_response())
}

fn parse_form(headers: &HeaderMap, body: &[u8]) -> Result<HashMap<String, String>, Refusal> {
    if !has_media_type(headers, "application/x-www-form-urlencoded") {
        return Err(Refusal::bad_request(
            "invalid_request",
            "the body must be application/x-www-form-urlencoded",
        ));
    }
    let mut members = HashMap::new();
    for (name, value) in form_urlencoded::parse(body).into_owned() {
        if members.insert(name, value).is_some() {
            return Err(Refusal::bad_request(
                "invalid_request",
                "a parameter is repeated",
            ));
        }
    }
    Ok(members)
}

async fn authenticate(
    provider: &Provider,
    context: &Context,
    headers: &HeaderMap,
    form: &HashMap<String, String>,
    path: &str,
) -> Result<Client, Refusal> {
    if headers.contains_key(header::AUTHORIZATION) || form.contains_key("client_secret") {
        return Err(Refusal::invalid_client(
            "another authentication method was used",
        ));
    }
    if form.get("client_assertion_type").map(String::as_str) != Some(ASSERTION_TYPE) {
        return Err(Refusal::invalid_client(
            "client_assertion_type is missing or wrong",
        ));
    }
    let Some(jws) = form.get("client_assertion") else {
        return Err(Refusal::invalid_client("client_assertion is missing"));
    };
    let client = assertion::authenticate(provider, context, jws, &provider.at(path)).await?;
    match form.get("client_id") {
        Some(other) if *other != client.client_id => {
            Err(Refusal::invalid_client("client_id and sub differ"))
        }
        _ => Ok(client),
    }
}
