//! A bound for how many messages a guest can send: a bucket of tokens that refills with time.

use std::time::Instant;

/// Lets bursts through and bounds the mean rate.
pub struct RateLimit {
    burst: f64,
    per_second: f64,
    tokens: f64,
    last: Instant,
    dropped: u64,
}

/// Whether a message may pass.
#[derive(Debug, PartialEq, Eq)]
pub enum Pass {
    Yes,
    /// It may, and so many before it were dropped.
    After(u64),
    No,
}

impl RateLimit {
    pub fn new(burst: u32, per_second: u32) -> Self {
        Self {
            burst: burst.into(),
            per_second: per_second.into(),
            tokens: burst.into(),
            last: Instant::now(),
            dropped: 0,
        }
    }

    pub fn pass(&mut self, now: Instant) -> Pass {
        let elapsed = now.saturating_duration_since(self.last).as_secs_f64();
        self.last = now;
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.burst);
        if self.tokens < 1.0 {
            self.dropped += 1;
            return Pass::No;
        }
        self.tokens -= 1.0;
        match std::mem::take(&mut self.dropped) {
            0 => Pass::Yes,
            dropped => Pass::After(dropped),
        }
    }

    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn bounds_the_rate() {
        let mut limit = RateLimit::new(3, 1);
        let start = Instant::now();
        let passes: Vec<Pass> = (0..5).map(|_| limit.pass(start)).collect();
        assert_eq!(passes, [Pass::Yes, Pass::Yes, Pass::Yes, Pass::No, Pass::No]);
        assert_eq!(limit.pass(start + Duration::from_secs(2)), Pass::After(2));
        assert_eq!(limit.dropped(), 0);
    }
}
