//! The first key: imported, or made.

use std::path::Path;
use std::sync::Arc;

use super::blocking::blocking;
use super::keys_error::KeysError;
use super::ledger::Ledger;
use super::operator_key::import;
use super::signer::{keep, load};
use crate::clock::Clock;
use crate::config::KeysConfig;
use crate::disk::{Disk as _, HostDisk};
use crate::jose::{Algorithm, SigningKey};
use crate::local_files::{Directories, write_private_file};

/// Makes sure that the ring has a key: the configured one, or a new one on an empty volume.
///
/// # Errors
///
/// [`KeysError`]; no key is made on a volume that was in use before.
pub(super) async fn ensure(
    ledger: &Ledger,
    directories: &Directories,
    config: &KeysConfig,
    clock: &Clock,
) -> Result<(), KeysError> {
    let state = ledger.state();
    if let Some(ring) = state.ring() {
        if state.publishes_revoked() {
            return replace_revoked(ledger, config, ring.current().jwk.alg, clock).await;
        }
        return restamp(ledger, config).await;
    }
    if state.registration().is_some() || state.attempt().is_some() {
        return Err(KeysError::KeyOfClientMissing);
    }
    let (key, how) = match &config.signing_key {
        Some(path) if is_to_be_made(path, directories, config)? => {
            make_named(path, config).await?;
            (import(path, config).await?, "made")
        }
        Some(path) => (import(path, config).await?, "imported"),
        None => (made(ledger, directories, config).await?, "made"),
    };
    let key = Arc::new(key);
    keep(ledger, config.passphrase.clone(), &key, clock).await?;
    let now = clock.now();
    ledger
        .update(|state| state.first_key(key.public().clone(), how, now))
        .await?;
    let (kid, alg) = (key.kid(), key.alg());
    tracing::info!(key.kid = %kid, key.alg = %alg, "Signing key `{kid}` ({alg}) {how}");
    Ok(())
}

/// The key that [`ensure`] would find, for a dry run on a volume without a document: the configured
/// one, or one that is made and kept nowhere. Says whether it was made.
///
/// # Errors
///
/// [`KeysError`] if the configured one cannot be used.
pub async fn foreseen(config: &KeysConfig) -> Result<(SigningKey, bool), KeysError> {
    if let Some(path) = &config.signing_key
        && !is_missing_inside(path, config)?
    {
        return Ok((import(path, config).await?, false));
    }
    let alg = config.algorithm.unwrap_or(Algorithm::ES256);
    let key = blocking(move || SigningKey::generate(alg)).await?;
    Ok((key, true))
}

/// Whether the configured file does not exist and is ours to make: it would be the first PEM of
/// the keys directory, directly in it.
fn is_to_be_made(
    path: &Path,
    directories: &Directories,
    config: &KeysConfig,
) -> Result<bool, KeysError> {
    if !is_missing_inside(path, config)? {
        return Ok(false);
    }
    let names = directories.pem_files();
    let names = names.map_err(|source| KeysError::Unlisted {
        directory: config.keys_dir.clone(),
        source,
    })?;
    Ok(names.is_empty())
}

/// Whether a file does not exist, and would be directly in the keys directory, which need not exist.
fn is_missing_inside(path: &Path, config: &KeysConfig) -> Result<bool, KeysError> {
    let unreadable = |source| KeysError::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    let kind = HostDisk.kind(path).map_err(unreadable)?;
    let keys_dir = config.keys_dir.canonicalize();
    let parent = path.parent().map(Path::canonicalize);
    let is_inside = match (keys_dir, parent) {
        (Ok(keys), Some(Ok(parent))) => keys == parent,
        _ => path.parent() == Some(&config.keys_dir),
    };
    Ok(kind.is_none() && is_inside)
}

