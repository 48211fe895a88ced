//! Encrypted PKCS#8 (RFC 8018 §6.2), with a derivation that is slow enough.
//!
//! The derivation and the cipher are OpenSSL's. Only the structure around them is written here,
//! because OpenSSL's own function for it derives with 2 048 rounds, and does not take another
//! number.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::rand::rand_bytes;
use openssl::symm::{Cipher, encrypt};
use secrecy::zeroize::Zeroizing;

use crate::secret::Secret;

/// Rounds of PBKDF2 with HMAC-SHA-256: about 0.1 s for each key at each start.
const ROUNDS: usize = 600_000;

/// [`ROUNDS`] as a DER INTEGER.
const ROUNDS_DER: [u8; 5] = [INTEGER, 3, 0x09, 0x27, 0xC0];

/// id-PBES2, 1.2.840.113549.1.5.13.
const PBES2: [u8; 9] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x05, 0x0D];

/// id-PBKDF2, 1.2.840.113549.1.5.12.
const PBKDF2: [u8; 9] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x05, 0x0C];

/// id-hmacWithSHA256, 1.2.840.113549.2.9.
const HMAC_SHA256: [u8; 8] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x02, 0x09];

/// aes256-CBC-PAD, 2.16.840.1.101.3.4.1.42.
const AES_256_CBC: [u8; 9] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2A];

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const NULL: u8 = 0x05;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n";
const END: &str = "-----END ENCRYPTED PRIVATE KEY-----\n";

/// Encrypts a PKCS#8 key, and writes it as PEM. Takes as long as [`ROUNDS`] say.
pub(super) fn encrypted(pkcs8: &[u8], passphrase: &Secret) -> Result<Secret, ErrorStack> {
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    rand_bytes(&mut salt)?;
    rand_bytes(&mut iv)?;
    let mut key = Zeroizing::new([0; 32]);
    let (passphrase, digest) = (passphrase.expose().as_bytes(), MessageDigest::sha256());
    pbkdf2_hmac(passphrase, &salt, ROUNDS, digest, key.as_mut())?;
    let data = encrypt(Cipher::aes_256_cbc(), key.as_ref(), Some(&iv), pkcs8)?;

    let oid = |oid: &[u8]| element(OBJECT_IDENTIFIER, &[oid]);
    let octets = |octets: &[u8]| element(OCTET_STRING, &[octets]);
    let digest = element(SEQUENCE, &[&oid(&HMAC_SHA256), &element(NULL, &[])]);
    let derivation = element(SEQUENCE, &[&octets(&salt), &ROUNDS_DER, &digest]);
    let derivation = element(SEQUENCE, &[&oid(&PBKDF2), &derivation]);
    let cipher = element(SEQUENCE, &[&oid(&AES_256_CBC), &octets(&iv)]);
    let scheme = element(SEQUENCE, &[&derivation, &cipher]);
    let scheme = element(SEQUENCE, &[&oid(&PBES2), &scheme]);
    Ok(pem(&element(SEQUENCE, &[&scheme, &octets(&data)])))
}

/// Whether [`encrypted`] has written this text, or something like it with as many rounds.
pub(super) fn is_current(text: &str) -> bool {
    let block = text
        .split_once(BEGIN)
        .and_then(|(_, rest)| rest.split_once(END));
    let block: String = block
        .map_or("", |(block, _)| block)
        .split_whitespace()
        .collect();
    let der = STANDARD.decode(block).unwrap_or_default();
    // Nothing before the rounds is long.
    let start = der.get(..80).unwrap_or_default();
    start
        .windows(ROUNDS_DER.len())
        .any(|found| found == ROUNDS_DER)
}

/// A value in DER (X.690 §8.1): what it is, its length in octets, its parts.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let mut der = vec![tag];
    if let Ok(short @ 0..0x80) = u8::try_from(contents.len()) {
        der.push(short);
    } else {
        let length = contents.len().to_be_bytes();
        let length: Vec<u8> = length.into_iter().skip_while(|octet| *octet == 0).collect();
        der.push(0x80 | u8::try_from(length.len()).unwrap_or_default());
        der.extend(length);
    }
    der.extend(contents);
    der
}

fn pem(der: &[u8]) -> Secret {
    let mut text = BEGIN.to_owned();
    for line in der.chunks(48) {
        STANDARD.encode_string(line, &mut text);
        text.push('\n');
    }
    text.push_str(END);
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use openssl::pkey::PKey;
    use openssl::rsa::Rsa;

    use super::*;

    #[test]
    fn openssl_reads_what_is_encrypted_here_with_the_passphrase_alone() {
        let passphrase = Secret::new("a passphrase");
        let short = PKey::generate_ed25519().unwrap();
        let long = PKey::from_rsa(Rsa::generate(3072).unwrap()).unwrap();
        for key in [short, long] {
            let pkcs8 = key.private_key_to_pkcs8().unwrap();

            let text = encrypted(&pkcs8, &passphrase).unwrap();

            let pem = text.expose().as_bytes();
            let read = PKey::private_key_from_pem_passphrase(pem, b"a passphrase").unwrap();
            assert!(read.public_eq(&key));
            assert!(PKey::private_key_from_pem_passphrase(pem, b"another").is_err());
            assert!(text.expose().lines().all(|line| line.len() <= 64));
        }
    }

    #[test]
    fn fewer_rounds_are_told_from_the_present_ones() {
        let (key, passphrase) = (
            PKey::generate_ed25519().unwrap(),
            Secret::new("a passphrase"),
        );
        let pkcs8 = key.private_key_to_pkcs8().unwrap();
        let now = encrypted(&pkcs8, &passphrase).unwrap();
        let before = key
            .private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"a passphrase")
            .unwrap();
        let before = String::from_utf8(before).unwrap();

        assert!(is_current(now.expose()));
        assert!(!is_current(&before));
        assert!(!is_current("-----BEGIN PRIVATE KEY-----"));
    }
}
