//! A private key in a PEM file, and a public one in a JWK.

use bff::jose::{Kid, LoadKeyError, PublicJwk, SigningKey, Wrapping};
use bff::secret::Secret;

use crate::checks;

/// Imports a key.
///
/// What is imported can be exported and imported again as the same key, signs, and never shows its
/// private half; what is not imported is refused with a hint.
pub fn key_import(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = Wrapping::of(&text);
    // Only the old form has a fixed cost: in the others the file says how many rounds it takes.
    let passphrase = text
        .contains("Proc-Type: 4,ENCRYPTED")
        .then(|| Secret::new("passphrase"));
    let passphrase = passphrase.filter(|_| !text.contains("BEGIN ENCRYPTED"));
    match SigningKey::from_pem(data, passphrase.as_ref(), None, None) {
        Ok(key) => imported(&key),
        Err(error) => refused(&error),
    }
    if let Ok(jwk) = serde_json::from_slice::<PublicJwk>(data) {
        published(&jwk);
    }
}

fn imported(key: &SigningKey) {
    assert_eq!(key.kid().as_str(), key.public().key.thumbprint());
    let pem = key.to_pem(None).expect("it can be exported");
    let again = SigningKey::from_pem(pem.expose().as_bytes(), None, Some(key.alg()), None);
    let again = again.expect("it can be imported again");
    assert_eq!(again.kid(), key.kid());
    assert_eq!(again.public(), key.public());
    assert_eq!(again.to_pem(None).expect("exported").expose(), pem.expose());
    let shown = format!("{key:?} {pem:?}");
    for line in pem.expose().lines().filter(|line| line.len() > 20) {
        assert!(!shown.contains(line), "{shown}");
    }
    key.sign_jwt("JWT", &serde_json::json!({"sub": "c1"}))
        .expect("it signs");
    published(key.public());
}

fn refused(error: &LoadKeyError) {
    checks::is_hint(error.hint());
    checks::is_tidy(&error.to_string());
}

fn published(jwk: &PublicJwk) {
    let text = serde_json::to_string(jwk).expect("JSON");
    let read: PublicJwk = serde_json::from_str(&text).expect("its own text");
    assert_eq!(&read, jwk);
    assert_eq!(read.key.thumbprint(), jwk.key.thumbprint());
    let members: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
        assert!(members.get(private).is_none(), "`{private}` is published");
    }
    let kid: Kid = jwk.kid.as_str().parse().expect("a key ID");
    let stem = kid.file_stem();
    assert!(!stem.is_empty() && !stem.starts_with('.') && !stem.contains(['/', '\0']));
}
