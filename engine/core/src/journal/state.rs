//! The state machine behind a journal. A running build and `cleanup` apply the same facts through the same function,
//! so a journal that a build can't write can't be read either.

use super::Resource;
use super::record::{FORMAT, Fact, Header, Record, Undone};

/// Where a resource stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Its creation is, or was when the process died, under way.
    Began,
    Done,
    Failed,
    UndoBegan,
    UndoFailed {
        error: String,
    },
    Undone(Undone),
    Kept,
}

impl Status {
    fn word(&self) -> &'static str {
        match self {
            Status::Began => "began",
            Status::Done => "done",
            Status::Failed => "failed",
            Status::UndoBegan => "undo_began",
            Status::UndoFailed { .. } => "undo_failed",
            Status::Undone(_) => "undone",
            Status::Kept => "kept",
        }
    }
}

/// A resource of the journal.
#[derive(Clone, Debug)]
pub struct Entry {
    pub number: u64,
    /// With everything that was noted since it began.
    pub resource: Resource,
    pub uses: Vec<u64>,
    pub status: Status,
    /// The outcome of the creation is recorded. Otherwise the service may still be at work on it, and "not found"
    /// can't be trusted at once.
    pub settled: bool,
    /// It was seen to exist.
    pub existed: bool,
    pub began_at: String,
    /// Entries whose creation was settled before this one began, so it may depend on them.
    pub(super) after: Vec<u64>,
}

impl Entry {
    /// Whether something may be left of it that is not the user's.
    pub fn is_open(&self) -> bool {
        !matches!(self.status, Status::Undone(_) | Status::Kept)
    }
}

/// Everything that a journal says.
#[derive(Clone, Debug, Default)]
pub struct JournalState {
    header: Option<Header>,
    started: String,
    entries: Vec<Entry>,
    closed: bool,
}

/// Why a journal can't be what it claims.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("the journal has no header; nothing was recorded before the process died")]
    Empty,
    #[error("line {line} of the journal is damaged: {reason}")]
    Damaged { line: usize, reason: String },
    #[error("line {line} of the journal contradicts the lines before it: {source}")]
    Illegal { line: usize, source: IllegalFact },
    #[error("the journal has format {found}; this version of the engine reads formats up to {FORMAT}")]
    Newer { found: u32 },
}

