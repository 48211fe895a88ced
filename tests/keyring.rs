//! What holds for a ring of keys whatever happens to it, in whatever order.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::Duration;

use bff::jose::{Algorithm, Kid, PublicJwk, SigningKey};
use bff::keyring::{KeyRing, KeyState, NoPrevious, NotPublished, RotationPolicy};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

/// One thing that happens to a ring.
#[derive(Clone, Debug)]
enum Step {
    Begin {
        hurried: bool,
    },
    /// A beginning with a key that was in the ring before.
    BeginAgain(usize),
    Served,
    Promote,
    FallBack,
    Retire,
    Revoke,
    /// The process ends, and another one reads what was stored.
    Restart,
    /// Time goes on by so many seconds.
    Pass(u64),
    /// The clock is set back by so many seconds.
    SetBack(u64),
    /// The service is started with another configuration.
    Configure(RotationPolicy),
}

/// A ring, and beside it what an observer with a better clock has seen of it.
struct Observed {
    ring: KeyRing,
    policy: RotationPolicy,
    /// What the machine's clock says.
    wall: Timestamp,
    /// Seconds that have passed; nobody sets them back.
    passed: u64,
    /// The longest lifetime that any copy of the set was given.
    longest_max_age: Duration,
    published_at: BTreeMap<Kid, u64>,
    signed_until: BTreeMap<Kid, u64>,
    ever: Vec<PublicJwk>,
}

impl Observed {
    fn new(policy: RotationPolicy) -> Self {
        let wall = Timestamp::from_second(1_800_000_000).unwrap();
        let jwk = key(0);
        Self {
            ring: KeyRing::new(jwk.clone(), wall),
            policy,
            wall,
            passed: 0,
            longest_max_age: Duration::ZERO,
            published_at: BTreeMap::new(),
            signed_until: BTreeMap::new(),
            ever: vec![jwk],
        }
    }

    fn take(&mut self, step: &Step) {
        let before = self.published();
        match step {
            Step::Begin { hurried } => self.begin(*hurried),
            Step::BeginAgain(which) => self.begin_again(*which),
            Step::Served => self.served(),
            Step::Promote => self.promote(),
            Step::FallBack => self.fall_back(),
            Step::Retire => self.retire(),
            Step::Revoke => self.revoke(),
            Step::Restart => self.restart(),
            Step::Pass(seconds) => {
                self.passed += seconds;
                self.wall += SignedDuration::from_secs(i64::try_from(*seconds).unwrap());
            }
            Step::SetBack(seconds) => {
                self.wall -= SignedDuration::from_secs(i64::try_from(*seconds).unwrap());
            }
            Step::Configure(policy) => self.policy = *policy,
        }
        self.check_who_left(&before, matches!(step, Step::Revoke));
        self.check_shape();
    }

    fn begin(&mut self, hurried: bool) {
        let KeyRing::Steady(ring) = &self.ring else {
            return;
        };
        let jwk = key(self.ever.len());
        let room = ring.has_room(self.wall, &self.policy);
        match ring.prepublish(jwk.clone(), hurried, self.wall, &self.policy) {
            Ok(prepublished) => {
                assert_eq!(room, Ok(()));
                assert_eq!(prepublished.next().jwk, jwk);
                assert_eq!(prepublished.is_hurried(), hurried);
                self.ring = prepublished.into();
                self.ever.push(jwk);
                assert!(self.ring.published().count() <= self.policy.max_keys);
            }
            Err(error) => {
                assert_eq!(error, NotPublished::NoRoom(room.unwrap_err()));
            }
        }
    }

    fn begin_again(&mut self, which: usize) {
        let KeyRing::Steady(ring) = &self.ring else {
            return;
        };
        let known = self.ever[which % self.ever.len()].clone();
        let mut renamed = known.clone();
        renamed.kid = "another-name".parse().unwrap();
        for jwk in [known, renamed] {
            let refused = ring.prepublish(jwk.clone(), false, self.wall, &self.policy);
            assert_eq!(refused.unwrap_err(), NotPublished::Known(jwk.kid));
        }
    }

    fn served(&mut self) {
        self.ring.served(self.wall, self.policy.max_age);
        self.longest_max_age = self.longest_max_age.max(self.policy.max_age);
        for kid in self.published() {
            self.published_at.entry(kid).or_insert(self.passed);
        }
    }

    fn promote(&mut self) {
        let KeyRing::Prepublished(ring) = &self.ring else {
            return;
        };
        let (next, hurried) = (ring.next().jwk.kid.clone(), ring.is_hurried());
        let before = ring.current().jwk.kid.clone();
        let published_for = self.published_at.get(&next).map(|at| self.passed - at);
        let copies = self.longest_max_age.max(self.policy.max_age);
        let needed = self.policy.prepublish.max(copies + Duration::from_mins(1));
        match ring.promote(self.wall, &self.policy) {
            Ok(promoted) => {
                let published_for = published_for.unwrap();
                assert!(hurried || published_for >= needed.as_secs(), "{next}");
                assert_eq!(promoted.current().jwk.kid, next);
                self.signed_until.insert(before, self.passed);
                self.ring = promoted.into();
            }
            Err(too_soon) => {
                assert!(!too_soon.remaining.is_zero());
                assert!(!hurried || published_for.is_none(), "{next} need not wait");
            }
        }
    }

