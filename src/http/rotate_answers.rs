//! Answers that are given again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::app::RotationReport;

/// Answers by `Idempotency-Key`: a repeated request, sent because the answer was lost, gets that
/// answer and no second rotation.
#[derive(Clone, Debug, Default)]
pub(super) struct RotateAnswers(Arc<Mutex<VecDeque<(String, RotationReport)>>>);

impl RotateAnswers {
    /// How many answers are kept.
    const CAPACITY: usize = 64;

    pub(super) fn get(&self, key: &str) -> Option<RotationReport> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, answer) = answers.iter().find(|(known, _)| known == key)?;
        Some(answer.clone())
    }

    pub(super) fn put(&self, key: String, answer: RotationReport) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= Self::CAPACITY {
            answers.pop_front();
        }
        answers.push_back((key, answer));
    }
}
