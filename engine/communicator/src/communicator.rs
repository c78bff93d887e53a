//! The communicator itself: one connection, everything over it, and a new connection to the same machine when the old
//! one is lost or a reboot was asked for.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fornax_core::Secret;
use fornax_core::communicator::{
    Command, CommandEvent, Communicator, CommunicatorError, ConnectError, ConnectionInfo, Dialer, KeyPair,
    MachineInfo, ProgressFn, ReconnectOptions, Running, Script, ScriptContent, TransferMethod,
    TransferOptions, TransferStats, UploadSource,
};
use fornax_core::event::BuildEvents;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::connector::Wait;
use crate::exec::{self, Exec, OnDrop, Request};
use crate::input::{Input, LocalFile};
use crate::machine::{self, Machine};
use crate::output::Overflow;
use crate::script;
use crate::session::{Endpoint, Pins, Session};
use crate::shell;
use crate::transfer::{Content, Transfers, local_error};

/// A connection that was lost between two steps is made again within this time.
const REPAIR: Duration = Duration::from_secs(60);
/// An expected disconnect is looked for so often, and a connection that does not answer within the limit is gone.
const LOOK: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(10);
/// A single run of a probe.
const PROBE: Duration = Duration::from_secs(60);
const PROBE_PAUSE: Duration = Duration::from_secs(1);

/// A machine behind SSH. Made by [`crate::SshConnector`].
pub struct SshCommunicator {
    dialer: Arc<dyn Dialer>,
    endpoint: Arc<Endpoint>,
    pins: Arc<Pins>,
    session: tokio::sync::Mutex<Arc<Session>>,
    machine: tokio::sync::OnceCell<Machine>,
    no_tar: AtomicBool,
    /// Scripts whose connection was lost before they could be removed.
    leftovers: Arc<Mutex<Vec<String>>>,
    info: ConnectionInfo,
    events: BuildEvents,
    cancel: CancellationToken,
    closed: AtomicBool,
}

impl SshCommunicator {
    pub(crate) fn new(
        (dialer, endpoint, pins): (Arc<dyn Dialer>, Arc<Endpoint>, Arc<Pins>),
        session: Session,
        key: Option<&KeyPair>,
        events: BuildEvents,
        cancel: CancellationToken,
    ) -> Self {
        let login = &endpoint.login;
        let file_key = login.keys.first().map(|(key, _)| key);
        let info = ConnectionInfo {
            kind: "ssh",
            host: endpoint.host.clone(),
            port: endpoint.port,
            user: login.user.clone(),
            password: login.password.clone(),
            public_key: file_key.and_then(|k| k.public_key().to_openssh().ok()),
            private_key: match (key, file_key) {
                (Some(pair), _) if endpoint.options.private_key_file.is_none() => {
                    Some(pair.private_pem.clone())
                }
                (_, Some(key)) => {
                    let pem = key.to_openssh(russh::keys::ssh_key::LineEnding::LF).ok();
                    pem.map(|pem| Secret::new(pem.as_str()))
                }
                _ => None,
            },
        };
        Self {
            dialer,
            endpoint,
            pins,
            session: tokio::sync::Mutex::new(Arc::new(session)),
            machine: tokio::sync::OnceCell::new(),
            no_tar: AtomicBool::new(false),
            leftovers: Arc::default(),
            info,
            events,
            cancel,
            closed: AtomicBool::new(false),
        }
    }

    /// The connection; a lost one is made again once.
    async fn session(&self) -> Result<Arc<Session>, CommunicatorError> {
        let mut current = self.session.lock().await;
        if self.closed.load(Ordering::Relaxed) {
            let reason = "it was closed at the end of its use".into();
            return Err(CommunicatorError::ConnectionLost { host: self.info.host.clone(), reason });
        }
        if current.is_gone() {
            tracing::info!(host = self.info.host, "the connection is lost, connecting again");
            let limit = REPAIR.min(self.endpoint.options.timeout);
            *current = self.connect(limit).await?;
            self.sweep(&current).await;
        }
        Ok(current.clone())
    }

    async fn connect(&self, limit: Duration) -> Result<Arc<Session>, CommunicatorError> {
        let wait = Wait {
            dialer: self.dialer.as_ref(),
            endpoint: &self.endpoint,
            pins: &self.pins,
            events: &self.events,
            cancel: &self.cancel,
            why: None,
            limit,
            attempts: None,
        };
        wait.run().await.map(Arc::new).map_err(|error| match error {
            ConnectError::Cancelled => CommunicatorError::Cancelled,
            ConnectError::Timeout { host, port, limit, reason } => CommunicatorError::Timeout {
                what: format!("reconnecting to {host}:{port} ({reason})"),
                limit,
            },
            ConnectError::Refused { host, reason, help, .. } => {
                CommunicatorError::ConnectionLost { host, reason: format!("{reason}; {help}") }
            }
            ConnectError::Config(text) => CommunicatorError::Other(text),
        })
    }

