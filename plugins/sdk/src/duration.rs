//! Durations as templates write them: `1h15m30.5s`, `300ms`, `-1s` is refused, `0` needs no unit.

use std::fmt::Write as _;
use std::time::Duration;

/// Units with their length in nanoseconds.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration. The error is a sentence for the person who wrote it.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration such as 30s, 1m30s or 500ms");
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(wrong());
        }
        let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| wrong())? };
        nanos = whole.checked_mul(*length).and_then(|part| nanos.checked_add(part)).ok_or_else(wrong)?;
        let mut scale = *length;
        for digit in fraction.bytes() {
            scale /= 10;
            nanos += u128::from(digit - b'0') * scale;
        }
        rest = tail;
    }
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| wrong())
}

/// Writes a duration in the same form: `1m30s`, `1.5s`, `300ms`.
pub fn format(time: Duration) -> String {
    let nanos = time.as_nanos();
    if nanos == 0 {
        return "0s".into();
    }
    if nanos < 1_000_000_000 {
        let (length, unit) = match nanos {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "\u{b5}s"),
            _ => (1_000_000, "ms"),
        };
        return format!("{}{unit}", decimal(nanos, length));
    }
    let mut text = String::new();
    let (hours, minutes) = (time.as_secs() / 3600, time.as_secs() / 60 % 60);
    // Writing to a string cannot fail.
    if hours > 0 {
        let _ = write!(text, "{hours}h");
    }
    if hours > 0 || minutes > 0 {
        let _ = write!(text, "{minutes}m");
    }
    let _ = write!(text, "{}s", decimal(nanos % 60_000_000_000, 1_000_000_000));
    text
}

fn decimal(nanos: u128, unit: u128) -> String {
    let width = unit.ilog10() as usize;
    let fraction = format!("{:0width$}", nanos % unit);
    match fraction.trim_end_matches('0') {
        "" => (nanos / unit).to_string(),
        digits => format!("{}.{digits}", nanos / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_the_same_form() {
        for (text, nanos, written) in [
            ("0", 0, "0s"),
            ("10s", 10_000_000_000, "10s"),
            ("1m30s", 90_000_000_000, "1m30s"),
            ("1.5h", 5_400_000_000_000, "1h30m0s"),
            ("300ms", 300_000_000, "300ms"),
            (".5s", 500_000_000, "500ms"),
            ("1.25s", 1_250_000_000, "1.25s"),
            ("7us", 7_000, "7\u{b5}s"),
            ("+2h", 7_200_000_000_000, "2h0m0s"),
        ] {
            let time = parse(text).unwrap();
            assert_eq!(time, Duration::from_nanos(nanos), "{text}");
            assert_eq!(format(time), written);
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for text in ["", "10", "s", "-1s", "1x", ".s", "1.2.3s", "1 s", "99999999999999999999h", "300000h"] {
            if text == "300000h" {
                assert!(parse(text).is_ok());
            } else {
                assert!(parse(text).is_err(), "{text}");
            }
        }
    }
}
