//! The port to builders: what makes a machine, lets it be provisioned, and turns it into an artifact.

use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use tokio_util::sync::CancellationToken;

use crate::communicator::{Communicator, CommunicatorError, ConnectError};
use crate::diagnostic::Diagnostics;
use crate::event::BuildEvents;
use crate::journal::{Journal, JournalError};
use crate::plugin::{Artifact, OnError};
use crate::secret::Redactor;
use crate::value::{Node, Text};

/// Facts that a running build offers to templates by `{{build "Key"}}`.
pub type BuildData = IndexMap<String, Text>;

/// Makes prepared builders of one type.
pub trait BuilderFactory: Send + Sync {
    /// For instance `azure-arm`.
    fn type_name(&self) -> &'static str;
    /// What it is and which options it takes.
    fn describe(&self) -> Description;
    /// Keys beyond the common ones that `{{build "Key"}}` knows with this builder.
    fn build_data_keys(&self) -> &'static [&'static str];
    /// Checks a rendered configuration completely and draws the names; creates nothing. None if it has errors.
    fn prepare(&self, config: &Node, context: &PrepareContext) -> (Option<Arc<dyn Builder>>, Diagnostics);
}

/// What a type that is part of the engine says of itself, as components do.
#[derive(Clone, Debug)]
pub struct Description {
    pub summary: &'static str,
    /// Markdown.
    pub docs: &'static str,
    /// JSON Schema of the options. Beyond what [`crate::schema`] knows: `x-not-supported` marks options that are
    /// refused, with what to do instead as their description; `x-no-effect` those that are accepted and not used;
    /// `x-ignore-case` words whose case does not matter.
    pub schema: serde_json::Value,
    pub examples: Vec<serde_json::Value>,
}

/// Reads an environment variable; only the composition root touches the real environment.
pub type ReadEnv = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What a builder may know when it is prepared.
#[derive(Clone)]
pub struct PrepareContext {
    pub build_name: String,
    pub build_id: String,
    pub run_id: String,
    pub force: bool,
    pub debug: bool,
    pub working_dir: std::path::PathBuf,
    pub redactor: Redactor,
    pub env: ReadEnv,
}

/// Runs the provisioners of the build on a machine. Given to the builder by the engine.
#[async_trait]
pub trait Provision: Send + Sync {
    /// `machine` is none for builds without a communicator. Returns when all provisioners are done; on failure the
    /// error-cleanup provisioner has run already, unless `-on-error` is `abort`, or `ask` and the answer is still
    /// open. Watches the cancellation itself: it must not be dropped before it returns, so that the running plugin
    /// gets its time to stop. Builders call it by [`crate::saga::Saga::provision`].
    async fn provision(
        &self,
        machine: Option<Arc<dyn Communicator>>,
        data: BuildData,
    ) -> Result<(), ProvisionError>;

    /// Runs the error-cleanup provisioner, if there is one; for `-on-error=ask` after the answer.
    async fn error_cleanup(&self, _machine: Option<Arc<dyn Communicator>>, _data: BuildData) {}
}

/// Asks the person at the terminal; refuses where there is none.
#[async_trait]
pub trait Prompt: Send + Sync {
    /// Returns one of the choices, or none when there is nobody to ask. Without choices it waits for the enter key
    /// and returns a blank.
    async fn choose(&self, question: &str, choices: &[char]) -> Option<char>;
}

#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    #[error("{0}")]
    Failed(String),
    #[error("cancelled")]
    Cancelled,
}

/// A running build, for the builder.
#[derive(Clone)]
pub struct RunContext {
    pub events: BuildEvents,
    /// Where intents and results are recorded.
    pub journal: Journal,
    pub provision: Arc<dyn Provision>,
    pub prompt: Arc<dyn Prompt>,
    /// First level: stop forward work and undo.
    pub cancel: CancellationToken,
    /// Second level: stop undoing as well.
    pub abandon: CancellationToken,
    pub on_error: OnError,
    pub debug: bool,
    pub force: bool,
    pub redactor: Redactor,
    pub simulated: bool,
}

/// How a build failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{0}")]
    Failed(String),
    #[error("cancelled")]
    Cancelled,
}

impl From<JournalError> for BuildError {
    fn from(error: JournalError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<ProvisionError> for BuildError {
    fn from(error: ProvisionError) -> Self {
        match error {
            ProvisionError::Failed(message) => Self::Failed(message),
            ProvisionError::Cancelled => Self::Cancelled,
        }
    }
}

impl From<CommunicatorError> for BuildError {
    fn from(error: CommunicatorError) -> Self {
        match error {
            CommunicatorError::Cancelled => Self::Cancelled,
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<ConnectError> for BuildError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Cancelled => Self::Cancelled,
            error => Self::Failed(error.to_string()),
        }
    }
}

/// What is left of a build when the builder returns.
#[derive(Debug)]
pub struct BuildOutcome {
    pub result: Result<Option<Artifact>, BuildError>,
    /// Resources that may remain, with the reason; empty is the only good answer.
    pub remains: Vec<Remains>,
}

#[derive(Clone, Debug, serde::Serialize)]
pub struct Remains {
    pub kind: String,
    pub id: String,
    pub reason: String,
}

/// A builder with a checked configuration.
#[async_trait]
pub trait Builder: Send + Sync {
    /// What `cleanup` has to know to find the resources again when this process is dead: subscription, tenant, client
    /// id, metadata host, …; no secrets. Stands in the header of the journal.
    fn target(&self) -> serde_json::Map<String, serde_json::Value> {
        serde_json::Map::new()
    }

    /// Runs the whole life of the build: create, provision, capture, undo.
    async fn run(&self, context: RunContext) -> BuildOutcome;
}