    /// Removes scripts that a lost connection left behind.
    async fn sweep(&self, session: &Arc<Session>) {
        let paths = std::mem::take(&mut *self.leftovers.lock().unwrap_or_else(PoisonError::into_inner));
        if paths.is_empty() {
            return;
        }
        let words: Vec<String> = paths.iter().map(|p| shell::path(p)).collect();
        if exec::run(session, format!("rm -f {}", words.join(" "))).await.is_err() {
            self.leftovers.lock().unwrap_or_else(PoisonError::into_inner).extend(paths);
        }
    }

    async fn known_machine(&self, session: &Arc<Session>) -> Result<&Machine, CommunicatorError> {
        self.machine.get_or_try_init(|| machine::ask(session)).await
    }

    async fn transfers(&self) -> Result<Transfers<'_>, CommunicatorError> {
        let session = self.session().await?;
        let machine = self.known_machine(&session).await?;
        let sftp = !machine.shell || self.endpoint.options.transfer_method == TransferMethod::Sftp;
        Ok(Transfers { session, sftp, no_tar: &self.no_tar })
    }

    fn exec_request(&self, line: Secret, input: Input, pty: bool, remove: Option<String>) -> Request {
        Request {
            line,
            input,
            pty,
            overflow: Overflow::Drop,
            progress: None,
            on_drop: OnDrop::Kill { remove },
        }
    }
}

/// A script that runs. What it leaves when the connection is lost is written down.
struct RunningScript {
    exec: Exec,
    session: Arc<Session>,
    path: Option<String>,
    /// The script is removed by a command of its own.
    remove_after: bool,
    leftovers: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Running for RunningScript {
    async fn next(&mut self) -> Option<CommandEvent> {
        let event = self.exec.next().await;
        let Some(CommandEvent::Exited(status)) = &event else { return event };
        let Some(path) = self.path.take() else { return event };
        let removed = if status.disconnected {
            false
        } else if self.remove_after {
            exec::run(&self.session, format!("rm -f {}", shell::path(&path))).await.is_ok()
        } else {
            true
        };
        if !removed {
            self.leftovers.lock().unwrap_or_else(PoisonError::into_inner).push(path);
        }
        event
    }

    async fn kill(&mut self) {
        Running::kill(&mut self.exec).await;
    }
}

#[async_trait]
impl Communicator for SshCommunicator {
    fn connection(&self) -> ConnectionInfo {
        self.info.clone()
    }

    async fn machine(&self) -> Result<MachineInfo, CommunicatorError> {
        if let Some(machine) = self.machine.get() {
            return Ok(machine.info.clone());
        }
        let session = self.session().await?;
        Ok(self.known_machine(&session).await?.info.clone())
    }

    async fn start(&self, command: Command) -> Result<Box<dyn Running>, CommunicatorError> {
        let session = self.session().await?;
        let pty = command.pty || self.endpoint.options.pty;
        let request = self.exec_request(command.line, Input::Bytes(command.stdin), pty, None);
        Ok(Box::new(Exec::start(&session, request).await?))
    }

    async fn start_script(&self, script: Script) -> Result<Box<dyn Running>, CommunicatorError> {
        let session = self.session().await?;
        let machine = self.known_machine(&session).await?;
        let pty = script.pty || self.endpoint.options.pty;
        let path = (!script.keep).then(|| script.path.clone());
        let one_channel = machine.posix && !pty;
        let exec = if one_channel {
            let (input, size) = match &script.content {
                ScriptContent::Text(text) => {
                    let bytes = Bytes::copy_from_slice(text.expose().as_bytes());
                    let size = bytes.len() as u64;
                    (Input::Bytes(bytes), size)
                }
                ScriptContent::File(file) => {
                    let file =
                        LocalFile::inspect(file).await.map_err(|e| local_error("the script", file, &e))?;
                    (Input::Blocks(file.read(false).0), file.size)
                }
            };
            let line = script::line(&script, size);
            Exec::start(&session, self.exec_request(line, input, false, path.clone())).await?
        } else {
            // With a terminal the end of the input is a character, and other shells know no subshells.
            let source = match script.content {
                ScriptContent::Text(text) => UploadSource::Bytes(text),
                ScriptContent::File(file) => UploadSource::File(file),
            };
            let options = TransferOptions { mode: Some(script.mode) };
            self.upload(source, &script.path, &options, None).await?;
            Exec::start(&session, self.exec_request(script.command, Input::none(), pty, path.clone())).await?
        };
        let leftovers = self.leftovers.clone();
        Ok(Box::new(RunningScript { exec, session, path, remove_after: !one_channel, leftovers }))
    }

