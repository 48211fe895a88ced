//! Why nothing is done about the registration.

use std::fmt;

use jiff::Timestamp;

/// Why nothing can be done without an operator, or before some time has passed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Blocked {
    /// The IdP does not know the stored client any more, as far as can be told.
    ClientGone {
        /// The client.
        client_id: String,
        /// Where it was known.
        issuer: String,
        /// Whether the IdP answers an unknown client otherwise than a wrong key.
        certain: bool,
        /// Whether the IdP lets everybody register, so that there are no tokens.
        open: bool,
    },
    /// The stored client is known at another issuer.
    IssuerChanged {
        /// Where it is known.
        stored: String,
        /// What the configuration expects.
        configured: String,
    },
    /// A registration was sent, and its outcome is unknown.
    OutcomeUnknown {
        /// The issuer asked.
        issuer: String,
        /// Whether an initial access token went with it, which is then likely used up.
        with_token: bool,
    },
    /// The IdP refused the request; somebody may mend that there.
    RequestRefused {
        /// What it said.
        said: String,
        /// When the request is sent again by itself.
        again_at: Timestamp,
        /// How many seconds are left until then.
        left_s: u64,
    },
    /// The document is older than the last change, so that an attempt may be missing in it.
    Restored,
    /// The IdP refused the token.
    TokenRefused {
        /// What it said.
        said: String,
        /// Whether there was one.
        with_token: bool,
    },
    /// The token has registered a client before.
    TokenSpent,
    /// The IdP made a client that cannot authenticate with a key.
    Unusable {
        /// What it granted.
        said: String,
    },
}

impl Blocked {
    /// What an operator can do about a client that is gone, `certain` or perhaps. Where the IdP is
    /// `open` to everybody there are no tokens.
    pub fn hint_for_gone(certain: bool, open: bool) -> &'static str {
        match (certain, open) {
            (_, true) => {
                "check at the IdP whether the client still exists; to register a new one in its \
                 place, start once without DCR_FORCE_REPLACE, then with DCR_FORCE_REPLACE=true"
            }
            (true, false) => {
                "check at the IdP whether the client still exists; to register a new client in \
                 its place, mint a fresh token with `bff mint-iat` and set it as DCR_IAT"
            }
            (false, false) => {
                "check at the IdP whether the client still exists; to register a new one in its \
                 place, set a fresh DCR_IAT (`bff mint-iat`) and DCR_FORCE_REPLACE=true"
            }
        }
    }

    /// What an operator can do about a registration without a usable answer.
    pub fn hint_for_unknown(with_token: bool) -> &'static str {
        if with_token {
            "look for the client at the IdP: take it over with `bff register --adopt`, or delete \
             it there and set a fresh DCR_IAT from `bff mint-iat`"
        } else {
            "look for the client at the IdP: take it over with `bff register --adopt`, or delete \
             it, then start once without and once with DCR_FORCE_REPLACE=true"
        }
    }

    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::ClientGone { certain, open, .. } => Self::hint_for_gone(*certain, *open),
            Self::IssuerChanged { .. } => {
                "if the IdP only has a new address, set OIDC_ISSUER to the stored issuer; for \
                 another IdP, give this service an empty BFF_STATE_DIR and a new DCR_IAT"
            }
            Self::OutcomeUnknown { with_token, .. } => Self::hint_for_unknown(*with_token),
            Self::RequestRefused { .. } => {
                "have the request or the IdP's policy changed, then run `bff register` to try at \
                 once; the token is not spent"
            }
            Self::Restored => {
                "compare with the clients at the IdP, then run `bff register --after-restore`; \
                 until then nothing is registered, changed or deleted"
            }
            Self::TokenRefused {
                with_token: true, ..
            } => {
                "mint a fresh token with `bff mint-iat` and set it as DCR_IAT; `bff register` tries \
                 the same one again"
            }
            Self::TokenRefused { .. } => {
                "no initial access token is set: mint one with `bff mint-iat` and set it as DCR_IAT"
            }
            Self::TokenSpent => "mint a fresh token with `bff mint-iat` and set it as DCR_IAT",
            Self::Unusable { .. } => {
                "allow private_key_jwt for dynamically registered clients at the IdP (its policy \
                 or DCR_CLIENT_PROFILE), then set a fresh DCR_IAT, or run `bff register`"
            }
        }
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientGone {
                client_id,
                issuer,
                certain: true,
                ..
            } => write!(
                f,
                "{issuer} knows neither client `{client_id}` nor its registration access token \
                 any more"
            ),
            Self::ClientGone {
                client_id, issuer, ..
            } => write!(
                f,
                "{issuer} perhaps does not know client `{client_id}` any more: it answers an \
                 unknown client and a wrong key alike"
            ),
            Self::IssuerChanged { stored, configured } => write!(
                f,
                "the stored client is registered at {stored}, but the configuration names \
                 {configured}"
            ),
            Self::OutcomeUnknown { issuer, with_token } => {
                write!(
                    f,
                    "an earlier registration at {issuer} got no usable answer, so a client may \
                     exist there"
                )?;
                if *with_token {
                    f.write_str(" and its initial access token may be used up")?;
                }
                Ok(())
            }
            Self::RequestRefused { said, again_at, .. } => write!(
                f,
                "the IdP refused the registration ({said}); it is sent again after {again_at:.0}"
            ),
            Self::Restored => f.write_str(
                "the state is older than the last change, so a registration may be missing in it",
            ),
            Self::TokenRefused {
                said,
                with_token: true,
            } => write!(f, "the IdP refused the initial access token ({said})"),
            Self::TokenRefused { said, .. } => write!(
                f,
                "the IdP refused a registration without an initial access token ({said})"
            ),
            Self::TokenSpent => f.write_str("the initial access token was used before"),
            Self::Unusable { said } => write!(
                f,
                "the IdP registered a client that cannot authenticate with a key ({said}); it is \
                 not tried again"
            ),
        }
    }
}
