//! Key material and signatures (RFC 7515, 7517, 7518, 7638, 8037). No I/O.

mod algorithm;

pub use algorithm::Algorithm;
pub use algorithm::UnknownAlgorithm;
