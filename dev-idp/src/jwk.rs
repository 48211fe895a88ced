//! Public keys and the signatures they verify (RFC 7517, RFC 7518 §3, RFC 8037).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Public};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Verifier};
use serde_json::{Map, Value, json};

/// Smallest RSA modulus, in bits (RFC 7518 §3.3).
const MIN_RSA_BITS: u32 = 2048;

/// A JWS `alg` as a way to verify.
#[derive(Clone, Copy)]
enum Method {
    Pkcs1(MessageDigest),
    Pss(MessageDigest),
    Ecdsa(&'static Curve),
    EdDsa,
}

struct Curve {
    name: &'static str,
    nid: Nid,
    octets: usize,
    digest: fn() -> MessageDigest,
}

static P256: Curve = Curve {
    name: "P-256",
    nid: Nid::X9_62_PRIME256V1,
    octets: 32,
    digest: MessageDigest::sha256,
};
static P384: Curve = Curve {
    name: "P-384",
    nid: Nid::SECP384R1,
    octets: 48,
    digest: MessageDigest::sha384,
};
static P521: Curve = Curve {
    name: "P-521",
    nid: Nid::SECP521R1,
    octets: 66,
    digest: MessageDigest::sha512,
};

impl Method {
    fn of(alg: &str) -> Option<Self> {
        Some(match alg {
            "RS256" => Self::Pkcs1(MessageDigest::sha256()),
            "RS384" => Self::Pkcs1(MessageDigest::sha384()),
            "RS512" => Self::Pkcs1(MessageDigest::sha512()),
            "PS256" => Self::Pss(MessageDigest::sha256()),
            "PS384" => Self::Pss(MessageDigest::sha384()),
            "PS512" => Self::Pss(MessageDigest::sha512()),
            "ES256" => Self::Ecdsa(&P256),
            "ES384" => Self::Ecdsa(&P384),
            "ES512" => Self::Ecdsa(&P521),
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }
}

/// The one key of `keys` that may have made an `alg` signature under this `kid`.
///
/// Keys that cannot be used are skipped (RFC 7517 §5); two that fit are none.
pub(crate) fn choose<'k>(
    keys: &'k [Value],
    kid: &str,
    alg: &str,
) -> Option<&'k Map<String, Value>> {
    let method = Method::of(alg)?;
    let mut fitting = keys.iter().filter_map(Value::as_object).filter(|key| {
        let says = |member: &str| key.get(member).and_then(Value::as_str);
        says("kid") == Some(kid)
            && says("alg").is_none_or(|have| have == alg)
            && says("use").is_none_or(|have| have == "sig")
            && match method {
                Method::Pkcs1(_) | Method::Pss(_) => says("kty") == Some("RSA"),
                Method::Ecdsa(curve) => says("crv") == Some(curve.name),
                Method::EdDsa => says("crv") == Some("Ed25519"),
            }
    });
    let key = fitting.next()?;
    fitting.next().is_none().then_some(key)
}

/// Whether `signature` over `input` was made with `alg` and the private half of `key`.
pub(crate) fn verifies(
    key: &Map<String, Value>,
    alg: &str,
    input: &[u8],
    signature: &[u8],
) -> bool {
    Method::of(alg)
        .and_then(|method| match method {
            Method::Pkcs1(digest) => rsa(key, digest, Padding::PKCS1, input, signature),
            Method::Pss(digest) => rsa(key, digest, Padding::PKCS1_PSS, input, signature),
            Method::Ecdsa(curve) => ecdsa(key, curve, input, signature),
            Method::EdDsa => eddsa(key, input, signature),
        })
        .unwrap_or(false)
}

fn rsa(
    key: &Map<String, Value>,
    digest: MessageDigest,
    padding: Padding,
    input: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let key = Rsa::from_public_components(number(key, "n")?, number(key, "e")?).ok()?;
    let key = PKey::from_rsa(key).ok()?;
    if key.bits() < MIN_RSA_BITS {
        return None;
    }
    let mut verifier = Verifier::new(digest, &key).ok()?;
    verifier.set_rsa_padding(padding).ok()?;
    if padding == Padding::PKCS1_PSS {
        verifier
            .set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)
            .ok()?;
        verifier.set_rsa_mgf1_md(digest).ok()?;
    }
    verifier.verify_oneshot(signature, input).ok()
}

