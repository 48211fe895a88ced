//! Where a request goes.

use axum::http::Method;
use serde::{Deserialize, Serialize};

/// Where a request went.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// Both discovery documents.
    Discovery,
    /// `POST` of a new client (RFC 7591 §3).
    Register,
    /// `GET` of a client (RFC 7592 §2.1).
    Read,
    /// `PUT` of a client (RFC 7592 §2.2).
    Update,
    /// `PATCH` of a client, which no standard has.
    Patch,
    /// `DELETE` of a client (RFC 7592 §2.3).
    Delete,
    /// In a fault: [`Endpoint::Read`], [`Endpoint::Update`], [`Endpoint::Patch`] and
    /// [`Endpoint::Delete`]. No request is of this kind.
    Management,
    /// The token endpoint.
    Token,
    /// The pushed authorization request endpoint (RFC 9126).
    Par,
    /// This provider's own JWK Set.
    Jwks,
    /// Minting of an initial access token.
    Mint,
    /// Renewal of a registration access token.
    Renew,
    /// Whatever else; in a fault: every endpoint.
    Any,
}

impl Endpoint {
    /// Tells the endpoint from a request line.
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        let inside = path.strip_prefix("/api/oidc").unwrap_or_default();
        let registration = inside.strip_prefix("/dcr").unwrap_or(inside);
        match (method, inside) {
            (_, "/.well-known/openid-configuration") => return Self::Discovery,
            (_, "/token") => return Self::Token,
            (_, "/par") => return Self::Par,
            (_, "/jwks") => return Self::Jwks,
            _ => {}
        }
        match *method {
            _ if path == "/.well-known/oauth-authorization-server/api/oidc" => Self::Discovery,
            Method::POST if path == "/api/admin/dcr/initial-access-tokens" => Self::Mint,
            Method::POST if path.starts_with("/api/admin/dcr/clients/") => Self::Renew,
            Method::POST if registration == "/register" => Self::Register,
            _ if !registration.starts_with("/register/") && inside != "/dcr/client" => Self::Any,
            Method::GET => Self::Read,
            Method::PUT => Self::Update,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            _ => Self::Any,
        }
    }

    /// Whether a request here may change a registration.
    pub(crate) const fn writes(self) -> bool {
        matches!(
            self,
            Self::Register | Self::Update | Self::Patch | Self::Delete
        )
    }

    /// Whether an answer from here describes a client.
    pub(crate) const fn describes_client(self) -> bool {
        matches!(
            self,
            Self::Register | Self::Read | Self::Update | Self::Patch
        )
    }

    /// Whether a fault set for `self` concerns a request to `actual`.
    pub(super) fn covers(self, actual: Self) -> bool {
        match self {
            Self::Any => true,
            Self::Management => matches!(
                actual,
                Self::Read | Self::Update | Self::Patch | Self::Delete
            ),
            _ => self == actual,
        }
    }
}
