//! What to do about the registration: one pure function.

use jiff::{SignedDuration, Timestamp};

use super::blocked::Blocked;
use super::drift::Drift;
use super::fingerprint::TokenFingerprint;
use super::record::{Attempt, Gone, MintedIat, Registered, TokenTarget};
use super::refused::{RefusalKind, RefusedRegistration};
use crate::oauth::ClientMetadata;

/// What is stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stored<'a> {
    /// The client we are.
    pub registered: Option<&'a Registered>,
    /// Whether another client is to take its place once it is proven.
    pub has_candidate: bool,
    /// A registration whose outcome is not settled.
    pub attempt: Option<&'a Attempt>,
    /// The initial access tokens that were sent, except those that were refused with the request.
    pub spent: &'a [TokenFingerprint],
    /// Registrations that made no client that is of use.
    pub refusals: &'a [RefusedRegistration],
    /// Why the client is thought to be gone.
    pub gone: Option<&'a Gone>,
    /// A token that was minted and not spent.
    pub minted: Option<&'a MintedIat>,
    /// When a token was last minted.
    pub minted_at: Option<Timestamp>,
    /// The value of `DCR_FORCE_REPLACE` that was seen last.
    pub force_seen: Option<bool>,
    /// The tokens that are perhaps spent, where the document may miss an attempt.
    pub restored: Option<&'a [TokenFingerprint]>,
}

/// What the configuration gives and orders, and how the stored client differs from it.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one fact of the configuration or of the IdP"
)]
pub struct Inputs<'a> {
    /// The issuer that the configuration expects, and its registration endpoint.
    pub target: TokenTarget,
    /// The requested `client_id`.
    pub client_id: Option<&'a str>,
    /// What would be asked for.
    pub asked: ClientMetadata,
    /// The initial access token of the configuration.
    pub token: Option<&'a TokenFingerprint>,
    /// Whether a token can be minted where the configuration has none.
    pub can_mint: bool,
    /// `DCR_FORCE_REPLACE`.
    pub force_replace: bool,
    /// Whether an operator has ordered a registration.
    pub ordered: bool,
    /// How the stored client differs from the configuration.
    pub drift: Drift,
    /// Whether the IdP has declined an update for exactly this drift.
    pub declined: bool,
    /// The time.
    pub now: Timestamp,
}

/// What to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Plan {
    /// The registration stands: send nothing.
    Nothing,
    /// Register a client (RFC 7591 §3.1).
    Register,
    /// Take a new client in place of the stored one.
    Replace(Replacement),
    /// Change the stored client (RFC 7592 §2.2).
    Update(Drift),
    /// Do nothing, because only an operator or time can decide.
    Blocked(Blocked),
}

/// How one client takes the place of another. Nothing is deleted before the new one is proven.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Replacement {
    /// Another client is registered.
    NewClient,
    /// The stored client has the requested identifier: the identity is the same either way, so it
    /// gets a complete update (RFC 7592 §2.2).
    Update,
}

/// How long after a token was minted another one is, without an order.
const MINTED_ANEW_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// Decides what to do.
///
/// A restart with nothing changed sends nothing, whatever happened before, except that a request
/// which the IdP's policy refused is sent again after a pause. An unfinished attempt may have made a
/// client, so it is not repeated until an operator sets another token than any that was sent. The
/// same holds for a client that is gone. Drift that cannot be corrected from here changes nothing.
pub fn plan(stored: Stored<'_>, inputs: &Inputs<'_>) -> Plan {
    match stored.registered {
        Some(registered) => of_registered(registered, stored, inputs),
        None => of_none(stored, inputs),
    }
}

