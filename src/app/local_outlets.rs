//! Keeps what the application reads up to date.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use super::blocking::blocking;
use super::error_chain::chain;
use crate::config::Config;
use crate::local_files::{OutletError, Outlets};
use crate::state::State;

/// Compares the files that the application reads with the state, and writes what differs.
#[derive(Debug)]
pub struct LocalOutlets {
    outlets: Outlets,
    /// The errors of the last try: each is logged once.
    failed: Arc<Mutex<Vec<String>>>,
}

impl LocalOutlets {
    /// Keeps these up to date.
    pub fn new(outlets: Outlets) -> Self {
        Self {
            outlets,
            failed: Arc::default(),
        }
    }

    /// Makes them show `state`.
    pub async fn show(&self, config: &Config, state: &State) {
        let Some(kid) = state.ring().map(|ring| ring.current().jwk.kid.clone()) else {
            return;
        };
        let client = self
            .outlets
            .has_client_file()
            .then(|| client_file(config, state))
            .flatten();
        let (outlets, failed) = (self.outlets.clone(), Arc::clone(&self.failed));
        blocking(move || {
            let shown = [
                outlets.show_key(&kid).map(drop),
                client.map_or(Ok(()), |client| outlets.show_client(&client).map(drop)),
            ];
            let errors: Vec<_> = shown.into_iter().filter_map(Result::err).collect();
            report(&failed, &errors);
        })
        .await;
    }
}

/// Logs what cannot be written, unless the last try logged the same.
fn report(failed: &Mutex<Vec<String>>, errors: &[OutletError]) {
    let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
    let texts: Vec<String> = errors.iter().map(|error| chain(error)).collect();
    for (error, text) in errors.iter().zip(&texts) {
        if !failed.contains(text) {
            tracing::warn!(
                path = %error.path().display(),
                "{text}: an application that reads it sees the old contents; hint: {}",
                error.hint()
            );
        }
    }
    *failed = texts;
}

/// The public data of the client for the application; `None` before a client is registered.
fn client_file(config: &Config, state: &State) -> Option<String> {
    let client = state.registration()?;
    let key = &state.ring()?.current().jwk;
    let configured = config.idp.as_ref()?.token_endpoint.as_ref();
    let token_endpoint = if let Some(url) = configured {
        url.as_str().to_owned()
    } else {
        let metadata = state.idp(&client.issuer)?.metadata.as_ref()?;
        metadata.token_endpoint.clone()?
    };
    let contents = json!({
        "client_id": client.client_id,
        "issuer": client.issuer,
        "token_endpoint": token_endpoint,
        "kid": key.kid,
        "alg": key.alg,
    });
    Some(format!("{contents:#}\n"))
}
