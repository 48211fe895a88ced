//! What to do about the registration: one pure function.

use std::fmt;

use super::{Attempt, Drift, Registered, TokenFingerprint};

/// What there is to spend and to obey, beside what is stored and what is desired.
#[derive(Clone, Debug, Default)]
pub struct Means<'a> {
    /// The issuer that the configuration expects.
    pub issuer: &'a str,
    /// The wished `client_id`.
    pub client_id: Option<&'a str>,
    /// The initial access token at hand.
    pub token: Option<&'a TokenFingerprint>,
    /// `DCR_FORCE_REPLACE`.
    pub force_replace: bool,
    /// What the stored client has drifted from.
    pub drift: Drift,
    /// Whether the IdP has declined to make up for exactly this drift.
    pub declined: bool,
}

/// What to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Plan {
    /// The registration stands: send nothing.
    Nothing,
    /// Register a client (RFC 7591 §3.1).
    Register,
    /// Take a new client in place of the stored one.
    Replace(ReplaceOrder),
    /// Change the stored client (RFC 7592 §2.2).
    Update(Drift),
    /// Do nothing, because only an operator can decide.
    Refuse(Reason),
}

/// In which order one client takes the place of another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReplaceOrder {
    /// The stored client has the very identifier that is wished for, so it has to go first.
    /// If the new one is then refused, there is none.
    DeleteFirst,
    /// The new client first, so that there is one at any time.
    RegisterFirst,
}

/// Why nothing can be done without an operator.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reason {
    /// The IdP knows neither the stored client nor its token any more.
    ClientGone {
        /// The client.
        client_id: String,
        /// Where it was known.
        issuer: String,
    },
    /// The stored client is known at another issuer.
    IssuerChanged {
        /// Where it is known.
        stored: String,
        /// What the configuration expects.
        configured: String,
    },
    /// A registration was sent, and nobody knows what came of it.
    OutcomeUnknown {
        /// The issuer asked.
        issuer: String,
        /// Whether an initial access token went with it, which is then likely used up.
        with_token: bool,
    },
}

/// Decides what to do, from what is stored and what there is to spend.
///
/// An unfinished `attempt` may have made a client, so it is never simply repeated: only a
/// token other than the one it was sent with, which an operator has put there, leads on. The
/// same goes for a client that is gone. A drift that cannot be mended is no reason to do
/// anything.
pub fn plan(registered: Option<&Registered>, attempt: Option<&Attempt>, means: &Means<'_>) -> Plan {
    if let Some(registered) = registered {
        if registered.issuer != means.issuer {
            return Plan::Refuse(Reason::IssuerChanged {
                stored: registered.issuer.clone(),
                configured: means.issuer.to_owned(),
            });
        }
        let fresh = means.token.is_some_and(|token| {
            !registered.tokens.contains(token)
                && attempt.is_none_or(|attempt| attempt.token.as_ref() != Some(token))
        });
        let gone = registered.gone_since.is_some();
        return if fresh && gone {
            Plan::Replace(ReplaceOrder::RegisterFirst)
        } else if fresh && means.force_replace {
            Plan::Replace(order(registered, means))
        } else if gone {
            Plan::Refuse(Reason::ClientGone {
                client_id: registered.client_id.clone(),
                issuer: registered.issuer.clone(),
            })
        } else if registered.management.is_some() && !means.drift.is_empty() && !means.declined {
            Plan::Update(means.drift.clone())
        } else {
            Plan::Nothing
        };
    }
    match attempt {
        None => Plan::Register,
        Some(attempt) if means.token.is_some() && attempt.token.as_ref() != means.token => {
            Plan::Register
        }
        // Where no token goes with a registration, none can be the sign that somebody has looked.
        Some(attempt) if attempt.token.is_none() && means.force_replace => Plan::Register,
        Some(attempt) => Plan::Refuse(Reason::OutcomeUnknown {
            issuer: attempt.issuer.clone(),
            with_token: attempt.token.is_some(),
        }),
    }
}

