//! Whether the IdP accepts our key, from what its token endpoint answers.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::controls::{Control, Controls, TokenAnswer};
use crate::jose::Kid;
use crate::oauth::AssertionType;

/// What the token endpoint's answer to a made-up authorization code says about the client
/// authentication that came with it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthenticationOutcome {
    /// The client was authenticated: the answer is about the code, and wrong keys get another.
    Accepted,
    /// This IdP answers a wrong key as it answers a right one.
    Inconclusive,
    /// The client was not authenticated.
    Rejected,
    /// There was no answer, or one that says nothing about the key: the IdP is down, busy or
    /// fails.
    Unknown,
}

/// The result of a proof: one authentication with one key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Proof {
    /// When it was made.
    pub at: Timestamp,
    /// The key it was made with.
    pub kid: Kid,
    /// What came of it.
    pub outcome: AuthenticationOutcome,
    /// The `aud` that was accepted, or tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The `typ` of that assertion.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub assertion_type: Option<AssertionType>,
    /// What the IdP answered, if it did not accept the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// Whether the IdP's clock and ours are too far apart for an assertion.
    #[serde(skip)]
    pub clocks_differ: bool,
    /// The pause that the IdP asked for.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
    /// The answer that was judged, if it is a rejection.
    #[serde(skip)]
    pub rejection: Option<TokenAnswer>,
}

impl Proof {
    /// A proof that has shown nothing yet.
    pub fn new(kid: Kid, at: Timestamp) -> Self {
        Self {
            at,
            kid,
            outcome: AuthenticationOutcome::Unknown,
            audience: None,
            assertion_type: None,
            said: None,
            clocks_differ: false,
            retry_after: None,
            rejection: None,
        }
    }
}

/// What an answer means beside the answers to the controls.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Judgement {
    /// It is decided.
    Decided(AuthenticationOutcome),
    /// The answers to these controls are needed first.
    Needs(Vec<Control>),
}

impl AuthenticationOutcome {
    /// Judges the answer to a proof beside the answers to the controls.
    ///
    /// An answer that denies the authentication in the standards' words (RFC 6749 §5.2) is a
    /// rejection without controls: wrong keys and unknown clients get the same words.
    pub fn judge(answer: &TokenAnswer, controls: &Controls) -> Judgement {
        use Control::{Audience, Key, Signature};
        if !answer.is_definite() {
            return Judgement::Decided(Self::Unknown);
        }
        if answer.is_grant_error() {
            return Self::beside(answer, controls, &[Signature, Key], || {
                Judgement::Decided(Self::Inconclusive)
            });
        }
        if answer.denies_authentication() {
            return Judgement::Decided(Self::Rejected);
        }
        let refused = || Self::refused(answer, controls);
        match answer.error {
            Some(_) => Self::beside(answer, controls, &[Signature, Key, Audience], refused),
            // Without an error code nothing shows an authentication.
            None => refused(),
        }
    }

    /// Accepted, if none of these controls gets the same answer; else what `same` says.
    fn beside(
        answer: &TokenAnswer,
        controls: &Controls,
        needed: &[Control],
        same: impl FnOnce() -> Judgement,
    ) -> Judgement {
        let missing = missing(controls, needed);
        let got: Vec<&TokenAnswer> = needed.iter().filter_map(|c| controls.get(*c)).collect();
        if got.contains(&answer) {
            same()
        } else if !missing.is_empty() {
            Judgement::Needs(missing)
        } else if got.into_iter().all(TokenAnswer::is_definite) {
            Judgement::Decided(Self::Accepted)
        } else {
            Judgement::Decided(Self::Unknown)
        }
    }

    /// Not accepted: rejected, unless every request gets this answer.
    fn refused(answer: &TokenAnswer, controls: &Controls) -> Judgement {
        let needed = [Control::Signature, Control::Key, Control::Client];
        let differs = |control: &Control| {
            let other = controls.get(*control);
            other.is_some_and(|other| other.is_definite() && other != answer)
        };
        if answer.status == 401 || needed.iter().any(differs) {
            return Judgement::Decided(Self::Rejected);
        }
        let missing = missing(controls, &needed);
        if !missing.is_empty() {
            return Judgement::Needs(missing);
        }
        let same = needed
            .iter()
            .all(|control| controls.get(*control) == Some(answer));
        Judgement::Decided(if same {
            Self::Inconclusive
        } else {
            Self::Unknown
        })
    }

    /// The outcome in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Inconclusive => "inconclusive",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }
}

fn missing(controls: &Controls, needed: &[Control]) -> Vec<Control> {
    let mut missing = needed.to_vec();
    missing.retain(|control| controls.get(*control).is_none());
    missing
}

/// An answer of the token endpoint in words, for a log line. `said` is what it says.
pub fn token_answer_text(status: u16, said: Option<&str>) -> String {
    let text = match said {
        Some(said) => format!("HTTP {status}: {said}"),
        None => format!("HTTP {status} without an error in words"),
    };
    match explanation(&text) {
        Some(explanation) => format!("{text} ({explanation})"),
        None => text,
    }
}