fn of_registered(registered: &Registered, stored: Stored<'_>, inputs: &Inputs<'_>) -> Plan {
    let client_id = registered.client_id.as_str();
    if registered.issuer != inputs.target.issuer {
        return Plan::Blocked(Blocked::IssuerChanged {
            stored: registered.issuer.clone(),
            configured: inputs.target.issuer.clone(),
        });
    }
    let unspent = inputs.token.filter(|token| stored.is_unspent(token));
    let mut fresh = unspent.is_some();
    if let Some(gone) = stored.gone {
        fresh = fresh && unspent != gone.token.as_ref();
    }
    let forced =
        inputs.force_replace && (fresh || registered.open && stored.force_seen == Some(false));
    let answered = forced || fresh && stored.gone.is_some_and(|gone| gone.certain);
    if answered && stored.restored.is_some() && !fresh {
        return Plan::Blocked(Blocked::Restored);
    }
    if answered && let Some(blocked) = held_back(stored, inputs) {
        return Plan::Blocked(blocked);
    }
    match stored.gone {
        Some(_) if answered => Plan::Replace(Replacement::NewClient),
        Some(gone) => Plan::Blocked(Blocked::ClientGone {
            client_id: client_id.to_owned(),
            issuer: registered.issuer.clone(),
            certain: gone.certain,
            open: registered.open,
        }),
        None if forced && inputs.client_id == Some(client_id) => Plan::Replace(Replacement::Update),
        None if forced => Plan::Replace(Replacement::NewClient),
        None => {
            let changes =
                registered.management.is_some() && !inputs.drift.is_empty() && !inputs.declined;
            match changes {
                true if stored.restored.is_some() => Plan::Blocked(Blocked::Restored),
                true => Plan::Update(inputs.drift.clone()),
                false => Plan::Nothing,
            }
        }
    }
}

fn of_none(stored: Stored<'_>, inputs: &Inputs<'_>) -> Plan {
    let fresh = inputs.token.is_some_and(|token| stored.is_unspent(token));
    if let Some(attempt) = stored.attempt {
        // Where no token is sent, no new token can show that an operator has looked.
        let open = attempt.token.is_none() && stored.force_seen == Some(false);
        let ordered = open && inputs.force_replace;
        if !fresh && !ordered {
            return Plan::Blocked(Blocked::OutcomeUnknown {
                issuer: attempt.issuer.clone(),
                with_token: attempt.token.is_some(),
            });
        }
    }
    if stored.restored.is_some() && !fresh {
        return Plan::Blocked(Blocked::Restored);
    }
    held_back(stored, inputs).map_or(Plan::Register, Plan::Blocked)
}

/// Why a registration is not sent, although nothing is known of a client that it would double.
fn held_back(stored: Stored<'_>, inputs: &Inputs<'_>) -> Option<Blocked> {
    let minted = stored
        .minted
        .filter(|minted| minted.is_valid(&inputs.target, inputs.now));
    let mints = inputs.token.is_none() && inputs.can_mint;
    let same_token = |refusal: &&RefusedRegistration| {
        refusal.issuer == inputs.target.issuer
            && if mints {
                refusal.minted
            } else {
                refusal.token.as_ref() == inputs.token
            }
    };
    if let Some(refusal) = stored.refusals.iter().rev().find(same_token) {
        return refusal.holds_back(minted.is_some(), mints, stored, inputs);
    }
    // It was used for a client that has come and gone since, or is not ours any more.
    let spent = |token: &&TokenFingerprint| !stored.is_unspent(token);
    inputs.token.filter(spent).map(|_| Blocked::TokenSpent)
}

impl RefusedRegistration {
    fn holds_back(
        &self,
        has_minted: bool,
        mints: bool,
        stored: Stored<'_>,
        inputs: &Inputs<'_>,
    ) -> Option<Blocked> {
        let said = self.said.clone();
        let minted_anew = stored
            .minted_at
            .filter(|_| mints && !has_minted)
            .and_then(|at| at.saturating_add(MINTED_ANEW_AFTER).ok());
        let wait_for = |again_at: Timestamp| {
            let again_at = minted_anew.map_or(again_at, |anew| anew.max(again_at));
            // A clock that was set back does not lengthen the pause.
            let waits = inputs.now < again_at && self.at <= inputs.now;
            waits.then(|| Blocked::RequestRefused {
                said: said.clone(),
                again_at,
                left_s: again_at.duration_since(inputs.now).as_secs().unsigned_abs(),
            })
        };
        match self.kind {
            // The token of the configuration is used up by it.
            RefusalKind::Unusable if self.token.is_some() && !mints => {
                Some(Blocked::Unusable { said })
            }
            _ if inputs.ordered => None,
            RefusalKind::Unusable => Some(Blocked::Unusable { said }),
            RefusalKind::Token if mints => wait_for(self.at),
            RefusalKind::Token => Some(Blocked::TokenRefused {
                said,
                with_token: self.token.is_some(),
            }),
            RefusalKind::Request if self.asked == inputs.asked => wait_for(self.again_at()),
            RefusalKind::Request => wait_for(self.at),
        }
    }
}

