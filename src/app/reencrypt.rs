//! Encrypts the key files anew, with the service stopped.

use std::sync::Arc;

use super::keys_error::KeysError;
use crate::config::KeysConfig;
use crate::disk::Disk;
use crate::jose::{Algorithm, Kid, PublicKey, SigningKey, Wrapping};
use crate::keyring::KeyRing;
use crate::local_files::{Directories, OpenError};
use crate::secret::Secret;
use crate::store::{FileStore, KeyStoreError, LoadError, Store as _};

/// A key whose file was looked at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reencrypted {
    /// The key.
    pub kid: Kid,
    /// Whether its file was written; otherwise it was as it should be.
    pub written: bool,
}

/// Why the key files were not, or not all, encrypted anew. Each file holds its key as before, or as
/// it should be, and the next try goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReencryptError {
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeysError),
    /// The state cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Another process owns the directories, or they cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A file is encrypted with a passphrase that is not set.
    #[error("neither BFF_KEY_PASSPHRASE nor BFF_KEY_PASSPHRASE_OLD opens the file of key `{kid}`")]
    Passphrase {
        /// The key.
        kid: Kid,
    },
}

impl ReencryptError {
    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Key(error) => error.hint(),
            Self::Load(error) => error.hint(),
            Self::Open(OpenError::Locked { .. }) => "stop the service, and run the command again",
            Self::Open(error) => error.hint(),
            Self::Passphrase { .. } => {
                "set BFF_KEY_PASSPHRASE_OLD (or BFF_KEY_PASSPHRASE_OLD_FILE) to the passphrase that \
                 the files are encrypted with; nothing was changed"
            }
        }
    }
}

/// Writes the file of each key that the state names anew: encrypted with the configured passphrase,
/// or in clear without one. A file that is so already is left alone. Key and key ID stay.
///
/// # Errors
///
/// [`ReencryptError`]. No file is written before all could be read.
pub fn reencrypt(
    disk: Arc<dyn Disk>,
    config: &KeysConfig,
    old: Option<&Secret>,
    owner: &str,
) -> Result<Vec<Reencrypted>, ReencryptError> {
    let (keys, state) = (&config.keys_dir, &config.state_dir);
    let _directories = Directories::open(Arc::clone(&disk), keys, state, owner)?;
    let store = FileStore::new(disk, keys, state).with_group(config.group);
    let loaded = store.load()?.state;
    let mut plan = Vec::new();
    for (record, _) in loaded.ring().into_iter().flat_map(KeyRing::keys) {
        let jwk = &record.jwk;
        plan.push(read(
            &store,
            &jwk.kid,
            jwk.alg,
            Some(&jwk.key),
            config,
            old,
        )?);
    }
    if let Some(intended) = loaded.intended_key() {
        match read(&store, &intended.kid, intended.alg, None, config, old) {
            // A key that was never made.
            Err(ReencryptError::Key(KeysError::File {
                source: KeyStoreError::Missing { .. },
                ..
            })) => {}
            found => plan.push(found?),
        }
    }
    let mut done = Vec::new();
    for (key, is_current) in plan {
        let kid = key.kid().clone();
        if !is_current {
            write(&store, &key, config.passphrase.as_ref())?;
        }
        let written = !is_current;
        done.push(Reencrypted { kid, written });
    }
    Ok(done)
}

/// A key, opened with the present passphrase or the old one, and whether its file is as it should
/// be.
fn read(
    store: &FileStore,
    kid: &Kid,
    alg: Algorithm,
    public: Option<&PublicKey>,
    config: &KeysConfig,
    old: Option<&Secret>,
) -> Result<(SigningKey, bool), ReencryptError> {
    let text = store.read_key(kid).map_err(|source| KeysError::File {
        kid: kid.clone(),
        source,
    })?;
    let present = config.passphrase.as_ref();
    let open = |passphrase: Option<&Secret>| {
        SigningKey::from_pem(
            text.expose().as_bytes(),
            passphrase,
            Some(alg),
            Some(kid.clone()),
        )
    };
    let wrapping = Wrapping::of(text.expose());
    let opened = open(present);
    let is_current = match (wrapping, present) {
        (Wrapping::Clear, None) => true,
        (Wrapping::Current, Some(_)) => opened.is_ok(),
        _ => false,
    };
    let key = match opened {
        Ok(key) => key,
        Err(_) if wrapping != Wrapping::Clear => {
            let opened = old.and_then(|old| open(Some(old)).ok());
            opened.ok_or_else(|| ReencryptError::Passphrase { kid: kid.clone() })?
        }
        Err(source) => {
            let kid = kid.clone();
            return Err(KeysError::Damaged { kid, source }.into());
        }
    };
    if public.is_some_and(|public| *public != key.public().key) {
        return Err(KeysError::Exchanged { kid: kid.clone() }.into());
    }
    Ok((key, is_current))
}

/// Replaces the file of a key, once it is sure that the new one holds the same key.
fn write(
    store: &FileStore,
    key: &SigningKey,
    passphrase: Option<&Secret>,
) -> Result<(), KeysError> {
    let kid = key.kid();
    let text = key.to_pem(passphrase)?;
    let written = text.expose().as_bytes();
    let read = SigningKey::from_pem(written, passphrase, Some(key.alg()), Some(kid.clone()));
    let read = read.map_err(|source| KeysError::Damaged {
        kid: kid.clone(),
        source,
    })?;
    if read.public() != key.public() {
        return Err(KeysError::Exchanged { kid: kid.clone() });
    }
    store
        .rewrap_key(kid, &text)
        .map_err(|source| KeysError::File {
            kid: kid.clone(),
            source,
        })
}
