//! What the handles of the plugin interface stand for on the host.

use std::path::PathBuf;
use std::sync::Arc;

use fornax_core::Secret;

use crate::locks::OutputLock;
use crate::process::Job;
use crate::state::Stop;
use crate::workspace::StepDir;

/// `secrets.secret`
pub struct SecretHandle {
    pub name: String,
    pub placeholder: String,
    pub secret: Secret,
}

/// `files.host-file`
#[derive(Clone)]
pub struct HostFile {
    pub path: PathBuf,
    /// Last part of the path as the guest knows it.
    pub name: String,
    /// Placeholders in the content are replaced when it is uploaded.
    pub unseal: bool,
    /// Keeps the folder of a file that lies in a workspace.
    pub _folder: Option<Arc<StepDir>>,
}

/// `files.host-writer`
pub struct HostWriter {
    pub file: tempfile::NamedTempFile,
    pub target: PathBuf,
    pub replace: bool,
    pub folder: Arc<StepDir>,
}

/// `files.workspace`
pub struct WorkspaceHandle {
    pub folder: Arc<StepDir>,
}

/// `files.output-lock`
pub struct OutputLockHandle {
    pub _lock: OutputLock,
}

/// `machine.process`
pub struct Process {
    pub job: Job,
    pub stop: Stop,
    pub expect_disconnect: bool,
    pub ended: bool,
}

/// `machine.target`
pub struct Target;

/// `artifacts.artifact`
pub struct ArtifactHandle;

/// `host-exec.host-script`
pub struct HostScript {
    /// Removed with the handle.
    pub path: tempfile::TempPath,
    pub _folder: Arc<StepDir>,
}
