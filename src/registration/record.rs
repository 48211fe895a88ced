//! What is stored of a registration.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::fingerprint::TokenFingerprint;
use crate::oauth::{
    ClientMetadata, EndpointUrl, InitialAccessToken, Management, ManagementAccess, SentSecrets,
};
use crate::secret::Secret;

/// A client that the IdP knows, with metadata that we can work with.
///
/// Issuer, identifier, URI and token are one unit: they are stored and used together.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Registered {
    /// The issuer at which the client is known.
    pub issuer: String,
    /// Our identifier there.
    pub client_id: String,
    /// Access to the RFC 7592 methods, where the IdP grants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management: Option<Management>,
    /// What we last asked for.
    pub sent: ClientMetadata,
    /// What the IdP last said it has.
    pub granted: ClientMetadata,
    /// When the client came to be.
    pub registered_at: Timestamp,
    /// Whether the IdP has accepted it with one of our keys, as far as that can be told. A document
    /// of before does not say, and a proven client needs no word.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub proven: bool,
    /// Whether it was registered without a token: the IdP lets everybody register.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open: bool,
    /// An update that was sent and whose answer is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unconfirmed: Option<ClientMetadata>,
    /// Why it cannot be changed from here at present, although there is a token for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmanageable: Option<Unmanageable>,
    /// The update that the IdP last refused, unless one was made since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_update: Option<RefusedUpdate>,
    /// The tokens that the IdP last refused for an update, unless one was made since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_tokens: Option<RefusedTokens>,
    /// What the IdP last showed that it has, in the answer to a read or to an update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
    /// Whether a read has brought another registration access token: only what has to be read is
    /// read then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_renews: bool,
}

/// An update that the IdP has refused: it is not asked for again unchanged within a day.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RefusedUpdate {
    /// What was asked for.
    pub asked: ClientMetadata,
    /// The HTTP status.
    pub status: u16,
    /// What the IdP said about it, cut to a sane length; empty if it said nothing.
    pub said: String,
    /// When.
    pub at: Timestamp,
}

/// Tokens that the IdP has refused: they are not presented again for the same update within a day.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RefusedTokens {
    /// Which they were.
    pub tokens: TokenFingerprint,
    /// What should have been asked for.
    pub asked: ClientMetadata,
    /// When.
    pub at: Timestamp,
}

/// What the IdP has of a client, as far as it is compared.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Seen {
    /// When it said so.
    pub at: Timestamp,
    /// The members that were asked for or are compared.
    pub metadata: ClientMetadata,
}

/// What the IdP last answered to the registration access token, if it refused.
///
/// The token is kept all the same: a proxy or an outage can cause the same answer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Unmanageable {
    /// Since when.
    pub since: Timestamp,
    /// The update that the IdP has declined. Earlier versions wrote it; see
    /// [`Registered::refused_update`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declined: Option<ClientMetadata>,
}

/// A registration request that is about to be sent, or was sent.
///
/// It is stored before the request leaves. One that is found at a start may have reached the
/// IdP.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Attempt {
    /// The issuer asked.
    pub issuer: String,
    /// The registration endpoint.
    pub endpoint: String,
    /// What was asked for.
    pub asked: ClientMetadata,
    /// Which initial access token goes with it; none at an IdP that asks for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenFingerprint>,
    /// When it began.
    pub started_at: Timestamp,
    /// The answer as received, stored before it is interpreted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<RawAnswer>,
}

/// An initial access token that this service has minted for itself and not spent: a start that
/// is refused for another reason does not mint one more.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct MintedIat {
    /// The token.
    #[serde(serialize_with = "crate::secret::stored")]
    pub token: Secret,
    /// When it was minted.
    pub at: Timestamp,
    /// Where it is valid; not known in a document of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_at: Option<TokenTarget>,
    /// When it expires, where the IdP has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// Where an initial access token may be sent.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TokenTarget {
    /// The issuer.
    pub issuer: String,
    /// The registration endpoint.
    pub endpoint: String,
}

