//! The simulator's side of a helper process.
//!
//! [`Helper::run`] is for an order that ends by itself, [`Helper::start`] for a machine. Both have a deadline; a helper
//! that is dropped loses its life line and ends itself, and with it whatever it started.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::child::ARGUMENT;
use super::ids::IdMap;
use super::init::PATH;
use super::uplink::Uplink;
use super::wire::{self, Event, Order, Setup};
use crate::machine::MachineError;

/// A machine is up in less than a second; the rest is for a host under load.
const BOOT: Duration = Duration::from_secs(60);
/// How long a helper may take to end what it started.
const END: Duration = Duration::from_secs(20);
/// Bytes of log that are kept of one helper.
const LOG: usize = 16 * 1024;

/// Starts helpers.
#[derive(Clone)]
pub struct Helper {
    /// A program whose main function calls [`crate::machine::jail::child_main_if_requested`] first.
    pub program: PathBuf,
    pub ids: IdMap,
}

/// The last words of a helper.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn append(&self, text: &[u8]) {
        let mut log = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        log.extend_from_slice(text);
        let surplus = log.len().saturating_sub(LOG);
        log.drain(..surplus);
    }

    /// The last lines.
    pub fn tail(&self, count: usize) -> String {
        let log = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(count)..].join("; ")
    }
}

/// A helper process that is under way.
pub struct Running {
    child: Child,
    control: Arc<OwnedFd>,
    events: Lines<BufReader<ChildStdout>>,
    uplink: Option<Uplink>,
    pub log: Log,
}

impl Helper {
    fn spawn(&self, progress: Option<Progress>) -> io::Result<Running> {
        let (ours, theirs) = wire::pair()?;
        let mut child = Command::new(&self.program)
            .arg(ARGUMENT)
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .current_dir("/")
            .spawn()?;
        let log = Log::default();
        let missing = || io::Error::other("a standard stream is missing");
        let events = BufReader::new(child.stdout.take().ok_or_else(missing)?).lines();
        let stderr = child.stderr.take().ok_or_else(missing)?;
        tokio::spawn(collect(stderr, log.clone(), progress));
        Ok(Running { child, control: Arc::new(ours), events, uplink: None, log })
    }

    /// Starts a helper on one thing.
    pub fn order(
        &self,
        order: &Order,
        stream: Option<File>,
        progress: Option<Progress>,
    ) -> io::Result<Running> {
        let running = self.spawn(progress)?;
        let message = serde_json::to_vec(order)?;
        wire::send(running.control.as_fd(), &message, stream.as_ref().map(AsFd::as_fd))?;
        Ok(running)
    }

    /// Lets a helper do one thing and waits for its end.
    pub async fn run(
        &self,
        order: &Order,
        stream: Option<File>,
        progress: Option<Progress>,
        deadline: Duration,
    ) -> Result<(), MachineError> {
        let failed =
            |source| MachineError::Io { what: format!("helper process {}", self.program.display()), source };
        let mut running = self.order(order, stream, progress).map_err(failed)?;
        let work = async {
            loop {
                match running.event(self, None).await? {
                    Event::Done => return Ok(()),
                    Event::Failed(text) => {
                        let log = running.log.tail(3);
                        let log = if log.is_empty() { log } else { format!(" ({log})") };
                        return Err(MachineError::Failed(format!("{text}{log}")));
                    }
                    _ => {}
                }
            }
        };
        let result = tokio::time::timeout(deadline, work).await;
        let result = result.unwrap_or_else(|_| {
            Err(MachineError::Failed(format!("a helper process was not done after {} s", deadline.as_secs())))
        });
        running.end().await;
        result
    }