impl Stored<'_> {
    /// Whether a token was never sent, or only with a request that was refused.
    fn is_unspent(&self, token: &TokenFingerprint) -> bool {
        let with_attempt = self.attempt.and_then(|attempt| attempt.token.as_ref());
        let perhaps = self.restored.unwrap_or_default();
        !self.spent.contains(token) && with_attempt != Some(token) && !perhaps.contains(token)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::oauth::{EndpointUrl, InitialAccessToken, Management};
    use crate::registration::Drifted;
    use crate::secret::Secret;

    const ISSUER: &str = "https://idp.example";

    #[test]
    fn every_combination_has_its_plan() {
        let (t1, t2) = (fingerprint("t1"), fingerprint("t2"));
        let (ours, spent) = (registered(), [t1.clone()]);
        let unknown = |with_token| {
            Plan::Blocked(Blocked::OutcomeUnknown {
                issuer: ISSUER.to_owned(),
                with_token,
            })
        };
        let replace = Plan::Replace(Replacement::NewClient);
        let some = Some(&ours);
        let with_t2 = attempt(Some(&t2));
        // registered, attempt, token, force -> plan
        let table = [
            (None, None, None, false, Plan::Register),
            (None, None, Some(&t2), false, Plan::Register),
            (None, None, Some(&t2), true, Plan::Register),
            (
                None,
                None,
                Some(&t1),
                false,
                Plan::Blocked(Blocked::TokenSpent),
            ),
            (None, Some(&with_t2), None, false, unknown(true)),
            (None, Some(&with_t2), Some(&t2), true, unknown(true)),
            (None, Some(&with_t2), Some(&t1), false, unknown(true)),
            (some, None, None, false, Plan::Nothing),
            (some, None, Some(&t2), false, Plan::Nothing),
            (some, None, None, true, Plan::Nothing),
            (some, None, Some(&t1), true, Plan::Nothing),
            (some, None, Some(&t2), true, replace),
            (some, Some(&with_t2), Some(&t2), true, Plan::Nothing),
            (some, Some(&with_t2), None, false, Plan::Nothing),
        ];

        for (registered, attempt, token, force_replace, expected) in table {
            let stored = Stored {
                registered,
                attempt,
                spent: &spent,
                ..Stored::default()
            };
            let inputs = Inputs {
                token,
                force_replace,
                ..inputs()
            };
            let case = format!("{registered:?} {attempt:?} {inputs:?}");
            assert_eq!(plan(stored, &inputs), expected, "{case}");
        }
    }

    #[test]
    fn a_new_token_or_a_change_of_the_order_settles_an_unfinished_attempt() {
        let (t1, t2) = (fingerprint("t1"), fingerprint("t2"));
        let (with, without) = (attempt(Some(&t1)), attempt(None));
        let with_attempt = |attempt, force_seen, token, force_replace| {
            let stored = Stored {
                attempt: Some(attempt),
                force_seen,
                ..Stored::default()
            };
            let inputs = Inputs {
                token,
                force_replace,
                ..inputs()
            };
            plan(stored, &inputs) == Plan::Register
        };

        assert!(with_attempt(&with, None, Some(&t2), false));
        assert!(!with_attempt(&with, Some(false), None, true));
        assert!(with_attempt(&without, None, Some(&t1), false));
        assert!(with_attempt(&without, Some(false), None, true));
        assert!(!with_attempt(&without, Some(true), None, true));
        assert!(
            !with_attempt(&without, None, None, true),
            "the first value seen"
        );
    }

    #[test]
    fn another_issuer_is_never_answered_by_a_new_registration() {
        let (t2, ours) = (fingerprint("t2"), registered());
        let mut inputs = Inputs {
            token: Some(&t2),
            force_replace: true,
            ..inputs()
        };
        inputs.target.issuer = "https://idp.example/".to_owned();

        assert!(matches!(
            plan(of(&ours), &inputs),
            Plan::Blocked(Blocked::IssuerChanged { .. })
        ));
    }

    #[test]
    fn the_wished_identifier_of_our_own_client_is_an_update() {
        let (t2, ours) = (fingerprint("t2"), registered());
        let inputs = Inputs {
            client_id: Some("c1"),
            token: Some(&t2),
            force_replace: true,
            ..inputs()
        };

        assert_eq!(plan(of(&ours), &inputs), Plan::Replace(Replacement::Update));
    }

    #[test]
    fn where_everybody_may_register_a_change_of_the_setting_replaces_once() {
        let ours = Registered {
            open: true,
            ..registered()
        };
        let with = |force_seen, open: bool| {
            let ours = Registered {
                open,
                ..ours.clone()
            };
            let stored = Stored {
                force_seen,
                ..of(&ours)
            };
            let inputs = Inputs {
                force_replace: true,
                ..inputs()
            };
            plan(stored, &inputs)
        };

        assert_eq!(
            with(Some(false), true),
            Plan::Replace(Replacement::NewClient)
        );
        assert_eq!(with(Some(true), true), Plan::Nothing);
        assert_eq!(with(None, true), Plan::Nothing);
        assert_eq!(with(Some(false), false), Plan::Nothing);
    }

    #[test]
    fn drift_is_mended_where_that_is_possible_and_never_by_a_new_registration() {
        let (t2, mut ours) = (fingerprint("t2"), registered());
        let drift = Drift(vec![Drifted {
            member: "scope".to_owned(),
            desired: None,
            sent: None,
            idp: None,
        }]);
        let mut inputs = Inputs {
            token: Some(&t2),
            drift: drift.clone(),
            ..inputs()
        };

        assert_eq!(plan(of(&ours), &inputs), Plan::Nothing);
        ours.management = Some(management());
        assert_eq!(plan(of(&ours), &inputs), Plan::Update(drift));
        let restored = Stored {
            restored: Some(&[]),
            ..of(&ours)
        };
        assert_eq!(plan(restored, &inputs), Plan::Blocked(Blocked::Restored));
        inputs.declined = true;
        assert_eq!(plan(of(&ours), &inputs), Plan::Nothing);
    }

    #[test]
    fn only_a_token_that_came_after_the_report_answers_it() {
        let (t1, t2, t3) = (fingerprint("t1"), fingerprint("t2"), fingerprint("t3"));
        let (ours, spent) = (registered(), [t1.clone()]);
        let with = |certain, token, force_replace| {
            let gone = Gone {
                client_id: "c1".to_owned(),
                since: Timestamp::UNIX_EPOCH,
                certain,
                token: Some(t2.clone()),
            };
            let stored = Stored {
                spent: &spent,
                gone: Some(&gone),
                ..of(&ours)
            };
            let inputs = Inputs {
                token,
                force_replace,
                ..inputs()
            };
            plan(stored, &inputs)
        };
        let replace = Plan::Replace(Replacement::NewClient);

        for token in [None, Some(&t1), Some(&t2)] {
            for force_replace in [false, true] {
                assert!(matches!(
                    with(true, token, force_replace),
                    Plan::Blocked(Blocked::ClientGone { certain: true, .. })
                ));
            }
        }
        assert_eq!(with(true, Some(&t3), false), replace);
        assert!(matches!(
            with(false, Some(&t3), false),
            Plan::Blocked(Blocked::ClientGone { certain: false, .. })
        ));
        assert_eq!(with(false, Some(&t3), true), replace);
    }

    #[test]
    fn a_refusal_is_repeated_by_time_by_order_or_by_another_request_and_a_token_never() {
        use RefusalKind::{Request, Token, Unusable};

        let t1 = fingerprint("t1");
        let with = |kind, token: Option<&TokenFingerprint>, age_s, ordered, scope: &str| {
            let refusals = [refusal(kind, token)];
            let spent: &[_] = match (kind, token) {
                (Request, _) | (_, None) => &[],
                (_, Some(token)) => std::slice::from_ref(token),
            };
            let stored = Stored {
                refusals: &refusals,
                spent,
                ..Stored::default()
            };
            let inputs = Inputs {
                token,
                ordered,
                asked: asked(scope),
                now: Timestamp::from_second(age_s).unwrap(),
                ..inputs()
            };
            plan(stored, &inputs) == Plan::Register
        };

        for token in [None, Some(&t1)] {
            assert!(!with(Request, token, 3_599, false, "a"));
            assert!(with(Request, token, 3_600, false, "a"));
            assert!(with(Request, token, 10, true, "a"));
            assert!(with(Request, token, 10, false, "b"));
            assert!(with(Request, token, -10, false, "a"), "the clock went back");

            assert!(!with(Token, token, 1_000_000, false, "b"));
            assert!(with(Token, token, 10, true, "a"));

            assert!(!with(Unusable, token, 1_000_000, false, "b"));
        }
        assert!(with(Unusable, None, 10, true, "a"));
        assert!(!with(Unusable, Some(&t1), 10, true, "a"));
    }

    #[test]
    fn tokens_are_minted_once_a_day_at_most() {
        use RefusalKind::{Request, Token, Unusable};

        let with = |kind, age_s, ordered| {
            let refusals = [RefusedRegistration {
                minted: true,
                ..refusal(kind, Some(&fingerprint("minted")))
            }];
            let stored = Stored {
                refusals: &refusals,
                minted_at: Some(Timestamp::UNIX_EPOCH),
                ..Stored::default()
            };
            let inputs = Inputs {
                can_mint: true,
                ordered,
                now: Timestamp::from_second(age_s).unwrap(),
                ..inputs()
            };
            plan(stored, &inputs) == Plan::Register
        };

        for kind in [Request, Token] {
            assert!(!with(kind, 86_399, false));
            assert!(with(kind, 86_400, false));
            assert!(with(kind, 10, true));
        }
        assert!(!with(Unusable, 1_000_000, false));
        assert!(with(Unusable, 10, true));
    }

    fn inputs<'a>() -> Inputs<'a> {
        Inputs {
            target: TokenTarget {
                issuer: ISSUER.to_owned(),
                endpoint: format!("{ISSUER}/register"),
            },
            client_id: None,
            asked: asked("a"),
            token: None,
            can_mint: false,
            force_replace: false,
            ordered: false,
            drift: Drift::default(),
            declined: false,
            now: Timestamp::UNIX_EPOCH,
        }
    }

    fn of(registered: &Registered) -> Stored<'_> {
        Stored {
            registered: Some(registered),
            ..Stored::default()
        }
    }

    fn asked(scope: &str) -> ClientMetadata {
        let mut asked = ClientMetadata::default();
        asked.0.insert("scope".to_owned(), json!(scope));
        asked
    }

    fn refusal(kind: RefusalKind, token: Option<&TokenFingerprint>) -> RefusedRegistration {
        RefusedRegistration {
            issuer: ISSUER.to_owned(),
            token: token.cloned(),
            minted: false,
            asked: asked("a"),
            kind,
            said: "HTTP 403".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            pause_s: 3_600,
        }
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

    fn registered() -> Registered {
        let (none, at) = (ClientMetadata::default(), Timestamp::UNIX_EPOCH);
        Registered::new(ISSUER, "c1", none.clone(), none, at)
    }

    fn attempt(token: Option<&TokenFingerprint>) -> Attempt {
        Attempt {
            issuer: ISSUER.to_owned(),
            endpoint: format!("{ISSUER}/register"),
            asked: ClientMetadata::default(),
            token: token.cloned(),
            started_at: Timestamp::UNIX_EPOCH,
            answer: None,
        }
    }
}
