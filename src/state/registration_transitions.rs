//! Changes of which client we are.

use std::time::Duration;

use jiff::Timestamp;

use super::client_refusal::ClientRefusal;
use super::document::State;
use super::journal::Event;
use crate::registration::{
    Attempt, Candidate, Gone, MintedIat, Orphan, RawAnswer, RefusalKind, Refused,
    RefusedRegistration, Registered, TokenFingerprint,
};

/// How a client came to be ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Adoption {
    /// It was found by the identifier that was asked for, and our key.
    Found,
    /// It was registered.
    Registered,
}

/// What has become of a client that is ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Adopted {
    /// It is the client that we are.
    Ours,
    /// It takes the place of the client that we are once it is proven.
    Candidate {
        /// The client that we are.
        present: String,
    },
}

/// How many refusals are remembered.
const REFUSALS: usize = 16;

#[expect(
    clippy::missing_errors_doc,
    reason = "each is refused with a `ClientRefusal` that says why, and changes nothing then"
)]
impl State {
    /// Stores the intention to register, with the value of `DCR_FORCE_REPLACE` it was decided by.
    /// An earlier attempt, given up for a new token, goes into the journal: its client may exist.
    pub fn intend(&mut self, attempt: Attempt, force_replace: bool, now: Timestamp) {
        self.force_seen = Some(force_replace);
        if let Some(token) = &attempt.token {
            self.spend(token);
        }
        if let Some(abandoned) = self.attempt.replace(attempt) {
            let wished = abandoned.asked.text("client_id");
            let detail = format!(
                "the registration of {} at {} was abandoned for a new one; its client may exist",
                abandoned.started_at, abandoned.issuer
            );
            self.journal
                .add(now, Event::AttemptAbandoned, wished, detail);
        }
    }

    /// Stores the answer to the attempt before it is interpreted.
    pub fn received(&mut self, answer: RawAnswer) -> Result<(), ClientRefusal> {
        let attempt = self.attempt.as_mut().ok_or(ClientRefusal::NoAttempt)?;
        attempt.answer = Some(answer);
        Ok(())
    }

    /// Notes that the attempt never left this host.
    pub fn not_sent(&mut self) -> Result<(), ClientRefusal> {
        let attempt = self.attempt.take().ok_or(ClientRefusal::NoAttempt)?;
        self.give_back(attempt.token.as_ref());
        Ok(())
    }

    /// Makes `client` ours: the one that we are, or, where there is one, the candidate for its
    /// place. A client that was found has been proven, and needs no trial.
    pub fn adopt(
        &mut self,
        client: Registered,
        token: Option<&TokenFingerprint>,
        how: Adoption,
        now: Timestamp,
    ) -> Adopted {
        self.attempt = None;
        self.minted = None;
        self.refusals.clear();
        if let Some(token) = token {
            self.spend(token);
        }
        let (event, text) = match how {
            Adoption::Found => (Event::ClientFound, "found by its identifier and our key"),
            Adoption::Registered => (Event::Registered, "registered"),
        };
        let detail = format!("{text} at {}", client.issuer);
        self.journal
            .add(now, event, Some(&client.client_id), detail);
        match (&self.registration, how) {
            (Some(ours), Adoption::Registered) if !ours.is_same(&client) => {
                let present = ours.client_id.clone();
                let rejected_s = 0;
                if let Some(former) = self.candidate.take() {
                    self.leave(former.client.orphaned(now));
                }
                self.orphans.retain(|orphan| !is_of(orphan, &client));
                self.candidate = Some(Candidate { client, rejected_s });
                Adopted::Candidate { present }
            }
            _ => {
                self.take_place(client, now);
                Adopted::Ours
            }
        }
    }

    /// Makes the candidate the client that we are. Returns the one before, which is left to be
    /// deleted.
    pub fn replace_by_candidate(
        &mut self,
        now: Timestamp,
    ) -> Result<Option<String>, ClientRefusal> {
        let candidate = self.candidate.take().ok_or(ClientRefusal::NoCandidate)?;
        let detail = "the IdP accepts its key: it is the client from now on".to_owned();
        let client_id = candidate.client.client_id.clone();
        self.journal
            .add(now, Event::Replaced, Some(&client_id), detail);
        Ok(self.take_place(candidate.client, now))
    }

