//! A ring as it is stored, and what is refused when it is read.

use std::collections::HashSet;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::any_ring::KeyRing;
use super::key_record::{KeyRecord, Retired};
use super::key_set::KeySet;
use super::ring::Ring;
use crate::jose::Kid;

/// A ring that breaks its own rules: two keys with one ID, one key under two IDs, or a key that has
/// left the set and is still in it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the state lists key `{0}` twice")]
pub struct InvalidRing(Kid);

/// The members of the stored object.
#[derive(Deserialize, Serialize)]
struct StoredRing {
    current: KeyRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<KeyRecord>,
    #[serde(default, skip_serializing_if = "is_false")]
    hurried: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    previous: Vec<KeyRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    retired: Vec<Retired>,
    /// The longest lifetime, in seconds, that any copy of the set was given lately.
    #[serde(default)]
    longest_max_age: u64,
}

impl Serialize for KeyRing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        StoredRing::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for KeyRing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = StoredRing::deserialize(deserializer)?;
        Self::try_from(stored).map_err(D::Error::custom)
    }
}

impl From<&KeyRing> for StoredRing {
    fn from(ring: &KeyRing) -> Self {
        let keys = ring.key_set().clone();
        Self {
            current: keys.current,
            next: ring.next().cloned(),
            hurried: matches!(ring, KeyRing::Prepublished(ring) if ring.is_hurried()),
            previous: keys.previous,
            retired: keys.retired,
            longest_max_age: keys.longest_max_age.as_secs(),
        }
    }
}

impl TryFrom<StoredRing> for KeyRing {
    type Error = InvalidRing;

    fn try_from(stored: StoredRing) -> Result<Self, InvalidRing> {
        let keys = KeySet {
            current: stored.current,
            previous: stored.previous,
            retired: stored.retired,
            longest_max_age: Duration::from_secs(stored.longest_max_age),
        };
        let ring = match stored.next {
            None => Self::Steady(Ring::steady(keys)),
            Some(next) => Self::Prepublished(Ring::prepublished(keys, next, stored.hurried)),
        };
        refuse_duplicates(&ring)?;
        Ok(ring)
    }
}

fn refuse_duplicates(ring: &KeyRing) -> Result<(), InvalidRing> {
    let gone = ring.retired().iter();
    let (mut names, mut thumbprints): (HashSet<&Kid>, HashSet<String>) = gone
        .map(|retired| (&retired.kid, retired.thumbprint.clone()))
        .unzip();
    for jwk in ring.published() {
        if !names.insert(&jwk.kid) || !thumbprints.insert(jwk.key.thumbprint()) {
            return Err(InvalidRing(jwk.kid.clone()));
        }
    }
    Ok(())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::sample_rings::{POLICY, at, jwk, prepublished, promoted};
    use super::*;

    #[test]
    fn a_stored_ring_reads_back_as_it_was() {
        let steady = KeyRing::from(promoted());
        let hurried = KeyRing::from(prepublished(at(0)).hurry());
        let revoked = KeyRing::from(steady.revoke_all(jwk(), at(5)));

        for ring in [steady, hurried, revoked] {
            let stored = serde_json::to_string(&ring).unwrap();

            assert_eq!(serde_json::from_str::<KeyRing>(&stored).unwrap(), ring);
        }
    }

    #[test]
    fn the_stored_members_keep_their_names() {
        let mut ring = KeyRing::from(
            promoted()
                .prepublish(jwk(), true, at(701), &POLICY)
                .unwrap(),
        );
        let names = |ring: &KeyRing| -> Vec<String> {
            let stored = serde_json::to_value(ring).unwrap();
            stored.as_object().unwrap().keys().cloned().collect()
        };
        assert_eq!(
            names(&ring),
            ["current", "next", "hurried", "previous", "longest_max_age"]
        );

        ring = ring.revoke_all(jwk(), at(702)).into();

        assert_eq!(names(&ring), ["current", "retired", "longest_max_age"]);
    }

    #[test]
    fn a_stored_ring_with_a_key_twice_is_refused() {
        let mut stored = serde_json::to_value(KeyRing::from(prepublished(at(0)))).unwrap();
        let current = stored["current"].clone();

        stored["next"] = current.clone();
        let kid = current["jwk"]["kid"].as_str().unwrap();
        assert_eq!(
            refusal(&stored),
            format!("the state lists key `{kid}` twice")
        );

        stored["next"]["jwk"]["kid"] = json!("another-name");
        assert_eq!(refusal(&stored), "the state lists key `another-name` twice");
    }

    #[test]
    fn a_stored_ring_with_a_retired_key_in_use_is_refused() {
        let revoked = promoted().revoke_all(jwk(), at(5));
        let mut stored = serde_json::to_value(KeyRing::from(revoked)).unwrap();

        stored["retired"][0]["kid"] = stored["current"]["jwk"]["kid"].clone();

        assert!(refusal(&stored).ends_with("twice"));
    }

    fn refusal(stored: &Value) -> String {
        let read: Result<KeyRing, _> = serde_json::from_value(stored.clone());
        read.unwrap_err().to_string()
    }
}
