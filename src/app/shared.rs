//! The service with its state and keys, before its first request.

use std::path::Path;
use std::sync::Arc;

use super::condition::{Bootstrap, Condition};
use super::first_key;
use super::keys_error::KeysError;
use super::ledger::{Ledger, UpdateError};
use super::local_outlets::LocalOutlets;
use super::operator_key::offered;
use super::restoration::Restoration;
use super::shutdown::Shutdown;
use super::signer::Signer;
use super::stores::store_of;
use super::supervision::Supervision;
use super::token_place::TokenPlace;
use crate::clock::Clock;
use crate::config::Config;
use crate::disk::{Disk, HostDisk};
use crate::jose::SigningKey;
use crate::local_files::{Directories, OpenError, Outlets};
use crate::metrics::Metrics;
use crate::oauth::InitialAccessToken;
use crate::registration::TokenFingerprint;
use crate::state::RingRefusal;
use crate::store::{LoadError, Store};

/// What the tasks share.
#[derive(Debug)]
pub struct App {
    /// The configuration it runs with.
    pub config: Arc<Config>,
    /// The state.
    pub ledger: Arc<Ledger>,
    /// The private keys.
    pub signer: Signer,
    /// The configured initial access token.
    pub initial_token: TokenPlace,
    /// How it is going.
    pub condition: Condition,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Clock,
    /// Where tasks are spawned, and told to stop.
    pub shutdown: Shutdown,
    /// What became of the background tasks.
    pub supervision: Supervision,
    outlets: LocalOutlets,
    #[expect(dead_code, reason = "dropping it releases the lock")]
    directories: Directories,
}

/// Where an [`App`] keeps what it keeps.
#[derive(Debug)]
pub struct Parts {
    /// The state and the keys.
    pub store: Arc<dyn Store>,
    /// The directories that are ours.
    pub directories: Directories,
    /// What the application reads.
    pub outlets: Outlets,
}

/// Why the service cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenAppError {
    /// There is no key to sign with.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The state cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The directories cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl OpenAppError {
    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Keys(error) => error.hint(),
            Self::Load(error) => error.hint(),
            Self::Open(error) => error.hint(),
        }
    }
}

impl App {
    /// Opens the store that the configuration names, and loads the keys, or makes the first one.
    ///
    /// # Errors
    ///
    /// [`OpenAppError`]; nothing is half done then.
    pub async fn open(config: Config, clock: Clock) -> Result<Self, OpenAppError> {
        let (keys, state) = (&config.keys.keys_dir, &config.keys.state_dir);
        let disk: Arc<dyn Disk> = Arc::new(HostDisk);
        let client_file = config.dcr.client_cred_path.as_deref();
        let directories = Directories::open(Arc::clone(&disk), keys, state, &owner())?;
        directories.share(config.keys.group)?;
        let parts = Parts {
            directories,
            outlets: Outlets::new(disk, keys, state, client_file),
            store: store_of(&config.keys),
        };
        // The configuration is large, and every future around it would be as large.
        Box::pin(Self::open_with(parts, config, clock)).await
    }

    /// Like [`App::open`], with a store and directories that are open already.
    ///
    /// # Errors
    ///
    /// [`OpenAppError`]; nothing is half done then.
    pub async fn open_with(
        parts: Parts,
        mut config: Config,
        clock: Clock,
    ) -> Result<Self, OpenAppError> {
        parts.outlets.sweep();
        let token = config.dcr.iat.clone().map(InitialAccessToken);
        let tokens = token.iter().map(TokenFingerprint::of).collect();
        let restoration = Restoration::new(clock.clone(), tokens);
        let max_age = config.rotation.jwks_max_age;
        let ledger = Arc::new(Ledger::load(parts.store, max_age, restoration)?);
        first_key::ensure(&ledger, &parts.directories, &config.keys, &clock).await?;
        let passphrase = config.keys.passphrase.clone();
        let signer = Signer::open(Arc::clone(&ledger), passphrase).await?;
        let shutdown = Shutdown::new();
        Ok(Self {
            initial_token: TokenPlace::new(config.dcr.iat.take()),
            condition: Condition::new(config.dcr.enabled),
            config: Arc::new(config),
            ledger,
            signer,
            metrics: Arc::new(Metrics::new()),
            supervision: Supervision::new(shutdown.clone(), clock.clone()),
            clock,
            shutdown,
            outlets: LocalOutlets::new(parts.outlets),
            directories: parts.directories,
        })
    }

