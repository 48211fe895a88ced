//! What holds for the document whatever happens to it, in whatever order, by whatever clock.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use bff::jose::{Algorithm, Kid, PublicJwk, SigningKey};
use bff::keyring::{KeyRing, RotationPolicy};
use bff::oauth::{
    ClientMetadata, EndpointUrl, InitialAccessToken, Management, ManagementAccess, ServerMetadata,
};
use bff::registration::{
    Attempt, AuthenticationOutcome, MintedIat, Proof, RatNews, RawAnswer, Refused, RefusedBecause,
    RefusedUpdate, Registered, TokenFingerprint,
};
use bff::secret::Secret;
use bff::state::{Adoption, Event, State, UpdateSeen};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

const POLICY: RotationPolicy = RotationPolicy {
    prepublish: Duration::from_mins(10),
    max_age: Duration::from_mins(5),
    rotate_after: None,
    retire_after: Duration::ZERO,
    max_keys: 3,
    longest_signature: Duration::from_mins(1),
};

const ISSUER: &str = "https://idp.example";

/// Every transition of the document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Change {
    Adopt,
    CandidateRejected,
    DropIntendedKey,
    FallBack,
    FirstKey,
    FoundAgain,
    Intend,
    IntendKey,
    IntendUpdate,
    LearnProof,
    LearnMetadata,
    Lose,
    Mint,
    NotSent,
    OrphanDeleted,
    OrphanStays,
    OrphanTried,
    OutcomeUnknown,
    Prepublish,
    Promote,
    RatAnswered,
    RatLeaves,
    RatStays,
    Received,
    Refused,
    RenewedByAdministrator,
    ReplaceByCandidate,
    Restamp,
    Retire,
    Revoke,
    SeeForce,
    Served,
    Spend,
    Unmanageable,
    Unusable,
    UpdateBelieved,
    UpdateNotMade,
    UpdateRefused,
    UpdateSeen,
    Updated,
    WantAlgorithm,
    WithdrawAlgorithm,
}

const CHANGES: [Change; 42] = [
    Change::Adopt,
    Change::CandidateRejected,
    Change::DropIntendedKey,
    Change::FallBack,
    Change::FirstKey,
    Change::FoundAgain,
    Change::Intend,
    Change::IntendKey,
    Change::IntendUpdate,
    Change::LearnProof,
    Change::LearnMetadata,
    Change::Lose,
    Change::Mint,
    Change::NotSent,
    Change::OrphanDeleted,
    Change::OrphanStays,
    Change::OrphanTried,
    Change::OutcomeUnknown,
    Change::Prepublish,
    Change::Promote,
    Change::RatAnswered,
    Change::RatLeaves,
    Change::RatStays,
    Change::Received,
    Change::Refused,
    Change::RenewedByAdministrator,
    Change::ReplaceByCandidate,
    Change::Restamp,
    Change::Retire,
    Change::Revoke,
    Change::SeeForce,
    Change::Served,
    Change::Spend,
    Change::Unmanageable,
    Change::Unusable,
    Change::UpdateBelieved,
    Change::UpdateNotMade,
    Change::UpdateRefused,
    Change::UpdateSeen,
    Change::Updated,
    Change::WantAlgorithm,
    Change::WithdrawAlgorithm,
];

/// A transition with what it is given.
#[derive(Clone, Debug)]
struct Step {
    change: Change,
    /// Whether it names the key or the client that the document names, or a key that is new.
    fitting: bool,
    variant: usize,
    /// By how many seconds the clock goes on, or back.
    clock: i64,
}

/// Why a transition was refused; else what it wrote into the journal.
type Outcome = Result<Vec<Event>, String>;

/// A document, and beside it what was seen of it.
struct Observed {
    state: State,
    now: Timestamp,
    keys: usize,
    clients: usize,
    /// Keys that have left the set.
    left: BTreeSet<Kid>,
}

