//! The port to the machine that is being built. The engine asks a communicator for commands, scripts, transfers and
//! reconnecting, and knows nothing of SSH beyond that.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::event::BuildEvents;
use crate::secret::Secret;

pub mod options;

pub use options::{BastionOptions, CommunicatorKind, KeyKind, ProxyOptions, SshOptions, TransferMethod};

/// A byte stream to a machine's SSH server.
pub trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Stream for T {}

/// Opens byte streams to hosts: TCP, or the simulator in this process.
#[async_trait]
pub trait Dialer: Send + Sync {
    async fn dial(&self, host: &str, port: u16) -> std::io::Result<Box<dyn Stream>>;
}

/// What to run. The line may contain secrets, so it is typed as one; it is never logged.
#[derive(Clone)]
pub struct Command {
    /// For the machine's shell.
    pub line: Secret,
    /// Sent to standard input, which is closed afterwards.
    pub stdin: Bytes,
    /// Allocate a terminal.
    pub pty: bool,
}

/// A script that is written to the machine, run through a command line, and removed: on one channel.
#[derive(Clone)]
pub struct Script {
    pub content: ScriptContent,
    /// Where it is written; the folder must exist.
    pub path: String,
    /// Unix permission bits.
    pub mode: u32,
    /// Runs the script; interpreted by the machine's shell.
    pub command: Secret,
    /// Leave the script on the machine.
    pub keep: bool,
    pub pty: bool,
}

#[derive(Clone)]
pub enum ScriptContent {
    /// May contain secrets.
    Text(Secret),
    File(PathBuf),
}

/// A piece of a running command's life, in the order in which it happened.
#[derive(Clone, Debug)]
pub enum CommandEvent {
    Stdout(Bytes),
    Stderr(Bytes),
    Exited(ExitStatus),
}

/// How a command ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExitStatus {
    /// None when killed by a signal or disconnected.
    pub code: Option<i32>,
    /// Name without `SIG`.
    pub signal: Option<String>,
    /// The connection went away before the end was known.
    pub disconnected: bool,
}

/// A command that runs. Dropping it kills the command as far as the communicator can.
#[async_trait]
pub trait Running: Send {
    /// The next piece; none after `Exited`. Output is bounded: a slow reader slows the command, not the connection.
    async fn next(&mut self) -> Option<CommandEvent>;
    /// Ends the command.
    async fn kill(&mut self);
}

/// How to transfer.
#[derive(Clone, Debug, Default)]
pub struct TransferOptions {
    /// Unix permission bits of the target file; none keeps those of the source.
    pub mode: Option<u32>,
}

/// Called with the bytes done so far and the total where it is known.
pub type ProgressFn = Arc<dyn Fn(u64, Option<u64>) + Send + Sync>;

#[derive(Clone)]
pub enum UploadSource {
    /// A file; the target becomes the file itself.
    File(PathBuf),
    /// A directory; the target becomes the directory itself (its content is merged into an existing one).
    Directory(PathBuf),
    /// Content from memory, may be secret.
    Bytes(Secret),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransferStats {
    pub files: u32,
    pub bytes: u64,
    /// Lower-case hexadecimal SHA-256 of a single file of at most 64 MiB; empty for larger ones and for directories.
    pub sha256: String,
}

/// How to wait until a machine can be used again.
#[derive(Clone, Debug)]
pub struct ReconnectOptions {
    /// First wait until the connection is really gone.
    pub expect_disconnect: bool,
    pub timeout: Duration,
    /// Then require that this command exits with 0; repeated until it does.
    pub probe: Option<String>,
}

/// What reads the command lines of a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shell {
    #[default]
    Posix,
    /// `cmd.exe`.
    Cmd,
    PowerShell,
    /// Nobody knows: only what means the same in every shell may be sent.
    Unknown,
}

/// What is behind the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineInfo {
    /// `linux`, `windows`, `macos`, `bsd`, `other`.
    pub family: String,
    /// `ID` of os-release.
    pub id: String,
    pub version: String,
    pub arch: String,
    pub hostname: String,
    pub user: String,
    pub shell: Shell,
}

/// Facts of the connection that templates can ask for (`{{build "Host"}}`).
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// `ssh`, `none`.
    pub kind: &'static str,
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: Option<Secret>,
    /// OpenSSH format, one line.
    pub public_key: Option<String>,
    /// PEM.
    pub private_key: Option<Secret>,
}

