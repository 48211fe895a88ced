//! The JWK Set as it is served.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::sha::sha256;
use serde::Serialize;

use crate::jose::PublicJwk;
use crate::keyring::KeyRing;

/// A JWK Set (RFC 7517 §5), rendered once when the ring changes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublishedJwks {
    /// The document.
    pub body: Bytes,
    /// A strong validator of `body` (RFC 9110 §8.8.3), the same wherever the same set is
    /// served.
    pub etag: HeaderValue,
    /// `Cache-Control` (RFC 9111 §5.2).
    pub cache_control: HeaderValue,
}

#[derive(Serialize)]
struct JwkSet<'a> {
    keys: Vec<&'a PublicJwk>,
}

impl PublishedJwks {
    /// Renders what `ring` publishes.
    pub fn render(ring: Option<&KeyRing>, max_age: Duration) -> Self {
        let keys = ring.into_iter().flat_map(KeyRing::published).collect();
        let body = serde_json::to_vec(&JwkSet { keys }).unwrap_or_default();
        Self {
            etag: field(format!("\"{}\"", URL_SAFE_NO_PAD.encode(sha256(&body)))),
            cache_control: field(format!(
                "public, max-age={}, must-revalidate",
                max_age.as_secs()
            )),
            body: body.into(),
        }
    }
}

/// A field value that holds visible ASCII characters only.
fn field(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("no-store"))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::Value;

    use super::*;
    use crate::jose::{Algorithm, SigningKey};

    #[test]
    fn no_member_of_the_set_is_private_and_each_key_says_what_it_is_for() {
        for alg in [Algorithm::RS256, Algorithm::ES384, Algorithm::EdDsa] {
            let key = SigningKey::generate(alg).unwrap();
            let ring = KeyRing::new(key.public().clone(), Timestamp::UNIX_EPOCH);

            let published = PublishedJwks::render(Some(&ring), Duration::from_mins(5));

            let set: Value = serde_json::from_slice(&published.body).unwrap();
            let [jwk] = set["keys"].as_array().unwrap().as_slice() else {
                panic!("{set}")
            };
            for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "key_ops"] {
                assert_eq!(jwk.get(private), None, "{private}");
            }
            assert_eq!(jwk["use"], "sig");
            assert_eq!(jwk["alg"], alg.name());
            assert_eq!(jwk["kid"], key.kid().as_str());
        }
    }

    #[test]
    fn equal_sets_have_equal_validators_and_others_do_not() {
        let render =
            |ring: &KeyRing| PublishedJwks::render(Some(ring), Duration::from_mins(5)).etag;
        let ring = || {
            let key = SigningKey::generate(Algorithm::ES256).unwrap();
            KeyRing::new(key.public().clone(), Timestamp::UNIX_EPOCH)
        };
        let (one, other) = (ring(), ring());

        assert_eq!(render(&one), render(&one.clone()));
        assert_ne!(render(&one), render(&other));
    }
}