    fn fall_back(&mut self) {
        let KeyRing::Steady(ring) = &self.ring else {
            return;
        };
        let rejected = ring.current().jwk.kid.clone();
        let before = ring.previous().last().map(|key| key.jwk.kid.clone());
        match ring.fall_back(self.wall) {
            Ok(fallen_back) => {
                assert_eq!(fallen_back.next().jwk.kid, rejected);
                assert_eq!(Some(&fallen_back.current().jwk.kid), before.as_ref());
                self.signed_until.remove(&fallen_back.current().jwk.kid);
                self.published_at.insert(rejected, self.passed);
                self.ring = fallen_back.into();
            }
            Err(NoPrevious) => assert_eq!(before, None),
        }
    }

    fn retire(&mut self) {
        let KeyRing::Steady(ring) = &self.ring else {
            return;
        };
        let before = self.published();
        let (ring, gone) = ring.retire(self.wall, &self.policy);
        self.ring = ring.into();
        let left = before.difference(&self.published()).cloned().collect();
        assert_eq!(BTreeSet::from_iter(gone), left);
    }

    fn revoke(&mut self) {
        let jwk = key(self.ever.len());
        self.ever.push(jwk.clone());
        self.ring = self.ring.revoke_all(jwk.clone(), self.wall).into();
        assert_eq!(self.ring.published().collect::<Vec<_>>(), [&jwk]);
    }

    fn restart(&mut self) {
        let stored = serde_json::to_vec(&self.ring).unwrap();
        let read: KeyRing = serde_json::from_slice(&stored).unwrap();
        assert_eq!(read, self.ring);
        self.ring = read;
    }

    fn published(&self) -> BTreeSet<Kid> {
        self.ring.published().map(|jwk| jwk.kid.clone()).collect()
    }

    /// But for a revocation, only a key leaves that signs no more, once nobody can need it.
    fn check_who_left(&self, before: &BTreeSet<Kid>, revoked: bool) {
        let now = self.published();
        for gone in before.difference(&now).filter(|_| !revoked) {
            let copies = self.longest_max_age.max(self.policy.max_age);
            let needed = copies + self.policy.longest_signature + Duration::from_mins(5);
            let unused_for = self.passed - self.signed_until[gone];
            assert!(unused_for >= needed.as_secs(), "{gone} left too soon");
        }
    }

    fn check_shape(&self) {
        let of_state = |wanted| {
            let keys = self.ring.keys();
            keys.filter(|(_, state)| *state == wanted).count()
        };
        assert_eq!(of_state(KeyState::Current), 1);
        assert!(of_state(KeyState::Next) <= 1);
        let published = self.published();
        assert!(published.contains(&self.ring.current().jwk.kid));
        let gone: BTreeSet<Kid> = self.ring.retired().iter().map(|r| r.kid.clone()).collect();
        assert!(published.is_disjoint(&gone));
        // Each key once, and none is forgotten.
        assert_eq!(self.ring.published().count(), published.len());
        assert_eq!(self.ring.retired().len(), gone.len());
        assert_eq!(published.len() + gone.len(), self.ever.len());
        assert!(self.ever.iter().all(|jwk| self.ring.knows(jwk)));
    }
}

proptest! {
    #[test]
    fn the_rules_hold_after_any_sequence_of_steps(
        first in policy(),
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let mut observed = Observed::new(first);

        for step in &steps {
            observed.take(step);
        }
    }

    #[test]
    fn an_undisturbed_rotation_ends_after_the_propagation_time(policy in policy()) {
        let mut observed = Observed::new(policy);
        let first = observed.ring.current().jwk.kid.clone();
        let wait = policy.prepublish.max(policy.max_age + Duration::from_mins(1)).as_secs();

        for step in [
            Step::Served, Step::Begin { hurried: false }, Step::Served, Step::Pass(wait - 1), Step::Promote,
        ] {
            observed.take(&step);
        }
        prop_assert_eq!(&observed.ring.current().jwk.kid, &first, "one second early");

        observed.take(&Step::Pass(1));
        observed.take(&Step::Promote);
        prop_assert_ne!(&observed.ring.current().jwk.kid, &first);

        observed.take(&Step::Pass(61 * 24 * 3600));
        observed.take(&Step::Retire);
        prop_assert_eq!(observed.ring.published().count(), 1);
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<bool>().prop_map(|hurried| Step::Begin { hurried }),
        1 => any::<usize>().prop_map(Step::BeginAgain),
        4 => Just(Step::Served),
        5 => Just(Step::Promote),
        2 => Just(Step::FallBack),
        3 => Just(Step::Retire),
        1 => Just(Step::Revoke),
        2 => Just(Step::Restart),
        6 => moment().prop_map(Step::Pass),
        1 => moment().prop_map(Step::SetBack),
        1 => policy().prop_map(Step::Configure),
    ]
}

/// Seconds, minutes or days.
fn moment() -> impl Strategy<Value = u64> {
    prop_oneof![0..90_u64, 0..7200_u64, 0..10_000_000_u64]
}

fn policy() -> impl Strategy<Value = RotationPolicy> {
    let max_age = prop_oneof![1..400_u64, 1..86_400_u64];
    let days = 24 * 3600;
    (max_age, 0..7200_u64, 2..5_usize, 0..60_u64).prop_map(
        move |(max_age, prepublish, max_keys, retire_days)| RotationPolicy {
            prepublish: Duration::from_secs(prepublish),
            max_age: Duration::from_secs(max_age),
            rotate_after: None,
            retire_after: Duration::from_secs(retire_days * days),
            max_keys,
            longest_signature: Duration::from_mins(1),
        },
    )
}

/// One of as many different keys as a test can need.
fn key(number: usize) -> PublicJwk {
    static KEYS: OnceLock<Vec<PublicJwk>> = OnceLock::new();
    let make = |_| {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        key.public().clone()
    };
    KEYS.get_or_init(|| (0..100).map(make).collect())[number].clone()
}
