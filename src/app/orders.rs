//! Orders to register or update, and what became of them.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::failure_class::Class;

/// The last orders of this run of the service, the newest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    given: u64,
    last: VecDeque<OrderReport>,
}

/// An order, and what became of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct OrderReport {
    /// Its number, counted from 1 in each run of the service.
    pub number: u64,
    /// When it was given.
    pub ordered_at: Timestamp,
    /// How far it is.
    pub state: OrderState,
    /// Why it failed.
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureReport>,
}

/// How far an order is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderState {
    /// Carried out.
    Done,
    /// Not carried out.
    Failed,
    /// Under way.
    Running,
}

/// Why something failed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FailureReport {
    /// What went wrong, with its causes.
    pub error: String,
    /// What an operator can do.
    pub hint: String,
    /// Who has to act.
    pub class: Class,
}

impl Orders {
    /// How many are kept.
    const CAPACITY: usize = 16;

    /// Notes a new one.
    pub(super) fn begin(&mut self, now: Timestamp) -> OrderReport {
        self.given += 1;
        let order = OrderReport {
            number: self.given,
            ordered_at: now,
            state: OrderState::Running,
            failure: None,
        };
        self.last.push_front(order.clone());
        self.last.truncate(Self::CAPACITY);
        order
    }

    /// Notes what became of one.
    pub(super) fn end(&mut self, number: u64, failure: Option<FailureReport>) {
        let mut orders = self.last.iter_mut();
        if let Some(order) = orders.find(|order| order.number == number) {
            order.state = if failure.is_some() {
                OrderState::Failed
            } else {
                OrderState::Done
            };
            order.failure = failure;
        }
    }

    /// The last ones, the newest first.
    pub(super) fn report(&self) -> Vec<OrderReport> {
        self.last.iter().cloned().collect()
    }
}

impl OrderState {
    /// The state in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Running => "running",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_order_survives_the_way_to_the_command_that_waits_for_it() {
        let mut orders = Orders::default();
        let first = orders.begin(Timestamp::UNIX_EPOCH);
        let second = orders.begin(Timestamp::UNIX_EPOCH);
        let failure = FailureReport {
            error: "the IdP is down".to_owned(),
            hint: "start it".to_owned(),
            class: Class::Unavailable,
        };

        orders.end(second.number, Some(failure.clone()));

        let sent = serde_json::to_string(&orders.report()).unwrap();
        let read: Vec<OrderReport> = serde_json::from_str(&sent).unwrap();
        assert_eq!(
            (read[0].state, &read[0].failure),
            (OrderState::Failed, &Some(failure))
        );
        assert_eq!(read[1], first);
    }

    #[test]
    fn a_service_that_gets_many_orders_keeps_the_last() {
        let mut orders = Orders::default();

        for _ in 0..Orders::CAPACITY * 2 {
            orders.begin(Timestamp::UNIX_EPOCH);
        }

        let kept = orders.report();
        assert_eq!(kept.len(), Orders::CAPACITY);
        assert_eq!(kept[0].number, 32);
    }
}
