//! Where everything stands, as `/admin/status` and `bff status` show it. No secrets.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::condition::{Bootstrap, Condition};
use super::orders::{FailureReport, OrderReport};
use super::unsettled::{Unsettled, UnsettledReport};
use crate::jose::{Algorithm, Kid};
use crate::keyring::{KeyRing, KeyState, RotationPolicy};
use crate::registration::{Drift, Orphan, Proof, RefusedUpdate};
use crate::state::{Journal, State};

/// The answer of `GET /admin/status`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StatusReport {
    /// The keys of the ring, the one that signs first.
    pub keys: Vec<KeyReport>,
    /// Where a rotation stands; none without keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<RotationReport>,
    /// The client.
    pub registration: RegistrationReport,
    /// What the IdP still has to be told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projections: Vec<ProjectionReport>,
    /// The last proof; absent if the service does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// The last orders to register or update, the newest first; none if the service does not run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<OrderReport>,
    /// What an operator should settle about the client.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsettled: Vec<UnsettledReport>,
    /// Clients that are no longer used and may still exist at the IdP.
    pub orphans: Vec<OrphanReport>,
    /// What happened, oldest first.
    pub journal: Journal,
}

/// A key of the ring. What is absent is not known.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[allow(missing_docs, reason = "the names are those of the key record")]
pub struct KeyReport {
    pub kid: Kid,
    pub alg: Algorithm,
    pub state: KeyState,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signs_since: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retires_at: Option<Timestamp>,
}

/// Where a rotation stands.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct RotationReport {
    /// The phase.
    pub phase: Phase,
    /// The key that is to sign next; after a compromise the one that signs now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<Kid>,
    /// When it may sign at the earliest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest_promotion: Option<Timestamp>,
    /// What has to happen first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<WaitingFor>,
    /// Proofs in a row that were not accepted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rejections: u32,
    /// What an operator should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The phases of a rotation.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// None is under way.
    #[default]
    Steady,
    /// The next key is published.
    Prepublished,
}

/// What the next step of a rotation waits for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WaitingFor {
    /// The hour after a promotion in which the new key is looked after.
    Probation,
    /// The IdP has to accept the new key.
    Proof,
    /// The set with the new key has to be served, or pushed.
    Publication,
    /// There has to be a usable registration.
    Registration,
    /// Every copy of the set has to be renewed.
    Time,
}

/// The client.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RegistrationReport {
    /// How it stands.
    pub state: RegistrationState,
    /// The issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Our identifier there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// When the client was registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_at: Option<Timestamp>,
    /// Since when the IdP knows neither the client nor its token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_since: Option<Timestamp>,
    /// When the unfinished registration began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// What is being done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under_way: Option<String>,
    /// Why the last work on it failed, if that showed anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureReport>,
    /// When the registration was last read at the IdP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_checked_at: Option<Timestamp>,
    /// The update that the IdP last refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_refused: Option<UpdateRefusedReport>,
    /// What had drifted then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
}

/// An update that the IdP refused.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct UpdateRefusedReport {
    /// When.
    pub at: Timestamp,
    /// The HTTP status.
    pub status: u16,
    /// What the IdP said about it; empty if it said nothing.
    pub said: String,
}

/// How a registration stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistrationState {
    /// A registration was begun, and its outcome is not settled.
    Attempt,
    /// Only an operator can decide what to do.
    Blocked,
    /// The IdP knows neither the client nor its token any more.
    Gone,
    /// There is no client.
    None,
    /// The IdP refused the last registration.
    Refused,
    /// There is a client.
    Registered,
    /// There is a client, and another is to take its place.
    Replacing,
    /// A client is registered, and cannot be changed from here.
    Unmanageable,
}

/// A member of the client metadata that the IdP still has to be told.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ProjectionReport {
    /// Its name (RFC 7591 §2).
    pub member: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_since: Option<Timestamp>,
}

/// A client that is no longer used.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct OrphanReport {
    /// The issuer at which it is known.
    pub issuer: String,
    /// Its identifier.
    pub client_id: String,
    /// Since when it is not used.
    pub since: Timestamp,
}

impl StatusReport {
    /// The report from the state alone. `policy` decides when a key leaves the set.
    pub fn of(state: &State, policy: Option<&RotationPolicy>) -> Self {
        Self {
            keys: state
                .ring()
                .map(|ring| keys(ring, policy))
                .unwrap_or_default(),
            rotation: state.ring().map(RotationReport::of),
            registration: RegistrationReport::of(state),
            projections: ProjectionReport::open(state),
            proof: None,
            orders: Vec::new(),
            unsettled: Unsettled::of(state)
                .into_iter()
                .map(Unsettled::report)
                .collect(),
            orphans: state.orphans().iter().map(OrphanReport::of).collect(),
            journal: state.journal().clone(),
        }
    }

