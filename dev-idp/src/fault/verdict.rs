//! How an authentication at the token endpoint ended.

use serde::{Deserialize, Serialize};

/// How an authentication at the token endpoint ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The client was authenticated, and the code is unknown.
    Authenticated,
    /// The client is unknown.
    UnknownClient,
    /// The JWK Set has no such key, as far as this provider has seen it.
    UnknownKey,
    /// The signature is wrong.
    WrongSignature,
    /// The audience is not accepted.
    WrongAudience,
    /// The `typ` is not accepted.
    WrongType,
}
