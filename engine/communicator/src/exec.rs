//! Commands and scripts over one channel each.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use fornax_core::communicator::{CommandEvent, ExitStatus, Running};
use russh::{Channel, ChannelMsg, Sig, client};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Output that waits for its reader. Beyond it output is dropped and the gap is told, because a channel that is not
/// drained stops the whole connection, keep-alive included.
const WAITING_OUTPUT: usize = 64 << 20;

/// Where the bytes for standard input come from.
pub enum Input {
    Bytes(Bytes),
    /// Blocks of a file or an archive, read on another thread.
    Blocks(mpsc::Receiver<std::io::Result<Bytes>>),
}

pub struct RunningCommand {
    events: mpsc::UnboundedReceiver<CommandEvent>,
    waiting: Arc<AtomicUsize>,
    kill: mpsc::Sender<()>,
    task: JoinHandle<()>,
    ended: bool,
}

/// Starts a command line on a fresh channel.
pub async fn start(
    channel: Channel<client::Msg>,
    line: &str,
    input: Input,
    pty: bool,
) -> Result<RunningCommand, russh::Error> {
    if pty {
        channel.request_pty(false, "xterm", 80, 40, 0, 0, &[(russh::Pty::ECHO, 0)]).await?;
    }
    // The reply tells nothing that the first output or the exit status does not tell.
    channel.exec(false, line.as_bytes()).await?;
    let (sender, events) = mpsc::unbounded_channel();
    let (kill, killed) = mpsc::channel(1);
    let waiting = Arc::new(AtomicUsize::new(0));
    let task = tokio::spawn(drive(channel, input, sender, killed, waiting.clone()));
    Ok(RunningCommand { events, waiting, kill, task, ended: false })
}

/// Feeds and drains one channel to its end. Both directions run at once: a command that ends early never takes the
/// rest of its input.
async fn drive(
    channel: Channel<client::Msg>,
    input: Input,
    events: mpsc::UnboundedSender<CommandEvent>,
    mut killed: mpsc::Receiver<()>,
    waiting: Arc<AtomicUsize>,
) {
    let (mut reader, writer) = channel.split();
    let feed = async {
        match input {
            Input::Bytes(bytes) => {
                if !bytes.is_empty() {
                    let _ = writer.data_bytes(bytes).await;
                }
            }
            Input::Blocks(mut blocks) => {
                while let Some(block) = blocks.recv().await {
                    let Ok(block) = block else {
                        // Without the rest the other side must not take it for whole: no end of file is sent.
                        let _ = writer.close().await;
                        return;
                    };
                    if writer.data_bytes(block).await.is_err() {
                        return;
                    }
                }
            }
        }
        let _ = writer.eof().await;
    };
    let drain = async {
        let mut status = ExitStatus { disconnected: true, ..ExitStatus::default() };
        let mut dropped = 0usize;
        let mut give = |data: Bytes, make: fn(Bytes) -> CommandEvent| {
            if waiting.load(Ordering::Relaxed) + data.len() > WAITING_OUTPUT {
                dropped += data.len();
                return;
            }
            if dropped > 0 {
                let note = format!(
                    "\n[{dropped} bytes of output were dropped here: they came faster than they could be shown]\n"
                );
                dropped = 0;
                let _ = events.send(CommandEvent::Stderr(note.into()));
            }
            waiting.fetch_add(data.len(), Ordering::Relaxed);
            let _ = events.send(make(data));
        };
        while let Some(message) = reader.wait().await {
            match message {
                ChannelMsg::Data { data } => give(data, CommandEvent::Stdout),
                ChannelMsg::ExtendedData { data, .. } => give(data, CommandEvent::Stderr),
                ChannelMsg::ExitStatus { exit_status } => {
                    status = ExitStatus { code: Some(exit_status as i32), ..ExitStatus::default() };
                }
                ChannelMsg::ExitSignal { signal_name, .. } => {
                    status = ExitStatus { signal: Some(signal(&signal_name)), ..ExitStatus::default() };
                }
                ChannelMsg::Failure => break,
                _ => {}
            }
        }
        status
    };
    let status = {
        tokio::pin!(drain);
        let both = async {
            tokio::select! {
                status = &mut drain => status,
                () = feed => drain.await,
            }
        };
        tokio::select! {
            status = both => Some(status),
            _ = killed.recv() => None,
        }
    };
    match status {
        Some(status) => {
            let _ = events.send(CommandEvent::Exited(status));
        }
        None => {
            // The signal reaches the command where the server passes it on; closing hangs up a terminal.
            let _ = writer.signal(Sig::TERM).await;
        }
    }
    let _ = writer.close().await;
}

fn signal(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => name.clone(),
        other => format!("{other:?}"),
    }
}

#[async_trait]
impl Running for RunningCommand {
    async fn next(&mut self) -> Option<CommandEvent> {
        if self.ended {
            return None;
        }
        let event = self.events.recv().await;
        match &event {
            Some(CommandEvent::Stdout(data) | CommandEvent::Stderr(data)) => {
                self.waiting.fetch_sub(data.len(), Ordering::Relaxed);
            }
            Some(CommandEvent::Exited(_)) | None => self.ended = true,
        }
        event
    }

    async fn kill(&mut self) {
        let _ = self.kill.try_send(());
        self.ended = true;
    }
}

impl Drop for RunningCommand {
    fn drop(&mut self) {
        // Asks rather than aborts, so that the channel is closed and the server can use its slot again.
        if !self.task.is_finished() {
            let _ = self.kill.try_send(());
        }
    }
}

/// Quotes a text as one word for a POSIX shell.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The exit code of a script that arrived cut short and was not run.
pub const CUT_SHORT: i32 = 122;

/// A command line that writes its whole input to a file, checks that all of it came, runs `command`, and removes the
/// file: a script over one channel. The script's own input is empty.
pub fn script_line(path: &str, mode: u32, length: u64, command: &str, keep: bool) -> String {
    let remove = if keep { "" } else { "rm -f \"$f\"; " };
    let body = format!(
        "f={path}; (umask 077; cat >\"$f\") && [ \"$(wc -c <\"$f\")\" -eq {length} ] || {{ echo \"the script did not arrive whole at $f\" >&2; {remove}exit {CUT_SHORT}; }}; chmod {mode:04o} \"$f\"; ({command}\n) </dev/null; r=$?; {remove}exit $r",
        path = quote(path),
    );
    format!("sh -c {}", quote(&body))
}