/// A client that is to take the place of the one that we are, once the IdP accepts it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Candidate {
    /// The client.
    pub client: Registered,
    /// For how many seconds it was rejected; time without a conclusive answer does not count.
    #[serde(default)]
    pub rejected_s: u64,
}

/// The IdP does not know the client any more, as far as can be told.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Gone {
    /// The client.
    pub client_id: String,
    /// Since when.
    pub since: Timestamp,
    /// Whether the IdP answers an unknown client otherwise than a wrong key: else the client is
    /// only perhaps gone.
    #[serde(default = "yes")]
    pub certain: bool,
    /// The token that was at hand when this was found out: it is no answer to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenFingerprint>,
}

fn yes() -> bool {
    true
}

/// An answer of the registration endpoint, as received.
///
/// It is stored before it is interpreted, and goes with the attempt it belongs to.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RawAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body, which may hold a registration access token.
    #[serde(serialize_with = "crate::secret::stored")]
    pub body: Secret,
    /// When it came.
    pub received_at: Timestamp,
    /// `Location` (RFC 9110 §10.2.2), where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// `WWW-Authenticate` (RFC 9110 §11.6.1), where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
    /// `Retry-After` (RFC 9110 §10.2.3) in seconds, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// What it may repeat, and what is not to be shown; known as long as the request is.
    #[serde(skip)]
    pub sent: SentSecrets,
}

/// A client that exists at an IdP and is no longer used.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Orphan {
    /// The issuer at which it is known.
    pub issuer: String,
    /// Its identifier.
    pub client_id: String,
    /// Access to its deletion, where there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management: Option<Management>,
    /// Whether the IdP has accepted it with one of our keys; a document of before names only such.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub proven: bool,
    /// Since when.
    pub since: Timestamp,
    /// When its deletion was last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried_at: Option<Timestamp>,
}

impl Candidate {
    /// For how long a candidate is rejected before it is given up.
    pub const TRIAL: SignedDuration = SignedDuration::from_hours(1);

    /// Whether it was rejected for so long that it is given up.
    pub fn has_failed(&self) -> bool {
        i64::try_from(self.rejected_s).is_ok_and(|s| s >= Self::TRIAL.as_secs())
    }
}

impl Orphan {
    /// How long after a deletion that failed it is tried again.
    pub const PAUSE: SignedDuration = SignedDuration::from_hours(1);

    /// Whether its deletion may be tried now.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let pause = self.tried_at.map(|at| now.duration_since(at).abs());
        self.management.is_some() && pause.is_none_or(|pause| pause >= Self::PAUSE)
    }
}

impl MintedIat {
    /// Tells it from other tokens.
    pub fn fingerprint(&self) -> TokenFingerprint {
        TokenFingerprint::of(&InitialAccessToken(self.token.clone()))
    }

    /// Whether it may be sent to `target` at `now`.
    pub fn is_valid(&self, target: &TokenTarget, now: Timestamp) -> bool {
        self.valid_at.as_ref() == Some(target) && self.expires_at.is_none_or(|end| now < end)
    }
}

impl RawAnswer {
    /// Records an answer as it was received. Only octets that are not UTF-8, which no JSON has
    /// (RFC 8259 §8.1), are replaced.
    pub fn new(status: u16, body: &[u8], received_at: Timestamp) -> Self {
        let body = String::from_utf8_lossy(body);
        Self {
            status,
            body: Secret::new(body),
            received_at,
            location: None,
            challenge: None,
            retry_after_s: None,
            sent: SentSecrets::default(),
        }
    }
}

impl RefusedUpdate {
    /// How long it is not asked for again by itself.
    pub const AGAIN_AFTER: SignedDuration = SignedDuration::from_hours(24);
}

