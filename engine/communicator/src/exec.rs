//! A command on a channel of its own: its input is fed by one task, its output is drained by another, so that neither a
//! slow reader nor a command that ends before it has read its input can hang anything.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fornax_core::Secret;
use fornax_core::communicator::{CommandEvent, CommunicatorError, ExitStatus, Running};
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Pty, Sig};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::input::{Input, Progress};
use crate::kill;
use crate::output::{Output, Overflow, Source};
use crate::session::{Session, Slot};

/// The sending half of a channel. When we close a channel, russh delivers nothing more on it, not even the other side's
/// close; so whoever reads has to know that we did.
pub(crate) struct Writer {
    half: ChannelWriteHalf<Msg>,
    closed: CancellationToken,
}

impl Writer {
    pub async fn signal(&self, signal: Sig) {
        let _ = self.half.signal(signal).await;
    }

    pub async fn close(&self) {
        let _ = self.half.close().await;
        self.closed.cancel();
    }
}

/// A background process may hold the output open for ever; after the exit status we listen so long into silence.
const LINGER: Duration = Duration::from_secs(5);
/// What shells use for a program that could not be started.
const NOT_STARTED: i32 = 126;

pub(crate) struct Request {
    pub line: Secret,
    pub input: Input,
    pub pty: bool,
    pub overflow: Overflow,
    pub progress: Option<Arc<Mutex<Progress>>>,
    /// What becomes of the command when it is dropped before its end.
    pub on_drop: OnDrop,
}

#[derive(Clone)]
pub(crate) enum OnDrop {
    /// It ends by itself when its input or output ends.
    Close,
    /// It has to be stopped; then this file is removed.
    Kill { remove: Option<String> },
}

impl Request {
    /// Something of our own that is quick and harmless.
    pub fn plain(line: impl Into<String>) -> Self {
        Self {
            line: Secret::new(line.into()),
            input: Input::none(),
            pty: false,
            overflow: Overflow::Wait,
            progress: None,
            on_drop: OnDrop::Close,
        }
    }
}

/// A command that runs.
pub(crate) struct Exec {
    output: Arc<Output>,
    writer: Arc<Writer>,
    session: Arc<Session>,
    feeder: Option<AbortHandle>,
    pty: bool,
    on_drop: OnDrop,
    killed: bool,
    ended: bool,
}

/// A command of the user counts as running while this lives.
struct Counted(Arc<Session>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.commands.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Exec {
    pub async fn start(session: &Arc<Session>, request: Request) -> Result<Self, CommunicatorError> {
        let (channel, slot) = session.channel().await?;
        let (reader, writer) = channel.split();
        let writer = Arc::new(Writer { half: writer, closed: CancellationToken::new() });
        let lost = |_| session.lost();
        if request.pty {
            // Echo is off, as in Packer: what we send would come back in the output.
            let modes = [(Pty::ECHO, 0), (Pty::TTY_OP_ISPEED, 14_400), (Pty::TTY_OP_OSPEED, 14_400)];
            writer.half.request_pty(false, "xterm", 80, 40, 0, 0, &modes).await.map_err(lost)?;
        }
        writer.half.exec(true, request.line.expose()).await.map_err(lost)?;
        let output = Arc::new(Output::new(request.overflow));
        let feeder = match request.input {
            Input::Bytes(bytes) if bytes.is_empty() => {
                writer.half.eof().await.map_err(lost)?;
                None
            }
            input => {
                let feeding = feed(writer.clone(), output.clone(), input, request.progress);
                Some(tokio::spawn(feeding).abort_handle())
            }
        };
        let counted = matches!(request.on_drop, OnDrop::Kill { .. }).then(|| {
            session.commands.fetch_add(1, Ordering::Relaxed);
            Counted(session.clone())
        });
        let channels = session.open_channels();
        tokio::spawn(drain(reader, writer.clone(), output.clone(), channels, feeder.clone(), slot, counted));
        Ok(Self {
            output,
            writer,
            session: session.clone(),
            feeder,
            pty: request.pty,
            on_drop: request.on_drop,
            killed: false,
            ended: false,
        })
    }

    /// The next piece; none after the exit status.
    pub async fn next(&mut self) -> Option<CommandEvent> {
        let event = self.output.next().await;
        self.ended = matches!(event, Some(CommandEvent::Exited(_)) | None);
        event
    }

    /// Runs to the end. Stdout beyond `limit` bytes is an error, as a command of ours never says so much.
    pub async fn finish(mut self, limit: usize) -> Result<Finished, CommunicatorError> {
        let mut finished = Finished::default();
        while let Some(event) = self.next().await {
            match event {
                CommandEvent::Stdout(data) => {
                    if finished.stdout.len() + data.len() > limit {
                        finished.too_long = true;
                        return Ok(finished);
                    }
                    finished.stdout.extend_from_slice(&data);
                }
                CommandEvent::Stderr(data) => {
                    let room = MOST_STDERR.saturating_sub(finished.stderr.len()).min(data.len());
                    finished.stderr.push_str(&String::from_utf8_lossy(&data[..room]));
                }
                CommandEvent::Exited(status) if status.disconnected => return Err(self.session.lost()),
                CommandEvent::Exited(status) => finished.code = status.code,
            }
        }
        Ok(finished)
    }
}

/// More of a failed command's complaint than this is not kept.
const MOST_STDERR: usize = 16 * 1024;

/// How a command of our own ended.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub too_long: bool,
}

