//! The private keys of the ring, and the one that signs.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, PoisonError, RwLock};

use super::blocking::blocking;
use super::keys_error::KeysError;
use super::ledger::Ledger;
use crate::clock::Clock;
use crate::jose::{Algorithm, Kid, SigningKey, Wrapping};
use crate::keyring::{KeyRing, KeyState};
use crate::secret::Secret;
use crate::store::{KeyStoreError, Store};

/// Signs with the key that the state names.
///
/// Only the state says which key that is: it is looked up for each signature, and never stored a
/// second time.
#[derive(Debug)]
pub struct Signer {
    ledger: Arc<Ledger>,
    loaded: RwLock<HashMap<Kid, Arc<SigningKey>>>,
    passphrase: Option<Secret>,
}

/// Why nothing can be signed now.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoSigner {
    /// A commit may have taken the key out of the set.
    #[error(
        "the outcome of the last write of the state is unknown, so key `{0}` may have left the JWK \
         Set"
    )]
    InDoubt(Kid),
    /// Its file could not be loaded.
    #[error("the file of key `{0}` could not be loaded")]
    NotLoaded(Kid),
    /// There is no key.
    #[error("the state names no key")]
    NoKey,
}

impl NoSigner {
    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::InDoubt(_) => {
                "check that the disk of BFF_STATE_DIR is neither full nor read-only; signing goes \
                 on once the state can be read again"
            }
            Self::NotLoaded(_) => "restore the file from a backup of BFF_KEYS_DIR and restart",
            Self::NoKey => "restore BFF_STATE_DIR and BFF_KEYS_DIR from one backup",
        }
    }
}

impl Signer {
    /// Loads the keys of the ring.
    ///
    /// # Errors
    ///
    /// [`KeysError`] if the key that signs cannot be loaded; others are only warned about.
    pub async fn open(ledger: Arc<Ledger>, passphrase: Option<Secret>) -> Result<Self, KeysError> {
        let signer = Self {
            loaded: RwLock::default(),
            passphrase,
            ledger,
        };
        let state = signer.ledger.state();
        let ring = state.ring().ok_or(KeysError::KeyOfClientMissing)?;
        for (record, key_state) in ring.keys() {
            match signer.load(&record.jwk.kid, ring).await {
                Ok(key) => signer.keep(Arc::new(key)),
                Err(error) if key_state == KeyState::Current => return Err(error),
                Err(error) => tracing::warn!(
                    key.kid = %record.jwk.kid,
                    error = &error as &dyn Error,
                    "The file of a published key cannot be used; another key signs"
                ),
            }
        }
        if signer.passphrase.is_some() {
            signer.report_clear().await;
        }
        Ok(signer)
    }

    /// Warns about keys that are stored in clear though a passphrase is set.
    async fn report_clear(&self) {
        let state = self.ledger.state();
        let store = Arc::clone(self.ledger.store());
        let clear = blocking(move || {
            let kids = state.ring().into_iter().flat_map(KeyRing::keys);
            let kids = kids.map(|(record, _)| &record.jwk.kid);
            let is_clear = |kid: &&Kid| {
                let text = store.read_key(kid);
                text.is_ok_and(|text| Wrapping::of(text.expose()) == Wrapping::Clear)
            };
            let clear: Vec<String> = kids.filter(is_clear).map(Kid::to_string).collect();
            clear.join(", ")
        })
        .await;
        if !clear.is_empty() {
            tracing::warn!(
                "BFF_KEY_PASSPHRASE is set, but the files of these keys are not encrypted: {clear}; \
                 hint: stop the service and run `bff keys reencrypt`"
            );
        }
    }

    /// The key that signs.
    ///
    /// # Errors
    ///
    /// [`NoSigner`].
    pub fn current(&self) -> Result<Arc<SigningKey>, NoSigner> {
        let (state, doubt) = (self.ledger.state(), self.ledger.doubt());
        let kid = &state.ring().ok_or(NoSigner::NoKey)?.current().jwk.kid;
        let published = |ring: Option<&KeyRing>| {
            ring.is_some_and(|ring| ring.published().any(|k| k.kid == *kid))
        };
        if doubt.is_some_and(|other| !published(other.ring())) {
            return Err(NoSigner::InDoubt(kid.clone()));
        }
        self.get(kid)
            .ok_or_else(|| NoSigner::NotLoaded(kid.clone()))
    }

