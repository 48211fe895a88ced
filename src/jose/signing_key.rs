//! The private half.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::JoseError;
use josekit::jws::alg::ecdsa::EcdsaJwsAlgorithm;
use josekit::jws::alg::eddsa::EddsaJwsAlgorithm;
use josekit::jws::alg::rsassa::RsassaJwsAlgorithm;
use josekit::jws::alg::rsassa_pss::RsassaPssJwsAlgorithm;
use josekit::jws::{JwsAlgorithm, JwsHeader, JwsSigner};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer, Verifier};
use secrecy::zeroize::Zeroizing;
use serde::Serialize;

use super::algorithm::Algorithm;
use super::encrypted_pem::encrypted;
use super::kid::Kid;
use super::pem::{self, LoadKeyError};
use super::public_jwk::{KeyType, PublicJwk, PublicKey};
use crate::secret::Secret;

/// A private key with the one algorithm it signs with.
///
/// `josekit`'s own key type prints its private members, so it does not leave this file.
pub struct SigningKey {
    public: PublicJwk,
    signer: OneKey,
}

/// The one copy of the private key in this process: a clone of it counts a reference in OpenSSL.
#[derive(Clone, Debug)]
struct OneKey {
    private: PKey<Private>,
    alg: Algorithm,
}

/// The name of RFC 9864 for what `josekit` calls `EdDSA`.
#[derive(Clone, Debug)]
struct Ed25519;

impl JwsAlgorithm for Ed25519 {
    fn name(&self) -> &str {
        Algorithm::Ed25519.name()
    }

    fn box_clone(&self) -> Box<dyn JwsAlgorithm> {
        Box::new(Self)
    }
}