impl Observed {
    fn new() -> Self {
        Self {
            state: State::default(),
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            keys: 0,
            clients: 0,
            left: BTreeSet::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        self.now += SignedDuration::from_secs(step.clock);
        let before = self.state.clone();

        let outcome = match self.ring_step(step) {
            Some(outcome) => outcome,
            None => self.client_step(step),
        };

        match outcome {
            Err(why) => assert_eq!(text(&self.state), text(&before), "{step:?}: {why}"),
            Ok(events) => self.check_journal(&before, &events, step),
        }
        self.check_keys(&before);
        self.check_clients(&before, step);
        self.check_token(&before, step);
        self.check_projections();
        let read: State = serde_json::from_str(&text(&self.state)).unwrap();
        assert_eq!(text(&read), text(&self.state), "{step:?}");
        self.state = read;
    }

    fn ring_step(&mut self, step: &Step) -> Option<Outcome> {
        let (now, hurried) = (self.now, step.variant.is_multiple_of(2));
        let (current, next) = (self.kid(false), self.kid(true));
        let kid = |fitting: Option<Kid>| match fitting {
            Some(kid) if step.fitting => kid,
            _ => "a-stranger".parse().unwrap(),
        };
        let jwk = self.jwk(step);
        let state = &mut self.state;
        Some(match step.change {
            Change::IntendKey => {
                state.intend_key(&jwk.kid, jwk.alg, now);
                Ok(vec![])
            }
            Change::DropIntendedKey => {
                state.drop_intended_key();
                Ok(vec![])
            }
            Change::FirstKey => writes(state.first_key(jwk, "made", now), Event::KeyCreated),
            Change::Restamp => {
                let present = state.ring().map(|ring| ring.current().jwk.clone());
                let mut jwk = present.unwrap_or(jwk);
                jwk.alg = [Algorithm::RS256, Algorithm::PS256][step.variant % 2];
                silent(state.restamp(jwk))
            }
            Change::Prepublish => {
                let published = state.prepublish(jwk, hurried, now, &POLICY);
                writes(published, Event::KeyCreated)
            }
            Change::Served => silent(state.served(now, POLICY.max_age)),
            Change::Promote => {
                let promoted = state.promote(&kid(next), hurried, now, &POLICY);
                writes(promoted, Event::KeyPromoted)
            }
            Change::FallBack => writes(state.fall_back(&kid(current), now), Event::KeyFellBack),
            Change::Retire => writes(state.retire(now, &POLICY), Event::KeyRetired),
            Change::Revoke => writes(state.revoke(jwk, now), Event::KeysRevoked),
            Change::WantAlgorithm => silent(state.want_algorithm_of(&kid(next), now)),
            Change::WithdrawAlgorithm => {
                state.withdraw_algorithm(now);
                Ok(vec![])
            }
            _ => return None,
        })
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each transition")]
    fn client_step(&mut self, step: &Step) -> Outcome {
        let now = self.now;
        let metadata = self.metadata(step.variant);
        let present = self.state.registration();
        let present = present.map_or("c0", |client| client.client_id.as_str());
        let client_id = if step.fitting { present } else { "a-stranger" }.to_owned();
        let orphan = self.state.orphans().get(step.variant % 2);
        let orphan = orphan.map_or_else(|| client_id.clone(), |orphan| orphan.client_id.clone());
        let news = RatNews {
            access: ManagementAccess {
                registration_access_token: Some(Secret::new(format!("rat-{}", step.variant))),
                registration_client_uri: None,
            },
            was_read: step.variant.is_multiple_of(2),
            seen: None,
        };
        let client = self.client(step, &metadata);
        let attempted = self.state.attempt().is_some();
        let state = &mut self.state;
        match step.change {
            Change::Intend => {
                let token = (!step.variant.is_multiple_of(3)).then(|| token(step.variant));
                let attempt = Attempt {
                    token,
                    ..attempt(metadata, now)
                };
                state.intend(attempt, step.fitting, now);
                let abandoned = attempted.then_some(Event::AttemptAbandoned);
                Ok(abandoned.into_iter().collect())
            }
            Change::Received => silent(state.received(RawAnswer::new(201, b"{}", now))),
            Change::NotSent => silent(state.not_sent()),
            Change::Adopt => {
                let token = (!step.variant.is_multiple_of(3)).then(|| token(step.variant));
                let (how, event) = if step.fitting {
                    (Adoption::Registered, Event::Registered)
                } else {
                    (Adoption::Found, Event::ClientFound)
                };
                state.adopt(client, token.as_ref(), how, now);
                Ok(vec![event])
            }
            Change::Refused => {
                let (status, because) = if step.fitting {
                    (401, RefusedBecause::Token)
                } else {
                    (403, RefusedBecause::Policy)
                };
                let refused = Refused {
                    status,
                    error: None,
                    said: None,
                    location: None,
                    retry_after_s: None,
                    because,
                };
                writes(state.refused(&refused, now), Event::Refused)
            }
            Change::Unusable => writes(state.unusable(client, "none", now), Event::Orphaned),
            Change::OutcomeUnknown => {
                writes(state.outcome_unknown("lost", now), Event::OutcomeUnknown)
            }
            Change::Mint => {
                let minted = MintedIat {
                    token: Secret::new(format!("iat-{}", step.variant)),
                    at: now,
                    valid_at: None,
                    expires_at: None,
                };
                state.mint(minted, now);
                Ok(vec![Event::TokenMinted])
            }
            Change::IntendUpdate => silent(state.intend_update(&client_id, metadata)),
            Change::UpdateNotMade => silent(state.update_not_made(&client_id)),
            Change::UpdateRefused => {
                let refused = RefusedUpdate {
                    asked: metadata,
                    status: 400,
                    said: "no".to_owned(),
                    at: now,
                };
                silent(state.update_refused(&client_id, refused))
            }
            Change::Updated => {
                let updated = state.updated(&client_id, metadata.clone(), metadata, "changed", now);
                writes(updated, Event::Updated)
            }
            Change::UpdateSeen => {
                let seen = [UpdateSeen::Made, UpdateSeen::Ignored, UpdateSeen::NotMade];
                let seen = seen[step.variant % 3];
                let noted = state.update_seen(&client_id, metadata.clone(), metadata, seen, now);
                match seen {
                    UpdateSeen::NotMade => silent(noted),
                    _ => writes(noted, Event::Updated),
                }
            }
            Change::UpdateBelieved => silent(state.update_believed(&client_id, metadata, now)),
            Change::RatAnswered => silent(state.rat_answered(&client_id, &news)),
            Change::RatLeaves => silent(state.rat_leaves(&client_id, now)),
            Change::RatStays => silent(state.rat_stays(&client_id)),
            Change::RenewedByAdministrator => writes(
                state.renewed_by_administrator(&client_id, management(), now),
                Event::TokenRenewed,
            ),
            Change::Unmanageable => {
                let known = state.registration();
                let again = known.is_some_and(|client| client.unmanageable.is_some());
                let noted = state.unmanageable("no", now);
                if again {
                    silent(noted)
                } else {
                    writes(noted, Event::Unmanageable)
                }
            }
            Change::Lose => {
                let certain = step.variant.is_multiple_of(2);
                let known = state.gone().is_some_and(|gone| gone.certain == certain);
                let lost = state.lose(&client_id, certain, Some(token(step.variant)), now);
                if known {
                    silent(lost)
                } else {
                    writes(lost, Event::ClientGone)
                }
            }
            Change::FoundAgain => silent(state.found_again(&client_id)),
            Change::ReplaceByCandidate => {
                writes(state.replace_by_candidate(now).map(drop), Event::Replaced)
            }
            Change::CandidateRejected => {
                let long = Duration::from_mins(15);
                match state.candidate_rejected(long, now) {
                    Ok(true) => Ok(vec![Event::Orphaned]),
                    ended => silent(ended.map(drop)),
                }
            }
            Change::OrphanTried => silent(state.orphan_tried(&orphan, now)),
            Change::SeeForce => {
                state.see_force(step.fitting);
                Ok(vec![])
            }
            Change::Spend => {
                state.spend(&token(step.variant));
                Ok(vec![])
            }
            Change::OrphanDeleted => writes(state.orphan_deleted(&orphan, now), Event::Deleted),
            Change::OrphanStays => writes(state.orphan_stays(&orphan, "no", now), Event::Orphaned),
            Change::LearnMetadata => {
                let text = json!({"issuer": ISSUER}).to_string();
                let metadata = ServerMetadata::parse(text.as_bytes()).unwrap();
                state.learn_metadata(ISSUER, metadata);
                Ok(vec![])
            }
            Change::LearnProof => {
                learn_proof(state, now);
                Ok(vec![])
            }
            _ => unreachable!("{step:?} is about keys"),
        }
    }

    fn check_journal(&self, before: &State, events: &[Event], step: &Step) {
        let mut expected: Vec<_> = before.journal().entries().cloned().collect();
        let entries: Vec<_> = self.state.journal().entries().cloned().collect();
        let added = &entries[expected.len()..];
        assert!(added.iter().all(|entry| entry.at == self.now), "{step:?}");
        let named: Vec<_> = added.iter().map(|entry| entry.event.clone()).collect();
        assert_eq!(named, events, "{step:?}");
        expected.extend_from_slice(added);
        assert_eq!(entries, expected, "{step:?}");
    }

    fn check_keys(&mut self, before: &State) {
        let (then, now) = (published(before), published(&self.state));
        if let Some(ring) = self.state.ring() {
            assert!(now.contains(&ring.current().jwk.kid));
            assert_eq!(ring.published().count(), now.len(), "each key once");
        }
        self.left.extend(then.difference(&now).cloned());
        assert!(now.is_disjoint(&self.left), "{now:?} {:?}", self.left);
    }

    fn check_clients(&self, before: &State, step: &Step) {
        self.check_tokens(before, step);
        let candidate = self.state.candidate().map(|candidate| &candidate.client);
        for client in self.state.registration().into_iter().chain(candidate) {
            let mut orphans = self.state.orphans().iter();
            assert!(orphans.all(|orphan| orphan.client_id != client.client_id));
        }
        assert!(candidate.is_none() || self.state.registration().is_some());
        let missing = clients(before)
            .difference(&clients(&self.state))
            .cloned()
            .collect::<Vec<_>>();
        match step.change {
            Change::OrphanDeleted => assert!(missing.len() <= 1),
            _ => assert!(missing.is_empty(), "{step:?} forgets {missing:?}"),
        }
        match (self.state.gone(), self.state.registration()) {
            (Some(gone), Some(client)) => assert_eq!(gone.client_id, client.client_id),
            (gone, _) => assert_eq!(gone, None),
        }
    }

    /// A token that was sent stays spent, unless it came back with a conclusive refusal, or never
    /// left.
    fn check_tokens(&self, before: &State, step: &Step) {
        let attempted = before.attempt().and_then(|attempt| attempt.token.clone());
        for token in before.spent() {
            let given_back = matches!(step.change, Change::Refused | Change::NotSent)
                && attempted.as_ref() == Some(token);
            assert!(
                given_back || self.state.spent().contains(token),
                "{step:?} forgets a token"
            );
        }
        if let Some(token) = self
            .state
            .attempt()
            .and_then(|attempt| attempt.token.as_ref())
        {
            assert!(self.state.spent().contains(token), "{step:?}");
        }
    }

    /// The token of a client is in doubt from the moment it leaves until an answer or an
    /// administrator's renewal is stored, and only these change it.
    fn check_token(&self, before: &State, step: &Step) {
        let (Some(then), Some(now)) = (before.registration(), self.state.registration()) else {
            return;
        };
        if then.client_id != now.client_id || step.change == Change::Adopt {
            return;
        }
        let in_doubt = |state: &State| state.rat_marker(&now.client_id).is_some();
        let settles = matches!(
            step.change,
            Change::RatAnswered | Change::RatStays | Change::RenewedByAdministrator
        );
        let expected = match step.change {
            Change::RatLeaves if step.fitting => true,
            _ if settles && step.fitting => false,
            _ => in_doubt(before),
        };
        assert_eq!(in_doubt(&self.state), expected, "{step:?}");
        let renews = matches!(
            step.change,
            Change::RatAnswered | Change::RenewedByAdministrator
        );
        assert!(renews || now.is_managed_like(then), "{step:?}");
    }

    fn check_projections(&self) {
        let projections = self.state.projections();
        let (Some(ring), Some(client)) = (self.state.ring(), self.state.registration()) else {
            assert!(projections.is_empty());
            return;
        };
        let mut open = Vec::new();
        if let Some(jwks) = client.sent.get("jwks") {
            let sent = jwks["keys"].as_array().unwrap().iter();
            let sent: BTreeSet<&str> = sent.map(|jwk| jwk["kid"].as_str().unwrap()).collect();
            let published: BTreeSet<&str> = ring.published().map(|jwk| jwk.kid.as_str()).collect();
            if sent != published {
                open.push("jwks");
            }
        }
        let sent = client.sent.text("token_endpoint_auth_signing_alg");
        if let Some(sent) = sent {
            let wanted = projections.wanted_algorithm().unwrap();
            let of_next = ring.next().map(|next| next.jwk.alg);
            assert!(wanted == ring.current().jwk.alg || Some(wanted) == of_next);
            if sent != wanted.name() {
                open.push("token_endpoint_auth_signing_alg");
            }
        }
        assert_eq!(projections.open(), open);
        let since = |member: &Value| member.get("open_since").is_some();
        let shown = json!(projections);
        let dated = shown.as_object().unwrap().values().filter(|m| since(m));
        assert_eq!(
            dated.count(),
            open.len(),
            "since when is known of what is open"
        );
    }

    /// The key that signs, or the next one.
    fn kid(&self, next: bool) -> Option<Kid> {
        let ring = self.state.ring()?;
        let key = if next { ring.next()? } else { ring.current() };
        Some(key.jwk.kid.clone())
    }

    /// A key that is new, or one that was there before.
    fn jwk(&mut self, step: &Step) -> PublicJwk {
        if step.fitting || self.keys == 0 {
            self.keys += 1;
            return key(self.keys - 1);
        }
        key(step.variant % self.keys)
    }

    /// A client that is new, or the one that is there.
    fn client(&mut self, step: &Step, metadata: &ClientMetadata) -> Registered {
        let present = self.state.registration();
        let again = step.change == Change::Adopt && step.variant.is_multiple_of(4);
        let client_id = if let Some(client) = present.filter(|_| again) {
            client.client_id.clone()
        } else {
            self.clients += 1;
            format!("c{}", self.clients)
        };
        let (sent, granted) = (metadata.clone(), metadata.clone());
        Registered {
            management: step.fitting.then(management),
            ..Registered::new(ISSUER, client_id, sent, granted, self.now)
        }
    }

    /// Metadata with keys by value, or the algorithm, or both, of now or of any time.
    fn metadata(&self, variant: usize) -> ClientMetadata {
        let mut members = serde_json::Map::new();
        if variant.is_multiple_of(2) {
            let keys = self.state.ring().into_iter().flat_map(KeyRing::published);
            let keys: Vec<_> = keys.skip(usize::from(variant % 8 == 6)).collect();
            members.insert("jwks".to_owned(), json!({ "keys": keys }));
        }
        if !variant.is_multiple_of(3) {
            let alg = ["ES256", "RS256", "PS256", "ES999"][variant % 4];
            let name = "token_endpoint_auth_signing_alg".to_owned();
            members.insert(name, json!(alg));
        }
        ClientMetadata(members)
    }
}

proptest! {
    #[test]
    fn the_document_keeps_its_promises_after_any_sequence_of_transitions(
        steps in prop::collection::vec(step(), 0..90),
    ) {
        let mut observed = Observed::new();

        for step in &steps {
            observed.take(step);
        }
    }

    #[test]
    fn and_so_it_does_once_there_are_keys_and_a_client(
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let mut observed = Observed::new();
        for change in [Change::FirstKey, Change::Served, Change::Adopt] {
            let (fitting, variant, clock) = (true, 2, 0);
            observed.take(&Step { change, fitting, variant, clock });
        }

        for step in &steps {
            observed.take(step);
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let rotation = [
        Change::Prepublish,
        Change::Served,
        Change::Promote,
        Change::Promote,
        Change::FallBack,
        Change::Retire,
        Change::WantAlgorithm,
        Change::Adopt,
    ];
    let change = prop_oneof![
        prop::sample::select(CHANGES.to_vec()),
        prop::sample::select(rotation.to_vec()),
    ];
    let clock = prop_oneof![4 => 0..1800_i64, 1 => -7200..0_i64, 1 => 0..10_000_000_i64];
    let fitting = prop::bool::weighted(0.8);
    (change, fitting, 0..64_usize, clock).prop_map(|(change, fitting, variant, clock)| Step {
        change,
        fitting,
        variant,
        clock,
    })
}

fn writes<T, E: ToString>(result: Result<T, E>, event: Event) -> Outcome {
    result
        .map(|_| vec![event])
        .map_err(|error| error.to_string())
}

fn silent<E: ToString>(result: Result<(), E>) -> Outcome {
    result.map(|()| vec![]).map_err(|error| error.to_string())
}

fn text(state: &State) -> String {
    serde_json::to_string(state).unwrap()
}

/// Every client that the document names.
fn clients(state: &State) -> BTreeSet<String> {
    let candidate = state.candidate().map(|candidate| &candidate.client);
    let ours = state.registration().into_iter().chain(candidate);
    let ours = ours.map(|client| client.client_id.clone());
    let orphans = state.orphans().iter();
    ours.chain(orphans.map(|orphan| orphan.client_id.clone()))
        .collect()
}

fn published(state: &State) -> BTreeSet<Kid> {
    let keys = state.ring().into_iter().flat_map(KeyRing::published);
    keys.map(|jwk| jwk.kid.clone()).collect()
}

fn attempt(asked: ClientMetadata, started_at: Timestamp) -> Attempt {
    Attempt {
        issuer: ISSUER.to_owned(),
        endpoint: format!("{ISSUER}/register"),
        asked,
        token: None,
        started_at,
        answer: None,
    }
}

fn management() -> Management {
    Management {
        uri: EndpointUrl::parse(&format!("{ISSUER}/c"), false).unwrap(),
        token: Secret::new("rat"),
    }
}

fn token(number: usize) -> TokenFingerprint {
    TokenFingerprint::of(&InitialAccessToken(Secret::new(format!("iat-{number}"))))
}

/// One of as many different keys as a test can need, of two algorithms.
fn key(number: usize) -> PublicJwk {
    static KEYS: OnceLock<Vec<PublicJwk>> = OnceLock::new();
    let make = |number: usize| {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let mut jwk = key.public().clone();
        // The document does not look whether a key can do what it is for.
        if number.is_multiple_of(3) {
            jwk.alg = Algorithm::RS256;
        }
        jwk
    };
    KEYS.get_or_init(|| (0..100).map(make).collect())[number].clone()
}

#[test]
fn a_client_that_is_adopted_again_is_no_longer_left_to_be_deleted() {
    let mut state = State::default();
    let now = Timestamp::UNIX_EPOCH;
    for client_id in ["c1", "c2", "c1"] {
        let metadata = ClientMetadata::default();
        let client = Registered {
            management: Some(management()),
            ..Registered::new(ISSUER, client_id, metadata.clone(), metadata, now)
        };

        state.adopt(client, None, Adoption::Found, now);

        let orphans = state.orphans().iter();
        let orphans: Vec<&str> = orphans.map(|orphan| orphan.client_id.as_str()).collect();
        assert!(!orphans.contains(&client_id), "{client_id} in {orphans:?}");
    }
}

/// The key that signs is accepted.
fn learn_proof(state: &mut State, now: Timestamp) {
    if let Some(ring) = state.ring() {
        let proof = Proof {
            outcome: AuthenticationOutcome::Accepted,
            ..Proof::new(ring.current().jwk.kid.clone(), now)
        };
        state.learn_proof(ISSUER, "token_endpoint", "c1", &proof);
    }
}