/// A fact that can't follow on what is recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IllegalFact {
    #[error("record {fact} before the header")]
    NoHeader { fact: &'static str },
    #[error("a second header")]
    SecondHeader,
    #[error("record {fact} after closed")]
    AfterClosed { fact: &'static str },
    #[error("record {fact} for entry {entry}, which never began")]
    Unknown { fact: &'static str, entry: u64 },
    #[error("entry {entry} began out of turn; the next one is {next}")]
    OutOfTurn { entry: u64, next: u64 },
    #[error("record {fact} for entry {entry}, which is {status}")]
    Transition { fact: &'static str, entry: u64, status: &'static str },
    #[error("closed while entry {entry} is {status}")]
    StillOpen { entry: u64, status: &'static str },
}

impl JournalState {
    /// Reads a journal. A last line that was torn by the death of the process is ignored: its record was not
    /// acknowledged, so nothing was done because of it. Also returns how many bytes of the text are whole.
    pub fn replay(text: &str) -> Result<(Self, usize), ReplayError> {
        let mut state = Self::default();
        let mut whole = 0;
        let mut lines = text.split_inclusive('\n').enumerate().peekable();
        while let Some((index, line)) = lines.next() {
            let damaged = |reason: String| ReplayError::Damaged { line: index + 1, reason };
            if !line.ends_with('\n') {
                break;
            }
            match serde_json::from_str::<Record>(line) {
                Ok(record) => {
                    state.apply(&record).map_err(|source| ReplayError::Illegal { line: index + 1, source })?
                }
                Err(error) => {
                    // A later format may have kinds of records that this version can't read.
                    if let Some(found) =
                        (index == 0).then(|| format_of(line)).flatten().filter(|f| *f > FORMAT)
                    {
                        return Err(ReplayError::Newer { found });
                    }
                    if lines.peek().is_some() {
                        return Err(damaged(error.to_string()));
                    }
                    break;
                }
            }
            if let Some(Header { format, .. }) = &state.header
                && *format > FORMAT
            {
                return Err(ReplayError::Newer { found: *format });
            }
            whole += line.len();
        }
        if state.header.is_none() { Err(ReplayError::Empty) } else { Ok((state, whole)) }
    }

    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// When the journal was opened (RFC 3339, UTC).
    pub fn started(&self) -> &str {
        &self.started
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn entry(&self, number: u64) -> Option<&Entry> {
        number.checked_sub(1).and_then(|index| self.entries.get(usize::try_from(index).ok()?))
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Entries of which something may be left that is not the user's.
    pub fn open_entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|e| e.is_open())
    }

    pub(super) fn next_entry(&self) -> u64 {
        self.entries.len() as u64 + 1
    }

    /// Whether the fact may follow. `apply` accepts exactly these.
    pub fn check(&self, fact: &Fact) -> Result<(), IllegalFact> {
        let name = fact.name();
        if self.header.is_none() {
            return match fact {
                Fact::Header(_) => Ok(()),
                _ => Err(IllegalFact::NoHeader { fact: name }),
            };
        }
        if self.closed {
            return Err(IllegalFact::AfterClosed { fact: name });
        }
        match fact {
            Fact::Header(_) => Err(IllegalFact::SecondHeader),
            Fact::Closed => match self.open_entries().next() {
                Some(open) => Err(IllegalFact::StillOpen { entry: open.number, status: open.status.word() }),
                None => Ok(()),
            },
            Fact::Began { entry, uses, .. } => {
                if *entry != self.next_entry() {
                    return Err(IllegalFact::OutOfTurn { entry: *entry, next: self.next_entry() });
                }
                match uses.iter().find(|used| self.entry(**used).is_none()) {
                    Some(unknown) => Err(IllegalFact::Unknown { fact: name, entry: *unknown }),
                    None => Ok(()),
                }
            }
            Fact::Noted { entry, .. }
            | Fact::Done { entry, .. }
            | Fact::Failed { entry, .. }
            | Fact::UndoBegan { entry }
            | Fact::UndoDone { entry, .. }
            | Fact::UndoFailed { entry, .. }
            | Fact::Kept { entry } => {
                let Some(found) = self.entry(*entry) else {
                    return Err(IllegalFact::Unknown { fact: name, entry: *entry });
                };
                if may_follow(&found.status, fact) {
                    Ok(())
                } else {
                    Err(IllegalFact::Transition { fact: name, entry: *entry, status: found.status.word() })
                }
            }
        }
    }

    /// Takes a record in.
    pub fn apply(&mut self, record: &Record) -> Result<(), IllegalFact> {
        self.check(&record.fact)?;
        match &record.fact {
            Fact::Header(header) => {
                self.header = Some(header.clone());
                self.started = record.at.clone();
            }
            Fact::Closed => self.closed = true,
            Fact::Began { entry, resource, uses } => {
                let after = self.entries.iter().filter(|e| e.settled).map(|e| e.number).collect();
                self.entries.push(Entry {
                    number: *entry,
                    resource: resource.clone(),
                    uses: uses.clone(),
                    status: Status::Began,
                    settled: false,
                    existed: false,
                    began_at: record.at.clone(),
                    after,
                });
            }
            Fact::Noted { entry, details } => {
                if let Some(entry) = self.entry_mut(*entry) {
                    entry.resource.details.extend(details.clone());
                }
            }
            Fact::Done { entry, details } => {
                if let Some(entry) = self.entry_mut(*entry) {
                    entry.resource.details.extend(details.clone());
                    entry.status = Status::Done;
                    entry.settled = true;
                    entry.existed = true;
                }
            }
            Fact::Failed { entry, .. } => {
                if let Some(entry) = self.entry_mut(*entry) {
                    entry.status = Status::Failed;
                    entry.settled = true;
                }
            }
            Fact::UndoBegan { entry } => self.set(*entry, Status::UndoBegan),
            Fact::UndoFailed { entry, error } => {
                self.set(*entry, Status::UndoFailed { error: error.clone() });
            }
            Fact::Kept { entry } => self.set(*entry, Status::Kept),
            Fact::UndoDone { entry, outcome } => {
                let covered = if *outcome == Undone::NotOurs { Vec::new() } else { self.covered_by(*entry) };
                self.set(*entry, Status::Undone(*outcome));
                for number in covered {
                    self.set(number, Status::Undone(*outcome));
                }
            }
        }
        Ok(())
    }

    /// The open entries that vanish together with this one: what lives within it, directly or not, and earlier
    /// attempts at the same resource.
    pub fn covered_by(&self, number: u64) -> Vec<u64> {
        let Some(entry) = self.entry(number) else { return Vec::new() };
        let mut gone = vec![entry];
        let mut covered = Vec::new();
        while let Some(holder) = gone.pop() {
            for other in self.open_entries() {
                let same = other.resource.kind == holder.resource.kind
                    && other.resource.id.eq_ignore_ascii_case(&holder.resource.id);
                let inside = other
                    .resource
                    .within
                    .as_ref()
                    .is_some_and(|within| within.eq_ignore_ascii_case(&holder.resource.id));
                if (same || inside) && other.number != number && !covered.contains(&other.number) {
                    covered.push(other.number);
                    gone.push(other);
                }
            }
        }
        covered.sort_unstable();
        covered
    }

    fn entry_mut(&mut self, number: u64) -> Option<&mut Entry> {
        number.checked_sub(1).and_then(|index| self.entries.get_mut(usize::try_from(index).ok()?))
    }

    fn set(&mut self, number: u64, status: Status) {
        if let Some(entry) = self.entry_mut(number) {
            if status == Status::Undone(Undone::Deleted) {
                entry.existed = true;
            }
            entry.status = status;
        }
    }
}

/// Every legal step of an entry after it began.
fn may_follow(status: &Status, fact: &Fact) -> bool {
    matches!(
        (status, fact),
        (
            Status::Began,
            Fact::Noted { .. } | Fact::Done { .. } | Fact::Failed { .. } | Fact::UndoBegan { .. }
        ) | (Status::Done, Fact::Noted { .. } | Fact::UndoBegan { .. } | Fact::Kept { .. })
            | (Status::Failed, Fact::Noted { .. } | Fact::UndoBegan { .. })
            | (
                Status::UndoBegan,
                Fact::UndoBegan { .. } | Fact::UndoDone { .. } | Fact::UndoFailed { .. } | Fact::Noted { .. }
            )
            | (Status::UndoFailed { .. }, Fact::UndoBegan { .. })
    )
}

fn format_of(line: &str) -> Option<u32> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    value.get("format")?.as_u64().and_then(|f| u32::try_from(f).ok())
}
