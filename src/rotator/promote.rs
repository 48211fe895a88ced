//! From the published key to the one that signs.

use std::time::Duration;

use tokio::time::Instant;

use super::live::{Live, Probation};
use super::machine::{IDLE, Machine, RETRY};
use crate::app::chain;
use crate::jose::Kid;
use crate::keyring::{Prepublished, Ring, TooSoon};
use crate::registrar::{Care, Registrar};
use crate::registration::AuthenticationOutcome;
use crate::state::State;

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

/// Pause while there is no usable registration to prove a key with.
const WAITING: Duration = Duration::from_secs(5);

/// Why the next key cannot sign yet.
struct NotProven {
    /// Whether the IdP refused it; else nothing was learnt about it.
    rejected: bool,
    said: String,
}

impl Machine {
    /// One step of a rotation that is under way.
    pub(super) async fn advance(&self, ring: &Ring<Prepublished>, live: &mut Live) -> Duration {
        let next = &ring.next().jwk.kid;
        if ring.next().published_at.is_none() {
            return RETRY;
        }
        if let Some(left) = self.left_by_this_process(ring, live) {
            return left;
        }
        match ring.promote(self.app.clock.now(), &self.policy) {
            Err(TooSoon { remaining }) => return remaining.min(IDLE),
            Ok(_) if self.registrar.is_some() && !self.app.can_prove() => return WAITING,
            Ok(_) => {}
        }
        if let Some(not_before) = live.not_before
            && Instant::now() < not_before
        {
            return not_before - Instant::now();
        }
        if let Some(registrar) = &self.registrar {
            let quiet = registrar.first_proof_in(next);
            if !quiet.is_zero() {
                return quiet;
            }
        }
        match self.prove(ring).await {
            Ok(()) => self.promote(next, live).await,
            Err(not_proven) => Self::not_proven(ring, &not_proven, live),
        }
    }

    /// How long the next key has yet to be served by the monotonic clock, which cannot be set.
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

    /// Whether the IdP accepts the next key. Where it pins the algorithm, that is registered first,
    /// and taken back if it does not help.
    async fn prove(&self, ring: &Ring<Prepublished>) -> Result<(), NotProven> {
        let Some(registrar) = &self.registrar else {
            return Ok(());
        };
        let next = &ring.next().jwk;
        let spread = ring.has_spread(self.app.clock.now(), &self.policy);
        let ordered = ring.is_hurried();
        let accepted = async |spread| {
            self.accepted_repeatedly(registrar, &next.kid, spread, ordered)
                .await
        };
        let first = accepted(spread).await;
        let changes_algorithm = next.alg != ring.current().jwk.alg;
        let rejected = matches!(first, Err(NotProven { rejected: true, .. }));
        if !changes_algorithm || !rejected {
            return first;
        }
        let now = self.app.clock.now();
        let want = |state: &mut State| state.want_algorithm_of(&next.kid, now);
        if let Err(error) = self.app.ledger.update(want).await {
            tracing::error!(
                key.kid = %next.kid,
                "Could not begin to register another algorithm: {}",
                chain(&error)
            );
            return first;
        }
        // The IdP refuses the key that signs until this is over, so it is kept short.
        let proven = if registrar.reconcile().await {
            accepted(true).await
        } else {
            first
        };
        if proven.is_err() {
            let withdraw = |state: &mut State| state.withdraw_algorithm(now);
            match self.app.ledger.record(withdraw).await {
                Ok(()) => drop(registrar.reconcile().await),
                Err(error) => tracing::error!("{}; hint: {}", chain(&error), error.hint()),
            }
        }
        proven
    }

