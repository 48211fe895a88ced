//! What the IdP has to be sent.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::jose::{Algorithm, Kid};
use crate::keyring::KeyRing;
use crate::registration::Registered;

/// Values of ours that the IdP keeps a copy of and does not fetch by itself.
///
/// Each is recorded as wanted and as last confirmed, and each tick of the rotator sends what
/// differs.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Projections {
    /// The keys of `jwks` (RFC 7591 §2), where the set is registered by value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Projection<Vec<Kid>>>,
    /// `token_endpoint_auth_signing_alg`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_alg: Option<Projection<Algorithm>>,
}

/// One fact.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Projection<T> {
    /// What the IdP should have.
    pub wanted: T,
    /// What it was last seen to have, or told us that it has.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<T>,
    /// Since when the two differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_since: Option<Timestamp>,
}

impl Projections {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The members of the client metadata that the IdP has to be told.
    pub fn open(&self) -> Vec<&'static str> {
        let mut members = Vec::new();
        if self.jwks.as_ref().is_some_and(Projection::is_open) {
            members.push("jwks");
        }
        if self.signing_alg.as_ref().is_some_and(Projection::is_open) {
            members.push("token_endpoint_auth_signing_alg");
        }
        members
    }

    /// The algorithm to register: that of the key that signs, unless another is intended.
    pub fn wanted_algorithm(&self) -> Option<Algorithm> {
        self.signing_alg
            .as_ref()
            .map(|projection| projection.wanted)
    }

    /// Whether the IdP has the published keys, as far as it does not fetch them.
    pub fn has_keys(&self) -> bool {
        !self.jwks.as_ref().is_some_and(Projection::is_open)
    }

    /// The projections of a ring to a client, given what was wanted before.
    pub(super) fn of(&self, ring: &KeyRing, client: &Registered, now: Timestamp) -> Self {
        let sent = &client.sent;
        let jwks = sent.get("jwks").map(|jwks| {
            let wanted = sorted(ring.published().map(|jwk| jwk.kid.clone()).collect());
            Projection::of(self.jwks.as_ref(), wanted, kids(jwks), now)
        });
        let registered = sent.text("token_endpoint_auth_signing_alg");
        let signing_alg = registered.map(|alg| {
            let intended = self
                .wanted_algorithm()
                .filter(|wanted| ring.next().is_some_and(|next| next.jwk.alg == *wanted));
            let wanted = intended.unwrap_or(ring.current().jwk.alg);
            Projection::of(self.signing_alg.as_ref(), wanted, alg.parse().ok(), now)
        });
        Self { jwks, signing_alg }
    }
}

impl<T: PartialEq> Projection<T> {
    /// Whether the IdP still has to be told.
    pub fn is_open(&self) -> bool {
        self.confirmed.as_ref() != Some(&self.wanted)
    }

    fn of(before: Option<&Self>, wanted: T, confirmed: Option<T>, now: Timestamp) -> Self {
        let mut projection = Self {
            wanted,
            confirmed,
            open_since: None,
        };
        if projection.is_open() {
            let since = before.and_then(|before| before.open_since);
            projection.open_since = Some(since.unwrap_or(now));
        }
        projection
    }
}

/// The key IDs of a JWK Set (RFC 7517 §5) that was sent; none if it is not one of ours.
fn kids(jwks: &Value) -> Option<Vec<Kid>> {
    let keys = jwks.get("keys")?.as_array()?;
    let kids = keys
        .iter()
        .map(|key| key.get("kid")?.as_str()?.parse().ok());
    Some(sorted(kids.collect::<Option<_>>()?))
}

/// Their order in a set means nothing.
fn sorted(mut kids: Vec<Kid>) -> Vec<Kid> {
    kids.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    kids
}