    /// The same, with what only the running service knows.
    #[must_use]
    pub fn with(mut self, condition: &Condition, rotation: RotationReport) -> Self {
        self.rotation = Some(rotation);
        self.proof = condition.proof();
        self.orders = condition.orders();
        self.registration.under_way = condition.step().map(str::to_owned);
        if let Bootstrap::Failed {
            error, hint, class, ..
        } = condition.standing()
        {
            self.registration.failure = Some(FailureReport {
                error,
                hint: hint.to_owned(),
                class,
            });
        }
        if let Some((drift, checked_at)) = condition.drift() {
            self.registration.drift = Some(drift);
            self.registration.last_checked_at = Some(checked_at);
        }
        self
    }
}

fn keys(ring: &KeyRing, policy: Option<&RotationPolicy>) -> Vec<KeyReport> {
    ring.keys()
        .map(|(key, state)| KeyReport {
            kid: key.jwk.kid.clone(),
            alg: key.jwk.alg,
            state,
            created_at: key.created_at,
            published_at: key.published_at,
            signs_since: key.signs_since,
            retires_at: policy.and_then(|policy| ring.retires_at(key, policy)),
        })
        .collect()
}

impl RotationReport {
    /// What the ring alone tells.
    pub fn of(ring: &KeyRing) -> Self {
        match ring.next() {
            None => Self::default(),
            Some(next) => Self {
                phase: Phase::Prepublished,
                kid: Some(next.jwk.kid.clone()),
                ..Self::default()
            },
        }
    }

    /// How long it takes until the new key may sign.
    pub fn left(&self, now: Timestamp) -> Option<Duration> {
        let left = self.earliest_promotion?.duration_since(now);
        Some(Duration::try_from(left).unwrap_or_default())
    }
}

impl RegistrationReport {
    /// What the state alone tells.
    pub fn of(state: &State) -> Self {
        let none = Self {
            state: RegistrationState::None,
            issuer: None,
            client_id: None,
            registered_at: None,
            gone_since: None,
            started_at: None,
            under_way: None,
            failure: None,
            last_checked_at: None,
            update_refused: None,
            drift: None,
        };
        match (state.registration(), state.attempt()) {
            (Some(client), _) => Self {
                state: if state.gone().is_some() {
                    RegistrationState::Gone
                } else if state.candidate().is_some() {
                    RegistrationState::Replacing
                } else if client.is_manageable() {
                    RegistrationState::Registered
                } else {
                    RegistrationState::Unmanageable
                },
                issuer: Some(client.issuer.clone()),
                client_id: Some(client.client_id.clone()),
                registered_at: Some(client.registered_at),
                gone_since: state.gone().map(|gone| gone.since),
                last_checked_at: client.seen.as_ref().map(|seen| seen.at),
                update_refused: client.refused_update.as_ref().map(UpdateRefusedReport::of),
                ..none
            },
            (None, Some(attempt)) => Self {
                state: RegistrationState::Attempt,
                issuer: Some(attempt.issuer.clone()),
                started_at: Some(attempt.started_at),
                ..none
            },
            (None, None) if state.restored().is_some() => Self {
                state: RegistrationState::Blocked,
                ..none
            },
            (None, None) if !state.stored().refusals.is_empty() => Self {
                state: RegistrationState::Refused,
                ..none
            },
            (None, None) => none,
        }
    }
}

impl UpdateRefusedReport {
    fn of(refused: &RefusedUpdate) -> Self {
        Self {
            at: refused.at,
            status: refused.status,
            said: refused.said.clone(),
        }
    }
}

impl ProjectionReport {
    fn open(state: &State) -> Vec<Self> {
        let projections = state.projections();
        let since = |member| match member {
            "jwks" => projections.jwks.as_ref()?.open_since,
            _ => projections.signing_alg.as_ref()?.open_since,
        };
        let open = projections.open().into_iter();
        open.map(|member| Self {
            member: member.to_owned(),
            open_since: since(member),
        })
        .collect()
    }
}

impl OrphanReport {
    fn of(orphan: &Orphan) -> Self {
        Self {
            issuer: orphan.issuer.clone(),
            client_id: orphan.client_id.clone(),
            since: orphan.since,
        }
    }
}

impl RegistrationState {
    /// The state in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Attempt => "attempt",
            Self::Blocked => "blocked",
            Self::Gone => "gone",
            Self::None => "none",
            Self::Refused => "refused",
            Self::Registered => "registered",
            Self::Replacing => "replacing",
            Self::Unmanageable => "unmanageable",
        }
    }
}

impl Phase {
    /// The phase in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Prepublished => "prepublished",
            Self::Steady => "steady",
        }
    }
}

impl WaitingFor {
    /// What is waited for, in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Probation => "probation",
            Self::Proof => "proof",
            Self::Publication => "publication",
            Self::Registration => "registration",
            Self::Time => "time",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