impl Finished {
    /// What it said about its failure, on one line.
    pub fn complaint(&self) -> String {
        let lines: Vec<&str> = self.stderr.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        match (lines.is_empty(), self.code) {
            (false, _) => lines.join("; "),
            (true, Some(code)) => format!("exit code {code}"),
            (true, None) => "it was killed".into(),
        }
    }
}

/// Runs a line of our own to its end.
pub(crate) async fn run(session: &Arc<Session>, line: String) -> Result<Finished, CommunicatorError> {
    Exec::start(session, Request::plain(line)).await?.finish(1 << 20).await
}

impl Drop for Exec {
    fn drop(&mut self) {
        if self.ended || self.output.has_ended() {
            return;
        }
        self.output.discard();
        if let Some(feeder) = &self.feeder {
            feeder.abort();
        }
        let (writer, session, output) = (self.writer.clone(), self.session.clone(), self.output.clone());
        let (pty, on_drop) = (self.pty, self.on_drop.clone());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            match on_drop {
                OnDrop::Close => writer.close().await,
                OnDrop::Kill { remove } => {
                    kill::stop(&session, &writer, &output, pty, remove.as_deref()).await
                }
            }
        });
    }
}

#[async_trait]
impl Running for Exec {
    async fn next(&mut self) -> Option<CommandEvent> {
        Exec::next(self).await
    }

    async fn kill(&mut self) {
        if self.ended || self.killed {
            return;
        }
        self.killed = true;
        self.output.discard();
        if let Some(feeder) = &self.feeder {
            feeder.abort();
        }
        let remove = match &self.on_drop {
            OnDrop::Kill { remove } => remove.clone(),
            OnDrop::Close => None,
        };
        kill::stop(&self.session, &self.writer, &self.output, self.pty, remove.as_deref()).await;
    }
}

async fn feed(
    writer: Arc<Writer>,
    output: Arc<Output>,
    input: Input,
    progress: Option<Arc<Mutex<Progress>>>,
) {
    match input {
        Input::Bytes(bytes) => {
            if writer.half.data_bytes(bytes).await.is_err() {
                return;
            }
        }
        Input::Blocks(mut blocks) => {
            while let Some(block) = blocks.recv().await {
                let block = match block {
                    Ok(block) => block,
                    Err(error) => {
                        output.note(format!("what was to be sent can't be read: {error}\n"));
                        writer.close().await;
                        return;
                    }
                };
                let count = block.len();
                if writer.half.data_bytes(block).await.is_err() {
                    return;
                }
                if let Some(progress) = &progress {
                    progress.lock().unwrap_or_else(PoisonError::into_inner).add(count);
                }
            }
        }
    }
    let _ = writer.half.eof().await;
}

/// Takes everything off the channel as it comes. The slot is held until the channel is closed.
async fn drain(
    mut reader: ChannelReadHalf,
    writer: Arc<Writer>,
    output: Arc<Output>,
    mut channels: watch::Receiver<usize>,
    feeder: Option<AbortHandle>,
    slot: Slot,
    counted: Option<Counted>,
) {
    let mut status = ExitStatus::default();
    loop {
        let ended = status.code.is_some() || status.signal.is_some();
        let message = tokio::select! {
            biased;
            message = reader.wait() => message,
            () = writer.closed.cancelled() => break,
            () = tokio::time::sleep(LINGER), if ended => {
                writer.close().await;
                break;
            }
        };
        match message {
            Some(ChannelMsg::Data { data }) => output.push(Source::Stdout, data, &mut channels).await,
            Some(ChannelMsg::ExtendedData { data, .. }) => {
                output.push(Source::Stderr, data, &mut channels).await
            }
            Some(ChannelMsg::ExitStatus { exit_status }) => status.code = Some(exit_status.cast_signed()),
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => status.signal = Some(signal(&signal_name)),
            Some(ChannelMsg::Failure) => {
                let note = "the machine refused to start a command or to give it a terminal\n";
                output.push(Source::Stderr, note.into(), &mut channels).await;
                status.code = Some(NOT_STARTED);
                writer.close().await;
                break;
            }
            Some(ChannelMsg::Close) | None => break,
            Some(_) => {}
        }
    }
    if let Some(feeder) = feeder {
        feeder.abort();
    }
    if status.code.is_none() && status.signal.is_none() {
        if writer.closed.is_cancelled() {
            status.signal = Some("KILL".into());
        } else {
            status.disconnected = true;
        }
    }
    drop(counted);
    drop(slot);
    output.end(status);
}

fn signal(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    }
}