/// OpenSSL could not make a key, or encode one.
#[derive(Clone, Debug, thiserror::Error)]
#[error("OpenSSL could not make the key")]
pub struct MakeKeyError(#[source] pub(crate) ErrorStack);

/// The signature could not be made.
#[derive(Clone, Debug, thiserror::Error)]
#[error("could not sign with key `{kid}`: {reason}")]
pub struct SignError {
    kid: Kid,
    reason: String,
}

impl SigningKey {
    /// Reads a key from PEM: PKCS#1, PKCS#8 (also encrypted) or SEC1.
    ///
    /// `alg` is by default the first that fits the key, `kid` the RFC 7638 thumbprint. Takes
    /// a millisecond, and signs once to see that the halves belong together.
    ///
    /// # Errors
    ///
    /// [`LoadKeyError`] says what the text holds instead.
    pub fn from_pem(
        text: &[u8],
        passphrase: Option<&Secret>,
        alg: Option<Algorithm>,
        kid: Option<Kid>,
    ) -> Result<Self, LoadKeyError> {
        let (private, key_type) = pem::private_key(text, passphrase)?;
        let fitting = key_type.algorithms();
        let alg = match alg {
            Some(alg) if fitting.contains(&alg) => alg,
            Some(alg) => return Err(LoadKeyError::AlgorithmMismatch { alg, key_type }),
            None => *fitting.first().ok_or(LoadKeyError::Unsound)?,
        };
        let key = Self::assemble(private, key_type, alg, kid).ok_or(LoadKeyError::Unsound)?;
        match key.signer.verifies_itself() {
            Ok(true) => Ok(key),
            _ => Err(LoadKeyError::Unsound),
        }
    }

    /// Makes a new key. RSA keys have 2048 bits with SHA-256, and 3072 bits with a longer hash.
    ///
    /// Takes up to seconds for RSA: call it from a thread that may block.
    ///
    /// # Errors
    ///
    /// [`MakeKeyError`] if OpenSSL has no randomness or no memory.
    pub fn generate(alg: Algorithm) -> Result<Self, MakeKeyError> {
        let (private, key_type) = match alg {
            Algorithm::ES256 => (generate_ec(Nid::X9_62_PRIME256V1), KeyType::P256),
            Algorithm::ES384 => (generate_ec(Nid::SECP384R1), KeyType::P384),
            Algorithm::EdDsa | Algorithm::Ed25519 => (PKey::generate_ed25519(), KeyType::Ed25519),
            Algorithm::PS256 | Algorithm::RS256 => (generate_rsa(2048), KeyType::Rsa),
            Algorithm::PS384 | Algorithm::PS512 | Algorithm::RS384 | Algorithm::RS512 => {
                (generate_rsa(3072), KeyType::Rsa)
            }
        };
        let private = private.map_err(MakeKeyError)?;
        Self::assemble(private, key_type, alg, None).ok_or_else(|| MakeKeyError(ErrorStack::get()))
    }

    /// The same key under another ID.
    #[must_use]
    pub fn named(mut self, kid: Kid) -> Self {
        self.public.kid = kid;
        self
    }

    /// The same key for an algorithm that it fits.
    ///
    /// # Errors
    ///
    /// [`LoadKeyError`] if it does not fit.
    pub fn stamped(&self, alg: Algorithm) -> Result<Self, LoadKeyError> {
        let private = self.signer.private.clone();
        let key_type = pem::key_type(&private)?;
        if !key_type.algorithms().contains(&alg) {
            return Err(LoadKeyError::AlgorithmMismatch { alg, key_type });
        }
        let kid = Some(self.kid().clone());
        Self::assemble(private, key_type, alg, kid).ok_or(LoadKeyError::Unsound)
    }

    /// The public half.
    pub fn public(&self) -> &PublicJwk {
        &self.public
    }

    /// The key ID.
    pub fn kid(&self) -> &Kid {
        &self.public.kid
    }

    /// The algorithm this key signs with.
    pub fn alg(&self) -> Algorithm {
        self.public.alg
    }

    /// The private key as PKCS#8 PEM, encrypted if there is a passphrase.
    ///
    /// Encrypting takes a tenth of a second: call it from a thread that may block.
    ///
    /// # Errors
    ///
    /// [`MakeKeyError`] if OpenSSL fails.
    pub fn to_pem(&self, passphrase: Option<&Secret>) -> Result<Secret, MakeKeyError> {
        if let Some(passphrase) = passphrase {
            let pkcs8 = self
                .signer
                .private
                .private_key_to_pkcs8()
                .map_err(MakeKeyError)?;
            return encrypted(&Zeroizing::new(pkcs8), passphrase).map_err(MakeKeyError);
        }
        let pem = self.signer.private.private_key_to_pem_pkcs8();
        let pem = Zeroizing::new(pem.map_err(MakeKeyError)?);
        Ok(Secret::new(String::from_utf8_lossy(&pem)))
    }

    /// Signs `claims` as a JWT in compact form (RFC 7515 §7.1) whose header holds `alg`,
    /// `kid` and `typ`.
    ///
    /// # Errors
    ///
    /// [`SignError`] if OpenSSL fails.
    pub fn sign_jwt(&self, typ: &str, claims: &impl Serialize) -> Result<Secret, SignError> {
        let error = |reason: String| SignError {
            kid: self.kid().clone(),
            reason,
        };
        let payload = serde_json::to_vec(claims).map_err(|source| error(source.to_string()))?;
        let mut header = JwsHeader::new();
        header.set_token_type(typ);
        header.set_key_id(self.kid().as_str());
        josekit::jws::serialize_compact(&payload, &header, &self.signer)
            .map(Secret::new)
            .map_err(|source| error(source.to_string()))
    }

    /// The error of an assertion that could not be made at all.
    pub fn unsigned(&self, reason: &ErrorStack) -> SignError {
        SignError {
            kid: self.kid().clone(),
            reason: reason.to_string(),
        }
    }

    fn assemble(
        private: PKey<Private>,
        key_type: KeyType,
        alg: Algorithm,
        kid: Option<Kid>,
    ) -> Option<Self> {
        let key = public_members(&private, key_type).ok()?;
        let kid = kid.or_else(|| key.thumbprint().parse().ok())?;
        Some(Self {
            public: PublicJwk::new(key, alg, kid),
            signer: OneKey { private, alg },
        })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", self.kid())
            .field("alg", &self.alg())
            .finish_non_exhaustive()
    }
}

fn generate_ec(curve: Nid) -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(curve)?;
    PKey::from_ec_key(EcKey::generate(&group)?)
}

