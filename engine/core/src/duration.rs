//! Durations as Go writes them: `300ms`, `5m`, `1h30m`, `1.5h`.

use std::time::Duration;

const UNITS: [(&str, f64); 7] =
    [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// Reads a duration; negative ones and those beyond a century are refused.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is not a duration; write for instance \"30s\", \"5m\" or \"1h30m\"");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return Err(bad());
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(bad)?;
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        // "ms" before "m": the longest unit that fits.
        let unit = UNITS.iter().filter(|(name, _)| rest.starts_with(name)).max_by_key(|(name, _)| name.len());
        let (name, scale) = unit.ok_or_else(bad)?;
        seconds += number * scale;
        rest = &rest[name.len()..];
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|d| d.as_secs() < 100 * 366 * 86_400).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_does() {
        for (text, expected) in
            [("5s", 5_000), ("300ms", 300), ("1h30m", 5_400_000), ("1.5m", 90_000), ("0", 0)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(expected)), "{text}");
        }
        for text in ["", "5", "s", "-5s", "5 s", "1h30", "9999999999h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
