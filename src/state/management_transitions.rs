//! Changes of what the IdP has of our client, and of the right to change it (RFC 7592).

use jiff::Timestamp;

use super::client_refusal::ClientRefusal;
use super::document::{RatMarker, State};
use super::journal::Event;
use crate::oauth::{ClientMetadata, Management};
use crate::registration::{RatNews, RefusedTokens, RefusedUpdate, Unmanageable};

/// What a read showed of an update whose answer said nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UpdateSeen {
    /// The update was made.
    Made,
    /// The IdP answered with success, and changed nothing.
    Ignored,
    /// The update was not made.
    NotMade,
}

#[expect(
    clippy::missing_errors_doc,
    reason = "each is refused with a `ClientRefusal` that says why, and changes nothing then"
)]
impl State {
    /// Notes that the registration access token is about to leave: until the answer is stored, it
    /// may be void.
    pub fn rat_leaves(&mut self, client_id: &str, now: Timestamp) -> Result<(), ClientRefusal> {
        self.client(client_id)?;
        if self.rat_marker(client_id).is_none() {
            self.rat_marker = Some(RatMarker {
                client_id: client_id.to_owned(),
                at: now,
            });
        }
        Ok(())
    }

    /// Notes that the token has not left after all.
    pub fn rat_stays(&mut self, client_id: &str) -> Result<(), ClientRefusal> {
        self.client(client_id)?;
        self.rat_marker = None;
        Ok(())
    }

    /// Stores what an answer says of the token.
    pub fn rat_answered(&mut self, client_id: &str, news: &RatNews) -> Result<(), ClientRefusal> {
        let client = self.client(client_id)?;
        let before = client.clone();
        client.renew(&news.access);
        if news.was_read && !client.is_managed_like(&before) {
            client.read_renews = true;
        }
        // What the IdP had before an update tells whether the update was made.
        if news.seen.is_some() && client.unconfirmed.is_none() {
            client.seen.clone_from(&news.seen);
        }
        self.rat_marker = None;
        Ok(())
    }

    /// Notes an update that is about to be sent.
    pub fn intend_update(
        &mut self,
        client_id: &str,
        intended: ClientMetadata,
    ) -> Result<(), ClientRefusal> {
        self.client(client_id)?.unconfirmed = Some(intended);
        Ok(())
    }

    /// Notes that an update was not made.
    pub fn update_not_made(&mut self, client_id: &str) -> Result<(), ClientRefusal> {
        self.client(client_id)?.unconfirmed = None;
        Ok(())
    }

    /// Notes that the IdP refused an update.
    pub fn update_refused(
        &mut self,
        client_id: &str,
        refused: RefusedUpdate,
    ) -> Result<(), ClientRefusal> {
        let client = self.client(client_id)?;
        client.unconfirmed = None;
        client.refused_update = Some(refused);
        Ok(())
    }

    /// Notes that the IdP refused these tokens for an update.
    pub fn tokens_refused(
        &mut self,
        client_id: &str,
        refused: RefusedTokens,
    ) -> Result<(), ClientRefusal> {
        self.client(client_id)?.refused_tokens = Some(refused);
        Ok(())
    }

    /// Stores that an update was made, and what the IdP has since. `detail` says what was changed.
    pub fn updated(
        &mut self,
        client_id: &str,
        sent: ClientMetadata,
        granted: ClientMetadata,
        detail: &str,
        now: Timestamp,
    ) -> Result<(), ClientRefusal> {
        let client = self.client(client_id)?;
        client.settle(sent, granted, now);
        self.journal
            .add(now, Event::Updated, Some(client_id), detail.to_owned());
        self.project(now);
        Ok(())
    }

    /// Notes what a read showed of an update whose answer said nothing.
    pub fn update_seen(
        &mut self,
        client_id: &str,
        sent: ClientMetadata,
        read: ClientMetadata,
        seen: UpdateSeen,
        now: Timestamp,
    ) -> Result<(), ClientRefusal> {
        let client = self.client(client_id)?;
        client.unconfirmed = None;
        let detail = match seen {
            UpdateSeen::Made => "read back: it was made",
            UpdateSeen::Ignored => "answered with success, and nothing has changed",
            UpdateSeen::NotMade => return Ok(()),
        };
        client.settle(sent, read, now);
        self.journal
            .add(now, Event::Updated, Some(client_id), detail.to_owned());
        self.project(now);
        Ok(())
    }

    /// Notes an update that the IdP answered with success, and that cannot be read: what was sent
    /// is then the best that is known of what the IdP has.
    pub fn update_believed(
        &mut self,
        client_id: &str,
        sent: ClientMetadata,
        now: Timestamp,
    ) -> Result<(), ClientRefusal> {
        let client = self.client(client_id)?;
        client.unconfirmed = None;
        client.seen = None;
        client.granted = sent.clone();
        client.sent = sent;
        self.project(now);
        Ok(())
    }

    /// Stores a registration access token that the IdP's administrator had renewed.
    pub fn renewed_by_administrator(
        &mut self,
        client_id: &str,
        management: Management,
        now: Timestamp,
    ) -> Result<(), ClientRefusal> {
        let client = self.client(client_id)?;
        client.management = Some(management);
        client.forget_refusals();
        self.rat_marker = None;
        let detail = "renewed with BOOTSTRAP_ADMIN_TOKEN".to_owned();
        self.journal
            .add(now, Event::TokenRenewed, Some(client_id), detail);
        Ok(())
    }

    /// Notes that the IdP does not let the client be changed from here; the token is kept.
    pub fn unmanageable(&mut self, reason: &str, now: Timestamp) -> Result<(), ClientRefusal> {
        let client = self.registration.as_mut().ok_or(ClientRefusal::NoClient)?;
        let before = client.unmanageable.take();
        let since = before.as_ref().map_or(now, |before| before.since);
        client.unmanageable = Some(Unmanageable {
            since,
            declined: None,
        });
        if before.is_none() {
            let client_id = Some(client.client_id.as_str());
            self.journal
                .add(now, Event::Unmanageable, client_id, reason.to_owned());
        }
        Ok(())
    }
}
