//! Client assertions (RFC 7523 §2.2, §3).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The `client_assertion_type` of a JWT (RFC 7523 §2.2).
pub const CLIENT_ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The `typ` of the JWT (RFC 7515 §4.1.9).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum AssertionType {
    /// `client-authentication+jwt` (RFC 10070 §4).
    #[serde(rename = "client-authentication+jwt")]
    Explicit,
    /// `JWT`, which some older servers insist on.
    #[serde(rename = "JWT")]
    Jwt,
}

impl AssertionType {
    /// The value of `typ`.
    pub const fn value(self) -> &'static str {
        match self {
            Self::Explicit => "client-authentication+jwt",
            Self::Jwt => "JWT",
        }
    }
}

/// The claims of one client assertion. Good for one request: each has its own `jti`.
///
/// There is no `nbf`, which is optional (RFC 7523 §3): real servers refuse one that equals their
/// clock.
#[derive(Clone, Debug, Serialize)]
pub struct AssertionClaims {
    iss: String,
    sub: String,
    aud: String,
    jti: String,
    iat: i64,
    exp: i64,
}

impl AssertionClaims {
    /// How long an assertion is valid: `exp` after `iat` (RFC 7523 §3).
    pub const LIFETIME: Duration = Duration::from_mins(1);

    /// How far `iat` lies back: servers were seen to answer a lead of one second with 500.
    const BACK: Duration = Duration::from_secs(3);

    /// Claims for `client_id` towards `audience`, which goes out as one string (RFC 7519 §4.1.3).
    /// `randomness` makes the `jti` and must be fresh for each request (RFC 7523 §3).
    pub fn new(client_id: &str, audience: &str, now: Timestamp, randomness: [u8; 16]) -> Self {
        let iat = now
            .as_second()
            .saturating_sub_unsigned(Self::BACK.as_secs());
        Self {
            iss: client_id.to_owned(),
            sub: client_id.to_owned(),
            aud: audience.to_owned(),
            jti: URL_SAFE_NO_PAD.encode(randomness),
            iat,
            exp: iat.saturating_add_unsigned(Self::LIFETIME.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_claims_are_those_of_rfc_7523_with_integer_times() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();

        let claims = AssertionClaims::new("c1", "https://idp.example", now, [0; 16]);

        assert_eq!(
            serde_json::to_value(claims).unwrap(),
            json!({
                "iss": "c1", "sub": "c1", "aud": "https://idp.example",
                "jti": "AAAAAAAAAAAAAAAAAAAAAA", "iat": 1_799_999_997, "exp": 1_800_000_057,
            })
        );
    }
}
