//! Time limit and cancellation of a call, in two levels: first the guest is told and may clean up, then it is ended.

use std::time::{Duration, Instant};

use fornax_core::plugin::PluginError;
use tokio_util::sync::CancellationToken;

/// After a step's time limit a guest gets this long at most to clean up.
const LATE_GRACE: Duration = Duration::from_secs(5);

/// Time limit and cancellation of a call.
#[derive(Clone)]
pub struct Clock {
    /// Fired by the engine.
    outer: CancellationToken,
    /// Seen by the guest; also fired at the time limit.
    pub inner: CancellationToken,
    limit: Option<Duration>,
    pub deadline: Option<Instant>,
    grace: Duration,
}

impl Clock {
    pub fn new(outer: CancellationToken, limit: Option<Duration>, grace: Duration) -> Self {
        let deadline = limit.and_then(|l| Instant::now().checked_add(l));
        Self { inner: outer.child_token(), outer, limit, deadline, grace }
    }

    pub fn verdict(&self) -> PluginError {
        match self.limit {
            Some(limit) if !self.outer.is_cancelled() => PluginError::Timeout(limit),
            _ => PluginError::Cancelled,
        }
    }

    /// Returns when the guest has to be ended by force.
    pub async fn run_out(&self) {
        let late = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        let grace = tokio::select! {
            () = self.outer.cancelled() => self.grace,
            () = late => self.grace.min(LATE_GRACE),
        };
        self.inner.cancel();
        tokio::time::sleep(grace).await;
    }
}
