//! Changes of what the IdP has of our client, and of the right to change it (RFC 7592).

use jiff::Timestamp;

use super::client_refusal::ClientRefusal;
use super::document::State;
use super::journal::Event;
use crate::oauth::{ClientInformation, ClientMetadata, Management};
use crate::registration::Unmanageable;

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
    /// Notes an update that is about to be sent, and what the IdP had before it, where it was
    /// asked.
    pub fn intend_update(
        &mut self,
        client_id: &str,
        intended: ClientMetadata,
        read: Option<ClientMetadata>,
    ) -> Result<(), ClientRefusal> {
        let client = self.client(client_id)?;
        client.unconfirmed = Some(intended);
        if let Some(read) = read {
            client.granted = read;
        }
        Ok(())
    }

    /// Notes that an update was not made.
    pub fn update_not_made(&mut self, client_id: &str) -> Result<(), ClientRefusal> {
        self.client(client_id)?.unconfirmed = None;
        Ok(())
    }

    /// Stores what the answer to an update brought, the token with the rest. `detail` says what
    /// was changed.
    pub fn updated(
        &mut self,
        information: &ClientInformation,
        sent: ClientMetadata,
        detail: &str,
        now: Timestamp,
    ) -> Result<(), ClientRefusal> {
        let client = self.client(&information.client_id)?;
        client.renew(&information.access);
        client.granted = information.metadata.clone();
        client.sent = sent;
        client.unconfirmed = None;
        client.unmanageable = None;
        let client_id = Some(information.client_id.as_str());
        self.journal
            .add(now, Event::Updated, client_id, detail.to_owned());
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
        client.sent = sent;
        client.granted = read;
        client.unmanageable = None;
        self.journal
            .add(now, Event::Updated, Some(client_id), detail.to_owned());
        self.project(now);
        Ok(())
    }

    /// Notes an update that the IdP answered with success, and that cannot be read.
    pub fn update_believed(
        &mut self,
        client_id: &str,
        sent: ClientMetadata,
        now: Timestamp,
    ) -> Result<(), ClientRefusal> {
        let client = self.client(client_id)?;
        client.unconfirmed = None;
        client.sent = sent;
        self.project(now);
        Ok(())
    }

    /// Stores the registration access token that a read brought.
    pub fn renewed(&mut self, information: &ClientInformation) -> Result<(), ClientRefusal> {
        self.client(&information.client_id)?
            .renew(&information.access);
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
        client.unmanageable = None;
        let detail = "renewed with BOOTSTRAP_ADMIN_TOKEN".to_owned();
        self.journal
            .add(now, Event::TokenRenewed, Some(client_id), detail);
        Ok(())
    }

    /// Notes that the IdP does not let the client be changed from here; the token is kept. An
    /// update that is `declined` is not asked for again.
    pub fn unmanageable(
        &mut self,
        reason: &str,
        declined: Option<ClientMetadata>,
        now: Timestamp,
    ) -> Result<(), ClientRefusal> {
        let client = self.registration.as_mut().ok_or(ClientRefusal::NoClient)?;
        // Unless it was declined, the update may have been made: that is read later.
        if declined.is_some() {
            client.unconfirmed = None;
        }
        let before = client.unmanageable.take();
        let since = before.as_ref().map_or(now, |before| before.since);
        client.unmanageable = Some(Unmanageable { since, declined });
        if before.is_none() {
            let client_id = Some(client.client_id.as_str());
            self.journal
                .add(now, Event::Unmanageable, client_id, reason.to_owned());
        }
        Ok(())
    }
}
