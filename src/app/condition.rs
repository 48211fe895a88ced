//! The condition of the service: facts that are kept in memory only.

use std::sync::{Mutex, PoisonError};

use crate::registration::{Drift, Proof};
use jiff::Timestamp;

/// The condition of the service; reading it sends no request.
#[derive(Debug)]
pub struct Condition {
    inner: Mutex<Inner>,
}

#[derive(Clone, Debug)]
struct Inner {
    bootstrap: Bootstrap,
    proof: Option<Proof>,
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
                proof: None,
                drift: None,
            }),
        }
    }

    /// How far the registration has come.
    pub fn bootstrap(&self) -> Bootstrap {
        self.read().bootstrap
    }

    /// The last proof.
    pub fn proof(&self) -> Option<Proof> {
        self.read().proof
    }

    /// The drift that the last read of the registration found, and the time of that read.
    pub fn drift(&self) -> Option<(Drift, Timestamp)> {
        self.read().drift
    }

    /// Whether there is an active published key and a usable registration.
    pub fn is_ready(&self) -> bool {
        matches!(self.bootstrap(), Bootstrap::Off | Bootstrap::Ready)
    }

    /// Notes how far the registration has come.
    pub fn set_bootstrap(&self, bootstrap: Bootstrap) {
        self.change(|inner| inner.bootstrap = bootstrap);
    }

    /// Notes the last proof.
    pub fn set_proof(&self, proof: Proof) {
        self.change(|inner| inner.proof = Some(proof));
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
