//! Answers of the token endpoint to a proof and to its controls.

use bff::registration::{
    AuthenticationOutcome, Control, Controls, Judgement, TokenAnswer, token_answer_text,
};

use crate::answer::{answer, said, split};
use crate::checks;

/// Judges the first answer beside the others, which stand behind lines of three dashes in the order
/// of [`Control::ALL`]; the last one stands for those that are missing.
///
/// A success, a busy server and one that fails are never an acceptance, nor is what a wrong
/// signature or an unknown key gets too; and the judgement comes to an end.
pub fn token_answer(data: &[u8]) {
    let mut answers = Vec::new();
    let mut rest = data;
    while let Some((first, others)) = split(rest, b"\n---\n") {
        answers.push(read(first));
        rest = others;
    }
    let last = read(rest);
    let judged = answers.first().unwrap_or(&last);
    let of = |control: Control| {
        let at = Control::ALL.iter().position(|other| *other == control);
        at.and_then(|at| answers.get(at + 1)).unwrap_or(&last)
    };

    let outcome = judge(judged, of);

    if outcome == AuthenticationOutcome::Accepted {
        assert!(
            !matches!(judged.status, 0..=299 | 429 | 500..),
            "HTTP {} is accepted",
            judged.status
        );
        for control in [Control::Signature, Control::Key] {
            assert_ne!(judged, of(control), "a wrong key is answered the same");
            assert!(!matches!(of(control).status, 0..=299 | 429 | 500..));
        }
        assert_ne!(judged.error.as_deref(), Some("invalid_client"));
    }
}

fn judge<'a>(
    judged: &TokenAnswer,
    of: impl Fn(Control) -> &'a TokenAnswer,
) -> AuthenticationOutcome {
    let mut controls = Controls::default();
    for _ in 0..=Control::ALL.len() {
        match AuthenticationOutcome::judge(judged, &controls) {
            Judgement::Decided(outcome) => return outcome,
            Judgement::Needs(needed) => {
                assert!(!needed.is_empty());
                for control in needed {
                    assert!(
                        controls.get(control).is_none(),
                        "{control:?} is asked again"
                    );
                    controls.set(control, of(control).clone());
                }
            }
        }
    }
    panic!("no end: {controls:?}")
}

fn read(data: &[u8]) -> TokenAnswer {
    let answer = answer(data);
    let body = answer.body.expose().as_bytes();
    let said = said(&answer);
    checks::is_tidy(&token_answer_text(answer.status, said.as_deref()));
    let read = TokenAnswer::of(answer.status, body);
    let text = serde_json::to_vec(&read).expect("JSON");
    let again: TokenAnswer = serde_json::from_slice(&text).expect("its own text");
    assert_eq!(again, read);
    read
}
