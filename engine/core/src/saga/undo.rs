//! Undoing: deletes what the undo plan names, newest first, those of one level at once. A failure never stops the
//! others. The same code serves a build that ends and `cleanup` after one that died.

use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::builder::Remains;
use crate::event::{Ending, human_duration};
use crate::journal::{Fact, Journal, Resource, UndoItem, Undone, undo_plan};

/// Deletes resources of a builder, for a running build and for `cleanup` alike.
#[async_trait]
pub trait Undo: Send + Sync {
    /// Deletes the resource and waits until it is gone. Looks first whether this build created it and leaves it alone
    /// otherwise. Must be safe to repeat. `settled` is false if its creation may still be under way at the service;
    /// the engine asks again after a while when such a resource is absent.
    async fn undo(&self, resource: &Resource, settled: bool) -> Result<Undone, UndoError>;
}

/// Why a resource could not be undone.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct UndoError {
    pub message: String,
    /// Trying again may help.
    pub retryable: bool,
}

impl UndoError {
    pub fn retryable(message: impl Into<String>) -> Self {
        Self { message: message.into(), retryable: true }
    }

    pub fn fatal(message: impl Into<String>) -> Self {
        Self { message: message.into(), retryable: false }
    }
}

/// How long undo is willing to try.
#[derive(Clone, Debug)]
pub struct UndoSettings {
    /// For one resource, all attempts and waits included.
    pub limit: Duration,
    /// Attempts at one resource.
    pub attempts: u32,
    /// The pause after the first failed attempt; doubles up to `longest_pause`.
    pub first_pause: Duration,
    pub longest_pause: Duration,
    /// Within this time after its beginning, a creation whose outcome is unknown may still make its resource appear.
    pub settle: Duration,
}

impl Default for UndoSettings {
    fn default() -> Self {
        Self {
            // The deletion of a resource group with a machine in it takes minutes, in bad hours half an hour.
            limit: Duration::from_secs(40 * 60),
            attempts: 10,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(30),
            settle: Duration::from_secs(10),
        }
    }
}

/// Undoes what the journal says that began, and returns what may remain. Stops when `abandon` is cancelled; then all
/// that is left remains. Records each step; a journal that can't be written any more does not stop it.
pub async fn undo_all(
    journal: &Journal,
    ending: Ending,
    undo: &dyn Undo,
    settings: &UndoSettings,
    abandon: &CancellationToken,
) -> Vec<Remains> {
    let mut remains: Vec<Remains> = Vec::new();
    let mut tried: Vec<u64> = Vec::new();
    // Planned anew after each level: a holder that turns out not to be ours no longer covers what is in it.
    loop {
        let plan = undo_plan(&journal.state(), ending);
        let next = plan.into_iter().find_map(|level| {
            let items: Vec<UndoItem> =
                level.into_iter().filter(|item| !tried.contains(&item.entry)).collect();
            (!items.is_empty()).then_some(items)
        });
        let Some(items) = next else { return remains };
        tried.extend(items.iter().map(|item| item.entry));
        let results =
            join_all(items.iter().map(|item| undo_one(journal, undo, item, settings, abandon))).await;
        for (item, result) in items.iter().zip(results) {
            if let Err(reason) = result {
                let Resource { kind, id, .. } = item.resource.clone();
                let reason = match item.covers.len() {
                    0 => reason,
                    1 => format!("{reason}; 1 more resource goes with it"),
                    n => format!("{reason}; {n} more resources go with it"),
                };
                remains.push(Remains { kind, id, reason });
            }
        }
    }
}

async fn undo_one(
    journal: &Journal,
    undo: &dyn Undo,
    item: &UndoItem,
    settings: &UndoSettings,
    abandon: &CancellationToken,
) -> Result<(), String> {
    record(journal, Fact::UndoBegan { entry: item.entry });
    let work = tokio::time::timeout(settings.limit, persist(undo, item, settings));
    let outcome = tokio::select! {
        biased;
        () = abandon.cancelled() => Err("undo was stopped".to_owned()),
        result = work => match result {
            Ok(result) => result.map_err(|error| error.message),
            Err(_) => Err(format!("it was not gone after {}", human_duration(settings.limit))),
        },
    };
    match outcome {
        Ok(outcome) => {
            record(journal, Fact::UndoDone { entry: item.entry, outcome });
            Ok(())
        }
        Err(error) => {
            record(journal, Fact::UndoFailed { entry: item.entry, error: error.clone() });
            Err(error)
        }
    }
}

/// Tries until it is gone, or trying again is pointless.
async fn persist(undo: &dyn Undo, item: &UndoItem, settings: &UndoSettings) -> Result<Undone, UndoError> {
    let settled_at = Instant::now() + unsettled_for(item, settings.settle);
    let mut pause = settings.first_pause;
    let mut attempt = 1;
    loop {
        match undo.undo(&item.resource, item.settled).await {
            // The service may not have got to creating it yet.
            Ok(Undone::Absent) if !item.settled && Instant::now() < settled_at => {
                let left = settled_at - Instant::now();
                tokio::time::sleep(left.min(settings.first_pause.max(left / 4))).await;
            }
            Ok(outcome) => return Ok(outcome),
            Err(error) if error.retryable && attempt < settings.attempts => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(settings.longest_pause);
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// How much longer a creation of unknown outcome may make its resource appear. After a crash long ago: not at all.
fn unsettled_for(item: &UndoItem, settle: Duration) -> Duration {
    let Ok(began) = item.began_at.parse::<jiff::Timestamp>() else { return settle };
    let age = jiff::Timestamp::now().as_millisecond().saturating_sub(began.as_millisecond());
    settle.saturating_sub(Duration::from_millis(u64::try_from(age).unwrap_or(0)))
}

/// Undo goes on when its own records can't be written: the beginning of the resource is on disk, so at worst `cleanup`
/// looks for it once more.
fn record(journal: &Journal, fact: Fact) {
    if let Err(error) = journal.record(fact) {
        journal.events().warning(format!("{error}; the resources are undone all the same"));
    }
}
