//! What a bootstrap would do, for a dry run.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::planned_request::PlannedRequest;
use crate::registration::{Drift, Plan};
use crate::state::State;

/// What a bootstrap would do, and why.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PlanReport {
    /// `nothing`, `register`, `update`, `replace` or `refuse`.
    pub plan: String,
    /// The same in a sentence.
    pub summary: String,
    /// What an operator can do, where nothing can be done without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The members that are not as they should be.
    pub diff: Drift,
    /// The request as it would be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<PlannedRequest>,
    /// When the IdP last said what it has of the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Timestamp>,
}

impl PlanReport {
    /// Describes a plan.
    pub fn of(plan: &Plan, state: &State, diff: Drift, request: Option<PlannedRequest>) -> Self {
        let client = state.registration();
        let seen_at = client.and_then(|client| Some(client.seen.as_ref()?.at));
        let client = client.map_or("", |client| client.client_id.as_str());
        let (name, summary, hint) = match plan {
            Plan::Nothing if diff.is_empty() => (
                "nothing",
                format!("client `{client}` matches the configuration"),
                None,
            ),
            Plan::Nothing => (
                "nothing",
                format!("client `{client}` differs, and cannot be changed from here"),
                Some(
                    "change it at the IdP, or register anew with a fresh DCR_IAT and \
                     DCR_FORCE_REPLACE=true",
                ),
            ),
            Plan::Register => ("register", "a client would be registered".to_owned(), None),
            Plan::Replace(_) => (
                "replace",
                format!("client `{client}` would be replaced by a new one"),
                None,
            ),
            Plan::Update(drift) => (
                "update",
                format!(
                    "client `{client}` would be changed in {}",
                    drift.members().join(", ")
                ),
                None,
            ),
            Plan::Blocked(reason) => ("refuse", reason.to_string(), Some(reason.hint())),
        };
        Self {
            plan: name.to_owned(),
            summary,
            hint: hint.map(str::to_owned),
            diff,
            request,
            seen_at,
        }
    }
}