/// Makes the key of the configured file. Whoever is interrupted after that imports it.
async fn make_named(path: &Path, config: &KeysConfig) -> Result<(), KeysError> {
    let (named, passphrase) = (path.to_path_buf(), config.passphrase.clone());
    let alg = config.algorithm.unwrap_or(Algorithm::ES256);
    blocking(move || {
        let pem = SigningKey::generate(alg)?.to_pem(passphrase.as_ref())?;
        write_private_file(&named, &pem).map_err(|source| KeysError::Unwritable {
            path: named,
            source,
        })
    })
    .await
}

/// A new key, or the one that an interrupted start has made and kept, or that lies under the name
/// of `BFF_KID`.
async fn made(
    ledger: &Ledger,
    directories: &Directories,
    config: &KeysConfig,
) -> Result<SigningKey, KeysError> {
    let mut names = directories
        .pem_files()
        .map_err(|source| KeysError::Unlisted {
            directory: config.keys_dir.clone(),
            source,
        })?;
    let state = ledger.state();
    let intended = state.intended_key();
    let wanted = intended.map(|key| &key.kid).or(config.kid.as_ref());
    if let Some(kid) = wanted {
        // The PEM that a key was imported from may be in the same directory, and is not ours.
        names.retain(|name| *name != kid.file_stem());
        let alg = config.algorithm.or(intended.map(|key| key.alg));
        let passphrase = config.passphrase.clone();
        if names.is_empty()
            && let Ok(key) = load(ledger, passphrase, kid, alg).await
        {
            return Ok(key);
        }
    }
    if !names.is_empty() {
        return Err(KeysError::Strays {
            directory: config.keys_dir.clone(),
            names,
        });
    }
    let alg = config.algorithm.unwrap_or(Algorithm::ES256);
    let key = blocking(move || SigningKey::generate(alg)).await?;
    Ok(match &config.kid {
        Some(kid) => key.named(kid.clone()),
        None => key,
    })
}

/// Puts a new key in place of those of an older state that were revoked since.
async fn replace_revoked(
    ledger: &Ledger,
    config: &KeysConfig,
    alg: Algorithm,
    clock: &Clock,
) -> Result<(), KeysError> {
    let key = Arc::new(blocking(move || SigningKey::generate(alg)).await?);
    keep(ledger, config.passphrase.clone(), &key, clock).await?;
    let now = clock.now();
    ledger
        .update(|state| state.revoke(key.public().clone(), now))
        .await?;
    tracing::error!(
        key.kid = %key.kid(),
        "Audit: the keys of this older state were revoked before: key `{}` signs in their place",
        key.kid()
    );
    Ok(())
}

