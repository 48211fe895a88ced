//! Client assertions (RFC 7523 §2.2).

use std::sync::Arc;

use openssl::rand::rand_bytes;

use super::blocking::blocking;
use crate::clock::Clock;
use crate::jose::{SignError, SigningKey};
use crate::oauth::{AssertionClaims, AssertionType};
use crate::secret::Secret;

/// A client assertion of `key` for `client_id`, good for one request.
///
/// # Errors
///
/// [`SignError`] if OpenSSL fails.
pub async fn assertion(
    key: &Arc<SigningKey>,
    client_id: &str,
    audience: &str,
    typ: AssertionType,
    clock: &Clock,
) -> Result<Secret, SignError> {
    let mut randomness = [0; 16];
    rand_bytes(&mut randomness).map_err(|error| key.unsigned(&error))?;
    let claims = AssertionClaims::new(client_id, audience, clock.now(), randomness);
    let key = Arc::clone(key);
    // RSA takes milliseconds.
    blocking(move || key.sign_jwt(typ.value(), &claims)).await
}