    /// The key of that ID, if its file could be loaded.
    pub fn get(&self, kid: &Kid) -> Option<Arc<SigningKey>> {
        let keys = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(kid).map(Arc::clone)
    }

    /// Stores a new key before the ring names it. The intention is committed before the file is
    /// written, so that the file is known to be ours.
    ///
    /// # Errors
    ///
    /// [`KeysError`].
    pub async fn add(&self, key: SigningKey, clock: &Clock) -> Result<(), KeysError> {
        let key = Arc::new(key);
        keep(&self.ledger, self.passphrase.clone(), &key, clock).await?;
        self.keep(key);
        Ok(())
    }

    /// Gives a key another algorithm: what signs from now on has it in its header.
    pub fn restamp(&self, key: SigningKey) {
        self.keep(Arc::new(key));
    }

    /// A key that was intended and stored, and that the ring never named, because the process ended
    /// in between. It was never published, so it can be used.
    pub async fn intended(&self) -> Option<SigningKey> {
        let state = self.ledger.state();
        let (intended, ring) = (state.intended_key()?, state.ring()?);
        let passphrase = self.passphrase.clone();
        let key = load(&self.ledger, passphrase, &intended.kid, Some(intended.alg)).await;
        key.ok().filter(|key| !ring.knows(key.public()))
    }

    fn keep(&self, key: Arc<SigningKey>) {
        let mut keys = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        keys.insert(key.kid().clone(), key);
    }

    async fn load(&self, kid: &Kid, ring: &KeyRing) -> Result<SigningKey, KeysError> {
        let jwk = ring.published().find(|jwk| jwk.kid == *kid);
        let alg = jwk.map(|jwk| jwk.alg);
        let key = load(&self.ledger, self.passphrase.clone(), kid, alg).await?;
        if jwk.is_some_and(|jwk| jwk.key == key.public().key) {
            Ok(key)
        } else {
            Err(KeysError::Exchanged { kid: kid.clone() })
        }
    }
}

/// Keeps a key: its intention is in the state before its file is, so that the file is known to be
/// ours. A key that is kept already needs neither.
pub(super) async fn keep(
    ledger: &Ledger,
    passphrase: Option<Secret>,
    key: &Arc<SigningKey>,
    clock: &Clock,
) -> Result<(), KeysError> {
    let (written, protected) = (Arc::clone(key), passphrase.clone());
    let pem = blocking(move || written.to_pem(protected.as_ref())).await?;
    let (kid, public, alg) = (key.kid().clone(), key.public().clone(), key.alg());
    let (store, looked_for) = (Arc::clone(ledger.store()), kid.clone());
    let found = blocking(move || store.read_key(&looked_for)).await;
    if matches!(found, Err(KeyStoreError::Missing { .. })) {
        let now = clock.now();
        ledger
            .record(|state| state.intend_key(&kid, alg, now))
            .await?;
    }
    let (store, owned_kid) = (Arc::clone(ledger.store()), kid.clone());
    blocking(move || match store.write_key(&owned_kid, &pem) {
        // The file may hold the same key, encrypted or in another encoding.
        Err(error @ KeyStoreError::Exists { .. }) => {
            let there = read(store.as_ref(), passphrase.as_ref(), &owned_kid, Some(alg));
            if there.is_ok_and(|there| *there.public() == public) {
                Ok(())
            } else {
                Err(error)
            }
        }
        result => result,
    })
    .await
    .map_err(|source| KeysError::File { kid, source })
}

/// The key that the store keeps under `kid`.
pub(super) async fn load(
    ledger: &Ledger,
    passphrase: Option<Secret>,
    kid: &Kid,
    alg: Option<Algorithm>,
) -> Result<SigningKey, KeysError> {
    let (store, kid) = (Arc::clone(ledger.store()), kid.clone());
    blocking(move || read(store.as_ref(), passphrase.as_ref(), &kid, alg)).await
}

fn read(
    store: &dyn Store,
    passphrase: Option<&Secret>,
    kid: &Kid,
    alg: Option<Algorithm>,
) -> Result<SigningKey, KeysError> {
    let pem = store.read_key(kid).map_err(|source| KeysError::File {
        kid: kid.clone(),
        source,
    })?;
    let pem = pem.expose().as_bytes();
    SigningKey::from_pem(pem, passphrase, alg, Some(kid.clone())).map_err(|source| {
        KeysError::Damaged {
            kid: kid.clone(),
            source,
        }
    })
}