/// What a description probably means. It decides nothing.
fn explanation(text: &str) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    let speaks_of = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if speaks_of(&["jwks", "jwk set", "json web key", "public key", "kid"]) {
        Some(
            "it speaks of keys: see whether the IdP can fetch the JWK Set, and how long it keeps it",
        )
    } else if speaks_of(&["expired", "in the future", "clock", "iat ", "exp "]) {
        Some("it speaks of time: compare the clocks of the IdP and of this host")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::AuthenticationOutcome::{Accepted, Inconclusive, Rejected, Unknown};
    use super::Control::{Audience, Client, Key, Signature};
    use super::*;

    fn answer(text: &str) -> TokenAnswer {
        let (status, error) = text.split_once(' ').unwrap_or((text, ""));
        TokenAnswer {
            status: status.parse().unwrap(),
            error: (!error.is_empty()).then(|| error.to_owned()),
        }
    }

    /// The outcome beside answers to (a) a wrong signature, (b) an unknown key, (c) an unknown
    /// client and (d) another audience, and the controls that were needed.
    fn judged(text: &str, answers: [&str; 4]) -> (AuthenticationOutcome, Vec<Control>) {
        let (mut controls, mut asked) = (Controls::default(), Vec::new());
        loop {
            match AuthenticationOutcome::judge(&answer(text), &controls) {
                Judgement::Decided(outcome) => return (outcome, asked),
                Judgement::Needs(needed) => {
                    assert!(!needed.is_empty());
                    for control in needed {
                        let at = Control::ALL.iter().position(|c| *c == control).unwrap();
                        controls.set(control, answer(answers[at]));
                        asked.push(control);
                    }
                }
            }
        }
    }

    #[test]
    fn answers_are_judged_in_the_order_of_the_design() {
        const DENIED: &str = "401 invalid_client";
        let usual = [DENIED; 4];
        let grant_first = ["400 invalid_grant"; 4];
        // Fosite: what is wrong with an assertion is 400, an unknown client is 401.
        let fosite = [
            "400 invalid_request",
            "400 invalid_request",
            DENIED,
            "400 invalid_request",
        ];
        let table: [(&str, [&str; 4], AuthenticationOutcome); 26] = [
            ("400 invalid_grant", usual, Accepted),
            ("403 invalid_code", usual, Accepted),
            ("400 unauthorized_client", usual, Accepted),
            ("401 invalid_grant", usual, Accepted),
            ("400 invalid_request", usual, Accepted),
            ("400 invalid_grant", fosite, Accepted),
            (
                "400 access_denied",
                [DENIED, DENIED, "400 access_denied", DENIED],
                Accepted,
            ),
            ("400 invalid_grant", grant_first, Inconclusive),
            (
                "400 invalid_grant",
                [DENIED, "400 invalid_grant", DENIED, DENIED],
                Inconclusive,
            ),
            (
                "400 invalid_request",
                ["400 invalid_request"; 4],
                Inconclusive,
            ),
            ("403", ["403"; 4], Inconclusive),
            ("302", ["302"; 4], Inconclusive),
            (DENIED, usual, Rejected),
            ("400 invalid_client", ["400 invalid_client"; 4], Rejected),
            ("401", ["401"; 4], Rejected),
            ("401 invalid_request", ["401 invalid_request"; 4], Rejected),
            ("400 invalid_request", fosite, Rejected),
            (
                "400 invalid_request",
                [DENIED, DENIED, DENIED, "400 invalid_request"],
                Rejected,
            ),
            ("403", usual, Rejected),
            ("200", usual, Unknown),
            ("200 invalid_grant", usual, Unknown),
            ("429 invalid_grant", usual, Unknown),
            ("500 invalid_grant", usual, Unknown),
            (
                "400 invalid_grant",
                [DENIED, "500", DENIED, DENIED],
                Unknown,
            ),
            (
                "400 invalid_grant",
                ["200", DENIED, DENIED, DENIED],
                Unknown,
            ),
            ("403", ["403", "403", "503", "403"], Unknown),
        ];

        for (text, answers, outcome) in table {
            assert_eq!(
                judged(text, answers).0,
                outcome,
                "{text} beside {answers:?}"
            );
        }
    }

    #[test]
    fn only_the_controls_that_decide_are_asked_for() {
        let usual = ["401 invalid_client"; 4];

        assert_eq!(judged("401 invalid_client", usual).1, []);
        assert_eq!(judged("200", usual).1, []);
        assert_eq!(judged("400 invalid_grant", usual).1, [Signature, Key]);
        assert_eq!(
            judged("400 invalid_request", usual).1,
            [Signature, Key, Audience]
        );
        assert_eq!(judged("403", usual).1, [Signature, Key, Client]);
    }

    #[test]
    fn a_text_that_speaks_of_keys_or_clocks_is_explained() {
        let said = |description: &str| {
            token_answer_text(500, Some(&format!("server_error ({description})")))
        };

        assert!(said("could not fetch JWKS").contains("it speaks of keys"));
        assert!(said("token used in the future").contains("it speaks of time"));
        assert!(!said("try again").contains("it speaks"));
    }
}
