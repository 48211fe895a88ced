//! Key material and signatures (RFC 7515, 7517, 7518, 7638, 8037). No I/O.
//!
//! The way of a public key: PEM → [`SigningKey`] → [`PublicJwk`] → the published set. A
//! [`PublicJwk`] has no member for a private value, so a set made of them cannot leak one.

mod algorithm;
mod encrypted_pem;
mod kid;
mod pem;
mod public_jwk;
mod signing_key;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use kid::{InvalidKid, Kid};
pub use pem::{LoadKeyError, Wrapping};
pub use public_jwk::{KeyType, PublicJwk, PublicKey};
pub use signing_key::{MakeKeyError, SignError, SigningKey};