    /// Notes for how much longer the candidate was rejected. After [`Candidate::TRIAL`] of
    /// rejections it is given up, and left to be deleted: says whether it was.
    pub fn candidate_rejected(
        &mut self,
        rejected_for: Duration,
        now: Timestamp,
    ) -> Result<bool, ClientRefusal> {
        let candidate = self.candidate.as_mut().ok_or(ClientRefusal::NoCandidate)?;
        candidate.rejected_s = candidate.rejected_s.saturating_add(rejected_for.as_secs());
        if !candidate.has_failed() {
            return Ok(false);
        }
        if let Some(candidate) = self.candidate.take() {
            let detail = "its key was never accepted: the client before it stays".to_owned();
            let client_id = Some(candidate.client.client_id.as_str());
            self.journal.add(now, Event::Orphaned, client_id, detail);
            self.leave(candidate.client.orphaned(now));
        }
        Ok(true)
    }

    pub(super) fn take_place(&mut self, mut client: Registered, now: Timestamp) -> Option<String> {
        self.gone = None;
        let replaced = self.registration.take();
        let (same, other): (Option<Registered>, Option<Registered>) = match replaced {
            Some(replaced) if replaced.is_same(&client) => (Some(replaced), None),
            replaced => (None, replaced),
        };
        // An answer about the same client need not repeat how it is managed.
        if let Some(same) = same {
            client.proven |= same.proven;
            client.management = client.management.or(same.management);
        }
        self.registration = Some(client);
        self.project(now);
        let replaced = other.map(|other| {
            let client_id = other.client_id.clone();
            self.leave(other.orphaned(now));
            client_id
        });
        if let Some(ours) = &self.registration {
            self.orphans.retain(|orphan| !is_of(orphan, ours));
        }
        replaced
    }

    /// Lists a client that is left to be deleted: once, and never one that is ours.
    pub(super) fn leave(&mut self, orphan: Orphan) {
        let candidate = self.candidate.as_ref().map(|candidate| &candidate.client);
        let mut ours = self.registration.iter().chain(candidate);
        if ours.any(|ours| is_of(&orphan, ours)) {
            return;
        }
        let same =
            |other: &Orphan| other.issuer == orphan.issuer && other.client_id == orphan.client_id;
        self.orphans.retain(|other| !same(other));
        self.orphans.push(orphan);
    }

    /// Notes that the attempt was refused: it made no client, and is remembered, so that it is not
    /// simply repeated. Only a token that was itself refused counts as spent.
    pub fn refused(&mut self, refused: &Refused, now: Timestamp) -> Result<(), ClientRefusal> {
        let attempt = self.attempt.take().ok_or(ClientRefusal::NoAttempt)?;
        let (kind, said) = (refused.kind(), refused.to_string());
        let detail = format!("{} refused: {said}", attempt.issuer);
        self.journal.add(now, Event::Refused, None, detail);
        let token = attempt.token.clone();
        self.remember(attempt, kind, said, refused.pause_s(), now);
        match kind {
            RefusalKind::Token | RefusalKind::Unusable => self.minted = None,
            RefusalKind::Request => self.give_back(token.as_ref()),
        }
        // What an order without a token has not brought about is still to be done.
        if token.is_none() && self.force_seen == Some(true) && self.registration.is_some() {
            self.force_seen = Some(false);
        }
        Ok(())
    }

    /// Notes that the attempt made a client which cannot authenticate with a key; it is left to
    /// be deleted, unless it is the one that we are.
    pub fn unusable(
        &mut self,
        client: Registered,
        granted: &str,
        now: Timestamp,
    ) -> Result<(), ClientRefusal> {
        let attempt = self.attempt.take().ok_or(ClientRefusal::NoAttempt)?;
        let detail = format!("registered with {granted}, which cannot use our key");
        let client_id = Some(client.client_id.as_str());
        self.journal.add(now, Event::Orphaned, client_id, detail);
        let said = format!("token_endpoint_auth_method {granted}");
        self.remember(attempt, RefusalKind::Unusable, said, 0, now);
        self.minted = None;
        self.leave(client.orphaned(now));
        Ok(())
    }

    fn remember(
        &mut self,
        attempt: Attempt,
        kind: RefusalKind,
        said: String,
        pause_s: u64,
        now: Timestamp,
    ) {
        let minted = self.minted.as_ref().map(MintedIat::fingerprint);
        let refusal = RefusedRegistration {
            issuer: attempt.issuer,
            minted: minted.is_some() && minted == attempt.token,
            token: attempt.token,
            asked: attempt.asked,
            kind,
            said,
            at: now,
            pause_s,
        };
        let same = |other: &RefusedRegistration| {
            other.issuer == refusal.issuer
                && (other.token == refusal.token || other.minted && refusal.minted)
        };
        self.refusals.retain(|other| !same(other));
        self.refusals.push(refusal);
        let extra = self.refusals.len().saturating_sub(REFUSALS);
        self.refusals.drain(..extra);
    }