impl Registered {
    /// A client that was just registered, or found: nothing is known of it beyond that.
    pub fn new(
        issuer: impl Into<String>,
        client_id: impl Into<String>,
        sent: ClientMetadata,
        granted: ClientMetadata,
        registered_at: Timestamp,
    ) -> Self {
        Self {
            issuer: issuer.into(),
            client_id: client_id.into(),
            management: None,
            sent,
            granted,
            registered_at,
            proven: false,
            open: false,
            unconfirmed: None,
            unmanageable: None,
            refused_update: None,
            refused_tokens: None,
            seen: None,
            read_renews: false,
        }
    }

    /// Whether it is the same client, whatever is known of it.
    pub fn is_same(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.client_id == other.client_id
    }

    /// What the IdP has, as far as it has said.
    pub fn at_the_idp(&self) -> &ClientMetadata {
        self.seen
            .as_ref()
            .map_or(&self.granted, |seen| &seen.metadata)
    }

    /// Takes a new registration access token over, and its URI where that is on the same origin as
    /// before: a token that is sent to another origin is disclosed. What is absent stays as it was
    /// (RFC 7592 §3).
    pub fn renew(&mut self, access: &ManagementAccess) {
        let (Some(management), Some(token)) =
            (&mut self.management, &access.registration_access_token)
        else {
            return;
        };
        management.token = token.clone();
        let uri = access.registration_client_uri.as_deref();
        // Whether `http:` is permitted follows from the origin, which has not changed.
        let uri = uri.and_then(|uri| EndpointUrl::parse(uri, true).ok());
        if let Some(uri) = uri.filter(|uri| uri.origin() == management.uri.origin()) {
            management.uri = uri;
        }
    }

    /// How long until it is to be read again, at this interval; never where there is no token, or
    /// where a read ends it. A token that was refused is not presented again within a day.
    pub fn next_read_in(&self, interval: Duration, now: Timestamp) -> Option<Duration> {
        if self.management.is_none() || self.read_renews {
            return None;
        }
        let last = self
            .seen
            .as_ref()
            .map_or(self.registered_at, |seen| seen.at);
        // Without a sensible age, as after a jump of the clock, it is read.
        let age = Duration::try_from(now.duration_since(last)).unwrap_or(interval);
        let refused = self.refused_tokens.as_ref().map(|refused| refused.at);
        let refused = refused.filter(|at| is_recent(*at, now)).and_then(|at| {
            let left = RefusedUpdate::AGAIN_AFTER - now.duration_since(at);
            Duration::try_from(left).ok()
        });
        let due = interval.saturating_sub(age);
        Some(due.max(refused.unwrap_or_default()))
    }

    /// Takes over what an update asked for, and what the IdP has since.
    pub fn settle(&mut self, sent: ClientMetadata, granted: ClientMetadata, at: Timestamp) {
        self.seen = Some(Seen {
            at,
            metadata: granted.clone(),
        });
        (self.sent, self.granted) = (sent, granted);
        self.unconfirmed = None;
        self.forget_refusals();
    }

    /// Forgets what was refused, since it can be changed from here now.
    pub fn forget_refusals(&mut self) {
        self.unmanageable = None;
        self.refused_update = None;
        self.refused_tokens = None;
    }

    /// Whether it has the same access to the RFC 7592 methods as `other`.
    pub fn is_managed_like(&self, other: &Self) -> bool {
        match (&self.management, &other.management) {
            (Some(a), Some(b)) => a.uri == b.uri && a.token.expose() == b.token.expose(),
            (None, None) => true,
            _ => false,
        }
    }

    /// Whether it can be changed from here, as far as is known.
    pub fn is_manageable(&self) -> bool {
        self.management.is_some() && self.unmanageable.is_none()
    }

    /// Whether the IdP has declined to change this client to `desired`, less than a day ago:
    /// somebody may have mended its policy since.
    pub fn has_declined(&self, desired: &ClientMetadata, now: Timestamp) -> bool {
        let refused = self.refused_update.as_ref();
        let refused = refused.map(|refused| (&refused.asked, refused.at));
        let unmanageable = self.unmanageable.as_ref();
        let declined = unmanageable.and_then(|no| Some((no.declined.as_ref()?, no.since)));
        refused
            .or(declined)
            .is_some_and(|(asked, at)| asked == desired && is_recent(at, now))
    }

