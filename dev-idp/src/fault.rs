//! Faults: what real providers, proxies and networks do to a client, on demand.

mod endpoint;
mod verdict;

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::endpoint::Endpoint;
pub use self::verdict::Verdict;

/// One thing that goes wrong.
///
/// In JSON: `{"fault": "drop_after", "on": "register"}`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The connection closes; nothing was done.
    DropBefore {
        /// Where.
        on: Endpoint,
    },
    /// The request is carried out; the connection closes without an answer.
    DropAfter {
        /// Where.
        on: Endpoint,
    },
    /// The request is carried out; the connection closes in the middle of the answer's body.
    CutBody {
        /// Where.
        on: Endpoint,
    },
    /// The request is carried out; a proxy answers 502 with an HTML page.
    BadGatewayAfter {
        /// Where.
        on: Endpoint,
    },
    /// The request is carried out; a success is answered with this status.
    StatusAfter {
        /// Where.
        on: Endpoint,
        /// The HTTP status.
        status: u16,
    },
    /// The request is carried out; something else than its success is answered.
    ReplyAfter {
        /// Where.
        on: Endpoint,
        /// The HTTP status.
        status: u16,
        /// `Location`, if there is one.
        #[serde(default)]
        location: Option<String>,
        /// The body; `{answer}` in it stands for the body of the success, and `{members}` for the
        /// same without its braces.
        body: String,
    },
    /// Nothing is done; this status is answered: 503 with `Retry-After`, 405 with `Allow`, 400
    /// and 401 at the token endpoint as `invalid_client`.
    Status {
        /// Where.
        on: Endpoint,
        /// The HTTP status.
        status: u16,
    },
    /// Nothing is done; 307 to another path of this provider.
    Redirect {
        /// Where.
        on: Endpoint,
    },
    /// The request is carried out; the answer comes later.
    Delay {
        /// Where.
        on: Endpoint,
        /// How much later, in milliseconds.
        millis: u64,
    },
    /// Nothing is done; this status and body are answered. `{sent}` in the body stands for all that
    /// the request held: its credentials and its content. So do `Location`, `Retry-After` and the
    /// description in `WWW-Authenticate`.
    Repeat {
        /// Where.
        on: Endpoint,
        /// The HTTP status.
        status: u16,
        /// The body.
        body: String,
    },
    /// The discovery document of OpenID Connect (not that of RFC 8414) leaves this member out.
    OmitFromDiscovery {
        /// Name of the metadata member.
        member: String,
    },
    /// Errors have no body, no `Content-Type` and no challenge.
    EmptyErrors,
    /// Errors are HTML pages.
    HtmlErrors,
    /// A registration is answered with 200.
    OkInsteadOfCreated,
    /// Answers to reads have this member, and an update with it is refused.
    ForeignMember {
        /// Name of the metadata member.
        member: String,
        /// Its value.
        value: Value,
    },
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
    /// A client assertion made with this key is refused, published or not.
    RefuseKey {
        /// The key ID.
        kid: String,
    },
    /// Where the JWK Set holds several keys, a client assertion is answered 500, whichever of them
    /// made it.
    RefuseSeveralKeys,
    /// A client assertion with the issuer as its audience is refused.
    RefuseIssuerAudience,
    /// A client assertion with an endpoint as its audience is refused.
    RefuseEndpointAudience,
    /// Only client assertions of this `typ` are accepted.
    OnlyType {
        /// The `typ`.
        typ: String,
    },
    /// An authentication that ended so is answered in another way than by this provider.
    Answer {
        /// How it ended.
        to: Verdict,
        /// The HTTP status.
        status: u16,
        /// The body; `{random}` in it is different each time.
        body: String,
    },
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
            | Self::ReplyAfter { on, .. }
            | Self::StatusAfter { on, .. }
            | Self::Status { on, .. }
            | Self::Redirect { on }
            | Self::Repeat { on, .. }
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
            Self::ForeignMember { .. } => {
                matches!(actual, Endpoint::Read | Endpoint::Update | Endpoint::Patch)
            }
            Self::RotateOnRead => actual == Endpoint::Read,
            Self::RotateOnUpdate => matches!(actual, Endpoint::Update | Endpoint::Patch),
            Self::BareManagementAnswers => {
                actual.describes_client() && actual != Endpoint::Register
            }
            Self::RefuseKey { .. }
            | Self::RefuseSeveralKeys
            | Self::RefuseIssuerAudience
            | Self::RefuseEndpointAudience
            | Self::OnlyType { .. }
            | Self::Answer { .. } => {
                matches!(actual, Endpoint::Token | Endpoint::Par)
            }
            Self::OmitFromDiscovery { .. } | Self::WrongIssuer { .. } => {
                actual == Endpoint::Discovery
            }
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
