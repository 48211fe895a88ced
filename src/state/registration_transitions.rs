//! Changes of which client we are.

use jiff::Timestamp;

use super::client_refusal::ClientRefusal;
use super::document::{Gone, State};
use super::journal::Event;
use crate::registration::{Attempt, MintedIat, Orphan, RawAnswer, Registered, TokenFingerprint};
use crate::secret::Secret;

/// How a client came to be ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Adoption {
    /// It was found by the identifier that was asked for, and our key.
    Found,
    /// It was registered.
    Registered,
}

#[expect(
    clippy::missing_errors_doc,
    reason = "each is refused with a `ClientRefusal` that says why, and changes nothing then"
)]
impl State {
    /// Stores the intention to register. An earlier attempt, given up for a new token, goes into
    /// the journal: its client may exist.
    pub fn intend(&mut self, attempt: Attempt, now: Timestamp) {
        if let Some(abandoned) = self.attempt.replace(attempt) {
            let wished = abandoned.asked.text("client_id");
            let detail = format!(
                "the registration of {} at {} was abandoned for a new token; its client may exist",
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
        self.attempt
            .take()
            .map(drop)
            .ok_or(ClientRefusal::NoAttempt)
    }

    /// Makes `client` our client. Returns the client that it replaces, which is left to be deleted.
    pub fn adopt(
        &mut self,
        client: Registered,
        token: Option<TokenFingerprint>,
        how: Adoption,
        now: Timestamp,
    ) -> Option<String> {
        self.attempt = None;
        self.minted = None;
        self.gone = None;
        if let Some(token) = token
            && !self.spent.contains(&token)
        {
            self.spent.push(token);
        }
        let (event, text) = match how {
            Adoption::Found => (Event::ClientFound, "found by its identifier and our key"),
            Adoption::Registered => (Event::Registered, "registered"),
        };
        let detail = format!("{text} at {}", client.issuer);
        self.journal
            .add(now, event, Some(&client.client_id), detail);
        let replaced = self.registration.take();
        let replaced = replaced.filter(|replaced| replaced.client_id != client.client_id);
        self.registration = Some(client);
        self.project(now);
        let replaced = replaced.map(|replaced| {
            let client_id = replaced.client_id.clone();
            self.leave(replaced.orphaned(now));
            client_id
        });
        if let Some(ours) = &self.registration {
            self.orphans.retain(|orphan| !is_of(orphan, ours));
        }
        replaced
    }

    /// Lists a client that is left to be deleted: once, and never the one that we are.
    fn leave(&mut self, orphan: Orphan) {
        if self
            .registration
            .as_ref()
            .is_some_and(|ours| is_of(&orphan, ours))
        {
            return;
        }
        let same =
            |other: &Orphan| other.issuer == orphan.issuer && other.client_id == orphan.client_id;
        self.orphans.retain(|other| !same(other));
        self.orphans.push(orphan);
    }

    /// Notes that the attempt was refused: it made no client. `with_token` says whether the reason
    /// was the token, in which case a minted token is dropped.
    pub fn refused(
        &mut self,
        refusal: &str,
        with_token: bool,
        now: Timestamp,
    ) -> Result<(), ClientRefusal> {
        let attempt = self.attempt.take().ok_or(ClientRefusal::NoAttempt)?;
        if with_token {
            self.minted = None;
        }
        let detail = format!("{} refused: {refusal}", attempt.issuer);
        self.journal.add(now, Event::Refused, None, detail);
        Ok(())
    }

    /// Notes that the attempt made a client which cannot authenticate with a key; it is left to
    /// be deleted.
    pub fn unusable(
        &mut self,
        client: Registered,
        granted: &str,
        now: Timestamp,
    ) -> Result<(), ClientRefusal> {
        self.attempt.take().ok_or(ClientRefusal::NoAttempt)?;
        self.minted = None;
        let detail = format!("registered with {granted}, which cannot use our key");
        let client_id = Some(client.client_id.as_str());
        self.journal.add(now, Event::Orphaned, client_id, detail);
        self.leave(client.orphaned(now));
        Ok(())
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
    pub fn mint(&mut self, token: Secret, now: Timestamp) {
        self.minted = Some(MintedIat { token, at: now });
        let detail = "minted with BOOTSTRAP_ADMIN_TOKEN".to_owned();
        self.journal.add(now, Event::TokenMinted, None, detail);
    }

    /// Notes that the IdP accepts neither the key nor the token of the client.
    pub fn lose(&mut self, client_id: &str, now: Timestamp) -> Result<(), ClientRefusal> {
        self.client(client_id)?;
        self.gone = Some(Gone {
            client_id: client_id.to_owned(),
            since: now,
        });
        let detail = "neither its key nor its token is accepted".to_owned();
        self.journal
            .add(now, Event::ClientGone, Some(client_id), detail);
        Ok(())
    }

    /// Notes that the IdP accepts the client after all.
    pub fn found_again(&mut self, client_id: &str) -> Result<(), ClientRefusal> {
        self.client(client_id)?;
        self.gone = None;
        Ok(())
    }

    /// Notes that the client was deleted, to be registered anew.
    pub fn deleted(&mut self, client_id: &str, now: Timestamp) -> Result<(), ClientRefusal> {
        self.client(client_id)?;
        self.registration = None;
        self.gone = None;
        let detail = "deleted, to be registered again".to_owned();
        self.journal
            .add(now, Event::Deleted, Some(client_id), detail);
        self.project(now);
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

    /// Notes that a client that is no longer used cannot be deleted from here. It stays on the
    /// list, and is not asked for again.
    pub fn orphan_stays(
        &mut self,
        client_id: &str,
        what: &str,
        now: Timestamp,
    ) -> Result<(), ClientRefusal> {
        let mut orphans = self.orphans.iter_mut();
        let orphan = orphans
            .find(|orphan| orphan.client_id == client_id)
            .ok_or_else(|| ClientRefusal::NoOrphan(client_id.to_owned()))?;
        orphan.management = None;
        let detail = format!("could not be deleted: {what}");
        self.journal
            .add(now, Event::Orphaned, Some(client_id), detail);
        Ok(())
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
