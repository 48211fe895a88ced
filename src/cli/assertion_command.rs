//! `bff assertion`: the operator's tool to try the client by hand.

use std::sync::Arc;

use clap::Args;

use super::command_error::CommandError;
use super::context::{Context, block_on, stored};
use super::exit::{Exit, Failure};
use super::output;
use crate::app;
use crate::clock::Clock;
use crate::config::KeysConfig;
use crate::jose::SigningKey;
use crate::oauth::AssertionType;
use crate::state::KnownIdp;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The `aud` of the assertion (default: the one the IdP was seen to accept, else the issuer).
    #[arg(long, value_name = "URL")]
    audience: Option<String>,
}

pub(super) fn command(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let config = context.read::<KeysConfig>()?;
    let state = stored(&config)?;
    let (Some(registered), Some(ring)) = (state.registration(), state.ring()) else {
        return Err(CommandError::NoClient.into());
    };
    let known = state.idp(&registered.issuer);
    let learnt = known.and_then(|known| known.presentation(KnownIdp::TOKEN_ENDPOINT));
    let typ = learnt
        .as_ref()
        .map_or(AssertionType::Explicit, |learnt| learnt.assertion_type);
    let audience = arguments
        .audience
        .clone()
        .or(learnt.map(|learnt| learnt.audience))
        .unwrap_or_else(|| registered.issuer.clone());
    let current = &ring.current().jwk;
    let pem = app::store_of(&config).read_key(&current.kid)?;
    let key = SigningKey::from_pem(
        pem.expose().as_bytes(),
        config.passphrase.as_ref(),
        Some(current.alg),
        Some(current.kid.clone()),
    )
    .map_err(|error| {
        let hint = error.hint();
        Failure::new(Exit::Failure, error, hint)
    })?;
    if key.public().key != current.key {
        return Err(CommandError::OtherKey(current.kid.clone()).into());
    }
    let (key, clock) = (Arc::new(key), Clock::system());
    let assertion = app::assertion(&key, &registered.client_id, &audience, typ, &clock);
    let assertion = block_on(assertion)?.map_err(CommandError::from)?;
    output::line(assertion.expose());
    Ok(())
}
