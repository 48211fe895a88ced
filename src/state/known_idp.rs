//! What was learnt of an IdP.

use serde::{Deserialize, Serialize};

use crate::oauth::ServerMetadata;

/// What was learnt of the IdP with one issuer.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct KnownIdp {
    /// The issuer, code point for code point.
    pub issuer: String,
    /// The last metadata it served (RFC 8414 §2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<ServerMetadata>,
    /// Which `aud` it was seen to accept in a client assertion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}
