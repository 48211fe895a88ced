//! What the provider says about itself (OpenID Connect Discovery §3, RFC 8414 §2).

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::{Extension, Json};
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::provider::{Context, Provider};

/// The discovery document, the same at both places.
pub(crate) async fn document(
    State(provider): State<Arc<Provider>>,
    Extension(context): Extension<Arc<Context>>,
    uri: Uri,
) -> Json<Value> {
    let mut document = complete(&provider, &context);
    if uri.path().ends_with("/openid-configuration") {
        for fault in &context.faults {
            if let (Fault::OmitFromDiscovery { member }, Some(members)) =
                (fault, document.as_object_mut())
            {
                members.remove(member);
            }
        }
    }
    Json(document)
}

fn complete(provider: &Provider, context: &Context) -> Value {
    let issuer = context.faults.iter().find_map(|fault| match fault {
        Fault::WrongIssuer { issuer } => Some(issuer.clone()),
        _ => None,
    });
    let policy = &provider.config.policy;
    json!({
        "issuer": issuer.unwrap_or_else(|| provider.issuer()),
        "authorization_endpoint": provider.at("/authorize"),
        "token_endpoint": provider.at("/token"),
        "registration_endpoint": provider.at("/dcr/register"),
        "pushed_authorization_request_endpoint": provider.at("/par"),
        "jwks_uri": provider.at("/jwks"),
        "response_types_supported": ["code"],
        "grant_types_supported": policy.allowed_grant_types,
        "scopes_supported": policy.allowed_scopes,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": policy.allowed_signing_algs,
    })
}

/// The provider's own public keys (RFC 7517 §5).
pub(crate) async fn jwks(State(provider): State<Arc<Provider>>) -> Json<Value> {
    Json(json!({"keys": [provider.public_key]}))
}
