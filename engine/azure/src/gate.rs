//! A gate in front of a subscription. Resource Manager counts the requests of all builds together and renews the wait
//! of everybody who asks before `Retry-After` is over; so one refused request pauses all of them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::random;

/// Requests wait here while the service does not want any. Shared by all builds of a subscription in this process.
#[derive(Default)]
pub struct Gate {
    closed_until: Mutex<Option<Instant>>,
}

impl Gate {
    /// No request passes for this long. A shorter pause than the one that is under way changes nothing.
    pub fn close_for(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut closed = self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        if closed.is_none_or(|now| now < until) {
            *closed = Some(until);
        }
    }

    /// How long the gate is still closed.
    pub fn remaining(&self) -> Option<Duration> {
        let closed = *self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        closed.and_then(|until| until.checked_duration_since(Instant::now())).filter(|d| !d.is_zero())
    }

    /// Returns when the gate is open. Those who waited leave within a tenth of the pause (at most 2 s), not all at
    /// once. The caller bounds the wait.
    pub async fn pass(&self) {
        let Some(first) = self.remaining() else { return };
        tokio::time::sleep(first).await;
        let spread = (first / 10).min(Duration::from_secs(2));
        tokio::time::sleep(spread.mul_f64(random::fraction())).await;
        while let Some(more) = self.remaining() {
            tokio::time::sleep(more).await;
        }
    }
}
