//! Lengths of time.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::wrong::Wrong;

/// `300` (seconds), `60s`, `10m`, `24h`, `7d`, or several units, the largest first: `1h30m`.
pub(in crate::config) fn duration(
    range: RangeInclusive<Duration>,
) -> impl Fn(&str) -> Result<Duration, Wrong> {
    move |text| {
        let duration = seconds(text).map(Duration::from_secs);
        let fitting = duration.filter(|duration| range.contains(duration));
        fitting.ok_or_else(|| {
            let (least, most) = (in_units(*range.start()), in_units(*range.end()));
            Wrong::expected(format!(
                "a duration from {least} to {most}, such as 300 (seconds), 90s, 10m or 1h30m"
            ))
        })
    }
}

/// The same, or none for `0` and `off`.
pub(in crate::config) fn interval(
    range: RangeInclusive<Duration>,
) -> impl Fn(&str) -> Result<Option<Duration>, Wrong> {
    let duration = duration(range);
    move |text| {
        if text.eq_ignore_ascii_case("off") {
            return Ok(None);
        }
        match duration(text) {
            Ok(duration) => Ok((!duration.is_zero()).then_some(duration)),
            Err(wrong) => Err(wrong.or("off")),
        }
    }
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

/// A duration as a configuration would write it; up to two days in hours.
pub(in crate::config) fn in_units(duration: Duration) -> String {
    let units = UNITS
        .into_iter()
        .skip(usize::from(duration <= Duration::from_hours(48)));
    let mut rest = duration.as_secs();
    let mut parts = Vec::new();
    for (letter, factor) in units {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_seconds_or_units_from_the_largest_down() {
        let cases = [
            ("0", Some(0)),
            ("300", Some(300)),
            ("60s", Some(60)),
            ("10m", Some(600)),
            ("24h", Some(86_400)),
            ("7d", Some(604_800)),
            ("1h30m", Some(5_400)),
            ("1d2h3m4s", Some(93_784)),
            ("", None),
            ("s", None),
            ("1.5h", None),
            ("30m1h", None),
            ("1m1m", None),
            ("10 m", None),
            ("500ms", None),
            ("-1", None),
            ("10é", None),
            ("99999999999999999999", None),
            ("999999999999999999d", None),
        ];

        for (text, expected) in cases {
            assert_eq!(seconds(text), expected, "{text:?}");
        }
    }

    #[test]
    fn an_interval_is_a_duration_or_off() {
        let interval = interval(Duration::ZERO..=Duration::from_hours(24));
        let cases = [
            ("24h", Some(Some(Duration::from_hours(24)))),
            ("off", Some(None)),
            ("OFF", Some(None)),
            ("0", Some(None)),
            ("0s", Some(None)),
            ("25h", None),
            ("never", None),
        ];

        for (text, expected) in cases {
            assert_eq!(interval(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_duration_is_written_as_it_can_be_read() {
        for seconds_given in [0, 1, 60, 86_400, 172_801, 93_784, 2_592_000] {
            let text = in_units(Duration::from_secs(seconds_given));

            assert_eq!(seconds(&text), Some(seconds_given), "{text}");
        }
        assert_eq!(in_units(Duration::from_hours(24)), "24h");
    }
}