fn generate_rsa(bits: u32) -> Result<PKey<Private>, ErrorStack> {
    PKey::from_rsa(Rsa::generate(bits)?)
}

fn public_members(key: &PKey<Private>, key_type: KeyType) -> Result<PublicKey, ErrorStack> {
    let encode = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
    match key_type {
        KeyType::Rsa => {
            let rsa = key.rsa()?;
            Ok(PublicKey::Rsa {
                e: encode(rsa.e().to_vec()),
                n: encode(rsa.n().to_vec()),
            })
        }
        KeyType::P256 | KeyType::P384 => {
            let octets = if key_type == KeyType::P256 { 32 } else { 48 };
            let ec = key.ec_key()?;
            let (mut x, mut y) = (BigNum::new()?, BigNum::new()?);
            let mut context = BigNumContext::new()?;
            ec.public_key()
                .affine_coordinates(ec.group(), &mut x, &mut y, &mut context)?;
            Ok(PublicKey::Ec {
                crv: key_type.to_string(),
                x: encode(x.to_vec_padded(octets)?),
                y: encode(y.to_vec_padded(octets)?),
            })
        }
        KeyType::Ed25519 => Ok(PublicKey::Okp {
            crv: key_type.to_string(),
            x: encode(key.raw_public_key()?),
        }),
    }
}

impl OneKey {
    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let Some(digest) = self.alg.digest() else {
            return Signer::new_without_digest(&self.private)?.sign_oneshot_to_vec(message);
        };
        let mut signer = Signer::new(digest, &self.private)?;
        if self.alg.is_pss() {
            signer.set_rsa_padding(Padding::PKCS1_PSS)?;
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
        }
        let signature = signer.sign_oneshot_to_vec(message)?;
        let Some(octets) = self.alg.coordinate() else {
            return Ok(signature);
        };
        // R and S side by side (RFC 7518 §3.4), where OpenSSL has them in DER.
        let signature = EcdsaSig::from_der(&signature)?;
        let [r, s] = [signature.r(), signature.s()].map(|part| part.to_vec_padded(octets));
        Ok([r?, s?].concat())
    }

    /// Whether the public half, on its own, verifies a signature of the private one.
    fn verifies_itself(&self) -> Result<bool, ErrorStack> {
        let message = b"bff";
        let public = PKey::public_key_from_der(&self.private.public_key_to_der()?)?;
        let signature = self.signature(message)?;
        let Some(digest) = self.alg.digest() else {
            let mut verifier = Verifier::new_without_digest(&public)?;
            return verifier.verify_oneshot(&signature, message);
        };
        let mut verifier = Verifier::new(digest, &public)?;
        if self.alg.is_pss() {
            verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
            verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
        }
        let Some(octets) = self.alg.coordinate() else {
            return verifier.verify_oneshot(&signature, message);
        };
        let (r, s) = signature.split_at(usize::try_from(octets).unwrap_or_default());
        let [r, s] = [r, s].map(BigNum::from_slice);
        let der = EcdsaSig::from_private_components(r?, s?)?.to_der()?;
        verifier.verify_oneshot(&der, message)
    }
}

