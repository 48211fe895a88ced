//! A dry run without a service: from the configuration and the document alone.

use jiff::Timestamp;

use super::bootstrap_error::BootstrapError;
use super::endpoints::Endpoints;
use crate::config::{Config, IdpConfig};
use crate::oauth::InitialAccessToken;
use crate::planning::{PlanReport, PlannedRequest, Source, Wanted};
use crate::registration::{TokenFingerprint, TokenTarget};
use crate::state::State;

/// Says what an order would do about the client in `state`. Nothing is sent and nothing is written.
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
    let endpoint = endpoints
        .as_ref()
        .map(|known| known.registration.as_spelt());
    let target = TokenTarget {
        issuer: idp.issuer.clone(),
        endpoint: endpoint.unwrap_or_default().to_owned(),
    };
    let drift = wanted.last_drift(state);
    let when = (true, now);
    let plan = wanted.plan(state, target, token.as_ref(), (drift.clone(), false), when);
    let seen = state.registration().and_then(|ours| ours.seen.as_ref());
    let source = Source {
        endpoint,
        alias: endpoints.as_ref().and_then(|known| known.alias_in(state)),
        has_token: token.is_some(),
        read: seen.map(|seen| &seen.metadata),
    };
    let request = PlannedRequest::of(&plan, &wanted, state, source);
    Ok(PlanReport::of(&plan, state, drift, request))
}