fn order(registered: &Registered, means: &Means<'_>) -> ReplaceOrder {
    if means.client_id == Some(registered.client_id.as_str()) && registered.management.is_some() {
        ReplaceOrder::DeleteFirst
    } else {
        ReplaceOrder::RegisterFirst
    }
}

impl Reason {
    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::ClientGone { .. } => {
                "see at the IdP what became of it; to register a new client in its place, mint a \
                 fresh token with `bff mint-iat` and set it as DCR_IAT"
            }
            Self::IssuerChanged { .. } => {
                "if the IdP only has a new address, set OIDC_ISSUER to the stored issuer; for \
                 another IdP, give this service an empty BFF_STATE_DIR and a new DCR_IAT"
            }
            Self::OutcomeUnknown {
                with_token: false, ..
            } => {
                "look for the client at the IdP and delete it there, then start once with \
                 DCR_FORCE_REPLACE=true, or with a token as DCR_IAT"
            }
            Self::OutcomeUnknown { .. } => {
                "look for the client at the IdP and delete it there, then mint a fresh token with \
                 `bff mint-iat` and set it as DCR_IAT: a new token is what allows a new attempt"
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientGone { client_id, issuer } => write!(
                f,
                "{issuer} knows neither client `{client_id}` nor its registration access token \
                 any more"
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
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::oauth::{ClientMetadata, InitialAccessToken, Management};
    use crate::registration::Drifted;
    use crate::secret::Secret;

    const ISSUER: &str = "https://idp.example";

    #[test]
    fn every_combination_has_its_plan() {
        let (t1, t2) = (fingerprint("t1"), fingerprint("t2"));
        let registered = registered(&t1);
        let sent_with = |token: Option<&TokenFingerprint>| Attempt {
            token: token.cloned(),
            ..attempt()
        };
        let unknown = |with_token| {
            Plan::Refuse(Reason::OutcomeUnknown {
                issuer: ISSUER.to_owned(),
                with_token,
            })
        };
        let replace = Plan::Replace(ReplaceOrder::RegisterFirst);
        let some = Some(&registered);
        // registered, attempt, token, force -> plan
        let table = [
            (None, None, None, false, Plan::Register),
            (None, None, Some(&t1), false, Plan::Register),
            (None, None, Some(&t1), true, Plan::Register),
            (None, Some(sent_with(Some(&t1))), None, false, unknown(true)),
            (
                None,
                Some(sent_with(Some(&t1))),
                Some(&t1),
                true,
                unknown(true),
            ),
            (
                None,
                Some(sent_with(Some(&t1))),
                Some(&t2),
                false,
                Plan::Register,
            ),
            (None, Some(sent_with(None)), None, false, unknown(false)),
            (None, Some(sent_with(None)), None, true, Plan::Register),
            (
                None,
                Some(sent_with(None)),
                Some(&t1),
                false,
                Plan::Register,
            ),
            (some, None, None, false, Plan::Nothing),
            (some, None, Some(&t2), false, Plan::Nothing),
            (some, None, None, true, Plan::Nothing),
            (some, None, Some(&t1), true, Plan::Nothing),
            (some, None, Some(&t2), true, replace.clone()),
            (
                some,
                Some(sent_with(Some(&t2))),
                Some(&t2),
                true,
                Plan::Nothing,
            ),
            (some, Some(sent_with(Some(&t2))), None, false, Plan::Nothing),
        ];

        for (registered, attempt, token, force_replace, expected) in table {
            let means = Means {
                issuer: ISSUER,
                client_id: None,
                token,
                force_replace,
                ..Means::default()
            };
            let case = format!("{registered:?} {attempt:?} {means:?}");
            assert_eq!(
                plan(registered, attempt.as_ref(), &means),
                expected,
                "{case}"
            );
        }
    }

    #[test]
    fn another_issuer_is_never_answered_by_a_new_registration() {
        let (t1, t2) = (fingerprint("t1"), fingerprint("t2"));
        let means = Means {
            issuer: "https://idp.example/",
            token: Some(&t2),
            force_replace: true,
            ..Means::default()
        };

        let plan = plan(Some(&registered(&t1)), None, &means);

        assert!(matches!(plan, Plan::Refuse(Reason::IssuerChanged { .. })));
    }

    #[test]
    fn the_stored_client_goes_first_only_where_it_holds_the_wished_identifier() {
        let (t1, t2) = (fingerprint("t1"), fingerprint("t2"));
        let mut registered = registered(&t1);
        let means = Means {
            issuer: ISSUER,
            client_id: Some("c1"),
            token: Some(&t2),
            force_replace: true,
            ..Means::default()
        };
        let order = |registered: &Registered| plan(Some(registered), None, &means);

        assert_eq!(
            order(&registered),
            Plan::Replace(ReplaceOrder::RegisterFirst),
            "it cannot be deleted"
        );
        registered.management = Some(management());
        assert_eq!(order(&registered), Plan::Replace(ReplaceOrder::DeleteFirst));
    }

    #[test]
    fn drift_is_mended_where_that_is_possible_and_never_by_a_new_registration() {
        let (t1, t2) = (fingerprint("t1"), fingerprint("t2"));
        let mut registered = registered(&t1);
        let drift = Drift(vec![Drifted {
            member: "scope".to_owned(),
            desired: None,
            sent: None,
            idp: None,
        }]);
        let means = Means {
            issuer: ISSUER,
            token: Some(&t2),
            drift: drift.clone(),
            ..Means::default()
        };

        assert_eq!(plan(Some(&registered), None, &means), Plan::Nothing);
        registered.management = Some(management());
        assert_eq!(plan(Some(&registered), None, &means), Plan::Update(drift));
        let means = Means {
            declined: true,
            ..means
        };
        assert_eq!(plan(Some(&registered), None, &means), Plan::Nothing);
    }

    #[test]
    fn a_client_that_is_gone_waits_for_a_fresh_token() {
        let (t1, t2) = (fingerprint("t1"), fingerprint("t2"));
        let mut registered = registered(&t1);
        registered.gone_since = Some(Timestamp::UNIX_EPOCH);
        let with = |token| {
            let means = Means {
                issuer: ISSUER,
                token,
                ..Means::default()
            };
            plan(Some(&registered), None, &means)
        };

        for spent in [None, Some(&t1)] {
            assert!(matches!(
                with(spent),
                Plan::Refuse(Reason::ClientGone { .. })
            ));
        }
        assert_eq!(with(Some(&t2)), Plan::Replace(ReplaceOrder::RegisterFirst));
    }

    fn management() -> Management {
        Management {
            uri: "https://idp.example/c1".parse().unwrap(),
            token: Secret::new("rat"),
        }
    }

    fn fingerprint(token: &str) -> TokenFingerprint {
        TokenFingerprint::of(&InitialAccessToken(Secret::new(token)))
    }

    fn registered(token: &TokenFingerprint) -> Registered {
        Registered {
            issuer: ISSUER.to_owned(),
            client_id: "c1".to_owned(),
            management: None,
            sent: ClientMetadata::default(),
            granted: ClientMetadata::default(),
            registered_at: Timestamp::UNIX_EPOCH,
            tokens: vec![token.clone()],
            unconfirmed: None,
            unmanageable: None,
            gone_since: None,
        }
    }

    fn attempt() -> Attempt {
        Attempt {
            issuer: ISSUER.to_owned(),
            endpoint: format!("{ISSUER}/register"),
            asked: ClientMetadata::default(),
            token: None,
            started_at: Timestamp::UNIX_EPOCH,
            answer: None,
        }
    }
}
