//! The beginning: a new key, durable before it is named, named before it is published.

use super::watch::Probation;
use super::{Live, RotateError, RotationStatus, Rotator};
use crate::app::ledger::blocking;
use crate::jose::{Algorithm, SigningKey};
use crate::keyring::KeyRing;
use crate::registration::Event;

impl Rotator {
    /// Publishes a new key beside the one that signs: `key`, or one that is made now.
    pub(super) async fn begin(
        &self,
        key: Option<SigningKey>,
        alg: Option<Algorithm>,
        hurried: bool,
        live: &mut Live,
    ) -> Result<(), RotateError> {
        // What is not possible is said before a key is made for it.
        self.prepare()?;
        let key = match key {
            Some(key) => key,
            None => self.make(alg).await?,
        };
        let (kid, jwk) = (key.kid().clone(), key.public().clone());
        self.app.keys.add(&self.app.ledger, key).await?;
        let now = self.app.clock.now();
        let (policy, detail) = (self.policy, format!("key `{kid}` ({}) made", jwk.alg));
        let mut refused = None;
        self.app
            .ledger
            .update(|state| {
                let Some(KeyRing::Steady(ring)) = &state.ring else {
                    return;
                };
                match ring.prepublish(jwk, hurried, now, &policy) {
                    Ok(ring) => {
                        state.ring = Some(ring.into());
                        state.journal.add(now, Event::KeyCreated, None, detail);
                    }
                    Err(error) => refused = Some(error),
                }
            })
            .await?;
        if let Some(error) = refused {
            return Err(error.into());
        }
        *live = Live {
            begin_not_before: live.begin_not_before,
            ..Live::default()
        };
        // The rotation has begun: the next step tries again what fails here.
        if let Err(error) = self.note_served(live).await {
            tracing::error!("{error}; {}", error.hint());
        }
        let status = self.status();
        tracing::info!(
            key.kid = %kid,
            hurried,
            "Audit: rotation begun: key `{kid}` is published and signs {}",
            match status.earliest_promotion {
                Some(earliest) => format!("from {earliest} on, once the IdP accepts it"),
                None => "once it is published and the IdP accepts it".to_owned(),
            }
        );
        Ok(())
    }

    /// Replaces every key at once.
    pub(super) async fn revoke(
        &self,
        alg: Option<Algorithm>,
        live: &mut Live,
    ) -> Result<RotationStatus, RotateError> {
        let alg = alg.unwrap_or_else(|| self.app.keys.current().alg());
        // A key that lies on the volume already may be known to somebody else as well.
        let key = blocking(move || SigningKey::generate(alg)).await?;
        let (kid, jwk) = (key.kid().clone(), key.public().clone());
        let before = self.app.keys.current().kid().clone();
        self.app.keys.add(&self.app.ledger, key).await?;
        let now = self.app.clock.now();
        self.app
            .ledger
            .update(|state| {
                let detail = format!("all keys revoked; key `{kid}` signs in their place");
                if let Some(ring) = &state.ring {
                    state.ring = Some(ring.revoke_all(jwk, now).into());
                }
                state.journal.add(now, Event::KeysRevoked, None, detail);
            })
            .await?;
        *live = Live {
            probation: self.registrar.is_some().then(Probation::new),
            ..Live::default()
        };
        self.switch_to(&kid).await;
        tracing::error!(
            key.kid = %kid,
            key.revoked = %before,
            "Audit: keys revoked as compromised: key `{kid}` signs at once, and key `{before}` has \
             left the JWK Set"
        );
        // The keys are revoked, whatever happens now.
        if let Err(error) = self.app.serving().await {
            tracing::error!("{error}; {}", error.hint());
        }
        let refreshed = match &self.registrar {
            Some(registrar) => registrar.refresh().await,
            None => false,
        };
        let mut status = self.status();
        status.kid = Some(kid);
        status.note = Some(format!(
            "unpublishing is not revocation: an IdP that keeps keys by their kid can accept the \
             old one until it fetches the JWK Set again. {}",
            if refreshed {
                "The registration was updated, which makes many IdPs do so now"
            } else {
                "The registration could not be updated to make it do so: ask for it at the IdP"
            }
        ));
        Ok(status)
    }

    fn prepare(&self) -> Result<(), RotateError> {
        let now = self.app.clock.now();
        match self.app.ledger.state().ring.clone() {
            Some(KeyRing::Prepublished(ring)) => {
                let earliest = ring.earliest_promotion(&self.policy);
                Err(RotateError::UnderWay {
                    kid: ring.next().jwk.kid.clone(),
                    seconds_left: earliest
                        .map(|earliest| u64::try_from(earliest.duration_since(now).as_secs()))
                        .map(Result::unwrap_or_default),
                })
            }
            Some(KeyRing::Steady(ring)) => Ok(ring.has_room(now, &self.policy)?),
            None => Ok(()),
        }
    }

    /// A key that an interrupted beginning has made already, else a new one.
    async fn make(&self, alg: Option<Algorithm>) -> Result<SigningKey, RotateError> {
        let alg = alg.unwrap_or_else(|| self.app.keys.current().alg());
        match self.app.keys.unused(&self.app.ledger, alg).await {
            Some(key) => Ok(key),
            None => Ok(blocking(move || SigningKey::generate(alg)).await?),
        }
    }
}
