//! The PEM that an operator names in `BFF_JWT_SIGNING_KEY`.

use std::path::Path;

use super::blocking::blocking;
use super::keys_error::KeysError;
use crate::config::KeysConfig;
use crate::jose::SigningKey;
use crate::keyring::KeyRing;
use crate::local_files::read_pem;

/// Reads the first key from the configured file.
pub(super) async fn import(path: &Path, config: &KeysConfig) -> Result<SigningKey, KeysError> {
    let named = path.to_path_buf();
    let text = blocking(move || read_pem(&named)).await;
    let text = text.map_err(|source| KeysError::Unreadable {
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

/// A key in the configured file that the ring does not know: it is rotated to. A key that has left
/// the JWK Set is refused, because no key ID is used twice.
pub(super) fn offered(config: &KeysConfig, ring: &KeyRing) -> Option<SigningKey> {
    let path = config.signing_key.as_deref()?;
    let text = read_pem(path).ok()?;
    let text = text.expose().as_bytes();
    let passphrase = config.passphrase.as_ref();
    let key = match SigningKey::from_pem(text, passphrase, config.algorithm, None) {
        Ok(key) => key,
        Err(error) => {
            tracing::warn!(
                path = %path.display(),
                key.kid = %ring.current().jwk.kid,
                "BFF_JWT_SIGNING_KEY holds no usable key now ({error}), and key `{}` goes on \
                 signing; hint: {}",
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
            "The key in {} has left the JWK Set already and is never used again; hint: put another \
             key there, or use `bff rotate`",
            path.display()
        );
        return None;
    }
    Some(key)
}
