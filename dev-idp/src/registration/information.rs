//! What a client is told about itself (RFC 7591 §3.2.1, RFC 7592 §3).

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::fault::{Endpoint, Fault};
use crate::provider::{Context, Provider};
use crate::refusal::no_store;

/// Foreign origin of [`Fault::ForeignManagementUri`].
const FOREIGN_ORIGIN: &str = "http://127.0.0.1:9";

/// Where a client is managed.
pub(crate) fn management_uri(provider: &Provider, client_id: &str) -> String {
    provider.at(&format!("/dcr/register/{client_id}"))
}

/// The client information response (RFC 7591 §3.2.1).
pub(super) fn describe(
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
            Fault::ForeignMember { member, value } if context.endpoint == Endpoint::Read => {
                body.insert(member.clone(), value.clone());
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
