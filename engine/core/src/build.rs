//! From a planned build to its report: check everything that can be checked before anything exists, run the builder
//! with its provisioners, then the post-processors, and tell what came of it.

mod call;
mod post_process;
mod prepare;
mod provision;
mod run;

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use tokio_util::sync::CancellationToken;

use crate::builder::{Builder, PrepareContext, Prompt};
use crate::event::EventSink;
use crate::journal::JournalStore;
use crate::plan::{PostProcessorPlan, ProvisionerPlan};
use crate::plugin::{Extension, OnError};
use crate::value::Text;

pub(crate) use call::go_duration;
pub use prepare::prepare_build;
pub use run::{run_all, run_build};

/// A build whose every component has been checked.
#[derive(Clone)]
pub struct PreparedBuild {
    /// As people see it and as `-only` names it.
    pub name: String,
    /// As components see it: without the name of the build block.
    pub short_name: String,
    pub builder_type: String,
    pub context: PrepareContext,
    builder: Arc<dyn Builder>,
    provisioners: Vec<Provisioner>,
    error_cleanup: Option<Provisioner>,
    post_processors: Vec<Vec<PostProcessor>>,
}

#[derive(Clone)]
struct Provisioner {
    plan: ProvisionerPlan,
    extension: Arc<dyn Extension>,
}

#[derive(Clone)]
struct PostProcessor {
    plan: PostProcessorPlan,
    extension: Arc<dyn Extension>,
}

/// Opens the journal of a build, named by the build's id.
pub type OpenJournal = Arc<dyn Fn(&str) -> std::io::Result<Arc<dyn JournalStore>> + Send + Sync>;

/// Removes one file of an artifact that is not kept.
pub type RemoveFile = Arc<dyn Fn(&Path) -> std::io::Result<()> + Send + Sync>;

/// What all builds of a run share.
#[derive(Clone)]
pub struct RunSettings {
    /// One for all builds of the run.
    pub run_id: String,
    /// As the user named the template.
    pub template: String,
    /// Lower-case hexadecimal SHA-256 of the template.
    pub template_digest: String,
    /// How the engine was called, for the headers of the journals: working folder, template, variable files and
    /// variables that are not sensitive.
    pub invocation: serde_json::Map<String, serde_json::Value>,
    /// The settled variables of the template, visible to plugins.
    pub variables: IndexMap<String, Text>,
    pub simulated: bool,
    pub on_error: OnError,
    /// How many builds run at once; none: all of them.
    pub parallel: Option<usize>,
    /// Takes all events; masks them ([`crate::secret::RedactingSink`]).
    pub sink: Arc<dyn EventSink>,
    pub prompt: Arc<dyn Prompt>,
    /// First level: stop forward work and undo.
    pub cancel: CancellationToken,
    /// Second level: stop undoing as well.
    pub abandon: CancellationToken,
    pub open_journal: OpenJournal,
    pub remove_file: RemoveFile,
}

#[cfg(test)]
mod tests;
