//! The durable record of what a build created. The intent is on disk before the effect; undo covers everything that
//! began. The journal is a state machine of records, and the undo plan is a pure function of it, so that `cleanup`
//! needs nothing but the file.

use serde::{Deserialize, Serialize};

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
    /// What undo needs besides, for instance an operation URL. No secret can get here, because secrets are not
    /// serialisable.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub details: serde_json::Map<String, serde_json::Value>,
}

/// Appends records; returns only when the record is on stable storage.
pub trait JournalStore: Send + Sync {
    fn append(&self, line: &str) -> std::io::Result<()>;
    /// For messages: where the journal is.
    fn location(&self) -> String;
}
