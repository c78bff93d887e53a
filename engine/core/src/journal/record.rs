//! The records of a journal: one JSON object a line, the first one the header. This form is read by later versions of
//! the engine, so fields and kinds are only ever added.

use serde::{Deserialize, Serialize};

use super::Resource;
use crate::secret::Redactor;

/// The form described here. A journal with a higher number is refused.
pub const FORMAT: u32 = 1;

/// One line: a fact and when it was recorded (RFC 3339, UTC).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub at: String,
    #[serde(flatten)]
    pub fact: Fact,
}

/// What is recorded. `entry` numbers the resources of a journal from 1, in the order in which they began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Fact {
    Header(Header),
    /// The engine is about to create the resource. From here on it may exist.
    Began {
        entry: u64,
        resource: Resource,
        /// Entries that the resource refers to: they are undone after it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        uses: Vec<u64>,
    },
    /// Something that undo needs became known after the beginning, such as the URL of the operation.
    Noted {
        entry: u64,
        details: serde_json::Map<String, serde_json::Value>,
    },
    /// The creation is finished; the resource exists.
    Done {
        entry: u64,
        #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
        details: serde_json::Map<String, serde_json::Value>,
    },
    /// The creation ended with an error. The resource may exist all the same.
    Failed {
        entry: u64,
        error: String,
    },
    UndoBegan {
        entry: u64,
    },
    UndoDone {
        entry: u64,
        outcome: Undone,
    },
    UndoFailed {
        entry: u64,
        error: String,
    },
    /// The build succeeded and the resource is its product: it belongs to the user now and is never undone.
    Kept {
        entry: u64,
    },
    /// Nothing is left to undo. The last record of every journal that ended well.
    Closed,
}

/// How an undo ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undone {
    Deleted,
    /// It was not there.
    Absent,
    /// Something with this id is there, but this build did not create it; it was not touched.
    NotOurs,
}

/// What `cleanup` needs to know before it can undo anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub format: u32,
    pub build_id: String,
    pub run_id: String,
    pub build_name: String,
    pub builder_type: String,
    pub engine_version: String,
    /// Lower-case hexadecimal SHA-256 of the template.
    #[serde(default)]
    pub plan_digest: String,
    #[serde(default)]
    pub simulated: bool,
    /// Facts of the builder about where the resources are: subscription, tenant, client id, metadata host, …
    #[serde(default)]
    pub target: serde_json::Map<String, serde_json::Value>,
    /// How the engine was called, so that credentials can be found again: working folder, template, variable files
    /// and variables that are not sensitive.
    #[serde(default)]
    pub invocation: serde_json::Map<String, serde_json::Value>,
}

impl Fact {
    /// The entry that the fact is about.
    pub fn entry(&self) -> Option<u64> {
        match self {
            Fact::Header(_) | Fact::Closed => None,
            Fact::Began { entry, .. }
            | Fact::Noted { entry, .. }
            | Fact::Done { entry, .. }
            | Fact::Failed { entry, .. }
            | Fact::UndoBegan { entry }
            | Fact::UndoDone { entry, .. }
            | Fact::UndoFailed { entry, .. }
            | Fact::Kept { entry } => Some(*entry),
        }
    }

    /// The fact with all secrets masked in what comes from outside of the journal; its own words stay.
    pub(super) fn masked(&self, redactor: &Redactor) -> Fact {
        let mut fact = self.clone();
        let mask_map = |map: &mut serde_json::Map<String, serde_json::Value>| {
            map.values_mut().for_each(|value| redactor.redact_json(value));
        };
        match &mut fact {
            Fact::Header(header) => {
                header.build_name = redactor.redact(&header.build_name);
                mask_map(&mut header.target);
                mask_map(&mut header.invocation);
            }
            Fact::Began { resource, .. } => {
                resource.id = redactor.redact(&resource.id);
                resource.within = resource.within.as_deref().map(|within| redactor.redact(within));
                mask_map(&mut resource.details);
            }
            Fact::Noted { details, .. } | Fact::Done { details, .. } => mask_map(details),
            Fact::Failed { error, .. } | Fact::UndoFailed { error, .. } => *error = redactor.redact(error),
            Fact::UndoBegan { .. } | Fact::UndoDone { .. } | Fact::Kept { .. } | Fact::Closed => {}
        }
        fact
    }

    /// The word in the record.
    pub fn name(&self) -> &'static str {
        match self {
            Fact::Header(_) => "header",
            Fact::Began { .. } => "began",
            Fact::Noted { .. } => "noted",
            Fact::Done { .. } => "done",
            Fact::Failed { .. } => "failed",
            Fact::UndoBegan { .. } => "undo_began",
            Fact::UndoDone { .. } => "undo_done",
            Fact::UndoFailed { .. } => "undo_failed",
            Fact::Kept { .. } => "kept",
            Fact::Closed => "closed",
        }
    }
}
