//! The document.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::journal::Journal;
use super::known_idp::KnownIdp;
use super::projections::Projections;
use crate::jose::{Algorithm, Kid};
use crate::keyring::KeyRing;
use crate::registration::{
    Attempt, AuthenticationOutcome, Candidate, Gone, MintedIat, Orphan, RefusedRegistration,
    Registered, Stored, TokenFingerprint,
};

/// All that must survive a restart, except the private keys.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct State {
    /// Names this identity among others in one store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) instance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ring: Option<KeyRing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) intended_key: Option<IntendedKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) registration: Option<Registered>,
    /// A client that is to take the place of `registration` once it is proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) candidate: Option<Candidate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attempt: Option<Attempt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rat_marker: Option<RatMarker>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) spent: Vec<TokenFingerprint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) minted: Option<MintedIat>,
    /// When a token was last minted, whatever has become of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) minted_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) refusals: Vec<RefusedRegistration>,
    /// The value of `DCR_FORCE_REPLACE` that was seen last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) force_seen: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gone: Option<Gone>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) orphans: Vec<Orphan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) idp: Option<KnownIdp>,
    #[serde(skip_serializing_if = "Projections::is_empty")]
    pub(super) projections: Projections,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) orders: Vec<OrderRecord>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) claims: Vec<Claim>,
    /// RFC 7638 thumbprints of keys that were revoked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) revoked: Vec<String>,
    /// It is not the newest state that there was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) restored: Option<Restored>,
    pub(super) journal: Journal,
    /// Members that a newer version has written: they are kept.
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// A key that is about to be made. If its file exists, it is ours.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct IntendedKey {
    /// Its key ID.
    pub kid: Kid,
    /// The algorithm it is for.
    pub alg: Algorithm,
    /// Since when it is intended.
    pub since: Timestamp,
}

/// A registration access token left the process, and its successor is not stored yet.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RatMarker {
    /// The client it belongs to.
    pub client_id: String,
    /// When it was sent.
    pub at: Timestamp,
}

/// This is not the newest state that there was: an attempt to register may be missing from it.
///
/// Nothing that could make, change or delete a client may be sent until [`State::accept_restore`],
/// or for a token that is not one of these.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Restored {
    /// Since when that is known.
    pub since: Timestamp,
    /// How it is known: a clause without secrets.
    pub reason: String,
    /// The initial access tokens that are perhaps spent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<TokenFingerprint>,
}

/// An order that was accepted under an `Idempotency-Key`, with its answer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct OrderRecord {
    /// The key.
    pub key: String,
    /// A digest of the order.
    pub digest: String,
    /// When it was accepted.
    pub at: Timestamp,
    /// The answer, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Value>,
}

/// The right of one replica to cause an effect at the IdP.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Claim {
    /// The replica.
    pub owner: String,
    /// What it is for.
    pub purpose: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Grows with each claim.
    pub fencing: u64,
}

/// Counts the commits of a state; 0 is the state before the first one.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Rev(u64);

impl State {
    /// The keys; none before the first one is made or imported.
    pub fn ring(&self) -> Option<&KeyRing> {
        self.ring.as_ref()
    }

    /// A key that is about to be made.
    pub fn intended_key(&self) -> Option<&IntendedKey> {
        self.intended_key.as_ref()
    }

    /// The client we are.
    pub fn registration(&self) -> Option<&Registered> {
        self.registration.as_ref()
    }

    /// A client that is to take the place of the one that we are.
    pub fn candidate(&self) -> Option<&Candidate> {
        self.candidate.as_ref()
    }

    /// A registration whose outcome is not settled.
    pub fn attempt(&self) -> Option<&Attempt> {
        self.attempt.as_ref()
    }

    /// Since when the registration access token of this client may be void.
    pub fn rat_marker(&self, client_id: &str) -> Option<&RatMarker> {
        let marker = self.rat_marker.as_ref();
        marker.filter(|marker| marker.client_id == client_id)
    }

    /// The initial access tokens that were used for a registration.
    pub fn spent(&self) -> &[TokenFingerprint] {
        &self.spent
    }

    /// An initial access token that was minted and has not been spent.
    pub fn minted(&self) -> Option<&MintedIat> {
        self.minted.as_ref()
    }

    /// Since when the IdP knows neither the client nor its token.
    pub fn gone(&self) -> Option<&Gone> {
        self.gone.as_ref()
    }

    /// Clients that nothing of ours uses any more and that may still exist.
    pub fn orphans(&self) -> &[Orphan] {
        &self.orphans
    }

    /// What was learnt of the IdP with this issuer.
    pub fn idp(&self, issuer: &str) -> Option<&KnownIdp> {
        self.idp.as_ref().filter(|known| known.issuer == issuer)
    }

    /// The last conclusive verdict on the key that signs, for the client that we are.
    pub fn verdict(&self) -> Option<AuthenticationOutcome> {
        let (client, ring) = (self.registration.as_ref()?, self.ring.as_ref()?);
        let known = self.idp(&client.issuer)?;
        known.verdict(&client.client_id, &ring.current().jwk.kid)
    }

    /// Whether a proof of this outcome is all that can be had at the IdP with this issuer: where a
    /// key was proven once, only an acceptance counts.
    pub fn suffices(&self, issuer: &str, outcome: AuthenticationOutcome) -> bool {
        match outcome {
            AuthenticationOutcome::Accepted => true,
            AuthenticationOutcome::Inconclusive => {
                !self.idp(issuer).is_some_and(KnownIdp::is_provable)
            }
            AuthenticationOutcome::Rejected | AuthenticationOutcome::Unknown => false,
        }
    }

    /// RFC 7638 thumbprints of keys that were revoked.
    pub fn revoked(&self) -> &[String] {
        &self.revoked
    }

    /// Whether this is an older state than there was, and nobody has accepted that yet.
    pub fn restored(&self) -> Option<&Restored> {
        self.restored.as_ref()
    }

    /// What the IdP should have, and what it was last confirmed to have.
    pub fn projections(&self) -> &Projections {
        &self.projections
    }

    /// What happened.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// What a decision about the registration is based on.
    pub fn stored(&self) -> Stored<'_> {
        Stored {
            registered: self.registration.as_ref(),
            has_candidate: self.candidate.is_some(),
            attempt: self.attempt.as_ref(),
            spent: &self.spent,
            refusals: &self.refusals,
            gone: self.gone.as_ref(),
            minted: self.minted.as_ref(),
            minted_at: self.minted_at,
            force_seen: self.force_seen,
            restored: self
                .restored
                .as_ref()
                .map(|restored| restored.tokens.as_slice()),
        }
    }
}

impl Rev {
    /// The revision after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The number itself.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
