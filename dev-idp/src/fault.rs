//! Faults: what real providers, proxies and networks do to a client, on demand.

use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    fn covers(self, actual: Self) -> bool {
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

/// One thing that goes wrong.
///
/// In JSON: `{"fault": "drop_after", "on": "register"}`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The connection closes; nothing was done.
    #[allow(missing_docs, reason = "the same member everywhere")]
    DropBefore { on: Endpoint },
    /// The request is carried out; the connection closes without an answer.
    #[allow(missing_docs, reason = "the same member everywhere")]
    DropAfter { on: Endpoint },
    /// The request is carried out; the connection closes in the middle of the answer's body.
    #[allow(missing_docs, reason = "the same member everywhere")]
    CutBody { on: Endpoint },
    /// The request is carried out; a proxy answers 502 with an HTML page.
    #[allow(missing_docs, reason = "the same member everywhere")]
    BadGatewayAfter { on: Endpoint },
    /// Nothing is done; this status is answered (503 with `Retry-After`, 405 with `Allow`).
    #[allow(missing_docs, reason = "the same member everywhere")]
    Status { on: Endpoint, status: u16 },
    /// Nothing is done; 307 to another path of this provider.
    #[allow(missing_docs, reason = "the same member everywhere")]
    Redirect { on: Endpoint },
    /// The request is carried out; the answer comes this many milliseconds later.
    #[allow(missing_docs, reason = "the same member everywhere")]
    Delay { on: Endpoint, millis: u64 },
    /// Errors have no body, no `Content-Type` and no challenge.
    EmptyErrors,
    /// Errors are HTML pages.
    HtmlErrors,
    /// A registration is answered with 200.
    OkInsteadOfCreated,
    /// Answers about a client leave this member out.
    OmitMember {
        /// Name of the metadata member.
        member: String,
    },
    /// This value is registered, whatever was asked (RFC 7591 §3.2.1).
    SubstituteMember {
        /// Name of the metadata member.
        member: String,
        /// What is registered and answered.
        value: Value,
    },
    /// A secret is issued to a client that cannot use one.
    IssueSecret {
        /// `client_secret_expires_at`: seconds from now; absent: never.
        #[serde(default)]
        expires_in: Option<i64>,
    },
    /// The answer to a registration has no RAT and no `registration_client_uri`.
    NoManagement,
    /// Each read ends the registration access token and issues another.
    RotateOnRead,
    /// Each update ends the registration access token and issues another.
    RotateOnUpdate,
    /// Answers to reads and updates have no RAT and no `registration_client_uri`.
    BareManagementAnswers,
    /// `registration_client_uri` has another origin.
    ForeignManagementUri,
    /// `registration_client_uri` has a query: `…/dcr/client?client_id=…`.
    ManagementUriWithQuery,
    /// `jwks_uri` is refused, as by a provider that may not reach private addresses.
    RefuseJwksUri,
    /// A client assertion with the issuer as its audience is refused.
    RefuseIssuerAudience,
    /// A client assertion with an endpoint as its audience is refused.
    RefuseEndpointAudience,
    /// The discovery documents name this issuer.
    WrongIssuer {
        /// What they say.
        issuer: String,
    },
    /// The provider's clock is wrong, `Date` included.
    ClockSkew {
        /// How far it is ahead; negative: behind.
        seconds: i64,
    },
    /// All clients are gone, as after a restart with storage in memory. Happens once, before
    /// the next request.
    ForgetClients,
}

impl Fault {
    fn concerns(&self, actual: Endpoint) -> bool {
        match self {
            Self::DropBefore { on }
            | Self::DropAfter { on }
            | Self::CutBody { on }
            | Self::BadGatewayAfter { on }
            | Self::Status { on, .. }
            | Self::Redirect { on }
            | Self::Delay { on, .. } => on.covers(actual),
            Self::EmptyErrors | Self::HtmlErrors | Self::ClockSkew { .. } | Self::ForgetClients => {
                true
            }
            Self::OkInsteadOfCreated | Self::NoManagement => actual == Endpoint::Register,
            Self::OmitMember { .. }
            | Self::IssueSecret { .. }
            | Self::ForeignManagementUri
            | Self::ManagementUriWithQuery => actual.describes_client(),
            Self::SubstituteMember { .. } | Self::RefuseJwksUri => matches!(
                actual,
                Endpoint::Register | Endpoint::Update | Endpoint::Patch
            ),
            Self::RotateOnRead => actual == Endpoint::Read,
            Self::RotateOnUpdate => matches!(actual, Endpoint::Update | Endpoint::Patch),
            Self::BareManagementAnswers => {
                actual.describes_client() && actual != Endpoint::Register
            }
            Self::RefuseIssuerAudience | Self::RefuseEndpointAudience => {
                matches!(actual, Endpoint::Token | Endpoint::Par)
            }
            Self::WrongIssuer { .. } => actual == Endpoint::Discovery,
        }
    }
}

/// A fault, and how often it will still happen.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ActiveFault {
    /// What goes wrong.
    #[serde(flatten)]
    pub fault: Fault,
    /// Matching requests left; `None`: until cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

/// The faults that are set.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<ActiveFault>>);

impl Faults {
    /// Sets a fault until it is cleared.
    pub fn set(&self, fault: Fault) {
        self.push(ActiveFault { fault, times: None });
    }

    /// Sets a fault for the next `times` requests that it concerns.
    pub fn set_times(&self, fault: Fault, times: u32) {
        let times = Some(times);
        self.push(ActiveFault { fault, times });
    }

    /// Ends all faults.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The faults that are still set.
    pub fn active(&self) -> Vec<ActiveFault> {
        self.lock().clone()
    }

    pub(crate) fn push(&self, mut active: ActiveFault) {
        if active.fault == Fault::ForgetClients {
            active.times = Some(1);
        }
        self.lock().push(active);
    }

    /// The faults that happen to one request to `endpoint`; counts them.
    pub(crate) fn take(&self, endpoint: Endpoint) -> Vec<Fault> {
        let mut taken = Vec::new();
        let mut active = self.lock();
        for entry in active.iter_mut() {
            if entry.times != Some(0) && entry.fault.concerns(endpoint) {
                taken.push(entry.fault.clone());
                entry.times = entry.times.map(|times| times - 1);
            }
        }
        active.retain(|entry| entry.times != Some(0));
        taken
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ActiveFault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
