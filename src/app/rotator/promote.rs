//! From the published key to the one that signs.

use std::time::Duration;

use tokio::time::Instant;

use super::watch::Probation;
use super::{IDLE, Live, RETRY, Rotator};
use crate::app::ProofOutcome;
use crate::jose::Kid;
use crate::keyring::{KeyRing, Prepublished, Ring, TooSoon};
use crate::registration::Event;

/// How often in a row the IdP has to accept a key, each time on a new connection: an IdP can be
/// several machines, each with its own copy of the set.
const ACCEPTANCES: u32 = 3;

/// The same for a key that has not been published for its time: any of them may hold an older
/// copy.
const HURRIED_ACCEPTANCES: u32 = 8;

/// Pause before a rejected key is proven again, doubling up to [`LONGEST_BACKOFF`].
const BACKOFF: Duration = Duration::from_secs(5);

/// The longest such pause.
const LONGEST_BACKOFF: Duration = Duration::from_mins(30);

/// What the proof of the next key has come to.
enum Proven {
    Accepted,
    /// Not now: nothing was learnt about the key.
    NotNow(String),
    Rejected(String),
}

impl Rotator {
    /// One step of a rotation that is under way.
    pub(super) async fn advance(&self, ring: Ring<Prepublished>, live: &mut Live) -> Duration {
        let now = self.app.clock.now();
        let next = ring.next().jwk.kid.clone();
        if ring.next().published_at.is_none() {
            return RETRY;
        }
        if let Some(left) = self.left_by_this_process(&ring, live) {
            return left;
        }
        match ring.promote(now, &self.policy) {
            Err(TooSoon { remaining }) => return remaining.min(IDLE),
            Ok(_) if self.registrar.is_some() && !self.app.status.is_ready() => return WAITING,
            Ok(_) => {}
        }
        if let Some(not_before) = live.not_before
            && Instant::now() < not_before
        {
            return not_before - Instant::now();
        }
        match self.prove(&ring).await {
            Proven::Accepted => match self.promote(&next, live).await {
                Ok(()) => Duration::ZERO,
                Err(pause) => pause,
            },
            Proven::NotNow(said) => {
                let pause = Self::not_accepted(live, &said);
                tracing::warn!(
                    key.kid = %next,
                    "Key `{next}` could not be proven yet ({said}): key `{}` goes on signing; next \
                     try in {} s. If the IdP answers everything so since the rotation began, it \
                     may not take a JWK Set of two keys",
                    ring.current().jwk.kid,
                    pause.as_secs()
                );
                pause
            }
            Proven::Rejected(said) => {
                let pause = Self::not_accepted(live, &said);
                tracing::warn!(
                    key.kid = %next,
                    "The IdP does not accept key `{next}` yet ({said}): key `{}` goes on signing; \
                     next try in {} s. If this does not end, the IdP keeps an older copy of the \
                     JWK Set, or cannot fetch it",
                    ring.current().jwk.kid,
                    pause.as_secs()
                );
                pause
            }
        }
    }

    /// How long the next key has yet to be served by the monotonic clock, which nobody can move.
    fn left_by_this_process(&self, ring: &Ring<Prepublished>, live: &Live) -> Option<Duration> {
        let (kid, since) = live.served.as_ref()?;
        let published_at = ring.next().published_at?;
        if *kid != ring.next().jwk.kid || ring.is_hurried() {
            return None;
        }
        let needed = ring
            .earliest_promotion(&self.policy)?
            .duration_since(published_at);
        let left = Duration::try_from(needed)
            .unwrap_or_default()
            .saturating_sub(since.elapsed());
        (!left.is_zero()).then_some(left.min(IDLE))
    }

