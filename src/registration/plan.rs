//! What to do about the registration: one pure function.

use std::fmt;

use super::drift::Drift;
use super::fingerprint::TokenFingerprint;
use super::record::{Attempt, Registered};

/// What is stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stored<'a> {
    /// The client we are.
    pub registered: Option<&'a Registered>,
    /// A registration whose outcome is not settled.
    pub attempt: Option<&'a Attempt>,
    /// The initial access tokens that were used for a registration.
    pub spent: &'a [TokenFingerprint],
    /// Whether the IdP knows neither the client nor its token, as far as can be told.
    pub gone: bool,
}

/// What the configuration gives and orders, and how the stored client differs from it.
#[derive(Clone, Debug, Default)]
pub struct Inputs<'a> {
    /// The issuer that the configuration expects.
    pub issuer: &'a str,
    /// The requested `client_id`.
    pub client_id: Option<&'a str>,
    /// The initial access token at hand.
    pub token: Option<&'a TokenFingerprint>,
    /// `DCR_FORCE_REPLACE`.
    pub force_replace: bool,
    /// How the stored client differs from the configuration.
    pub drift: Drift,
    /// Whether the IdP has declined an update for exactly this drift.
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
    Blocked(Blocked),
}

/// In which order one client takes the place of another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReplaceOrder {
    /// The stored client has the requested identifier, so it is deleted first. If the new
    /// registration is then refused, no client is left.
    DeleteFirst,
    /// The new client is registered first, so that a client exists at any time.
    RegisterFirst,
}

/// Why nothing can be done without an operator.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Blocked {
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
    /// A registration was sent, and its outcome is unknown.
    OutcomeUnknown {
        /// The issuer asked.
        issuer: String,
        /// Whether an initial access token went with it, which is then likely used up.
        with_token: bool,
    },
}

/// Decides what to do.
///
/// A restart with nothing changed is [`Plan::Nothing`]: no request is sent. An unfinished attempt
/// may have made a client, so it is not repeated until an operator sets another token than the one
/// it was sent with. The same holds for a client that is gone. Drift that cannot be corrected from
/// here changes nothing.
pub fn plan(stored: Stored<'_>, inputs: &Inputs<'_>) -> Plan {
    let attempt = stored.attempt;
    if let Some(registered) = stored.registered {
        if registered.issuer != inputs.issuer {
            return Plan::Blocked(Blocked::IssuerChanged {
                stored: registered.issuer.clone(),
                configured: inputs.issuer.to_owned(),
            });
        }
        let fresh = inputs.token.is_some_and(|token| {
            !stored.spent.contains(token)
                && attempt.is_none_or(|attempt| attempt.token.as_ref() != Some(token))
        });
        let gone = stored.gone;
        return if fresh && gone {
            Plan::Replace(ReplaceOrder::RegisterFirst)
        } else if fresh && inputs.force_replace {
            Plan::Replace(order(registered, inputs))
        } else if gone {
            Plan::Blocked(Blocked::ClientGone {
                client_id: registered.client_id.clone(),
                issuer: registered.issuer.clone(),
            })
        } else if registered.management.is_some() && !inputs.drift.is_empty() && !inputs.declined {
            Plan::Update(inputs.drift.clone())
        } else {
            Plan::Nothing
        };
    }
    match attempt {
        None => Plan::Register,
        Some(attempt) if inputs.token.is_some() && attempt.token.as_ref() != inputs.token => {
            Plan::Register
        }
        // Where no token is sent, no new token can show that an operator has looked.
        Some(attempt) if attempt.token.is_none() && inputs.force_replace => Plan::Register,
        Some(attempt) => Plan::Blocked(Blocked::OutcomeUnknown {
            issuer: attempt.issuer.clone(),
            with_token: attempt.token.is_some(),
        }),
    }
}

fn order(registered: &Registered, inputs: &Inputs<'_>) -> ReplaceOrder {
    if inputs.client_id == Some(registered.client_id.as_str()) && registered.management.is_some() {
        ReplaceOrder::DeleteFirst
    } else {
        ReplaceOrder::RegisterFirst
    }
}

impl Blocked {
    /// What an operator can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::ClientGone { .. } => {
                "check at the IdP whether the client still exists; to register a new client in \
                 its place, mint a fresh token with `bff mint-iat` and set it as DCR_IAT"
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
                 `bff mint-iat` and set it as DCR_IAT: only a new token allows a new attempt"
            }
        }
    }
}

