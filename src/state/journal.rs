//! What happened to this identity, for an operator who looks later.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The last [`Journal::CAPACITY`] events, oldest first.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Journal(VecDeque<Entry>);

/// One event.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Entry {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// The client it is about, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// One sentence, without secrets.
    pub detail: String,
}

/// Kinds of events.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A registration whose outcome was unknown was given up: a client may exist.
    AttemptAbandoned,
    /// A client was found to exist after all, by its requested identifier and our key.
    ClientFound,
    /// The IdP knows neither the client nor its token any more.
    ClientGone,
    /// A client was deleted (RFC 7592 §2.3).
    Deleted,
    /// A key was made or imported.
    KeyCreated,
    /// A key was rejected after its promotion, and the one before signs again.
    KeyFellBack,
    /// Another key signs.
    KeyPromoted,
    /// A key left the set at its time.
    KeyRetired,
    /// All keys left the set, because they may be compromised.
    KeysRevoked,
    /// A client of ours exists that could not be deleted.
    Orphaned,
    /// The IdP refused a registration; no client was made.
    Refused,
    /// A client was registered.
    Registered,
    /// Another client took the place of the one before.
    Replaced,
    /// The state was accepted as it is, though it is not the newest that there was.
    RestoreAccepted,
    /// An older state than there was is used.
    Restored,
    /// The registration was changed (RFC 7592 §2.2).
    Updated,
    /// A registration was sent, and its outcome is unknown.
    OutcomeUnknown,
    /// An initial access token was minted.
    TokenMinted,
    /// A registration access token was renewed.
    TokenRenewed,
    /// The registration cannot be changed from here any more.
    Unmanageable,
    /// An event that a newer version has written.
    #[serde(untagged)]
    Unknown(String),
}

impl Journal {
    /// How many events are kept.
    pub const CAPACITY: usize = 100;

    /// Adds an event, and forgets the oldest if there are too many.
    pub fn add(&mut self, at: Timestamp, event: Event, client_id: Option<&str>, detail: String) {
        if self.0.len() >= Self::CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back(Entry {
            at,
            event,
            client_id: client_id.map(str::to_owned),
            detail,
        });
    }

    /// The events, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }
}
