//! Which points have an odd answer besides, and which one.

use std::fmt;
use std::ops::Range;

use crate::contents::{Door, Odd};
use crate::steps::{Kind, Random, Step};

/// By default one point of so many is run with an odd answer too. The number has no divisor in
/// common with the number of faults of any kind of step, nor with that of the second seed.
const EVERY: usize = 7;

const DOORS: [Door; 8] = [
    Door::Delete,
    Door::Discovery,
    Door::Mint,
    Door::Read,
    Door::Register,
    Door::Renew,
    Door::Token,
    Door::Update,
];

/// An answer that is changed once on its way.
#[derive(Clone, Debug)]
pub(crate) struct Varied {
    number: u64,
    pub(crate) door: Door,
    pub(crate) odd: Odd,
}

impl Varied {
    /// The odd answer of this number at the point with this index. Most are at a door that a
    /// start goes through when nothing goes wrong, which has these steps.
    pub(crate) fn of(index: usize, number: u64, steps: &[Step]) -> Self {
        let index = u64::try_from(index).unwrap();
        let mut random = Random::new(index ^ (number << 32) ^ (1 << 60));
        let requests = steps.iter().filter(|step| step.kind == Kind::Request);
        let mut used: Vec<Door> = requests.filter_map(|step| Door::of(&step.what)).collect();
        if used.is_empty() || random.below(4) == 0 {
            used = DOORS.to_vec();
        }
        Self {
            number,
            door: used[random.below(used.len())],
            odd: Odd::any(&mut random),
        }
    }

    /// Numbers that differ from those of the same point with other contents.
    pub(crate) fn mixed(&self) -> u64 {
        (self.number + 1) << 56
    }
}

impl fmt::Display for Varied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let odd: String = format!("{:?}", self.odd).chars().take(80).collect();
        write!(f, "contents {}, {:?}: {odd}", self.number, self.door)
    }
}

/// With how many odd answers a point is run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Contents {
    /// Each point with so many.
    All(u64),
    /// Every seventh point with one.
    OneInSeven,
}

impl Contents {
    /// What `BFF_CRASH_CONTENTS` asks for.
    pub(crate) fn asked() -> Self {
        match std::env::var("BFF_CRASH_CONTENTS") {
            Ok(contents) => Self::All(contents.parse().unwrap()),
            Err(_) => Self::OneInSeven,
        }
    }

    /// The numbers of the odd answers of the point with this index.
    pub(crate) fn of(self, index: usize) -> Range<u64> {
        match self {
            Self::All(contents) => 0..contents,
            Self::OneInSeven => 0..u64::from(index.is_multiple_of(EVERY)),
        }
    }
}
