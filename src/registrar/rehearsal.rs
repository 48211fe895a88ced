//! A dry run: what an order would do.

use jiff::Timestamp;

use super::bootstrap_error::BootstrapError;
use super::endpoints::Endpoints;
use crate::config::{Config, IdpConfig};
use crate::oauth::{ClientMetadata, InitialAccessToken};
use crate::planning::{PlanReport, PlannedRequest, Source, Wanted};
use crate::registration::{Drift, TokenFingerprint, TokenTarget};
use crate::state::State;

/// Says what an order would do about the client in `state`, without a service. Nothing is sent and
/// nothing is written.
///
/// # Errors
///
/// [`BootstrapError::NoToken`] where the file of the initial access token is missing and there is
/// no client yet.
pub fn rehearse(
    config: &Config,
    idp: &IdpConfig,
    state: &State,
    now: Timestamp,
) -> Result<PlanReport, BootstrapError> {
    if let Some(error) = &config.dcr.iat_missing
        && state.registration().is_none()
    {
        return Err(BootstrapError::NoToken(Box::new(error.clone())));
    }
    let wanted = Wanted {
        dcr: &config.dcr,
        idp,
    };
    let token = config.dcr.iat.clone().map(InitialAccessToken);
    let token = token.as_ref().map(TokenFingerprint::of);
    let endpoints = Endpoints::last(idp, state);
    let seen = state.registration().and_then(|ours| ours.seen.as_ref());
    let found = Found {
        endpoints: endpoints.as_ref(),
        token: token.as_ref(),
        drift: wanted.last_drift(state),
        read: seen.map(|seen| &seen.metadata),
    };
    Ok(report(&wanted, state, found, now))
}

/// What a dry run has to go by, beside the configuration and the state.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) endpoints: Option<&'a Endpoints>,
    pub(super) token: Option<&'a TokenFingerprint>,
    pub(super) drift: Drift,
    /// What the IdP was last seen to have of the client.
    pub(super) read: Option<&'a ClientMetadata>,
}

/// What an order would do.
pub(super) fn report(
    wanted: &Wanted<'_>,
    state: &State,
    found: Found<'_>,
    now: Timestamp,
) -> PlanReport {
    let Found {
        endpoints,
        token,
        drift,
        read,
    } = found;
    // Without them nothing is planned that needs them.
    let endpoint = endpoints.map(|known| known.registration.as_spelt());
    let target = TokenTarget {
        issuer: wanted.idp.issuer.clone(),
        endpoint: endpoint.unwrap_or_default().to_owned(),
    };
    let plan = wanted.plan(state, target, token, (drift.clone(), false), (true, now));
    let source = Source {
        endpoint,
        alias: endpoints.and_then(|known| known.alias_in(state)),
        has_token: token.is_some(),
        read,
    };
    let request = PlannedRequest::of(&plan, wanted, state, source);
    PlanReport::of(&plan, state, drift, request)
}
