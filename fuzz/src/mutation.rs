//! Inputs made of a corpus: each is a file of it with some changes.

/// The longest input.
const LONGEST: usize = 96 * 1024;

/// Numbers at which programs change their minds.
const NUMBERS: [&str; 14] = [
    "0",
    "-1",
    "1",
    "199",
    "200",
    "299",
    "429",
    "500",
    "599",
    "65536",
    "1e400",
    "-0.0",
    "9223372036854775808",
    "18446744073709551616",
];

/// Texts with a meaning in what is read here.
const TEXTS: [&str; 18] = [
    "\"",
    "\\",
    "\\u001b[2J",
    "\\u0000",
    "\\ud800",
    "\u{feff}",
    "\u{202e}",
    "\u{7f}",
    "\u{9b}",
    "\n",
    "\r\n",
    "\n---\n",
    "null",
    "[[[[[[[[",
    "{\"a\":",
    "{}",
    "[]",
    "\0",
];

/// Makes inputs; the same seed and corpus make the same ones.
pub struct Mutator<'a> {
    corpus: &'a [Vec<u8>],
    words: Vec<&'a [u8]>,
    random: Random,
}

/// The generator `SplitMix64`: no secret depends on it.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if there is none.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        usize::try_from(self.next().checked_rem(end).unwrap_or(0)).unwrap_or(0)
    }

    fn of<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> Option<&'a T> {
        items.get(self.below(items.len())).copied()
    }
}

impl<'a> Mutator<'a> {
    /// Makes inputs of these files.
    pub fn new(corpus: &'a [Vec<u8>], seed: u64) -> Self {
        let mut words: Vec<&[u8]> = corpus.iter().flat_map(|file| words(file)).collect();
        words.sort_unstable();
        words.dedup();
        Self {
            corpus,
            words,
            random: Random(seed),
        }
    }

    /// The next input.
    pub fn input(&mut self) -> Vec<u8> {
        let mut input = self.file().to_vec();
        for _ in 0..=self.random.below(6) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn file(&mut self) -> &'a [u8] {
        self.corpus
            .get(self.random.below(self.corpus.len()))
            .map_or(&[], Vec::as_slice)
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let range = self.range(input.len());
        match self.random.below(11) {
            0 => {
                let bit = 1_u8 << self.random.below(8);
                if let Some(byte) = input.get_mut(range.start) {
                    *byte ^= bit;
                }
            }
            1 => {
                let byte = self.random.next().to_le_bytes()[0];
                input.insert(range.start, byte);
            }
            2 => drop(input.drain(range)),
            3 => {
                let copy = input[range].to_vec();
                let at = self.random.below(input.len() + 1);
                input.splice(at..at, copy);
            }
            4 => {
                let copy = input[range.clone()].repeat(1 << self.random.below(14));
                let room = LONGEST.saturating_sub(input.len());
                input.splice(range, copy.into_iter().take(room));
            }
            5 => {
                let other = self.file();
                let piece = other[self.range(other.len())].to_vec();
                input.splice(range, piece);
            }
            6 => {
                let text = self.random.of(&TEXTS).unwrap_or_default();
                input.splice(range.start..range.start, text.bytes());
            }
            7 => {
                let number = self.random.of(&NUMBERS).unwrap_or_default();
                let digits = word_at(input, range.start, |byte| byte.is_ascii_digit());
                input.splice(digits, number.bytes());
            }
            // Words are swapped most: they are what the formats are made of.
            _ => {
                let word = self.random.of(&self.words).unwrap_or_default();
                let place = word_at(input, range.start, is_of_a_word);
                input.splice(place, word.iter().copied());
            }
        }
    }

    /// A place, and mostly few bytes behind it.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.random.below(length + 1);
        let longest = if self.random.below(8) == 0 {
            length
        } else {
            32
        };
        let end = start + self.random.below(longest.min(length - start) + 1);
        start..end
    }
}

fn is_of_a_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b':' | b'/' | b'.' | b'+' | b'=')
}

fn words(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split(|byte| !is_of_a_word(*byte))
        .filter(|word| (2..200).contains(&word.len()))
}

/// The first run of such bytes at or behind a place.
fn word_at(input: &[u8], from: usize, is_in: fn(u8) -> bool) -> std::ops::Range<usize> {
    let end_of = |start: usize, is_in: &dyn Fn(u8) -> bool| {
        let rest = input.get(start..).unwrap_or_default();
        start
            + rest
                .iter()
                .position(|byte| !is_in(*byte))
                .unwrap_or(rest.len())
    };
    let start = end_of(from, &|byte| !is_in(byte));
    start..end_of(start, &is_in)
}
