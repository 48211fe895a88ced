//! The request that a plan leads to, for a dry run.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::wanted::Wanted;
use crate::jose::Algorithm;
use crate::oauth::{ClientMetadata, shown_url};
use crate::registration::{Plan, Registered, Replacement, foreign_members, update_body};
use crate::state::State;

/// What a request is made from, beside the configuration and the state.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The `registration_endpoint`, as far as it is known.
    pub endpoint: Option<&'a str>,
    /// The name of the algorithm that the IdP knows, where it is another than ours (RFC 9864).
    pub alias: Option<Algorithm>,
    /// Whether an initial access token is configured.
    pub has_token: bool,
    /// What the IdP was last seen to have of the client.
    pub read: Option<&'a ClientMetadata>,
}

/// A request as it would be sent, without its secrets.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PlannedRequest {
    /// The HTTP method.
    pub method: String,
    /// Where it goes; absent as long as the IdP was never asked for its `registration_endpoint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Which token it carries, if any; never the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
    /// The client metadata (RFC 7591 §2).
    pub body: ClientMetadata,
}

impl PlannedRequest {
    /// The request of `plan`, if it leads to one.
    pub fn of(plan: &Plan, wanted: &Wanted<'_>, state: &State, source: Source<'_>) -> Option<Self> {
        let mut desired = wanted.desired(state)?;
        let planned = match plan {
            Plan::Register | Plan::Replace(Replacement::NewClient) => {
                if let Some(alias) = source.alias {
                    desired.alg = alias;
                }
                Self {
                    method: "POST".to_owned(),
                    url: source.endpoint.map(shown_url),
                    authorization: match (source.has_token, &wanted.dcr.idp_admin_token) {
                        (true, _) => Some("DCR_IAT".to_owned()),
                        (false, Some(_)) => Some("minted with BOOTSTRAP_ADMIN_TOKEN".to_owned()),
                        (false, None) => None,
                    },
                    body: desired.metadata(),
                }
            }
            Plan::Update(_) | Plan::Replace(Replacement::Update) => {
                let client = state.registration()?;
                Self {
                    method: "PUT".to_owned(),
                    url: url_of(client),
                    authorization: Some("the registration access token".to_owned()),
                    body: changed(wanted, &desired.metadata(), client, source.read),
                }
            }
            Plan::Nothing | Plan::Blocked(_) => return None,
        };
        Some(planned.without_secrets())
    }

    fn without_secrets(mut self) -> Self {
        if let Some(statement) = self.body.0.get_mut("software_statement") {
            *statement = json!("[REDACTED]");
        }
        self
    }
}

fn url_of(client: &Registered) -> Option<String> {
    let management = client.management.as_ref()?;
    Some(shown_url(management.uri.as_str()))
}

fn changed(
    wanted: &Wanted<'_>,
    desired: &ClientMetadata,
    client: &Registered,
    read: Option<&ClientMetadata>,
) -> ClientMetadata {
    let mut body = update_body(desired, client, read, wanted.redirects());
    if let Some(idp) = read {
        let foreign = foreign_members(&body, client, idp);
        body.0.extend(foreign.0);
    }
    body
}