    /// Starts a machine and waits until it accepts connections. Notes tell what it had to do without. `uplink` gives
    /// its network namespace a way out.
    pub async fn start(
        &self,
        order: &Order,
        setup: &Setup,
        uplink: Option<&PathBuf>,
    ) -> Result<(Running, Vec<String>), MachineError> {
        let failed =
            |source| MachineError::Io { what: format!("helper process {}", self.program.display()), source };
        let mut running = self.spawn(None).map_err(failed)?;
        let order = serde_json::to_vec(order).map_err(|error| failed(error.into()))?;
        wire::send(running.control.as_fd(), &order, None).map_err(failed)?;
        let setup = serde_json::to_vec(setup).map_err(|error| failed(error.into()))?;
        let mut notes = Vec::new();
        let boot = async {
            loop {
                match running.event(self, uplink).await? {
                    Event::Ready => return Ok(()),
                    Event::Note(note) => notes.push(note),
                    Event::Failed(text) => return Err(MachineError::Failed(text)),
                    Event::Ended { .. } => {
                        let text = format!("the machine ended while it started: {}", running.log.tail(3));
                        return Err(MachineError::Failed(text));
                    }
                    // After the answer to the request for the map: the first process reads what the helper leaves.
                    Event::Map => wire::send(running.control.as_fd(), &setup, None).map_err(failed)?,
                    Event::Done => {}
                }
            }
        };
        let result = tokio::time::timeout(BOOT, boot).await;
        match result {
            Ok(Ok(())) => Ok((running, notes)),
            Ok(Err(error)) => {
                running.end().await;
                Err(error)
            }
            Err(_) => {
                running.end().await;
                Err(MachineError::Failed(format!("the machine was not up after {} s", BOOT.as_secs())))
            }
        }
    }
}

impl Running {
    /// The next event; the request for an id map is answered here, once the network is connected: until then the
    /// process still belongs to the caller, which the uplink needs.
    async fn event(&mut self, helper: &Helper, uplink: Option<&PathBuf>) -> Result<Event, MachineError> {
        let failed = |what: &str, source| MachineError::Io { what: what.to_owned(), source };
        let line = self.events.next_line().await.map_err(|error| failed("helper process", error))?;
        let Some(line) = line else {
            let log = self.log.tail(3);
            return Err(MachineError::Failed(format!("the helper process ended without a word ({log})")));
        };
        let event = serde_json::from_str(&line)
            .map_err(|error| failed(&format!("the helper process said {line:?}"), error.into()))?;
        if event == Event::Map {
            let pid = self.child.id().ok_or(MachineError::NotRunning)?;
            helper
                .ids
                .apply(pid)
                .await
                .map_err(|error| failed("the ids of the jail cannot be mapped", error))?;
            if let Some(program) = uplink {
                self.uplink = Some(Uplink::start(helper, program, pid).await?);
            }
            wire::send(self.control.as_fd(), b"mapped", None)
                .map_err(|error| failed("helper process", error))?;
        }
        Ok(event)
    }

    /// What is wrong where the helper has stopped already.
    pub fn failure(&mut self) -> Option<String> {
        let ended = !matches!(self.child.try_wait(), Ok(None));
        ended.then(|| self.log.tail(1))
    }

    /// Waits for the end of a machine's processes; true where it was a reboot from inside.
    pub async fn ended(&mut self) -> bool {
        loop {
            match self.events.next_line().await {
                Ok(Some(line)) => {
                    if let Ok(Event::Ended { reboot }) = serde_json::from_str(&line) {
                        return reboot;
                    }
                }
                Ok(None) | Err(_) => return false,
            }
        }
    }

    /// Hands a connection over to the machine.
    pub fn control(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.control)
    }

    /// Cuts the life line, which ends the process and whatever it started, and waits until all of it is gone.
    pub async fn end(self) {
        let Self { mut child, control, uplink, .. } = self;
        drop(control);
        if let Some(uplink) = uplink {
            uplink.end().await;
        }
        if tokio::time::timeout(END, child.wait()).await.is_err() {
            tracing::warn!("a helper process did not end by itself and is killed");
            let _ = child.kill().await;
        }
    }
}

/// Hears what a tool says, a line each.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

async fn collect(mut stderr: impl AsyncRead + Unpin, log: Log, progress: Option<Progress>) {
    let mut buffer = vec![0; 4096];
    let mut line = Vec::new();
    while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
        log.append(&buffer[..count]);
        let Some(progress) = &progress else { continue };
        for byte in &buffer[..count] {
            if matches!(byte, b'\n' | b'\r') {
                let text = String::from_utf8_lossy(&line);
                if !text.trim().is_empty() {
                    progress(text.trim());
                }
                line.clear();
            } else if line.len() < 1024 {
                line.push(*byte);
            }
        }
    }
}
