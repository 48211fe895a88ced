//! The private keys of the ring, in memory.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::Ledger;
use super::ledger::blocking;
use crate::clock::Clock;
use crate::config::KeysConfig;
use crate::jose::{Algorithm, Kid, LoadKeyError, MakeKeyError, SigningKey};
use crate::keyring::{KeyRing, KeyState};
use crate::registration::Event;
use crate::secret::Secret;
use crate::store::{CommitError, KeyFileError, Store};

/// The private keys by their IDs, and the one that signs.
#[derive(Debug)]
pub struct Keys {
    loaded: RwLock<HashMap<Kid, Arc<SigningKey>>>,
    current: RwLock<Arc<SigningKey>>,
    /// A key that an operator has put where the first one was: to be rotated to.
    offered: Mutex<Option<SigningKey>>,
    passphrase: Option<Secret>,
}

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The state could not be changed.
    #[error("cannot store which key signs")]
    Commit(#[from] CommitError),
    /// The named PEM is no key that can be used.
    #[error("the signing key {path} cannot be used")]
    Import {
        /// The file.
        path: PathBuf,
        /// Why.
        source: LoadKeyError,
    },
    /// A key of the ring is kept in a file that does not hold it.
    #[error("the file of key `{kid}` cannot be used")]
    Damaged {
        /// The key.
        kid: Kid,
        /// Why.
        source: LoadKeyError,
    },
    /// The file of a key holds another one, which is not the one that is published.
    #[error("the file of key `{kid}` holds another key than the one that is published")]
    Exchanged {
        /// The key.
        kid: Kid,
    },
    /// A private key could not be read or kept.
    #[error("the file of key `{kid}` cannot be used")]
    File {
        /// The key.
        kid: Kid,
        /// Why.
        source: KeyFileError,
    },
    /// A client is registered, but there is no key: a new one would not be its key.
    #[error("a client is registered, but the state names no key")]
    KeyOfClientMissing,
    /// No new key could be made.
    #[error("cannot make a signing key")]
    Make(#[from] MakeKeyError),
    /// Keys lie on the volume, and nothing says which of them is meant.
    #[error("{} already holds keys ({}), and nothing says which one is to sign", .directory.display(), .names.join(", "))]
    Strays {
        /// The keys directory.
        directory: PathBuf,
        /// The files.
        names: Vec<String>,
    },
    /// The keys directory cannot be listed.
    #[error("cannot list {}", .directory.display())]
    Unlisted {
        /// The keys directory.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The named PEM cannot be read.
    #[error("cannot read the signing key {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The hint where a key file is not what it was.
const RESTORE: &str = "restore the file from a backup of BFF_KEYS_DIR";

impl KeysError {
    /// Whether the configuration has to change, rather than the machine.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Import { .. } | Self::Strays { .. } | Self::Unreadable { .. }
        )
    }

    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Commit(error) => error.hint(),
            Self::Import { source, .. } => source.hint(),
            Self::Damaged { source, .. } => match source {
                LoadKeyError::BadPassphrase | LoadKeyError::PassphraseMissing => source.hint(),
                _ => RESTORE,
            },
            Self::Exchanged { .. } => RESTORE,
            Self::File { source, .. } => source.hint(),
            Self::KeyOfClientMissing => {
                "restore the state and the keys (BFF_STATE_DIR, BFF_KEYS_DIR) from one backup"
            }
            Self::Make(_) => "see that the machine has memory and /dev/urandom",
            Self::Strays { .. } => "name the one to sign with in BFF_JWT_SIGNING_KEY",
            Self::Unlisted { .. } => "let the user that runs bff read BFF_KEYS_DIR",
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "correct BFF_JWT_SIGNING_KEY, make the file with `bff keys generate --out FILE`, \
                 or leave the setting unset to have a key made on an empty volume"
            }
            Self::Unreadable { .. } => {
                "let the user that runs bff read the file that BFF_JWT_SIGNING_KEY names"
            }
        }
    }
}