    async fn upload(
        &self,
        source: UploadSource,
        to: &str,
        options: &TransferOptions,
        progress: Option<ProgressFn>,
    ) -> Result<TransferStats, CommunicatorError> {
        let transfers = self.transfers().await?;
        match source {
            UploadSource::File(path) => {
                let file =
                    LocalFile::inspect(&path).await.map_err(|e| local_error("uploading", &path, &e))?;
                let mode = options.mode.unwrap_or(file.mode);
                transfers.upload_file(Content::File(file), to, mode, progress).await
            }
            UploadSource::Bytes(secret) => {
                transfers
                    .upload_file(Content::Bytes(secret), to, options.mode.unwrap_or(0o644), progress)
                    .await
            }
            UploadSource::Directory(path) => transfers.upload_directory(&path, to, progress).await,
        }
    }

    async fn download(
        &self,
        from: &str,
        to: &Path,
        progress: Option<ProgressFn>,
    ) -> Result<TransferStats, CommunicatorError> {
        self.transfers().await?.download(from, to, progress).await
    }

    async fn read_file(&self, path: &str, limit: usize) -> Result<Vec<u8>, CommunicatorError> {
        self.transfers().await?.read_file(path, limit).await
    }

    async fn remove_file(&self, path: &str) -> Result<(), CommunicatorError> {
        self.transfers().await?.remove_file(path).await
    }

    async fn reconnect(&self, options: &ReconnectOptions) -> Result<(), CommunicatorError> {
        let deadline = Instant::now() + options.timeout;
        let late = |what: String| CommunicatorError::Timeout { what, limit: options.timeout };
        let mut current = self.session.lock().await;
        let host = &self.info.host;
        if options.expect_disconnect {
            let started = Instant::now();
            loop {
                if current.is_gone() {
                    break;
                }
                if Instant::now() >= deadline {
                    return Err(late(format!("waiting for {host} to end the connection")));
                }
                self.events.waiting(
                    format!("{host} to end the connection"),
                    started.elapsed(),
                    Some(options.timeout),
                );
                tokio::select! {
                    () = current.gone() => break,
                    () = self.cancel.cancelled() => return Err(CommunicatorError::Cancelled),
                    () = tokio::time::sleep(LOOK) => {}
                }
                // A machine that went down without a word does not close its connections.
                let answers = tokio::select! {
                    answers = current.answers(ANSWER) => answers,
                    () = self.cancel.cancelled() => return Err(CommunicatorError::Cancelled),
                };
                if !answers {
                    break;
                }
            }
        }
        let mut last = String::new();
        let mut dead = options.expect_disconnect;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(late(format!("waiting until {host} can be used again{last}")));
            }
            if dead || current.is_gone() || !current.answers(ANSWER.min(left)).await {
                current.close().await;
                *current = self.connect(left).await?;
                dead = false;
            }
            let Some(probe) = &options.probe else { break };
            let session = current.clone();
            let probing = exec::run(&session, probe.clone());
            tokio::select! {
                result = tokio::time::timeout(PROBE.min(left), probing) => match result {
                    Ok(Ok(finished)) if finished.code == Some(0) => break,
                    Ok(Ok(finished)) => last = format!("; the check said: {}", finished.complaint()),
                    Ok(Err(error)) => last = format!("; the check failed: {error}"),
                    Err(_) => last = "; the check does not come to an end".into(),
                },
                () = self.cancel.cancelled() => return Err(CommunicatorError::Cancelled),
            }
            tokio::select! {
                () = tokio::time::sleep(PROBE_PAUSE.min(left)) => {}
                () = self.cancel.cancelled() => return Err(CommunicatorError::Cancelled),
            }
        }
        let session = current.clone();
        drop(current);
        self.sweep(&session).await;
        Ok(())
    }

    async fn close(&self) {
        if self.closed.swap(true, Ordering::Relaxed) {
            return;
        }
        let session = self.session.lock().await.clone();
        session.close().await;
    }
}