    /// Notes that the JWK Set can be fetched from now on.
    ///
    /// # Errors
    ///
    /// Those of [`Ledger::update`].
    pub async fn serving(&self) -> Result<(), UpdateError<RingRefusal>> {
        let max_age = self.config.rotation.jwks_max_age;
        let state = self.ledger.state();
        if !state.ring().is_some_and(|ring| ring.is_stale(max_age)) {
            return Ok(());
        }
        let now = self.clock.now();
        self.ledger.update(|state| state.served(now, max_age)).await
    }

    /// Makes `active.pem` and the client file show the state, for an application that reads them.
    pub async fn show_locally(&self) {
        let state = self.ledger.state();
        self.outlets.show(&self.config, &state).await;
    }

    /// Whether the identity works: registered, and the last conclusive verdict on the key that
    /// signs is an acceptance, or all that can be had. What is being tried does not matter, once a
    /// start has asked the IdP at all. With registration off: whether there is a published key.
    pub fn is_ready(&self) -> bool {
        let state = self.ledger.state();
        let Some(ring) = state.ring() else {
            return false;
        };
        let Some(idp) = self.config.idp.as_ref().filter(|_| self.config.dcr.enabled) else {
            return true;
        };
        let Some(client) = state
            .registration()
            .filter(|client| client.issuer == idp.issuer)
        else {
            return false;
        };
        if !self.condition.has_looked() {
            return false;
        }
        let kid = &ring.current().jwk.kid;
        let unstored = self.condition.unstored_verdict(&client.client_id, kid);
        let verdict = unstored.or_else(|| state.verdict());
        verdict.is_some_and(|verdict| state.suffices(&idp.issuer, verdict))
    }

    /// Whether there is a client at the configured IdP that was proven and is not known to be gone: an
    /// IdP that fails then does not end the service.
    pub fn has_proven_registration(&self) -> bool {
        let state = self.ledger.state();
        self.has_registration() && state.registration().is_some_and(|client| client.proven)
    }

    /// Whether there is a client at the configured IdP that is not known to be gone.
    pub fn has_registration(&self) -> bool {
        let state = self.ledger.state();
        let issuer = self.config.idp.as_ref().map(|idp| idp.issuer.as_str());
        let client = state.registration();
        client.is_some_and(|client| Some(client.issuer.as_str()) == issuer)
            && state.gone().is_none()
    }

    /// Whether there is a client at the configured IdP as which a key can be proven, and no
    /// bootstrap is under way.
    pub fn can_prove(&self) -> bool {
        let starting = matches!(self.condition.bootstrap(), Bootstrap::Starting { .. });
        let state = self.ledger.state();
        let (client, idp) = (state.registration(), self.config.idp.as_ref());
        let here = client
            .zip(idp)
            .is_some_and(|(client, idp)| client.issuer == idp.issuer);
        here && !starting
    }

    /// A key that an operator has put in place of the first one, to be rotated to.
    pub fn offered_key(&self) -> Option<SigningKey> {
        offered(&self.config.keys, self.ledger.state().ring()?)
    }
}

/// What another process reads that finds the state directory locked.
pub fn owner() -> String {
    let host = Path::new("/proc/sys/kernel/hostname");
    let host = std::fs::read_to_string(host).unwrap_or_default();
    format!("process {} on {}", std::process::id(), host.trim())
}