impl Keys {
    /// Loads the keys of the ring; at a first start, imports the configured key, or makes one
    /// if none is configured and none is there.
    ///
    /// # Errors
    ///
    /// [`KeysError`].
    pub async fn open(
        ledger: &Ledger,
        config: &KeysConfig,
        clock: &Clock,
    ) -> Result<Self, KeysError> {
        if ledger.state().ring.is_none() {
            Self::first(ledger, config, clock).await?;
        } else {
            restamp(ledger, config).await?;
        }
        let state = ledger.state();
        let ring = state.ring.as_ref().ok_or(KeysError::KeyOfClientMissing)?;
        let mut keys = HashMap::new();
        for (record, key_state) in ring.keys() {
            let (kid, alg) = (record.jwk.kid.clone(), record.jwk.alg);
            let loaded = load(ledger.store(), config.passphrase.clone(), &kid, alg).await;
            let loaded = loaded.and_then(|key| {
                if key.public().key == record.jwk.key {
                    Ok(key)
                } else {
                    Err(KeysError::Exchanged { kid: kid.clone() })
                }
            });
            match loaded {
                Ok(key) => {
                    keys.insert(kid, Arc::new(key));
                }
                Err(error) if key_state == KeyState::Current => return Err(error),
                Err(error) => tracing::warn!(
                    key.kid = %kid,
                    error = &error as &dyn Error,
                    "A published key that does not sign now has no usable file"
                ),
            }
        }
        let current = keys
            .get(&ring.current().jwk.kid)
            .map(Arc::clone)
            .ok_or(KeysError::KeyOfClientMissing)?;
        let offered = match &config.signing_key {
            Some(path) => offered(path, config, ring),
            None => None,
        };
        Ok(Self {
            loaded: RwLock::new(keys),
            current: RwLock::new(current),
            offered: Mutex::new(offered),
            passphrase: config.passphrase.clone(),
        })
    }

    /// The key that signs.
    pub fn current(&self) -> Arc<SigningKey> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The key of that ID, if its file could be loaded.
    pub fn get(&self, kid: &Kid) -> Option<Arc<SigningKey>> {
        let keys = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(kid).map(Arc::clone)
    }

    /// Takes the key that an operator has put where the first one was.
    pub(super) fn take_offered(&self) -> Option<SigningKey> {
        let mut offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
        offered.take()
    }

    /// Keeps a key for good, before the state names it.
    pub(super) async fn add(&self, ledger: &Ledger, key: SigningKey) -> Result<(), KeysError> {
        keep(ledger.store(), self.passphrase.clone(), &key).await?;
        let mut keys = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        keys.insert(key.kid().clone(), Arc::new(key));
        Ok(())
    }

    /// A key that was made and kept for the ring, and that the ring has never known: the process
    /// ended in between.
    pub(super) async fn unused(&self, ledger: &Ledger, alg: Algorithm) -> Option<SigningKey> {
        let (store, state) = (Arc::clone(ledger.store()), ledger.state());
        let passphrase = self.passphrase.clone();
        blocking(move || {
            let ring = state.ring.as_ref()?;
            let names = store.key_names().ok()?;
            let mut kids = names.iter().filter_map(|name| name.parse::<Kid>().ok());
            kids.find_map(|kid| {
                let pem = store.read_key(&kid).ok()?;
                let pem = pem.expose().as_bytes();
                let key = SigningKey::from_pem(pem, passphrase.as_ref(), Some(alg), None).ok()?;
                (*key.kid() == kid && !ring.knows(key.public())).then_some(key)
            })
        })
        .await
    }

    /// Signs with the key of that ID from now on, which the state says already. Says whether
    /// that key is there.
    pub(super) fn activate(&self, kid: &Kid) -> bool {
        match self.get(kid) {
            Some(key) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = key;
                true
            }
            None => false,
        }
    }

    /// Brings the first key into the ring: its file is durable before the state names it.
    async fn first(ledger: &Ledger, config: &KeysConfig, clock: &Clock) -> Result<(), KeysError> {
        let state = ledger.state();
        if state.registration.is_some() || state.attempt.is_some() {
            return Err(KeysError::KeyOfClientMissing);
        }
        let (key, how) = match &config.signing_key {
            Some(path) => (import(path, config).await?, "imported"),
            None => match adopt(ledger, config).await? {
                Some(key) => (key, "found on the volume"),
                None => (generate(config).await?, "made"),
            },
        };
        keep(ledger.store(), config.passphrase.clone(), &key).await?;
        let now = clock.now();
        let (kid, jwk) = (key.kid().clone(), key.public().clone());
        let alg = key.alg();
        ledger
            .update(|state| {
                state.ring = Some(KeyRing::new(jwk, now));
                let detail = format!("key `{kid}` ({alg}) {how}");
                state.journal.add(now, Event::KeyCreated, None, detail);
            })
            .await?;
        tracing::info!(key.kid = %kid, key.alg = %alg, "Signing key `{kid}` ({alg}) {how}");
        Ok(())
    }
}