    /// Whether the IdP has refused these tokens for a change to `desired`, less than a day ago: a
    /// proxy or an outage can have been the reason.
    pub fn has_refused(
        &self,
        tokens: &TokenFingerprint,
        desired: &ClientMetadata,
        now: Timestamp,
    ) -> bool {
        self.refused_tokens.as_ref().is_some_and(|refused| {
            refused.tokens == *tokens && refused.asked == *desired && is_recent(refused.at, now)
        })
    }

    /// What is left of this client when another takes its place.
    pub fn orphaned(self, since: Timestamp) -> Orphan {
        Orphan {
            issuer: self.issuer,
            client_id: self.client_id,
            management: self.management,
            proven: self.proven,
            since,
            tried_at: None,
        }
    }
}

/// A clock that was set back does not lengthen the day.
fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    let age = now.duration_since(at);
    !age.is_negative() && age < RefusedUpdate::AGAIN_AFTER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_that_was_refused_is_asked_for_again_after_a_day_or_a_change() {
        let metadata = |scope: &str| {
            let members = [("scope".to_owned(), scope.into())];
            ClientMetadata(members.into_iter().collect())
        };
        let at = Timestamp::UNIX_EPOCH;
        let mut client = Registered::new("i", "c1", metadata("a"), metadata("a"), at);
        let after = |client: &Registered, scope: &str, seconds: i64| {
            let now = at + SignedDuration::from_secs(seconds);
            client.has_declined(&metadata(scope), now)
        };
        client.refused_update = Some(RefusedUpdate {
            asked: metadata("b"),
            status: 400,
            said: String::new(),
            at,
        });

        assert!(after(&client, "b", 0) && after(&client, "b", 86_399));
        assert!(!after(&client, "b", 86_400), "a day later");
        assert!(!after(&client, "b", -1), "the clock was set back");
        assert!(!after(&client, "c", 0), "another wish");

        client.settle(metadata("b"), metadata("b"), at);
        assert!(!after(&client, "b", 0));
    }

    #[test]
    fn a_read_is_due_a_while_after_the_last_one_unless_it_would_end_the_token() {
        let (none, at) = (ClientMetadata::default(), Timestamp::UNIX_EPOCH);
        let mut client = Registered::new("i", "c1", none.clone(), none.clone(), at);
        let day = Duration::from_hours(24);
        let after = |client: &Registered, hours: i64| {
            client.next_read_in(day, at + SignedDuration::from_hours(hours))
        };

        assert_eq!(after(&client, 48), None, "there is no token");
        client.management = Some(Management {
            uri: EndpointUrl::parse("https://idp.example/c1", false).unwrap(),
            token: Secret::new("rat"),
        });
        assert_eq!(after(&client, 1), Some(Duration::from_hours(23)));
        assert_eq!(after(&client, 48), Some(Duration::ZERO));
        assert_eq!(
            after(&client, -1),
            Some(Duration::ZERO),
            "the clock was set back"
        );
        client.refused_tokens = Some(RefusedTokens {
            tokens: TokenFingerprint::of_management(client.management.as_ref(), None),
            asked: none.clone(),
            at: at + SignedDuration::from_hours(30),
        });
        assert_eq!(after(&client, 31), Some(Duration::from_hours(23)));
        assert_eq!(after(&client, 54), Some(Duration::ZERO), "a day later");
        client.settle(none.clone(), none, at + SignedDuration::from_hours(40));
        assert_eq!(after(&client, 48), Some(Duration::from_hours(16)));
        client.read_renews = true;
        assert_eq!(after(&client, 96), None);
    }

    #[test]
    fn an_answer_is_recorded_as_it_came() {
        let body = br#"{"client_id":"c1","client_id":"c2","n":1.50}"#;

        let answer = RawAnswer::new(201, body, Timestamp::UNIX_EPOCH);

        assert_eq!(answer.body.expose().as_bytes(), body);
    }
}
