//! Public keys as they are published.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::sha::sha256;
use serde::{Deserialize, Serialize};

use super::algorithm::Algorithm;
use super::kid::Kid;

/// A public key for signatures, as a JWK (RFC 7517 §4).
///
/// It has no member for a private value, and always `use`, `alg` and `kid`; it has no
/// `key_ops`, which should not stand beside `use` (RFC 7517 §4.3).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PublicJwk {
    /// The key itself.
    #[serde(flatten)]
    pub key: PublicKey,
    #[serde(rename = "use")]
    usage: Usage,
    /// The one algorithm it is used with.
    pub alg: Algorithm,
    /// Its name in the set.
    pub kid: Kid,
}

/// The public members of a JWK by `kty`, in unpadded base64url.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "kty")]
pub enum PublicKey {
    /// An elliptic curve key (RFC 7518 §6.2); coordinates padded to the size of the field.
    #[serde(rename = "EC")]
    Ec {
        /// `P-256` or `P-384`.
        crv: String,
        /// The x coordinate.
        x: String,
        /// The y coordinate.
        y: String,
    },
    /// An octet key pair (RFC 8037 §2).
    #[serde(rename = "OKP")]
    Okp {
        /// `Ed25519`.
        crv: String,
        /// The public key.
        x: String,
    },
    /// An RSA key (RFC 7518 §6.3.1).
    #[serde(rename = "RSA")]
    Rsa {
        /// The exponent.
        e: String,
        /// The modulus, without a leading zero octet.
        n: String,
    },
}

/// What keys we hold; decides which algorithms fit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyType {
    /// Ed25519.
    Ed25519,
    /// The NIST curve P-256.
    P256,
    /// The NIST curve P-384.
    P384,
    /// RSA of at least 2048 bits.
    Rsa,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Usage {
    #[serde(rename = "sig")]
    Signature,
}

impl PublicJwk {
    pub(super) fn new(key: PublicKey, alg: Algorithm, kid: Kid) -> Self {
        Self {
            key,
            usage: Usage::Signature,
            alg,
            kid,
        }
    }
}

impl PublicKey {
    /// The SHA-256 thumbprint (RFC 7638 §3): the same for a private key and its public half,
    /// whatever their `alg` and `kid`.
    pub fn thumbprint(&self) -> String {
        // The required members in lexicographic order, without white space. None of the
        // values needs escaping: they are base64url and names of curves.
        let members = match self {
            Self::Ec { crv, x, y } => {
                format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            Self::Okp { crv, x } => format!(r#"{{"crv":"{crv}","kty":"OKP","x":"{x}"}}"#),
            Self::Rsa { e, n } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        };
        URL_SAFE_NO_PAD.encode(sha256(members.as_bytes()))
    }
}

impl KeyType {
    /// The algorithms a key of this type can be used with, the default first.
    pub const fn algorithms(self) -> &'static [Algorithm] {
        use Algorithm::{ES256, ES384, Ed25519, EdDsa, PS256, PS384, PS512, RS256, RS384, RS512};
        match self {
            Self::Ed25519 => &[EdDsa, Ed25519],
            Self::P256 => &[ES256],
            Self::P384 => &[ES384],
            Self::Rsa => &[RS256, PS256, RS384, PS384, RS512, PS512],
        }
    }
}

impl std::fmt::Display for KeyType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ed25519 => "Ed25519",
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::Rsa => "RSA",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbprints_are_those_of_the_published_vectors() {
        let rsa = PublicKey::Rsa {
            e: "AQAB".to_owned(),
            n: concat!(
                "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6",
                "tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5",
                "v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD0",
                "8qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU",
                "8awapJzKnqDKgw"
            )
            .to_owned(),
        };
        let ed25519 = PublicKey::Okp {
            crv: "Ed25519".to_owned(),
            x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_owned(),
        };
        let p256 = PublicKey::Ec {
            crv: "P-256".to_owned(),
            x: "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4".to_owned(),
            y: "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM".to_owned(),
        };

        // RFC 7638 §3.1, RFC 8037 A.3, and the key of RFC 7517 A.1.
        assert_eq!(
            rsa.thumbprint(),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
        assert_eq!(
            ed25519.thumbprint(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
        assert_eq!(
            p256.thumbprint(),
            "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"
        );
    }

    #[test]
    fn a_jwk_reads_back_as_it_was_written() {
        let jwk = PublicJwk::new(
            PublicKey::Okp {
                crv: "Ed25519".to_owned(),
                x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_owned(),
            },
            Algorithm::EdDsa,
            "k1".parse().unwrap(),
        );

        let text = serde_json::to_string(&jwk).unwrap();

        assert_eq!(
            text,
            concat!(
                r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","#,
                r#""use":"sig","alg":"EdDSA","kid":"k1"}"#
            )
        );
        assert_eq!(serde_json::from_str::<PublicJwk>(&text).unwrap(), jwk);
    }
}
