//! Which handler answers what.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, delete, get, post};
use axum::{Json, Router};
use serde_json::json;

use crate::provider::Provider;
use crate::refusal::Refusal;
use crate::{admin, discovery, registration, token_endpoint};

/// All endpoints.
pub(crate) fn router(provider: Arc<Provider>) -> Router {
    let oidc = Router::new()
        .route(
            "/.well-known/openid-configuration",
            get(discovery::document),
        )
        .route("/jwks", get(discovery::jwks))
        .route("/authorize", get(token_endpoint::authorize))
        .route("/token", post(token_endpoint::token))
        .route("/par", post(token_endpoint::push))
        .route("/register", post(registration::register))
        .route("/register/{client_id}", management())
        .route("/dcr/register", post(registration::register))
        .route("/dcr/register/{client_id}", management())
        .route("/dcr/client", management());
    let dcr_admin = Router::new()
        .route("/initial-access-tokens", post(admin::mint))
        .route("/clients/{client_id}/tokens", post(admin::renew));
    let faults = post(admin::set_fault)
        .get(admin::list_faults)
        .merge(delete(admin::clear_faults));
    Router::new()
        .nest("/api/oidc", oidc)
        .nest("/api/admin/dcr", dcr_admin)
        .route(
            "/.well-known/oauth-authorization-server/api/oidc",
            get(discovery::document),
        )
        .route("/healthz", get(health))
        .route("/dev/faults", faults)
        .fallback(nothing)
        .method_not_allowed_fallback(wrong_method)
        .with_state(provider)
}

fn management() -> MethodRouter<Arc<Provider>> {
    get(registration::read)
        .put(registration::replace)
        .patch(registration::merge)
        .delete(registration::delete)
}

async fn health() -> impl IntoResponse {
    Json(json!({"status": "ok", "service": "development identity provider"}))
}

async fn nothing() -> Refusal {
    Refusal::of_status(StatusCode::NOT_FOUND, false)
}

async fn wrong_method() -> Refusal {
    Refusal::of_status(StatusCode::METHOD_NOT_ALLOWED, false)
}