fn ecdsa(key: &Map<String, Value>, curve: &Curve, input: &[u8], signature: &[u8]) -> Option<bool> {
    let (x, y) = (octets(key, "x")?, octets(key, "y")?);
    // RFC 7518 §6.2.1.2: full size, leading zeros included; §3.4: two such numbers, no DER.
    if x.len() != curve.octets || y.len() != curve.octets || signature.len() != 2 * curve.octets {
        return None;
    }
    let group = EcGroup::from_curve_name(curve.nid).ok()?;
    let (x, y) = (BigNum::from_slice(&x).ok()?, BigNum::from_slice(&y).ok()?);
    let key = EcKey::from_public_key_affine_coordinates(&group, &x, &y).ok()?;
    let (r, s) = signature.split_at(curve.octets);
    let signature =
        EcdsaSig::from_private_components(BigNum::from_slice(r).ok()?, BigNum::from_slice(s).ok()?)
            .ok()?;
    let hash = openssl::hash::hash((curve.digest)(), input).ok()?;
    signature.verify(&hash, &key).ok()
}

fn eddsa(key: &Map<String, Value>, input: &[u8], signature: &[u8]) -> Option<bool> {
    let key: PKey<Public> =
        PKey::public_key_from_raw_bytes(&octets(key, "x")?, Id::ED25519).ok()?;
    let mut verifier = Verifier::new_without_digest(&key).ok()?;
    verifier.verify_oneshot(signature, input).ok()
}

fn octets(key: &Map<String, Value>, member: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(key.get(member)?.as_str()?).ok()
}

fn number(key: &Map<String, Value>, member: &str) -> Option<BigNum> {
    BigNum::from_slice(&octets(key, member)?).ok()
}

/// A fresh P-256 key's public half; the private one is forgotten, as nothing is signed yet.
///
/// # Errors
///
/// The random source failed.
pub(crate) fn fresh_public_key() -> Result<Value, ErrorStack> {
    let group = EcGroup::from_curve_name(P256.nid)?;
    let key = EcKey::generate(&group)?;
    let mut context = openssl::bn::BigNumContext::new()?;
    let (mut x, mut y) = (BigNum::new()?, BigNum::new()?);
    key.public_key()
        .affine_coordinates(&group, &mut x, &mut y, &mut context)?;
    let width = i32::try_from(P256.octets).unwrap_or(i32::MAX);
    let encode = |number: &BigNum| {
        let octets = number.to_vec_padded(width)?;
        Ok::<_, ErrorStack>(URL_SAFE_NO_PAD.encode(octets))
    };
    Ok(json!({
        "kty": "EC", "crv": P256.name, "x": encode(&x)?, "y": encode(&y)?,
        "kid": "dev-idp", "use": "sig", "alg": "ES256",
    }))
}

#[cfg(test)]
mod tests {
    use openssl::sign::Signer;

    use super::*;

    /// A compact JWS split into what is signed and the signature.
    fn split(jws: &str) -> (&[u8], Vec<u8>) {
        let (input, signature) = jws.rsplit_once('.').unwrap();
        (input.as_bytes(), URL_SAFE_NO_PAD.decode(signature).unwrap())
    }

    #[test]
    fn an_ed25519_signature_of_rfc_8037_verifies() {
        let keys = [json!({
            "kty": "OKP", "crv": "Ed25519", "kid": "a",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        })];
        let (input, signature) = split(
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-\
             09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        );

        let key = choose(&keys, "a", "EdDSA").unwrap();

        assert!(verifies(key, "EdDSA", input, &signature));
        assert!(!verifies(key, "EdDSA", b"something else", &signature));
    }