/// As long as no client is registered with it, the first key can change its algorithm.
async fn restamp(ledger: &Ledger, config: &KeysConfig) -> Result<(), KeysError> {
    let state = ledger.state();
    let (Some(ring), Some(alg)) = (&state.ring, config.algorithm) else {
        return Ok(());
    };
    let current = &ring.current().jwk;
    if current.alg == alg {
        return Ok(());
    }
    let first = ring.published().count() == 1 && ring.retired().is_empty();
    if state.registration.is_some() || state.attempt.is_some() || !first {
        tracing::warn!(
            key.kid = %current.kid,
            "BFF_SIGNING_ALG is {alg}, and key `{}` signs with {}: the key in use keeps its \
             algorithm; `bff rotate --alg {alg}` brings in another one",
            current.kid,
            current.alg
        );
        return Ok(());
    }
    let key = load(ledger.store(), config.passphrase.clone(), &current.kid, alg).await?;
    let jwk = key.public().clone();
    let created_at = ring.current().created_at;
    ledger
        .update(|state| state.ring = Some(KeyRing::new(jwk, created_at)))
        .await?;
    Ok(())
}

async fn import(path: &Path, config: &KeysConfig) -> Result<SigningKey, KeysError> {
    let text = read_pem(path).map_err(|source| KeysError::Unreadable {
        path: path.to_path_buf(),
        source,
    })?;
    let (passphrase, alg, kid) = (
        config.passphrase.clone(),
        config.algorithm,
        config.kid.clone(),
    );
    blocking(move || SigningKey::from_pem(text.expose().as_bytes(), passphrase.as_ref(), alg, kid))
        .await
        .map_err(|source| KeysError::Import {
            path: path.to_path_buf(),
            source,
        })
}

/// Reads the PEM that an operator has put there, and says so if others can read it too.
fn read_pem(path: &Path) -> io::Result<Secret> {
    let text = fs::read(path)?;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(
            path = %path.display(),
            "Others than its owner can read the private key {} (mode {:03o}): `chmod 600` it",
            path.display(),
            mode & 0o777
        );
    }
    Ok(Secret::new(String::from_utf8_lossy(&text)))
}

/// The name under which the key that signs can always be read.
const ACTIVE: &str = "active";

/// A key that an interrupted first start has made, which the state does not name yet.
async fn adopt(ledger: &Ledger, config: &KeysConfig) -> Result<Option<SigningKey>, KeysError> {
    let directory = config.keys_dir.clone();
    let strays = |names| KeysError::Strays {
        directory: directory.clone(),
        names,
    };
    let names = ledger
        .store()
        .key_names()
        .map_err(|source| KeysError::Unlisted {
            directory: directory.clone(),
            source,
        })?;
    let names: Vec<String> = names.into_iter().filter(|name| name != ACTIVE).collect();
    let name = match names.as_slice() {
        [] => return Ok(None),
        [name] => name.clone(),
        _ => return Err(strays(names)),
    };
    let wished = config.kid.clone().filter(|kid| *kid.file_stem() == *name);
    let Some(kid) = wished.clone().or_else(|| name.parse().ok()) else {
        return Err(strays(names));
    };
    let alg = config.algorithm;
    let store = Arc::clone(ledger.store());
    let passphrase = config.passphrase.clone();
    let key = blocking(move || {
        let pem = store.read_key(&kid).ok()?;
        let key = SigningKey::from_pem(pem.expose().as_bytes(), passphrase.as_ref(), alg, wished);
        key.ok().filter(|key| *key.kid() == kid)
    })
    .await;
    match key {
        Some(key) => Ok(Some(key)),
        None => Err(strays(names)),
    }
}

async fn generate(config: &KeysConfig) -> Result<SigningKey, KeysError> {
    let alg = config.algorithm.unwrap_or(Algorithm::ES256);
    let key = blocking(move || SigningKey::generate(alg)).await?;
    Ok(match &config.kid {
        Some(kid) => key.named(kid.clone()),
        None => key,
    })
}

