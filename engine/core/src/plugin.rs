//! The port to provisioners and post-processors. The engine knows them by kind, name and schema; what runs them
//! (WebAssembly components) stays behind this port.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::builder::Prompt;
use crate::communicator::Communicator;
use crate::event::BuildEvents;
use crate::secret::Redactor;
use crate::value::{Node, Text};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExtensionKind {
    Provisioner,
    PostProcessor,
}

impl ExtensionKind {
    pub fn as_str(self) -> &'static str {
        match self {
            ExtensionKind::Provisioner => "provisioner",
            ExtensionKind::PostProcessor => "post-processor",
        }
    }
}

/// A right beyond the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    Network(Vec<String>),
    HostFilesRead(Vec<String>),
    HostExec(Vec<String>),
    SecretsReveal,
    MachineRawAccess,
}

/// As grants are written: `network:example.org,*.example.com`.
impl std::fmt::Display for Capability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Capability::Network(hosts) => write!(f, "network:{}", hosts.join(",")),
            Capability::HostFilesRead(paths) => write!(f, "host-files-read:{}", paths.join(",")),
            Capability::HostExec(programs) => write!(f, "host-exec:{}", programs.join(",")),
            Capability::SecretsReveal => f.write_str("secrets-reveal"),
            Capability::MachineRawAccess => f.write_str("machine-raw-access"),
        }
    }
}

#[derive(Clone, Debug)]
pub struct CapabilityRequest {
    pub capability: Capability,
    pub required: bool,
    pub reason: String,
    /// Whether the operator granted it.
    pub granted: bool,
}

/// One provisioner or post-processor type, as its plugin describes it.
#[derive(Clone, Debug)]
pub struct ExtensionInfo {
    pub kind: ExtensionKind,
    pub name: String,
    pub summary: String,
    pub docs: String,
    /// JSON Schema of the configuration.
    pub schema: serde_json::Value,
    pub examples: Vec<serde_json::Value>,
    pub capabilities: Vec<CapabilityRequest>,
    pub plugin_name: String,
    pub plugin_version: String,
    /// SHA-256 of the component, lower-case hexadecimal.
    pub plugin_digest: String,
    /// Where the component came from: `built-in` or a path.
    pub origin: String,
}

/// All plugins that were loaded.
pub trait PluginCatalog: Send + Sync {
    fn find(&self, kind: ExtensionKind, name: &str) -> Option<Arc<dyn Extension>>;
    fn list(&self) -> Vec<Arc<dyn Extension>>;
    /// The types of one kind that could be used, for suggestions.
    fn names(&self, kind: ExtensionKind) -> Vec<String> {
        let all = self.list();
        all.iter().map(|e| e.info()).filter(|i| i.kind == kind).map(|i| i.name.clone()).collect()
    }
}

/// Renders deferred template texts (`run.render` of the plugin interface).
pub trait Renderer: Send + Sync {
    fn render(&self, template: &Text, values: &IndexMap<String, Text>) -> Result<Text, String>;
}

/// The `on-error` setting of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    #[default]
    Cleanup,
    Abort,
    Ask,
    RunCleanupProvisioner,
}

/// The running step, for the plugin.
#[derive(Clone)]
pub struct StepContext {
    pub build_id: String,
    pub build_name: String,
    pub builder_type: String,
    pub step_name: String,
    /// Counted from 1.
    pub attempt: u32,
    pub on_error: OnError,
    pub debug: bool,
    pub force: bool,
    pub simulated: bool,
    pub run_id: String,
    pub engine_version: String,
    /// Variables and builder outputs visible to the step.
    pub variables: Vec<(String, Text)>,
    pub events: BuildEvents,
    pub redactor: Redactor,
    pub renderer: Arc<dyn Renderer>,
    /// Asks the person at the terminal.
    pub prompt: Arc<dyn Prompt>,
    pub cancel: CancellationToken,
    /// The step's own time limit.
    pub timeout: Option<Duration>,
    /// The folder in which the engine was started; relative host paths start here.
    pub working_dir: PathBuf,
}

/// The result of checking a configuration.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// `path` is a JSON Pointer into the configuration.
    pub findings: Vec<Finding>,
    pub normalized: Option<serde_json::Value>,
    /// Host files that will be read.
    pub reads: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Finding {
    pub severity: crate::diagnostic::Severity,
    pub path: String,
    pub summary: String,
    /// What to do about it; may be empty.
    pub help: String,
    pub code: String,
}

/// The result of a provisioner.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub outputs: serde_json::Map<String, serde_json::Value>,
    pub changed: bool,
}

/// What a post-processor wants to happen with its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepPolicy {
    Keep,
    Discard,
    ForceKeep,
}

/// The result of a post-processor: none means that the input is handed on.
#[derive(Clone, Debug)]
pub struct Processed {
    pub artifact: Option<Artifact>,
    pub input: KeepPolicy,
    /// The files of the artifact that the step made; no other file of it is ever removed.
    pub made: Vec<PathBuf>,
}

/// What a builder or post-processor made.
#[derive(Clone, Debug, Serialize)]
pub struct Artifact {
    /// For instance `Azure.ResourceManagement.VMImage`.
    pub builder_id: String,
    /// For instance the resource id of the image.
    pub id: String,
    /// For people; several lines.
    pub text: String,
    pub files: Vec<PathBuf>,
    /// Whatever the producer tells about it.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    pub simulated: bool,
}

/// Why a plugin did not do it. The message is already masked.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// The plugin said so.
    #[error("{message}")]
    Failed { message: String, causes: Vec<String>, retryable: bool },
    #[error("cancelled")]
    Cancelled,
    #[error("the step took longer than {}", crate::event::human_duration(*.0))]
    Timeout(Duration),
    /// It trapped or went over a limit.
    #[error("plugin {plugin} ({digest}) was stopped in {function}: {reason}")]
    Trapped { plugin: String, digest: String, function: String, reason: String },
    #[error("plugin {plugin} can't be used: {reason}")]
    Rejected { plugin: String, reason: String },
    /// The operator took a right away that it can't do without.
    #[error("{reason}; {help}")]
    Denied { reason: String, help: String },
}

/// One extension, ready to be called. Each call gets a fresh sandbox.
#[async_trait]
pub trait Extension: Send + Sync {
    fn info(&self) -> &ExtensionInfo;
    /// Checks a configuration that passed the schema; `unknown` and `sensitive` parts are told to the plugin.
    async fn prepare(&self, config: &Node) -> Result<Prepared, PluginError>;
    async fn provision(
        &self,
        config: &Node,
        context: StepContext,
        machine: Option<Arc<dyn Communicator>>,
    ) -> Result<Outcome, PluginError>;
    async fn process(
        &self,
        config: &Node,
        context: StepContext,
        input: &Artifact,
    ) -> Result<Processed, PluginError>;
}