    #[test]
    fn an_es256_signature_of_wycheproof_verifies() {
        let keys = [json!({
            "kty": "EC", "crv": "P-256", "kid": "kid-ec-sign",
            "x": "04N0xi21hshyvBp7I167sbE_bXqyqkAPfefdklMO7wY",
            "y": "UI8exy-C06a7DUnjIdENkxeFtHM4-l_41LqEw9nVgmw",
        })];
        let (input, signature) = split(
            "eyJhbGciOiJFUzI1NiIsImtpZCI6ImtpZC1lYy1zaWduIn0.Zm9v.5cA0OHyMP7ezamUd5c9kV-FrGxdx4hbG\
             XOdplQkutrqWrte5P-pAvsE3Ve6xSyU3YDQwUHjVVOtvcrEbbnZ8yA",
        );

        let key = choose(&keys, "kid-ec-sign", "ES256").unwrap();

        assert!(verifies(key, "ES256", input, &signature));
        assert!(!verifies(key, "ES256", input, &signature[..63]));
    }

    #[test]
    fn rsa_signatures_verify_by_their_own_alg_only() {
        let private = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let number = |n: &openssl::bn::BigNumRef| URL_SAFE_NO_PAD.encode(n.to_vec());
        let rsa = private.rsa().unwrap();
        let key = json!({"kty": "RSA", "n": number(rsa.n()), "e": number(rsa.e())});
        let key = key.as_object().unwrap();
        let sign = |padding: Padding, salt: Option<RsaPssSaltlen>| {
            let mut signer = Signer::new(MessageDigest::sha256(), &private).unwrap();
            signer.set_rsa_padding(padding).unwrap();
            if let Some(salt) = salt {
                signer.set_rsa_pss_saltlen(salt).unwrap();
            }
            signer.sign_oneshot_to_vec(b"input").unwrap()
        };

        let pkcs1 = sign(Padding::PKCS1, None);
        let pss = sign(Padding::PKCS1_PSS, Some(RsaPssSaltlen::DIGEST_LENGTH));
        let long_salt = sign(Padding::PKCS1_PSS, Some(RsaPssSaltlen::MAXIMUM_LENGTH));

        assert!(verifies(key, "RS256", b"input", &pkcs1));
        assert!(verifies(key, "PS256", b"input", &pss));
        for (alg, signature) in [
            ("PS256", &pkcs1),
            ("RS256", &pss),
            ("RS384", &pkcs1),
            ("PS256", &long_salt),
            ("none", &pkcs1),
        ] {
            assert!(!verifies(key, alg, b"input", signature), "{alg}");
        }
    }

    #[test]
    fn the_larger_curves_verify_what_openssl_signs() {
        for (alg, curve) in [("ES384", &P384), ("ES512", &P521)] {
            let group = EcGroup::from_curve_name(curve.nid).unwrap();
            let private = EcKey::generate(&group).unwrap();
            let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
            let mut context = openssl::bn::BigNumContext::new().unwrap();
            private
                .public_key()
                .affine_coordinates(&group, &mut x, &mut y, &mut context)
                .unwrap();
            let width = i32::try_from(curve.octets).unwrap();
            let padded = |n: &openssl::bn::BigNumRef| n.to_vec_padded(width).unwrap();
            let hash = openssl::hash::hash((curve.digest)(), b"input").unwrap();
            let signature = EcdsaSig::sign(&hash, &private).unwrap();
            let signature = [padded(signature.r()), padded(signature.s())].concat();
            let encode = |n| URL_SAFE_NO_PAD.encode(padded(n));
            let key = json!({"kty": "EC", "crv": curve.name, "x": encode(&x), "y": encode(&y)});
            let key = key.as_object().unwrap();

            assert!(verifies(key, alg, b"input", &signature), "{alg}");
            assert!(!verifies(key, "ES256", b"input", &signature), "{alg}");
        }
    }

    #[test]
    fn two_keys_that_fit_are_none_and_one_of_another_alg_does_not_fit() {
        let key = |alg: &str| json!({"kty": "RSA", "kid": "a", "alg": alg});

        assert!(choose(&[key("PS256"), key("RS256")], "a", "RS256").is_some());
        assert!(choose(&[key("RS256"), key("RS256")], "a", "RS256").is_none());
        assert!(choose(&[key("PS256")], "a", "RS256").is_none());
    }
}