/// Writes the key's file, unless there is one with this very key.
async fn keep(
    store: &Arc<dyn Store>,
    passphrase: Option<Secret>,
    key: &SigningKey,
) -> Result<(), KeysError> {
    let pem = key.to_pem(passphrase.as_ref())?;
    let (kid, public, alg) = (key.kid().clone(), key.public().clone(), key.alg());
    let (store, owned_kid) = (Arc::clone(store), kid.clone());
    blocking(move || match store.write_key(&owned_kid, &pem) {
        // Encrypted or laid out otherwise, it can be the same key all the same.
        Err(error @ KeyFileError::Exists { .. }) => {
            let there = store.read_key(&owned_kid)?;
            let there = SigningKey::from_pem(
                there.expose().as_bytes(),
                passphrase.as_ref(),
                Some(alg),
                Some(owned_kid),
            );
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

async fn load(
    store: &Arc<dyn Store>,
    passphrase: Option<Secret>,
    kid: &Kid,
    alg: Algorithm,
) -> Result<SigningKey, KeysError> {
    let (store, kid) = (Arc::clone(store), kid.clone());
    blocking(move || {
        let pem = store.read_key(&kid).map_err(|source| KeysError::File {
            kid: kid.clone(),
            source,
        })?;
        SigningKey::from_pem(
            pem.expose().as_bytes(),
            passphrase.as_ref(),
            Some(alg),
            Some(kid.clone()),
        )
        .map_err(|source| KeysError::Damaged { kid, source })
    })
    .await
}

/// A key that lies where the first one was, and that the ring does not know: it comes in by a
/// rotation. One that has left the set already is refused: its name is never used again.
fn offered(path: &Path, config: &KeysConfig, ring: &KeyRing) -> Option<SigningKey> {
    let text = fs::read(path).ok()?;
    let passphrase = config.passphrase.as_ref();
    let key = match SigningKey::from_pem(&text, passphrase, config.algorithm, None) {
        Ok(key) => key,
        Err(error) => {
            tracing::warn!(
                path = %path.display(),
                "BFF_JWT_SIGNING_KEY holds no usable key now ({error}), and key `{}` goes on \
                 signing; {}",
                ring.current().jwk.kid,
                error.hint()
            );
            return None;
        }
    };
    if ring.published().any(|jwk| jwk.key == key.public().key) {
        return None;
    }
    if ring.knows(key.public()) {
        tracing::warn!(
            path = %path.display(),
            "The key in {} has left the JWK Set already and is never used again: put another one \
             there, or rotate with `bff rotate`",
            path.display()
        );
        return None;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::FileStore;

    #[tokio::test]
    async fn an_empty_volume_gets_one_key_and_keeps_it() {
        let volume = tempfile::tempdir().unwrap();

        let first = open(volume.path(), None).await.unwrap();
        let second = open(volume.path(), None).await.unwrap();

        assert_eq!(first, second);
    }

    #[tokio::test]
    async fn a_start_that_was_interrupted_after_the_file_goes_on_with_it() {
        let volume = tempfile::tempdir().unwrap();
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let pem = key.to_pem(None).unwrap();
        let path = volume.path().join(format!("{}.pem", key.kid()));
        fs::write(path, pem.expose()).unwrap();

        assert_eq!(open(volume.path(), None).await.unwrap(), *key.kid());
    }

    #[tokio::test]
    async fn a_volume_with_unnamed_keys_is_a_question_not_a_choice() {
        let volume = tempfile::tempdir().unwrap();
        let pem = SigningKey::generate(Algorithm::ES256)
            .unwrap()
            .to_pem(None)
            .unwrap();
        fs::write(volume.path().join("mine.pem"), pem.expose()).unwrap();

        let error = open(volume.path(), None).await.unwrap_err();

        assert!(matches!(error, KeysError::Strays { .. }), "{error}");
        assert!(error.hint().contains("BFF_JWT_SIGNING_KEY"));
    }

    #[tokio::test]
    async fn the_document_decides_who_signs_and_not_the_setting() {
        let volume = tempfile::tempdir().unwrap();
        let path = volume.path().join("first.pem");
        let write = || {
            let key = SigningKey::generate(Algorithm::ES256).unwrap();
            fs::write(&path, key.to_pem(None).unwrap().expose()).unwrap();
            key.kid().clone()
        };
        let first = write();
        assert_eq!(open(volume.path(), Some(&path)).await.unwrap(), first);

        write();

        assert_eq!(open(volume.path(), Some(&path)).await.unwrap(), first);
    }

    #[tokio::test]
    async fn a_lost_key_file_is_an_error_and_never_a_new_key() {
        let volume = tempfile::tempdir().unwrap();
        let kid = open(volume.path(), None).await.unwrap();
        fs::remove_file(volume.path().join(format!("{kid}.pem"))).unwrap();

        let error = open(volume.path(), None).await.unwrap_err();

        assert!(error.hint().contains("backup"), "{error}");
    }

    async fn open(volume: &Path, signing_key: Option<&Path>) -> Result<Kid, KeysError> {
        let store = FileStore::open(volume, volume, "a test").unwrap();
        let ledger = Ledger::load(Arc::new(store), Duration::from_mins(5)).unwrap();
        let config = KeysConfig {
            keys_dir: volume.to_path_buf(),
            state_dir: volume.to_path_buf(),
            signing_key: signing_key.map(Path::to_path_buf),
            passphrase: None,
            kid: None,
            algorithm: None,
        };
        let keys = Keys::open(&ledger, &config, &Clock::system()).await?;
        Ok(keys.current().kid().clone())
    }
}