    /// Whether the IdP accepts the next key. Where it pins the algorithm, that is registered
    /// first, and taken back if it does not help.
    async fn prove(&self, ring: &Ring<Prepublished>) -> Proven {
        let Some(registrar) = &self.registrar else {
            return Proven::Accepted;
        };
        let next = &ring.next().jwk;
        let spread = ring.has_spread(self.app.clock.now(), &self.policy);
        let first = self.prove_repeatedly(&next.kid, spread).await;
        let changes_algorithm = next.alg != ring.current().jwk.alg;
        if !changes_algorithm || !matches!(first, Proven::Rejected(_)) {
            return first;
        }
        if !registrar.register_algorithm(next.alg).await {
            return first;
        }
        // The key that signs is refused until this is over: as briefly as can be.
        let second = self.prove_repeatedly(&next.kid, true).await;
        if !matches!(second, Proven::Accepted) {
            registrar.register_algorithm(ring.current().jwk.alg).await;
        }
        second
    }

    /// `spread` says whether no copy of the set without the key is left.
    async fn prove_repeatedly(&self, kid: &Kid, spread: bool) -> Proven {
        let (Some(registrar), Some(key)) = (&self.registrar, self.app.keys.get(kid)) else {
            return Proven::NotNow("its file is missing: restore it from a backup".to_owned());
        };
        let acceptances = if spread {
            ACCEPTANCES
        } else {
            HURRIED_ACCEPTANCES
        };
        for _ in 0..acceptances {
            let proof = match registrar.try_key(&key).await {
                Ok(proof) => proof,
                Err(error) => return Proven::NotNow(error.chain()),
            };
            let said = proof.said.clone().unwrap_or_default();
            match proof.outcome {
                ProofOutcome::Accepted => {}
                // Time is all that can be gone by here.
                ProofOutcome::Inconclusive if spread => return Proven::Accepted,
                ProofOutcome::Inconclusive => {
                    return Proven::NotNow(format!(
                        "the IdP answers a broken signature as it does a good one, {said}, so the \
                         key is published for its full time first"
                    ));
                }
                ProofOutcome::Unknown => return Proven::NotNow(said),
                ProofOutcome::Rejected => return Proven::Rejected(said),
            }
        }
        Proven::Accepted
    }

    async fn promote(&self, next: &Kid, live: &mut Live) -> Result<(), Duration> {
        let now = self.app.clock.now();
        let (policy, kid) = (self.policy, next.clone());
        let before = self.app.keys.current().kid().clone();
        let forget = self.started.elapsed() >= Duration::from_hours(24);
        let committed = self
            .app
            .ledger
            .update(|state| {
                if let Some(KeyRing::Prepublished(ring)) = &state.ring
                    && let Ok(ring) = ring.promote(now, &policy)
                {
                    let mut ring = KeyRing::from(ring);
                    if forget {
                        ring.forget_longer_lifetimes(policy.max_age);
                    }
                    state.ring = Some(ring);
                    let detail = format!("key `{kid}` signs in place of `{before}`");
                    state.journal.add(now, Event::KeyPromoted, None, detail);
                }
            })
            .await;
        if let Err(error) = committed {
            tracing::error!("{error}; {}", error.hint());
            return Err(RETRY);
        }
        self.switch_to(next).await;
        *live = Live {
            probation: self.registrar.is_some().then(Probation::new),
            ..Live::default()
        };
        tracing::info!(
            key.kid = %next,
            "Audit: key `{next}` signs from now on; the key before stays published"
        );
        if let Some(registrar) = &self.registrar {
            registrar.follow_key().await;
        }
        Ok(())
    }

    /// Signs with `kid`, which the state says already, and lets the application see it.
    pub(super) async fn switch_to(&self, kid: &Kid) {
        if !self.app.keys.activate(kid) {
            tracing::error!(key.kid = %kid, "Key `{kid}` is not loaded: restart the service");
        }
        self.app.show_active_key().await;
    }

    fn not_accepted(live: &mut Live, said: &str) -> Duration {
        live.rejections = live.rejections.saturating_add(1);
        live.said = Some(said.to_owned());
        let doublings = live.rejections.saturating_sub(1).min(16);
        let pause = BACKOFF.saturating_mul(1 << doublings).min(LONGEST_BACKOFF);
        live.not_before = Some(Instant::now() + pause);
        pause
    }
}

/// Pause while there is no usable registration to prove a key with.
const WAITING: Duration = Duration::from_secs(5);
