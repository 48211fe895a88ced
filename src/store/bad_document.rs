//! What can be wrong with a document.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::sha::sha256;

/// What is wrong with a document.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BadDocument {
    /// It was changed after it was written.
    #[error("its checksum does not match")]
    Checksum,
    /// It is as it was written, and holds something that this program does not know.
    #[error("it is intact, and this bff does not know all that is in it")]
    Contents,
    /// It is not there.
    #[error("it is missing")]
    Missing,
    /// It is not JSON, or not the JSON of a state.
    #[error("it does not parse: {0}")]
    Parse(String),
    /// Its format is newer than this program.
    #[error("its format version is {0}")]
    Version(u64),
}

/// SHA-256 in `base64url`.
pub(super) fn checksum(text: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(sha256(text))
}
