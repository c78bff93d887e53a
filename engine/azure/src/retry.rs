//! When to try again: exponential waits with jitter, and what the service says about it (`Retry-After`).

use std::time::Duration;

use http::HeaderMap;

use crate::random;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(15);

/// The waits between the tries of one request.
#[derive(Debug)]
pub struct Backoff {
    tries_left: u32,
    wait: Duration,
}

impl Backoff {
    /// `retries` beyond the first try.
    pub fn new(retries: u32) -> Self {
        Self { tries_left: retries, wait: FIRST }
    }

    /// The wait before the next try: doubles each time, up to half of it random. None when the tries are used up.
    pub fn next(&mut self) -> Option<Duration> {
        self.tries_left = self.tries_left.checked_sub(1)?;
        let wait = self.wait;
        self.wait = (wait * 2).min(LONGEST);
        Some(wait.mul_f64(0.5 + random::fraction() / 2.0))
    }
}

/// What the answer says about when to ask again: seconds, a date, or Microsoft's header in milliseconds.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
    for name in ["retry-after-ms", "x-ms-retry-after-ms"] {
        if let Some(ms) = text(name).and_then(|t| t.parse().ok()) {
            return Some(Duration::from_millis(ms));
        }
    }
    let value = text("retry-after")?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    let ahead = date.duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(ahead).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let mut backoff = Backoff::new(3);
        let waits: Vec<_> = std::iter::from_fn(|| backoff.next()).collect();
        assert_eq!(waits.len(), 3);
        for (i, wait) in waits.iter().enumerate() {
            let full = FIRST * 2u32.pow(i as u32);
            assert!(*wait >= full / 2 && *wait < full, "{i}: {wait:?}");
        }
    }

    #[test]
    fn retry_after_in_all_its_forms() {
        let of = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(of("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(of("retry-after", "0"), Some(Duration::ZERO));
        assert_eq!(of("x-ms-retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(of("retry-after", "Tue, 15 Nov 1994 08:12:31 GMT"), Some(Duration::ZERO));
        assert_eq!(of("retry-after", "soon"), None);
        assert_eq!(of("date", "1"), None);
    }
}
