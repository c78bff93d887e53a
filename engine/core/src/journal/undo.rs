//! What has to be undone, and in which order: a pure function of the journal's state, the same for a build that ends
//! and for `cleanup` after a build that died.

use super::state::{Entry, JournalState, Status};
use super::{Lifetime, Resource};
use crate::event::Ending;

/// One deletion.
#[derive(Clone, Debug)]
pub struct UndoItem {
    pub entry: u64,
    pub resource: Resource,
    /// False if the creation may still be under way at the service: "not found" has to be asked again.
    pub settled: bool,
    /// When the creation began (RFC 3339, UTC).
    pub began_at: String,
    /// Entries that vanish with it.
    pub covers: Vec<u64>,
}

/// The deletions in the order in which they have to happen: newest first. Those of one level don't depend on each
/// other and may run at once. Everything that began and is not undone is in it, or covered by one that is; a product
/// is left out if it is finished and the build succeeded.
pub fn undo_plan(state: &JournalState, ending: Ending) -> Vec<Vec<UndoItem>> {
    let stays = |entry: &Entry| {
        ending == Ending::Succeeded
            && entry.resource.lifetime == Lifetime::Product
            && entry.status == Status::Done
    };
    let open: Vec<(&Entry, Vec<u64>)> = state
        .open_entries()
        .filter(|entry| !stays(entry))
        .map(|entry| (entry, state.covered_by(entry.number)))
        .collect();
    // Two attempts at one resource cover each other: the newest stands for all of them.
    let is_covered = |(entry, covers): &(&Entry, Vec<u64>)| {
        open.iter().any(|(other, covered_by_other)| {
            covered_by_other.contains(&entry.number)
                && (!covers.contains(&other.number) || other.number > entry.number)
        })
    };
    let mut plan: Vec<Vec<UndoItem>> = Vec::new();
    for (entry, covers) in open.iter().filter(|candidate| !is_covered(candidate)).rev() {
        let own = |number: &u64| *number == entry.number || covers.contains(number);
        let waits_for = |newer: &UndoItem| {
            newer
                .covers
                .iter()
                .chain([&newer.entry])
                .filter_map(|number| state.entry(*number))
                .any(|newer| newer.after.iter().any(own) || newer.uses.iter().any(own))
        };
        let level = plan.iter().rposition(|level| level.iter().any(waits_for)).map_or(0, |below| below + 1);
        if level == plan.len() {
            plan.push(Vec::new());
        }
        plan[level].push(UndoItem {
            entry: entry.number,
            resource: entry.resource.clone(),
            settled: entry.settled,
            began_at: entry.began_at.clone(),
            covers: covers.clone(),
        });
    }
    plan
}
