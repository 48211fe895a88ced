//! Which client a management request is about.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;

use crate::refusal::Refusal;

/// The `client_id` in the path, or in the query where the URI has it there.
pub(crate) struct Target(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        if let Ok(Path(client_id)) = Path::<String>::from_request_parts(parts, state).await {
            return Ok(Self(client_id));
        }
        let query = Query::<HashMap<String, String>>::from_request_parts(parts, state).await;
        query
            .ok()
            .and_then(|Query(mut query)| query.remove("client_id"))
            .map(Self)
            .ok_or_else(|| Refusal::bad_request("invalid_request", "client_id is missing"))
    }
}