/// As long as no client is registered with it, the first key can change its algorithm.
async fn restamp(ledger: &Ledger, config: &KeysConfig) -> Result<(), KeysError> {
    let state = ledger.state();
    let (Some(ring), Some(alg)) = (state.ring(), config.algorithm) else {
        return Ok(());
    };
    let current = &ring.current().jwk;
    // Either name may be in use, as the IdP needs it.
    if current.alg == alg || (state.registration().is_some() && current.alg.alias() == Some(alg)) {
        return Ok(());
    }
    if state.can_restamp().is_err() {
        tracing::warn!(
            key.kid = %current.kid,
            key.alg = %current.alg,
            "BFF_SIGNING_ALG is {alg}, but key `{}` keeps its algorithm {}; hint: `bff rotate \
             --alg {alg}` replaces the key",
            current.kid,
            current.alg
        );
        return Ok(());
    }
    let passphrase = config.passphrase.clone();
    let key = load(ledger, passphrase, &current.kid, Some(alg)).await?;
    ledger
        .update(|state| state.restamp(key.public().clone()))
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::app::restoration::Restoration;
    use crate::app::signer::Signer;
    use crate::app::stores::store_of;
    use crate::disk::HostDisk;
    use crate::jose::Kid;
    use crate::state::State;

    #[tokio::test]
    async fn an_empty_volume_gets_one_key_and_keeps_it() {
        let volume = tempfile::tempdir().unwrap();

        let first = open(volume.path(), None).await.unwrap();
        let second = open(volume.path(), None).await.unwrap();

        assert_eq!(first, second);
    }

    #[tokio::test]
    async fn a_start_that_was_interrupted_after_the_file_goes_on_with_that_key() {
        let volume = tempfile::tempdir().unwrap();
        let config = config(volume.path(), None);
        let key = Arc::new(SigningKey::generate(Algorithm::ES256).unwrap());
        let ledger = loaded(&config);
        keep(&ledger, None, &key, &Clock::system()).await.unwrap();
        drop(ledger);

        assert_eq!(open(volume.path(), None).await.unwrap(), *key.kid());
    }

    #[tokio::test]
    async fn a_volume_with_unnamed_keys_is_a_question_not_a_choice() {
        let volume = tempfile::tempdir().unwrap();
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let pem = key.to_pem(None).unwrap();
        // Also where it is named as one of ours would be.
        for name in ["mine", key.kid().as_str()] {
            let path = volume.path().join(format!("{name}.pem"));
            fs::write(&path, pem.expose()).unwrap();

            let error = open(volume.path(), None).await.unwrap_err();

            assert!(matches!(error, KeysError::Strays { .. }), "{error}");
            assert!(error.hint().contains("BFF_JWT_SIGNING_KEY"));
            fs::remove_file(path).unwrap();
        }
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
    async fn a_key_that_was_revoked_after_an_older_state_never_signs_again() {
        let volume = tempfile::tempdir().unwrap();
        let (config, path) = (
            config(volume.path(), None),
            volume.path().join("state.json"),
        );
        let revoked = open(volume.path(), None).await.unwrap();
        let older = fs::read(&path).unwrap();
        let ledger = loaded(&config);
        let key = Arc::new(SigningKey::generate(Algorithm::ES256).unwrap());
        keep(&ledger, None, &key, &Clock::system()).await.unwrap();
        let now = Clock::system().now();
        let revoke = |state: &mut State| state.revoke(key.public().clone(), now);
        ledger.update(revoke).await.unwrap();
        drop(ledger);
        fs::write(&path, older).unwrap();

        let signs = open(volume.path(), None).await.unwrap();

        assert!(signs != revoked && signs != *key.kid(), "{signs}");
        let state = loaded(&config).state();
        let reason = &state.restored().unwrap().reason;
        assert!(reason.contains("is used after revision 4"), "{reason}");
        assert!(!state.publishes_revoked());
    }

    #[tokio::test]
    async fn a_lost_key_file_is_an_error_and_never_a_new_key() {
        let volume = tempfile::tempdir().unwrap();
        let kid = open(volume.path(), None).await.unwrap();
        fs::remove_file(volume.path().join(format!("{kid}.pem"))).unwrap();

        let error = open(volume.path(), None).await.unwrap_err();

        assert!(error.hint().contains("backup"), "{error}");
    }

    fn loaded(config: &KeysConfig) -> Ledger {
        let restoration = Restoration::new(Clock::system(), Vec::new());
        Ledger::load(store_of(config), Duration::from_mins(5), restoration).unwrap()
    }

    async fn open(volume: &Path, signing_key: Option<&Path>) -> Result<Kid, KeysError> {
        let config = config(volume, signing_key);
        let directories = Directories::open(Arc::new(HostDisk), volume, volume, "a test").unwrap();
        let ledger = loaded(&config);
        let ledger = Arc::new(ledger);
        ensure(&ledger, &directories, &config, &Clock::system()).await?;
        let signer = Signer::open(ledger, None).await?;
        Ok(signer.current().unwrap().kid().clone())
    }

    fn config(volume: &Path, signing_key: Option<&Path>) -> KeysConfig {
        KeysConfig {
            keys_dir: volume.to_path_buf(),
            state_dir: volume.to_path_buf(),
            signing_key: signing_key.map(Path::to_path_buf),
            group: None,
            passphrase: None,
            kid: None,
            algorithm: None,
        }
    }
}