    /// Notes that the outcome of the attempt is unknown. A minted token went with it, and may be
    /// used up.
    pub fn outcome_unknown(&mut self, what: &str, now: Timestamp) -> Result<(), ClientRefusal> {
        let attempt = self.attempt.as_ref().ok_or(ClientRefusal::NoAttempt)?;
        let detail = format!("no usable answer from {}: {what}", attempt.endpoint);
        let wished = attempt.asked.text("client_id");
        self.journal.add(now, Event::OutcomeUnknown, wished, detail);
        self.minted = None;
        Ok(())
    }

    /// Keeps an initial access token that was minted, until it is spent.
    pub fn mint(&mut self, minted: MintedIat, now: Timestamp) {
        self.minted = Some(minted);
        self.minted_at = Some(now);
        let detail = "minted with BOOTSTRAP_ADMIN_TOKEN".to_owned();
        self.journal.add(now, Event::TokenMinted, None, detail);
    }

    /// Notes the value of `DCR_FORCE_REPLACE`.
    pub fn see_force(&mut self, force_replace: bool) {
        self.force_seen = Some(force_replace);
    }

    /// Notes that a token was used for an order, whether or not it was sent.
    pub fn spend(&mut self, token: &TokenFingerprint) {
        if !self.spent.contains(token) {
            self.spent.push(token.clone());
        }
    }

    fn give_back(&mut self, token: Option<&TokenFingerprint>) {
        if let Some(token) = token {
            self.spent.retain(|spent| spent != token);
        }
    }

    /// Notes that the IdP does not know the client any more, as far as can be told, and which
    /// token was at hand then.
    pub fn lose(
        &mut self,
        client_id: &str,
        certain: bool,
        token: Option<TokenFingerprint>,
        now: Timestamp,
    ) -> Result<(), ClientRefusal> {
        self.client(client_id)?;
        let before = self.gone.take();
        let known = before
            .as_ref()
            .is_some_and(|before| before.certain == certain);
        self.gone = Some(match before {
            Some(before) => Gone { certain, ..before },
            None => Gone {
                client_id: client_id.to_owned(),
                since: now,
                certain,
                token,
            },
        });
        if !known {
            let detail = if certain {
                "neither its key nor its token is accepted"
            } else {
                "neither its key nor its token is accepted; the IdP answers a wrong key alike"
            };
            self.journal
                .add(now, Event::ClientGone, Some(client_id), detail.to_owned());
        }
        Ok(())
    }

    /// Notes that the IdP accepts the client after all.
    pub fn found_again(&mut self, client_id: &str) -> Result<(), ClientRefusal> {
        self.client(client_id)?;
        self.gone = None;
        Ok(())
    }

    /// Notes that a client that is no longer used is deleted.
    pub fn orphan_deleted(&mut self, client_id: &str, now: Timestamp) -> Result<(), ClientRefusal> {
        let before = self.orphans.len();
        self.orphans.retain(|orphan| orphan.client_id != client_id);
        if self.orphans.len() == before {
            return Err(ClientRefusal::NoOrphan(client_id.to_owned()));
        }
        let detail = "no longer used".to_owned();
        self.journal
            .add(now, Event::Deleted, Some(client_id), detail);
        Ok(())
    }

    /// Notes that a client that is no longer used could not be deleted; it is tried again later.
    pub fn orphan_tried(&mut self, client_id: &str, now: Timestamp) -> Result<(), ClientRefusal> {
        self.orphan(client_id)?.tried_at = Some(now);
        Ok(())
    }

    /// Notes that a client that is no longer used cannot be deleted from here. It stays on the
    /// list, and is not asked for again.
    pub fn orphan_stays(
        &mut self,
        client_id: &str,
        what: &str,
        now: Timestamp,
    ) -> Result<(), ClientRefusal> {
        self.orphan(client_id)?.management = None;
        let detail = format!("could not be deleted: {what}");
        self.journal
            .add(now, Event::Orphaned, Some(client_id), detail);
        Ok(())
    }

    fn orphan(&mut self, client_id: &str) -> Result<&mut Orphan, ClientRefusal> {
        let mut orphans = self.orphans.iter_mut();
        orphans
            .find(|orphan| orphan.client_id == client_id)
            .ok_or_else(|| ClientRefusal::NoOrphan(client_id.to_owned()))
    }

    pub(super) fn client(&mut self, client_id: &str) -> Result<&mut Registered, ClientRefusal> {
        let client = self.registration.as_mut().ok_or(ClientRefusal::NoClient)?;
        if client.client_id == client_id {
            return Ok(client);
        }
        Err(ClientRefusal::OtherClient {
            expected: client_id.to_owned(),
            found: client.client_id.clone(),
        })
    }
}

fn is_of(orphan: &Orphan, client: &Registered) -> bool {
    orphan.issuer == client.issuer && orphan.client_id == client.client_id
}
