//! Lengths of time.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Wrong;

/// `300` (seconds), `60s`, `10m`, `24h`, `7d`, or several units, the largest first: `1h30m`.
pub(in crate::config) fn duration(
    text: &str,
    range: &RangeInclusive<Duration>,
) -> Result<Duration, Wrong> {
    seconds(text)
        .map(Duration::from_secs)
        .filter(|duration| range.contains(duration))
        .ok_or_else(|| {
            Wrong::expected(format!(
                "a duration from {} to {}, such as 300 (seconds), 90s, 10m or 1h30m",
                in_units(*range.start()),
                in_units(*range.end())
            ))
        })
}

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

fn seconds(text: &str) -> Option<u64> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let mut total = 0_u64;
    let mut rest = text;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let (digits, unit) = rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit())?)?;
        let number: u64 = digits.parse().ok()?;
        let letter = unit.chars().next()?;
        let (_, factor) = units.find(|(known, _)| *known == letter)?;
        total = total.checked_add(number.checked_mul(*factor)?)?;
        rest = unit.split_at_checked(letter.len_utf8())?.1;
    }
    (!text.is_empty()).then_some(total)
}

/// A duration as a configuration would write it.
pub(in crate::config) fn in_units(duration: Duration) -> String {
    let mut rest = duration.as_secs();
    let mut parts = Vec::new();
    for (letter, factor) in UNITS {
        if rest >= factor {
            parts.push(format!("{}{letter}", rest / factor));
            rest %= factor;
        }
    }
    if parts.is_empty() {
        return "0s".to_owned();
    }
    parts.concat()
}
