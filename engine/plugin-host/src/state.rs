//! What one running instance may see and touch: the data of its store. Everything in it belongs to one call and goes
//! with it; what must outlive the store (temporary paths on the machine, the step's folder) is shared with the caller.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fornax_core::Redactor;
use fornax_core::communicator::{Communicator, CommunicatorError};
use fornax_core::plugin::{Artifact, StepContext};
use tokio_util::sync::CancellationToken;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::bindings::host::fornax::plugin::types::{Error, ErrorCode};
use crate::config::NamedTemplate;
use crate::engine::Limiter;
use crate::http::HttpClient;
use crate::locks::OutputLocks;
use crate::policy::Effective;
use crate::rate::RateLimit;
use crate::seal::Sealer;
use crate::stdio::GuestOutput;
use crate::workspace::StepDir;

/// What the instance was made for; decides which interfaces answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Describe,
    Prepare,
    Provision,
    Process,
}

/// What a step leaves to be cleaned up, and what it publishes.
#[derive(Default)]
pub struct StepShared {
    pub folder: Mutex<Option<Arc<StepDir>>>,
    pub machine_paths: Mutex<Vec<String>>,
    pub published: Mutex<HashSet<PathBuf>>,
}

impl StepShared {
    /// The step's folder, made when it is first asked for.
    pub fn folder(&self) -> std::io::Result<Arc<StepDir>> {
        let mut folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        match &*folder {
            Some(dir) => Ok(Arc::clone(dir)),
            None => {
                let dir = Arc::new(StepDir::new()?);
                *folder = Some(Arc::clone(&dir));
                Ok(dir)
            }
        }
    }
}

/// The data of a store.
pub struct State {
    pub wasi: WasiCtx,
    pub table: ResourceTable,
    pub limiter: Limiter,
    pub phase: Phase,
    pub plugin_name: Arc<str>,
    pub rights: Effective,
    pub step: Option<StepContext>,
    pub redactor: Redactor,
    pub sealer: Sealer,
    /// First level: blocking calls fail with `cancelled`.
    pub cancel: CancellationToken,
    pub deadline: Option<Instant>,
    pub machine: Option<Arc<dyn Communicator>>,
    pub artifact: Option<Artifact>,
    pub working_dir: PathBuf,
    /// Paths that the configuration names for reading.
    pub host_paths: Vec<PathBuf>,
    /// Paths that it names as output.
    pub host_outputs: Vec<PathBuf>,
    /// Patterns that it names for `files.find`.
    pub host_globs: Vec<String>,
    /// Texts that it names as output or pattern once they are rendered.
    pub named_templates: Vec<NamedTemplate>,
    pub shared: Arc<StepShared>,
    pub http: Option<Arc<dyn HttpClient>>,
    pub locks: Arc<OutputLocks>,
    pub messages: RateLimit,
    pub progress: RateLimit,
    pub processes: usize,
    pub output: GuestOutput,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// The result of a fallible host function: the outer error ends the guest, the inner one is its to handle.
pub type Answer<T> = wasmtime::Result<Result<T, Error>>;

impl State {
    /// An error for the guest; known secrets are masked in it.
    pub fn error(&self, code: ErrorCode, message: impl AsRef<str>) -> Error {
        let retryable = matches!(code, ErrorCode::Timeout | ErrorCode::ConnectionLost);
        let message = self.sealer.mask(message.as_ref(), &self.redactor);
        Error { code, message, causes: Vec::new(), retryable }
    }

    pub fn io_error(&self, what: &str, error: &std::io::Error) -> Error {
        let code = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorCode::NotFound,
            std::io::ErrorKind::AlreadyExists => ErrorCode::AlreadyExists,
            _ => ErrorCode::Io,
        };
        self.error(code, format!("{what}: {error}"))
    }

    pub fn communicator_error(&self, error: &CommunicatorError) -> Error {
        let code = match error {
            CommunicatorError::ConnectionLost { .. } => ErrorCode::ConnectionLost,
            CommunicatorError::Cancelled => ErrorCode::Cancelled,
            CommunicatorError::Timeout { .. } => ErrorCode::Timeout,
            CommunicatorError::NotFound { .. } => ErrorCode::NotFound,
            CommunicatorError::Unsupported(_) => ErrorCode::Unsupported,
            CommunicatorError::Transfer { .. } => ErrorCode::Io,
            CommunicatorError::Other(_) => ErrorCode::Other,
        };
        self.error(code, error.to_string())
    }

    /// Refuses what a phase does not offer.
    pub fn only_while_working(&self, what: &str) -> Result<&StepContext, Error> {
        match (self.phase, &self.step) {
            (Phase::Describe, _) => {
                Err(self.error(ErrorCode::Denied, format!("{what} is not available to describe")))
            }
            (Phase::Prepare, _) | (_, None) => {
                Err(self
                    .error(ErrorCode::Unsupported, format!("{what} is available only while the step runs")))
            }
            (_, Some(step)) => Ok(step),
        }
    }

    /// What ends a blocking call early. Calls that belong to the cleanup go on during cancellation.
    pub fn stop(&self, cleanup: bool, limit: Option<Duration>) -> Stop {
        Stop {
            cancel: (!cleanup).then(|| self.cancel.clone()),
            limit,
            deadline: limit.and_then(|l| Instant::now().checked_add(l)),
        }
    }

    pub fn folder(&self) -> Result<Arc<StepDir>, Error> {
        self.shared.folder().map_err(|e| self.io_error("the step's folder can't be made", &e))
    }
}

/// Cancellation and time limit of one call.
#[derive(Clone)]
pub struct Stop {
    cancel: Option<CancellationToken>,
    limit: Option<Duration>,
    deadline: Option<Instant>,
}

impl Stop {
    /// Runs to the end, to cancellation, or to the time limit.
    pub async fn run<T>(&self, what: &str, work: impl Future<Output = T>) -> Result<T, Error> {
        let cancelled = async {
            match &self.cancel {
                Some(token) => token.cancelled().await,
                None => std::future::pending().await,
            }
        };
        let late = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        let error = |code, message: String, retryable| Error { code, message, causes: Vec::new(), retryable };
        tokio::select! {
            biased;
            () = cancelled => Err(error(ErrorCode::Cancelled, "the build is being cancelled".into(), false)),
            done = work => Ok(done),
            () = late => Err(error(
                ErrorCode::Timeout,
                format!("{what} took longer than {}", fornax_core::event::human_duration(self.limit.unwrap_or_default())),
                true,
            )),
        }
    }
}