impl fmt::Display for Blocked {
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
    use crate::oauth::{ClientMetadata, EndpointUrl, InitialAccessToken, Management};
    use crate::registration::Drifted;
    use crate::secret::Secret;

    const ISSUER: &str = "https://idp.example";

    #[test]
    fn every_combination_has_its_plan() {
        let (t1, t2) = (fingerprint("t1"), fingerprint("t2"));
        let registered = registered();
        let spent = [t1.clone()];
        let sent_with = |token: Option<&TokenFingerprint>| Attempt {
            token: token.cloned(),
            ..attempt()
        };
        let unknown = |with_token| {
            Plan::Blocked(Blocked::OutcomeUnknown {
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
            let inputs = Inputs {
                issuer: ISSUER,
                client_id: None,
                token,
                force_replace,
                ..Inputs::default()
            };
            let case = format!("{registered:?} {attempt:?} {inputs:?}");
            assert_eq!(
                plan(stored(registered, attempt.as_ref(), &spent), &inputs),
                expected,
                "{case}"
            );
        }
    }

    #[test]
    fn another_issuer_is_never_answered_by_a_new_registration() {
        let (t1, t2) = (fingerprint("t1"), fingerprint("t2"));
        let inputs = Inputs {
            issuer: "https://idp.example/",
            token: Some(&t2),
            force_replace: true,
            ..Inputs::default()
        };

        let (registered, spent) = (registered(), [t1]);
        let plan = plan(stored(Some(&registered), None, &spent), &inputs);

        assert!(matches!(plan, Plan::Blocked(Blocked::IssuerChanged { .. })));
    }

    #[test]
    fn the_stored_client_goes_first_only_where_it_holds_the_wished_identifier() {
        let (t1, t2) = (fingerprint("t1"), fingerprint("t2"));
        let (mut registered, spent) = (registered(), [t1]);
        let inputs = Inputs {
            issuer: ISSUER,
            client_id: Some("c1"),
            token: Some(&t2),
            force_replace: true,
            ..Inputs::default()
        };
        let order = |registered: &Registered| plan(stored(Some(registered), None, &spent), &inputs);

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
        let (mut registered, spent) = (registered(), [t1]);
        let drift = Drift(vec![Drifted {
            member: "scope".to_owned(),
            desired: None,
            sent: None,
            idp: None,
        }]);
        let inputs = Inputs {
            issuer: ISSUER,
            token: Some(&t2),
            drift: drift.clone(),
            ..Inputs::default()
        };

        assert_eq!(
            plan(stored(Some(&registered), None, &spent), &inputs),
            Plan::Nothing
        );
        registered.management = Some(management());
        assert_eq!(
            plan(stored(Some(&registered), None, &spent), &inputs),
            Plan::Update(drift)
        );
        let inputs = Inputs {
            declined: true,
            ..inputs
        };
        assert_eq!(
            plan(stored(Some(&registered), None, &spent), &inputs),
            Plan::Nothing
        );
    }

    #[test]
    fn a_client_that_is_gone_waits_for_a_fresh_token() {
        let (t1, t2) = (fingerprint("t1"), fingerprint("t2"));
        let (registered, spent) = (registered(), [t1]);
        let with = |token| {
            let inputs = Inputs {
                issuer: ISSUER,
                token,
                ..Inputs::default()
            };
            let gone = Stored {
                gone: true,
                ..stored(Some(&registered), None, &spent)
            };
            plan(gone, &inputs)
        };

        for token in [None, Some(&spent[0])] {
            assert!(matches!(
                with(token),
                Plan::Blocked(Blocked::ClientGone { .. })
            ));
        }
        assert_eq!(with(Some(&t2)), Plan::Replace(ReplaceOrder::RegisterFirst));
    }

    fn management() -> Management {
        Management {
            uri: EndpointUrl::parse("https://idp.example/c1", false).unwrap(),
            token: Secret::new("rat"),
        }
    }

    fn fingerprint(token: &str) -> TokenFingerprint {
        TokenFingerprint::of(&InitialAccessToken(Secret::new(token)))
    }

    fn stored<'a>(
        registered: Option<&'a Registered>,
        attempt: Option<&'a Attempt>,
        spent: &'a [TokenFingerprint],
    ) -> Stored<'a> {
        Stored {
            registered,
            attempt,
            spent: if registered.is_some() { spent } else { &[] },
            gone: false,
        }
    }

    fn registered() -> Registered {
        let (none, at) = (ClientMetadata::default(), Timestamp::UNIX_EPOCH);
        Registered::new(ISSUER, "c1", none.clone(), none, at)
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
