//! Counts what was found.

use std::fmt::Write as _;

use crate::record::Wrong;

/// What a run came to.
#[derive(Debug, Default)]
pub(crate) struct Came {
    /// Whether a second step went wrong.
    pub(crate) twice: bool,
    /// Whether an answer was odd.
    pub(crate) odd: bool,
    pub(crate) found: Vec<Wrong>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Runs; a point with two seeds is two.
    pub(crate) runs: usize,
    /// Runs in which a second step went wrong.
    pub(crate) twice: usize,
    /// Runs in which an answer was odd.
    pub(crate) odd: usize,
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    pub(crate) torn: usize,
    pub(crate) stuck: usize,
    pub(crate) unkept: usize,
}

impl Tally {
    /// Counts a run, and each kind once.
    pub(crate) fn count(&mut self, came: &Came) {
        self.runs += 1;
        self.twice += usize::from(came.twice);
        self.odd += usize::from(came.odd);
        let any = |kind: fn(&Wrong) -> bool| usize::from(came.found.iter().any(kind));
        self.lost += any(|wrong| matches!(wrong, Wrong::Lost(_)));
        self.doubled += any(|wrong| matches!(wrong, Wrong::Doubled(_)));
        self.torn += any(|wrong| matches!(wrong, Wrong::Torn(_)));
        self.stuck += any(|wrong| matches!(wrong, Wrong::Stuck(_)));
        self.unkept += any(|wrong| matches!(wrong, Wrong::Unkept(_)));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.twice += other.twice;
        self.odd += other.odd;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.torn += other.torn;
        self.stuck += other.stuck;
        self.unkept += other.unkept;
    }

    pub(crate) fn summary(&self) -> String {
        let mut text = format!(
            "{} runs, {} of them with a second fault and {} with an odd answer: {} lost, \
             {} doubled, {} torn",
            self.runs, self.twice, self.odd, self.lost, self.doubled, self.torn
        );
        if self.stuck > 0 {
            write!(text, ", {} stuck", self.stuck).unwrap();
        }
        if self.unkept > 0 {
            write!(text, ", {} unkept", self.unkept).unwrap();
        }
        text
    }
}
