//! The durable record of what a build created. The intent is on disk before the effect; undo covers everything that
//! began. The journal is a state machine of records, and the undo plan is a pure function of it, so that `cleanup`
//! needs nothing but the file.
//!
//! A builder opens a [`Ticket`] before each call that creates something, and settles it afterwards. If the process
//! dies, or the future is dropped, in between, the ticket stays open in the journal and the resource is undone as one
//! that may exist:
//!
//! ```
//! # use fornax_core::journal::{Journal, JournalError, Lifetime, Resource};
//! # async fn put_group() -> Result<(), String> { Ok(()) }
//! # async fn create(journal: &Journal) -> Result<(), JournalError> {
//! let ticket = journal.begin(Resource::new("resource-group", "/subscriptions/s/resourceGroups/g", Lifetime::Temporary))?;
//! match put_group().await {
//!     Ok(()) => ticket.done()?,
//!     Err(error) => ticket.failed(&error)?,
//! }
//! # Ok(())
//! # }
//! ```

use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};

use crate::event::{BuildEvents, Event};
use crate::secret::Redactor;

mod record;
mod state;
mod undo;

pub use record::{FORMAT, Fact, Header, Record, Undone};
pub use state::{Entry, IllegalFact, JournalState, ReplayError, Status};
pub use undo::{UndoItem, undo_plan};

/// How long a resource is meant to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifetime {
    /// Undone at the end of every build, also of a good one.
    Temporary,
    /// Undone only if the build fails.
    Product,
}

/// Something that exists, or may exist, outside of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// What undoes it looks here: `resource-group`, `virtual-machine`, `image`, `file`, …
    pub kind: String,
    /// Unique within the kind: an ARM id, a path.
    pub id: String,
    pub lifetime: Lifetime,
    /// The id of a resource of the same journal whose deletion deletes this one too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// What undo needs besides, for instance an operation URL. Registered secrets are masked before the record is
    /// written, in the id as well: undo has to find masked parts of an id (a sensitive subscription) elsewhere.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub details: serde_json::Map<String, serde_json::Value>,
}

impl Resource {
    pub fn new(kind: impl Into<String>, id: impl Into<String>, lifetime: Lifetime) -> Self {
        Self { kind: kind.into(), id: id.into(), lifetime, within: None, details: serde_json::Map::new() }
    }

    /// It vanishes when the resource with this id is deleted.
    #[must_use]
    pub fn within(mut self, id: impl Into<String>) -> Self {
        self.within = Some(id.into());
        self
    }

    #[must_use]
    pub fn detail(mut self, key: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.details.insert(key.into(), value.into());
        self
    }
}

/// Appends records; returns only when the record is on stable storage.
pub trait JournalStore: Send + Sync {
    fn append(&self, line: &str) -> std::io::Result<()>;
    /// For messages: where the journal is.
    fn location(&self) -> String;
}

/// Why a record could not be made. The effect that it announces must not happen then.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("can't write the journal {location}: {source}")]
    Write { location: String, source: std::io::Error },
    /// A slip in the builder, not of the user.
    #[error("the journal {location} refuses a record: {source}")]
    Illegal { location: String, source: IllegalFact },
    #[error("can't put a record of the journal {location} into JSON: {source}")]
    Encode { location: String, source: serde_json::Error },
}

struct Inner {
    store: Arc<dyn JournalStore>,
    state: Mutex<JournalState>,
    events: BuildEvents,
    redactor: Redactor,
}

/// The journal of one build, open for writing. Cheap to clone; clones write to the same journal, also at once.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

impl Journal {
    /// Starts a new journal; the header is on disk when this returns.
    pub fn create(
        store: Arc<dyn JournalStore>,
        header: Header,
        events: BuildEvents,
        redactor: Redactor,
    ) -> Result<Self, JournalError> {
        let journal = Self::resume(store, JournalState::default(), events, redactor);
        journal.record(Fact::Header(Header { format: FORMAT, ..header }))?;
        Ok(journal)
    }

    /// Goes on with a journal that was read, to undo what it names.
    pub fn resume(
        store: Arc<dyn JournalStore>,
        state: JournalState,
        events: BuildEvents,
        redactor: Redactor,
    ) -> Self {
        Self(Arc::new(Inner { store, state: Mutex::new(state), events, redactor }))
    }

    /// Records that a resource is about to be created. On disk when this returns; only then may the call go out.
    pub fn begin(&self, resource: Resource) -> Result<Ticket, JournalError> {
        self.begin_using(resource, &[])
    }