    /// `spread` says whether no copy of the set without the key is left, `ordered` whether an
    /// operator waits.
    async fn accepted_repeatedly(
        &self,
        registrar: &Registrar,
        kid: &Kid,
        spread: bool,
        ordered: bool,
    ) -> Result<(), NotProven> {
        let nothing_learnt = |said: String| NotProven {
            rejected: false,
            said,
        };
        let Some(key) = self.app.signer.get(kid) else {
            let said = "its file is missing; restore it from a backup".to_owned();
            return Err(nothing_learnt(said));
        };
        let acceptances = if spread {
            ACCEPTANCES
        } else {
            HURRIED_ACCEPTANCES
        };
        for proofs in 0..acceptances {
            // The controls are sent anew in each rotation, before the last acceptance that counts.
            let care = Care {
                anew: proofs + 1 == ACCEPTANCES,
                ordered,
            };
            let proof = registrar
                .try_key(&key, care)
                .await
                .map_err(|error| nothing_learnt(error.chain()))?;
            let said = proof.said.unwrap_or_default();
            match proof.outcome {
                AuthenticationOutcome::Accepted => {}
                // Only time can tell here.
                AuthenticationOutcome::Inconclusive if !registrar.suffices(proof.outcome) => {
                    return Err(nothing_learnt(format!(
                        "the IdP answers a wrong key as it does a right one, {said}, though it \
                         told them apart before"
                    )));
                }
                AuthenticationOutcome::Inconclusive if spread => return Ok(()),
                AuthenticationOutcome::Inconclusive => {
                    return Err(nothing_learnt(format!(
                        "the IdP answers a wrong key as it does a right one, {said}, so the key \
                         is published for its full time first"
                    )));
                }
                AuthenticationOutcome::Unknown => return Err(nothing_learnt(said)),
                AuthenticationOutcome::Rejected => {
                    return Err(NotProven {
                        rejected: true,
                        said,
                    });
                }
            }
        }
        Ok(())
    }

    async fn promote(&self, next: &Kid, live: &mut Live) -> Duration {
        let now = self.app.clock.now();
        let copies_are_renewed = self.started.elapsed() >= Duration::from_hours(24);
        let promote =
            |state: &mut State| state.promote(next, copies_are_renewed, now, &self.policy);
        let before = match self.app.ledger.update(promote).await {
            Ok(before) => before,
            Err(error) => {
                tracing::error!(
                    key.kid = %next,
                    retry_s = RETRY.as_secs(),
                    "Key `{next}` was accepted, but the promotion cannot be stored: {}; trying \
                     again in {} s",
                    chain(&error),
                    RETRY.as_secs()
                );
                return RETRY;
            }
        };
        *live = Live {
            probation: self.registrar.is_some().then(Probation::new),
            ..Live::default()
        };
        self.app.show_locally().await;
        tracing::info!(
            key.kid = %next,
            key.before = %before,
            "Audit: key `{next}` signs from now on; key `{before}` stays published"
        );
        self.reconcile(live).await;
        Duration::ZERO
    }

    fn not_proven(ring: &Ring<Prepublished>, not_proven: &NotProven, live: &mut Live) -> Duration {
        let NotProven { rejected, said } = not_proven;
        live.rejections = live.rejections.saturating_add(1);
        live.said = Some(said.clone());
        let doublings = live.rejections.saturating_sub(1).min(16);
        let pause = BACKOFF.saturating_mul(1 << doublings).min(LONGEST_BACKOFF);
        live.not_before = Some(Instant::now() + pause);
        let (next, current) = (&ring.next().jwk.kid, &ring.current().jwk.kid);
        let (attempts, retry_s) = (live.rejections, pause.as_secs());
        if *rejected {
            tracing::warn!(
                key.kid = %next,
                attempts,
                retry_s,
                "The IdP does not accept key `{next}` yet ({said}): key `{current}` goes on \
                 signing; next try in {retry_s} s; hint: if this lasts, the IdP has an old copy \
                 of the JWK Set, or cannot fetch it"
            );
        } else {
            tracing::warn!(
                key.kid = %next,
                attempts,
                retry_s,
                "Key `{next}` could not be proven yet ({said}): key `{current}` goes on signing; \
                 next try in {retry_s} s; hint: if this began with the rotation, the IdP may not \
                 take a JWK Set of two keys"
            );
        }
        pause
    }
}