/// Why the communicator could not do it.
#[derive(Debug, thiserror::Error)]
pub enum CommunicatorError {
    #[error("the connection to {host} is lost: {reason}")]
    ConnectionLost { host: String, reason: String },
    #[error("the build is being cancelled")]
    Cancelled,
    #[error("{what} took longer than {}", crate::event::human_duration(*.limit))]
    Timeout { what: String, limit: Duration },
    /// A file or folder on the machine or on this host is not there.
    #[error("{what}: {path} does not exist")]
    NotFound { what: String, path: String },
    #[error("{0}")]
    Unsupported(String),
    #[error("{what}: {reason}")]
    Transfer { what: String, reason: String },
    #[error("{0}")]
    Other(String),
}

/// The way into the machine. One connection; many commands, scripts and transfers over it.
#[async_trait]
pub trait Communicator: Send + Sync {
    fn connection(&self) -> ConnectionInfo;
    /// Asked once, then remembered.
    async fn machine(&self) -> Result<MachineInfo, CommunicatorError>;
    async fn start(&self, command: Command) -> Result<Box<dyn Running>, CommunicatorError>;
    async fn start_script(&self, script: Script) -> Result<Box<dyn Running>, CommunicatorError>;
    async fn upload(
        &self,
        source: UploadSource,
        to: &str,
        options: &TransferOptions,
        progress: Option<ProgressFn>,
    ) -> Result<TransferStats, CommunicatorError>;
    /// A remote file or directory to a local path, which becomes that file or directory.
    async fn download(
        &self,
        from: &str,
        to: &std::path::Path,
        progress: Option<ProgressFn>,
    ) -> Result<TransferStats, CommunicatorError>;
    /// At most `limit` bytes of a remote file; an error when it is larger.
    async fn read_file(&self, path: &str, limit: usize) -> Result<Vec<u8>, CommunicatorError>;
    async fn remove_file(&self, path: &str) -> Result<(), CommunicatorError>;
    async fn reconnect(&self, options: &ReconnectOptions) -> Result<(), CommunicatorError>;
    /// Ends the connection. Idempotent.
    async fn close(&self);
}

/// A key pair made for one build.
#[derive(Clone)]
pub struct KeyPair {
    /// OpenSSH format, one line, with comment.
    pub public_openssh: String,
    /// OpenSSH PEM.
    pub private_pem: Secret,
}

/// Where and how to connect.
#[derive(Clone)]
pub struct ConnectRequest {
    pub host: String,
    pub port: u16,
    pub options: SshOptions,
    /// The build's own key, if it has one.
    pub key: Option<KeyPair>,
    pub events: BuildEvents,
    pub cancel: CancellationToken,
    /// Asked while waiting: what the builder knows of why the machine does not answer yet.
    pub why_waiting: Option<Arc<dyn WhyWaiting>>,
}

/// Lets a builder say why its machine is not reachable yet (instance view, boot diagnostics).
#[async_trait]
pub trait WhyWaiting: Send + Sync {
    async fn why(&self) -> Option<String>;
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the build is being cancelled")]
    Cancelled,
    #[error("no SSH connection to {host}:{port} within {}: {reason}", crate::event::human_duration(*.limit))]
    Timeout { host: String, port: u16, limit: Duration, reason: String },
    /// Waiting longer would not help.
    #[error("no SSH connection to {host}:{port}: {reason}; {help}")]
    Refused { host: String, port: u16, reason: String, help: String },
    #[error("{0}")]
    Config(String),
}

/// Makes connections.
#[async_trait]
pub trait Connector: Send + Sync {
    /// An ephemeral key pair; the private half never touches the disk.
    fn generate_key(&self, kind: KeyKind, bits: Option<u32>, comment: &str) -> Result<KeyPair, ConnectError>;
    /// The public half of the key that the options name, if they name one.
    async fn public_key(&self, options: &SshOptions) -> Result<Option<String>, ConnectError>;
    /// Tries until the machine answers, the options' time limit is over, or the build is cancelled. Says what it
    /// waits for and why.
    async fn connect(&self, request: ConnectRequest) -> Result<Arc<dyn Communicator>, ConnectError>;
}
