//! The condition of the service: facts that are kept in memory only.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::failure_class::Class;
use super::orders::{FailureReport, OrderReport, Orders};
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
    standing: Bootstrap,
    step: Option<&'static str>,
    retry: Option<Retry>,
    orders: Orders,
    has_looked: bool,
    proof: Option<Proof>,
    unstored_verdicts: BTreeMap<Kid, (String, AuthenticationOutcome)>,
    drift: Option<(Drift, Timestamp)>,
}

/// How far the registration has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Bootstrap {
    /// It failed.
    Failed {
        /// What went wrong, with its causes.
        error: String,
        /// What an operator can do.
        hint: &'static str,
        /// Who has to act.
        class: Class,
        /// Whether a retry with nothing changed can help.
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

/// Says when a bootstrap that failed is tried again; only who does it says so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retry {
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next.
    pub next_try: Timestamp,
}

/// A bootstrap is under way, until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct UnderWay<'a>(&'a Condition);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.change(|inner| inner.step = None);
    }
}

impl Condition {
    /// The condition at the start; `registers` says whether a registration follows.
    pub fn new(registers: bool) -> Self {
        let standing = if registers {
            Bootstrap::Starting { step: "starting" }
        } else {
            Bootstrap::Off
        };
        Self {
            inner: Mutex::new(Inner {
                standing,
                step: None,
                retry: None,
                orders: Orders::default(),
                has_looked: !registers,
                proof: None,
                unstored_verdicts: BTreeMap::new(),
                drift: None,
            }),
        }
    }

    /// How far the registration has come.
    pub fn bootstrap(&self) -> Bootstrap {
        let Inner { standing, step, .. } = self.read();
        step.map_or(standing, |step| Bootstrap::Starting { step })
    }

    /// What the last bootstrap has shown, whatever is under way.
    pub fn standing(&self) -> Bootstrap {
        self.read().standing
    }

    /// The step of the bootstrap under way.
    pub fn step(&self) -> Option<&'static str> {
        self.read().step
    }

    /// When a bootstrap that failed is tried again, if it is.
    pub fn retry(&self) -> Option<Retry> {
        self.read().retry
    }

    /// The last orders, the newest first.
    pub fn orders(&self) -> Vec<OrderReport> {
        self.read().orders.report()
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

    /// Notes that a bootstrap is under way.
    pub fn begin(&self) -> UnderWay<'_> {
        self.change(|inner| inner.step = Some("starting"));
        UnderWay(self)
    }

    /// Notes how far the registration has come. A try that learnt nothing, because the IdP is not
    /// available, takes nothing back.
    pub fn set_bootstrap(&self, bootstrap: Bootstrap) {
        self.change(|inner| match bootstrap {
            Bootstrap::Starting { step } => inner.step = Some(step),
            Bootstrap::Failed {
                class: Class::Unavailable,
                transient: true,
                ..
            } if inner.standing == Bootstrap::Ready => {}
            ended => inner.standing = ended,
        });
    }

    /// Notes when a bootstrap that failed is tried again.
    pub fn set_retry(&self, retry: Option<Retry>) {
        self.change(|inner| inner.retry = retry);
    }

    /// Notes an order.
    pub fn ordered(&self, now: Timestamp) -> OrderReport {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.orders.begin(now)
    }

    /// Notes what became of an order.
    pub fn order_ended(&self, number: u64, failure: Option<FailureReport>) {
        self.change(|inner| inner.orders.end(number, failure));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(class: Class) -> Bootstrap {
        Bootstrap::Failed {
            error: "it failed".to_owned(),
            hint: "mend it",
            class,
            transient: class == Class::Unavailable,
        }
    }

    #[test]
    fn a_try_that_learnt_nothing_takes_nothing_back() {
        let condition = Condition::new(true);
        condition.set_bootstrap(failed(Class::Unavailable));
        assert_eq!(
            condition.standing(),
            failed(Class::Unavailable),
            "nothing was known"
        );
        condition.set_bootstrap(Bootstrap::Ready);

        condition.set_bootstrap(failed(Class::Unavailable));

        assert_eq!(condition.standing(), Bootstrap::Ready);
        condition.set_bootstrap(failed(Class::NotAccepted));
        assert_eq!(condition.standing(), failed(Class::NotAccepted));
    }

    #[test]
    fn what_is_under_way_is_shown_beside_what_is_known_until_it_ends() {
        let condition = Condition::new(true);
        condition.set_bootstrap(Bootstrap::Ready);

        let under_way = condition.begin();
        condition.set_bootstrap(Bootstrap::Starting {
            step: "registering",
        });

        assert_eq!(condition.step(), Some("registering"));
        assert_eq!(condition.standing(), Bootstrap::Ready);
        // Also where the work panics.
        drop(under_way);
        assert_eq!(condition.step(), None);
        assert_eq!(condition.bootstrap(), Bootstrap::Ready);
    }
}
