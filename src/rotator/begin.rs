//! The beginning of a rotation: the new key is durable before the state names it.

use super::live::{Live, Probation};
use super::machine::Machine;
use super::rotate_error::RotateError;
use crate::app::{RotationReport, blocking, chain};
use crate::jose::{Algorithm, SigningKey};
use crate::keyring::KeyRing;
use crate::state::{RingRefusal, State};

impl Machine {
    /// Publishes a new key beside the one that signs: `key`, or one that is made now.
    pub(super) async fn begin(
        &self,
        key: Option<SigningKey>,
        alg: Option<Algorithm>,
        hurried: bool,
        live: &mut Live,
    ) -> Result<(), RotateError> {
        // What is not possible is refused before a key is made.
        let present = self.can_begin()?;
        let key = match key {
            Some(key) => key,
            None => self.make(alg.unwrap_or(present)).await?,
        };
        let (kid, jwk) = (key.kid().clone(), key.public().clone());
        self.app.signer.add(key, &self.app.clock).await?;
        let now = self.app.clock.now();
        let prepublish =
            |state: &mut State| state.prepublish(jwk.clone(), hurried, now, &self.policy);
        self.app.ledger.update(prepublish).await?;
        *live = Live {
            begin_not_before: live.begin_not_before,
            ..Live::default()
        };
        // The rotation has begun: the next step tries again what fails here.
        self.reconcile(live).await;
        if let Err(error) = self.note_served(live).await {
            tracing::error!(
                "Could not record that the JWK Set is served: {}",
                chain(&error)
            );
        }
        tracing::info!(
            key.kid = %kid,
            hurried,
            "Audit: rotation begun: key `{kid}` is published and signs {}",
            match self.report(&live.seen()).earliest_promotion {
                Some(earliest) => format!("from {earliest} on, once the IdP accepts it"),
                None => "once it is published and the IdP accepts it".to_owned(),
            }
        );
        Ok(())
    }

    /// Replaces every key at once; where the IdP cannot come to know the new one, only if that is
    /// `even_if_unpublished`.
    pub(super) async fn revoke(
        &self,
        alg: Option<Algorithm>,
        even_if_unpublished: bool,
        live: &mut Live,
    ) -> Result<RotationReport, RotateError> {
        if !even_if_unpublished && !self.can_publish() {
            return Err(RotateError::CannotReplace);
        }
        let state = self.app.ledger.state();
        let current = &state.ring().ok_or(RingRefusal::NoRing)?.current().jwk;
        let (alg, before) = (alg.unwrap_or(current.alg), &current.kid);
        // A key that is on the volume already may be compromised too.
        let key = blocking(move || SigningKey::generate(alg)).await?;
        let (kid, jwk) = (key.kid().clone(), key.public().clone());
        self.app.signer.add(key, &self.app.clock).await?;
        let now = self.app.clock.now();
        let revoke = |state: &mut State| state.revoke(jwk.clone(), now);
        self.app.ledger.update(revoke).await?;
        *live = Live {
            probation: self.registrar.is_some().then(Probation::new),
            ..Live::default()
        };
        self.app.show_locally().await;
        tracing::error!(
            key.kid = %kid,
            key.revoked = %before,
            "Audit: keys revoked as compromised: key `{kid}` signs at once, and key `{before}` has \
             left the JWK Set"
        );
        // The keys are revoked, whatever happens now.
        let refreshed = match &self.registrar {
            Some(registrar) => registrar.refresh().await,
            None => false,
        };
        if let Err(error) = self.note_served(live).await {
            tracing::error!(
                "Could not record that the JWK Set is served: {}",
                chain(&error)
            );
        }
        // Many IdPs drop their copy of the set only when they meet a key that is not in it.
        if let Some(registrar) = &self.registrar {
            registrar.prove_soon(&kid);
        }
        let mut report = self.report(&live.seen());
        report.kid = Some(kid);
        report.note = Some(format!(
            "unpublishing is not revocation: an IdP that keeps keys by their kid can accept the \
             old one until it fetches the JWK Set again. {}",
            if refreshed {
                "The registration was updated, which makes many IdPs do so now"
            } else {
                "The registration could not be updated to make it do so: ask for it at the IdP"
            }
        ));
        Ok(report)
    }

    /// Whether a rotation can begin, and the algorithm of the key that signs.
    fn can_begin(&self) -> Result<Algorithm, RotateError> {
        let now = self.app.clock.now();
        let state = self.app.ledger.state();
        match state.ring() {
            None => Err(RingRefusal::NoRing.into()),
            Some(KeyRing::Steady(_)) if !self.can_publish() => Err(RotateError::CannotPublish),
            Some(KeyRing::Steady(ring)) => {
                ring.has_room(now, &self.policy)
                    .map_err(RotateError::NoRoom)?;
                Ok(ring.current().jwk.alg)
            }
            Some(KeyRing::Prepublished(ring)) => {
                let earliest = ring.earliest_promotion(&self.policy);
                Err(RotateError::UnderWay {
                    kid: ring.next().jwk.kid.clone(),
                    seconds_left: earliest
                        .map(|earliest| u64::try_from(earliest.duration_since(now).as_secs()))
                        .map(Result::unwrap_or_default),
                })
            }
        }
    }

    /// A key that an interrupted beginning has made already, else a new one.
    async fn make(&self, alg: Algorithm) -> Result<SigningKey, RotateError> {
        match self.app.signer.intended().await {
            Some(key) if key.alg() == alg => Ok(key),
            _ => Ok(blocking(move || SigningKey::generate(alg)).await?),
        }
    }
}