    /// Like [`Journal::begin`], for a resource that refers to others whose creation is still under way, such as a disk that is
    /// created by the call that creates its machine: it is undone before them.
    pub fn begin_using(&self, resource: Resource, uses: &[&Ticket]) -> Result<Ticket, JournalError> {
        let mut state = self.lock();
        let entry = state.next_entry();
        let uses = uses.iter().map(|ticket| ticket.entry).collect();
        self.write(&mut state, Fact::Began { entry, resource, uses })?;
        Ok(Ticket { journal: self.clone(), entry })
    }

    /// What the journal says at this moment.
    pub fn state(&self) -> JournalState {
        self.lock().clone()
    }

    /// For messages: where the journal is.
    pub fn location(&self) -> String {
        self.0.store.location()
    }

    /// Records that nothing is left to undo; refused while something is.
    pub fn close(&self) -> Result<(), JournalError> {
        self.record(Fact::Closed)
    }

    pub(crate) fn events(&self) -> &BuildEvents {
        &self.0.events
    }

    /// Writes one fact and tells the world of it.
    pub(crate) fn record(&self, fact: Fact) -> Result<(), JournalError> {
        let mut state = self.lock();
        self.write(&mut state, fact)
    }

    fn write(&self, state: &mut JournalState, fact: Fact) -> Result<(), JournalError> {
        let location = || self.location();
        state.check(&fact).map_err(|source| JournalError::Illegal { location: location(), source })?;
        let record = Record { at: jiff::Timestamp::now().to_string(), fact };
        let masked = Record { at: record.at.clone(), fact: record.fact.masked(&self.0.redactor) };
        let line = serde_json::to_string(&masked)
            .map_err(|source| JournalError::Encode { location: location(), source })?;
        self.0.store.append(&line).map_err(|source| JournalError::Write { location: location(), source })?;
        let covered: Vec<u64> = match &record.fact {
            Fact::UndoDone { entry, .. } => state.covered_by(*entry),
            _ => Vec::new(),
        };
        state.apply(&record).map_err(|source| JournalError::Illegal { location: location(), source })?;
        self.announce(state, &record.fact, &covered);
        Ok(())
    }

    fn announce(&self, state: &JournalState, fact: &Fact, covered: &[u64]) {
        let build = || self.0.events.build().to_owned();
        match fact {
            Fact::Done { entry, .. } => {
                if let Some(Resource { kind, id, .. }) = state.entry(*entry).map(|e| e.resource.clone()) {
                    self.0.events.emit(Event::ResourceCreated { build: build(), kind, id });
                }
            }
            Fact::UndoDone { entry, outcome } if *outcome != Undone::NotOurs => {
                let gone = covered.iter().chain([entry]).filter_map(|number| state.entry(*number));
                for entry in gone.filter(|e| e.existed) {
                    let Resource { kind, id, .. } = entry.resource.clone();
                    self.0.events.emit(Event::ResourceDeleted { build: build(), kind, id });
                }
            }
            Fact::UndoFailed { entry, error } => {
                if let Some(Resource { kind, id, .. }) = state.entry(*entry).map(|e| e.resource.clone()) {
                    let error = error.clone();
                    self.0.events.emit(Event::ResourceRemains { build: build(), kind, id, error });
                }
            }
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, JournalState> {
        // A panic while the lock is held leaves the state as it was after the last whole record.
        self.0.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A creation that was announced. Settle it with [`Ticket::done`] or [`Ticket::failed`]; one that is dropped counts as
/// still under way, which is the truth when the call was cancelled.
#[must_use = "a creation that is never settled is undone as one that may still be under way"]
pub struct Ticket {
    journal: Journal,
    entry: u64,
}

impl Ticket {
    /// Records what became known meanwhile, such as the URL of the operation; may be called often.
    pub fn note(&self, key: &str, value: impl Into<serde_json::Value>) -> Result<(), JournalError> {
        let details = serde_json::Map::from_iter([(key.to_owned(), value.into())]);
        self.journal.record(Fact::Noted { entry: self.entry, details })
    }

    /// The resource exists.
    pub fn done(self) -> Result<(), JournalError> {
        self.done_with(serde_json::Map::new())
    }

    /// The resource exists, and undo needs these facts of it.
    pub fn done_with(self, details: serde_json::Map<String, serde_json::Value>) -> Result<(), JournalError> {
        self.journal.record(Fact::Done { entry: self.entry, details })
    }

    /// The creation failed for good; nothing is under way at the service any more. It is undone nevertheless, because
    /// a failed creation may leave a resource. Where that is not known, drop the ticket instead.
    pub fn failed(self, error: &str) -> Result<(), JournalError> {
        self.journal.record(Fact::Failed { entry: self.entry, error: error.to_owned() })
    }
}

#[cfg(test)]
mod tests;
