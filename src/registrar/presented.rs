//! One client assertion that is presented to the token endpoint, and its controls.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use openssl::error::ErrorStack;
use openssl::rand::rand_bytes;

use super::session::Session;
use crate::app::{assertion, chain};
use crate::idp::{CodeRedemption, TokenClient};
use crate::jose::{MakeKeyError, SignError, SigningKey};
use crate::registration::{
    AuthenticationOutcome, Control, Controls, Judgement, TokenAnswer, token_answer_text,
};
use crate::secret::Secret;
use crate::state::{KnownIdp, Presentation, State};
use crate::transport::{Answer, SendError};

/// Largest difference between the clocks that is not mentioned.
const SKEW: SignedDuration = SignedDuration::from_secs(5);

/// How carefully a proof is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Care {
    /// Whether the controls are sent anew, whatever is remembered of them.
    pub anew: bool,
    /// Whether an operator has ordered what the proof is for: then controls are not counted.
    pub ordered: bool,
}

/// What one presentation has come to.
pub(super) struct Presented {
    pub(super) outcome: AuthenticationOutcome,
    /// What the IdP answered, as far as answers are compared.
    pub(super) answer: Option<TokenAnswer>,
    /// What the IdP answered, in words.
    pub(super) said: String,
    pub(super) clocks_differ: bool,
    /// Whether the IdP is down or busy: nothing more is sent then.
    pub(super) stops: bool,
}