impl JwsSigner for OneKey {
    fn algorithm(&self) -> &dyn JwsAlgorithm {
        match self.alg {
            Algorithm::ES256 => &EcdsaJwsAlgorithm::Es256,
            Algorithm::ES384 => &EcdsaJwsAlgorithm::Es384,
            Algorithm::EdDsa => &EddsaJwsAlgorithm::Eddsa,
            Algorithm::Ed25519 => &Ed25519,
            Algorithm::PS256 => &RsassaPssJwsAlgorithm::Ps256,
            Algorithm::PS384 => &RsassaPssJwsAlgorithm::Ps384,
            Algorithm::PS512 => &RsassaPssJwsAlgorithm::Ps512,
            Algorithm::RS256 => &RsassaJwsAlgorithm::Rs256,
            Algorithm::RS384 => &RsassaJwsAlgorithm::Rs384,
            Algorithm::RS512 => &RsassaJwsAlgorithm::Rs512,
        }
    }

    fn key_id(&self) -> Option<&str> {
        None
    }

    fn signature_len(&self) -> usize {
        self.private.size()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        let signature = self.signature(message);
        signature.map_err(|error| JoseError::InvalidSignature(error.into()))
    }

    fn box_clone(&self) -> Box<dyn JwsSigner> {
        Box::new(Clone::clone(self))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn every_algorithm_signs_what_its_published_key_verifies() {
        for alg in Algorithm::ALL {
            let key = SigningKey::generate(alg).unwrap();

            assert_eq!(key.signer.verifies_itself().ok(), Some(true), "{alg}");
            assert_eq!(key.kid().as_str(), key.public().key.thumbprint());
        }
    }

    #[test]
    fn the_header_holds_alg_kid_and_typ_and_the_times_stay_integers() {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();

        let jwt = key
            .sign_jwt("JWT", &json!({"iat": 1_795_244_541_u64}))
            .unwrap();

        let parts: Vec<&str> = jwt.expose().split('.').collect();
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        let header: Value = serde_json::from_slice(&decode(parts[0])).unwrap();
        assert_eq!(
            header,
            json!({"alg": "ES256", "kid": key.kid(), "typ": "JWT"})
        );
        assert_eq!(decode(parts[1]), br#"{"iat":1795244541}"#);
        // R and S side by side, not DER (RFC 7518 §3.4).
        assert_eq!(decode(parts[2]).len(), 64);
    }

    #[test]
    fn a_written_key_reads_back_encrypted_or_not() {
        let key = SigningKey::generate(Algorithm::ES384).unwrap();
        let passphrase = Secret::new("open sesame");

        for passphrase in [None, Some(&passphrase)] {
            let pem = key.to_pem(passphrase).unwrap();
            let read = SigningKey::from_pem(pem.expose().as_bytes(), passphrase, None, None);

            assert_eq!(read.unwrap().public(), key.public());
        }
    }

    #[test]
    fn coordinates_with_leading_zeros_keep_their_length() {
        // A private scalar whose public point has an x (379) or a y (43) that begins with a
        // zero octet.
        for (scalar, thumbprint) in [
            (379, "7Yxe6c_3bAa6kiaK1G-BZmi9EeNsUmlcbdnrtLeuK4E"),
            (43, "WZsjbh58q8kl1WsGShqtiycImZtCgGbukDn4RAacMig"),
        ] {
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
            let scalar = BigNum::from_u32(scalar).unwrap();
            let mut point = openssl::ec::EcPoint::new(&group).unwrap();
            let mut context = BigNumContext::new().unwrap();
            point.mul_generator2(&group, &scalar, &mut context).unwrap();
            let ec = EcKey::from_private_components(&group, &scalar, &point).unwrap();
            let pem = PKey::from_ec_key(ec)
                .unwrap()
                .private_key_to_pem_pkcs8()
                .unwrap();

            let key = SigningKey::from_pem(&pem, None, None, None).unwrap();

            assert_eq!(key.kid().as_str(), thumbprint);
        }
    }

    #[test]
    fn a_signing_key_does_not_print_its_private_half() {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();

        let printed = format!("{key:?}");

        assert_eq!(
            printed,
            format!("SigningKey {{ kid: {:?}, alg: EdDsa, .. }}", key.kid())
        );
    }
}
