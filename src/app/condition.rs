//! The condition of the service: facts that are kept in memory only.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::jose::Kid;
use crate::registration::{AuthenticationOutcome, Drift, Proof};
use jiff::Timestamp;

/// The condition of the service; reading it sends no request.
#[derive(Debug)]
pub struct Condition {
    inner: Mutex<Inner>,
}

#[derive(Clone, Debug)]
struct Inner {
    bootstrap: Bootstrap,
    has_looked: bool,
    proof: Option<Proof>,
    unstored_verdicts: BTreeMap<Kid, (String, AuthenticationOutcome)>,
    drift: Option<(Drift, Timestamp)>,
}

/// How far the registration has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Bootstrap {
    /// It failed. Whether it is tried again depends on why.
    Failed {
        /// What went wrong, with its causes.
        error: String,
        /// What an operator can do.
        hint: &'static str,
        /// Whether it is tried again by itself.
        transient: bool,
    },
    /// Registration is off: the service only keeps keys.
    Off,
    /// A usable registration.
    Ready,
    /// Under way.
    Starting {
        /// The step.
        step: &'static str,
    },
}

impl Condition {
    /// The condition at the start; `registers` says whether a registration follows.
    pub fn new(registers: bool) -> Self {
        let bootstrap = if registers {
            Bootstrap::Starting { step: "starting" }
        } else {
            Bootstrap::Off
        };
        Self {
            inner: Mutex::new(Inner {
                bootstrap,
                has_looked: !registers,
                proof: None,
                unstored_verdicts: BTreeMap::new(),
                drift: None,
            }),
        }
    }

    /// How far the registration has come.
    pub fn bootstrap(&self) -> Bootstrap {
        self.read().bootstrap
    }

    /// Whether a start has asked the IdP once, whatever came of it.
    pub fn has_looked(&self) -> bool {
        self.read().has_looked
    }

    /// The last proof.
    pub fn proof(&self) -> Option<Proof> {
        self.read().proof
    }

    /// The drift that the last read of the registration found, and the time of that read.
    pub fn drift(&self) -> Option<(Drift, Timestamp)> {
        self.read().drift
    }

    /// The last conclusive verdict on this key of this client, if it could not be stored.
    pub fn unstored_verdict(&self, client_id: &str, kid: &Kid) -> Option<AuthenticationOutcome> {
        let (of_client, outcome) = self.read().unstored_verdicts.remove(kid)?;
        (of_client == client_id).then_some(outcome)
    }

    /// Notes how far the registration has come.
    pub fn set_bootstrap(&self, bootstrap: Bootstrap) {
        self.change(|inner| inner.bootstrap = bootstrap);
    }

    /// Notes that the IdP was asked, whatever came of it.
    pub fn note_look(&self) {
        self.change(|inner| inner.has_looked = true);
    }

    /// Notes the last proof.
    pub fn set_proof(&self, proof: Proof) {
        self.change(|inner| inner.proof = Some(proof));
    }

    /// Notes a conclusive verdict on a key of a client that could not be stored.
    pub fn keep_verdict(&self, client_id: &str, kid: &Kid, outcome: AuthenticationOutcome) {
        let verdict = (client_id.to_owned(), outcome);
        self.change(|inner| drop(inner.unstored_verdicts.insert(kid.clone(), verdict)));
    }

    /// Forgets such a verdict, because a later one is stored.
    pub fn drop_verdict(&self, kid: &Kid) {
        self.change(|inner| drop(inner.unstored_verdicts.remove(kid)));
    }

    /// Notes the drift that a read of the registration found.
    pub fn set_drift(&self, drift: Drift, checked_at: Timestamp) {
        self.change(|inner| inner.drift = Some((drift, checked_at)));
    }

    fn read(&self) -> Inner {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