#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error(transparent)]
    Make(#[from] MakeKeyError),
    #[error("no randomness")]
    Random(#[from] ErrorStack),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// One kind of assertion of one key, and where it is presented.
pub(super) struct Trial<'a> {
    pub(super) session: Session<'a>,
    pub(super) token: &'a TokenClient,
    pub(super) key: &'a Arc<SigningKey>,
    pub(super) client_id: &'a str,
    pub(super) presentation: &'a Presentation,
    pub(super) care: Care,
    /// Whether another kind of assertion was accepted before: then only an answer that can be an
    /// acceptance is worth controls.
    pub(super) alternative: bool,
}

impl Trial<'_> {
    /// Authenticates once, and sends the controls that the judgement needs. Every request has an
    /// assertion and a connection of its own.
    pub(super) async fn run(&self) -> Presented {
        let mut sent = Sent::default();
        let judged = self.judge(&mut sent).await;
        if let Some(seen) = sent.seen.filter(|_| sent.controls != Controls::default()) {
            self.remember_controls(&sent.controls, &seen).await;
        }
        judged.unwrap_or_else(|error| Presented {
            outcome: AuthenticationOutcome::Unknown,
            answer: None,
            said: chain(&error),
            clocks_differ: false,
            stops: true,
        })
    }

    async fn judge(&self, sent: &mut Sent) -> Result<Presented, NoAnswer> {
        let memory = self.session.memory;
        let state = self.session.app().ledger.state();
        let known = state.idp(&self.session.client.idp.issuer);
        let now = self.session.app().clock.now();
        let affordable =
            memory.may_send_controls() && known.is_none_or(|known| known.may_send_controls(now));
        let may_send = self.care.ordered || affordable;
        let provable = known.is_some_and(KnownIdp::is_provable);
        if self.care.anew && may_send && !self.alternative {
            for control in [Control::Signature, Control::Key] {
                self.control(control, sent).await?;
            }
        }
        memory.note_shown(self.key.kid());
        let answer = self
            .redeem(self.key, self.client_id, self.presentation)
            .await?;
        if let Some(pause) = answer
            .retry_after
            .filter(|_| matches!(answer.status, 429 | 503))
        {
            memory.asked_to_wait(pause);
        }
        let seen = TokenAnswer::of(answer.status, answer.bytes());
        let mut said = token_answer_text(answer.status, answer.text().as_deref());
        sent.seen = Some(seen.clone());
        let mut controls = sent.controls.clone();
        if let Some(remembered) = known.and_then(|known| known.controls(self.presentation))
            && (!may_send || remembered.judged.contains(&seen) || remembered.answers.have(&seen))
        {
            controls.complete_with(&remembered.answers);
        }
        let outcome = loop {
            let needed = match AuthenticationOutcome::judge(&seen, &controls) {
                // This IdP did better once, and may again.
                Judgement::Decided(AuthenticationOutcome::Inconclusive)
                    if may_send && controls != sent.controls && provable =>
                {
                    controls = sent.controls.clone();
                    continue;
                }
                Judgement::Decided(outcome) => break outcome,
                Judgement::Needs(needed) => needed,
            };
            if self.alternative && !seen.is_grant_error() {
                break AuthenticationOutcome::Rejected;
            }
            if !may_send {
                said = format!("{said}; what it answers to a wrong key is asked again tomorrow");
                break AuthenticationOutcome::Unknown;
            }
            for control in needed {
                let answer = self.control(control, sent).await?;
                if !answer.is_definite() {
                    said = format!(
                        "{said}; to {} it says HTTP {}",
                        control.word(),
                        answer.status
                    );
                }
                controls.set(control, answer);
            }
        };
        let skew = (outcome == AuthenticationOutcome::Rejected)
            .then(|| self.skew(&answer))
            .flatten();
        if let Some(skew) = &skew {
            said = format!("{said}; {skew}");
        }
        Ok(Presented {
            outcome,
            answer: Some(seen),
            said,
            clocks_differ: skew.is_some(),
            stops: matches!(answer.status, 429 | 502..=504),
        })
    }

    /// The answers to these controls: those that are remembered, else sent now, unless there were
    /// too many of late. `seen` is the answer that they are compared with.
    pub(super) async fn compared(&self, needed: &[Control], seen: &TokenAnswer) -> Controls {
        let state = self.session.app().ledger.state();
        let known = state.idp(&self.session.client.idp.issuer);
        let now = self.session.app().clock.now();
        let may_send = self.session.memory.may_send_controls()
            && known.is_none_or(|known| known.may_send_controls(now));
        let mut controls = Controls::default();
        if let Some(remembered) = known.and_then(|known| known.controls(self.presentation)) {
            controls.complete_with(&remembered.answers);
        }
        let mut sent = Sent::default();
        for control in needed {
            if may_send && controls.get(*control).is_none() {
                match self.control(*control, &mut sent).await {
                    Ok(answer) => controls.set(*control, answer),
                    Err(_) => break,
                }
            }
        }
        if sent.controls != Controls::default() {
            self.remember_controls(&sent.controls, seen).await;
        }
        controls
    }

    /// Sends one control, and notes its answer.
    async fn control(&self, control: Control, sent: &mut Sent) -> Result<TokenAnswer, NoAnswer> {
        // Once for all that are sent with one proof.
        if sent.controls == Controls::default() {
            self.session.memory.count_controls();
        }
        let (key, client_id, presentation) = (self.key, self.client_id, self.presentation);
        let made_up = random(16)?;
        let answer = match control {
            Control::Signature => {
                let claims = self.assertion(key, client_id, presentation).await?;
                let other = self.assertion(key, client_id, presentation).await?;
                let assertion = with_signature_of(&claims, &other);
                self.send(client_id, &assertion).await
            }
            Control::Key => {
                let unknown = self.session.memory.unknown_key(key.alg()).await?;
                self.redeem(&unknown, client_id, presentation).await
            }
            Control::Client => {
                let nobody = format!("bff-control-{made_up}");
                self.redeem(key, &nobody, presentation).await
            }
            Control::Audience => {
                let elsewhere = Presentation {
                    audience: format!("https://{}.invalid", made_up.to_ascii_lowercase()),
                    ..presentation.clone()
                };
                self.redeem(key, client_id, &elsewhere).await
            }
        }?;
        self.session.memory.note_control();
        let answer = TokenAnswer::of(answer.status, answer.bytes());
        sent.controls.set(control, answer.clone());
        Ok(answer)
    }

    async fn redeem(
        &self,
        key: &Arc<SigningKey>,
        client_id: &str,
        presentation: &Presentation,
    ) -> Result<Answer, NoAnswer> {
        let assertion = self.assertion(key, client_id, presentation).await?;
        self.send(client_id, &assertion).await
    }

    async fn assertion(
        &self,
        key: &Arc<SigningKey>,
        client_id: &str,
        presentation: &Presentation,
    ) -> Result<Secret, SignError> {
        let (audience, typ) = (&presentation.audience, presentation.assertion_type);
        assertion(key, client_id, audience, typ, &self.session.app().clock).await
    }

    /// Redeems a made-up code: the answer tells whether the client was authenticated, and nothing
    /// is left behind. Some servers want a code verifier before they look at the client.
    async fn send(&self, client_id: &str, assertion: &Secret) -> Result<Answer, NoAnswer> {
        let redirect_uri = self.session.client.dcr().redirect_uris.first();
        let redemption = CodeRedemption {
            code: &random(16)?,
            code_verifier: &random(32)?,
            redirect_uri: redirect_uri.map(String::as_str),
            client_id,
            assertion,
        };
        Ok(self.token.redeem(&redemption).await?)
    }

    async fn remember_controls(&self, controls: &Controls, seen: &TokenAnswer) {
        let app = self.session.app();
        let (issuer, now) = (self.session.client.idp.issuer.as_str(), app.clock.now());
        let learn = |state: &mut State| {
            state.learn_controls(issuer, self.presentation, controls, seen, now);
        };
        if let Err(error) = app.ledger.record(learn).await {
            tracing::warn!(
                "What the IdP answers to wrong keys cannot be stored: {}; hint: {}",
                chain(&error),
                error.hint()
            );
        }
    }

    /// A clock that is off explains a rejection better than any error code.
    fn skew(&self, answer: &Answer) -> Option<String> {
        let skew = answer.date?.duration_since(self.session.app().clock.now());
        if skew.abs() <= SKEW {
            return None;
        }
        let direction = if skew.is_positive() {
            "ahead of"
        } else {
            "behind"
        };
        Some(format!(
            "the IdP's clock is {} s {direction} ours: check both clocks",
            skew.abs().as_secs()
        ))
    }
}

/// What was sent, and what came back.
#[derive(Default)]
struct Sent {
    controls: Controls,
    seen: Option<TokenAnswer>,
}

/// `length` random octets in base64url.
fn random(length: usize) -> Result<String, ErrorStack> {
    let mut octets = vec![0; length];
    rand_bytes(&mut octets)?;
    Ok(URL_SAFE_NO_PAD.encode(octets))
}

/// The claims of one assertion with the signature of another: well-formed, and wrong. Zeros would
/// be malformed, which servers answer in another way than a wrong signature.
fn with_signature_of(assertion: &Secret, other: &Secret) -> Secret {
    let signed = assertion
        .expose()
        .rsplit_once('.')
        .map_or("", |(signed, _)| signed);
    let signature = other
        .expose()
        .rsplit_once('.')
        .map_or("", |(_, signature)| signature);
    Secret::new(format!("{signed}.{signature}"))
}
