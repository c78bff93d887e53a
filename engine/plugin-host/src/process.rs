//! A running command and where its output goes: shown, dropped, kept, or handed out in pieces. Whatever a guest gets
//! to see is masked first.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use fornax_core::Redactor;
use fornax_core::communicator::{CommandEvent, ExitStatus, Running};
use fornax_core::event::OutputStream;
use fornax_core::secret::StreamRedactor;

use crate::output::Shown;

/// A guest can't keep more than this of each stream.
pub const CAPTURE_LIMIT: usize = 16 * 1024 * 1024;
/// The largest piece that is handed out.
const PIECE: usize = 64 * 1024;
/// A command that does not end when it is told to is left behind after this.
const KILL: Duration = Duration::from_secs(5);

/// Where output goes beside the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Nothing,
    UpTo(usize),
    Pieces,
}

/// A piece for the guest.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    pub stream: OutputStream,
    pub bytes: Vec<u8>,
}

/// The end of a command.
#[derive(Debug, Default)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub truncated: bool,
}

struct Kept {
    stream: OutputStream,
    mask: StreamRedactor,
    bytes: Vec<u8>,
}

/// A command and its output.
pub struct Job {
    running: Box<dyn Running>,
    shown: Option<Shown>,
    keep: Keep,
    stdout: Kept,
    stderr: Kept,
    truncated: bool,
    pieces: VecDeque<Piece>,
    status: Option<ExitStatus>,
}

impl Job {
    pub fn new(running: Box<dyn Running>, keep: Keep, shown: Option<Shown>, redactor: &Redactor) -> Self {
        let kept = |stream| Kept { stream, mask: redactor.stream(), bytes: Vec::new() };
        Self {
            running,
            shown,
            keep,
            stdout: kept(OutputStream::Stdout),
            stderr: kept(OutputStream::Stderr),
            truncated: false,
            pieces: VecDeque::new(),
            status: None,
        }
    }

    /// Shows what is still to come instead of handing it out.
    pub fn show_rest(&mut self, shown: Option<Shown>) {
        if self.keep == Keep::Pieces {
            self.keep = Keep::Nothing;
            if self.shown.is_none() {
                self.shown = shown;
                for piece in self.pieces.drain(..) {
                    if let Some(shown) = &mut self.shown {
                        shown.push(piece.stream, &piece.bytes);
                    }
                }
            }
            self.pieces.clear();
        }
    }

    /// Runs to the end.
    pub async fn wait(&mut self) -> Ended {
        while self.status.is_none() {
            self.advance().await;
        }
        Ended {
            status: self.status.clone().unwrap_or_default(),
            stdout: std::mem::take(&mut self.stdout.bytes),
            stderr: std::mem::take(&mut self.stderr.bytes),
            truncated: self.truncated,
        }
    }

    /// The next piece, or the end.
    pub async fn next(&mut self) -> Result<Piece, Ended> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Ok(piece);
            }
            if self.status.is_some() {
                return Err(self.wait().await);
            }
            self.advance().await;
        }
    }

    async fn advance(&mut self) {
        match self.running.next().await {
            Some(CommandEvent::Stdout(bytes)) => self.take(OutputStream::Stdout, bytes),
            Some(CommandEvent::Stderr(bytes)) => self.take(OutputStream::Stderr, bytes),
            Some(CommandEvent::Exited(status)) => self.end(status),
            None => self.end(ExitStatus { code: None, signal: None, disconnected: true }),
        }
    }

    fn take(&mut self, stream: OutputStream, bytes: Bytes) {
        if let Some(shown) = &mut self.shown {
            shown.push(stream, &bytes);
        }
        if self.keep != Keep::Nothing {
            let kept = self.kept(stream);
            let masked = kept.mask.push(&bytes);
            self.keep_masked(stream, masked);
        }
    }

    fn kept(&mut self, stream: OutputStream) -> &mut Kept {
        match stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        }
    }

    fn keep_masked(&mut self, stream: OutputStream, masked: Vec<u8>) {
        match self.keep {
            Keep::Nothing => {}
            Keep::UpTo(limit) => {
                let kept = self.kept(stream);
                let room = limit.min(CAPTURE_LIMIT).saturating_sub(kept.bytes.len());
                kept.bytes.extend_from_slice(&masked[..masked.len().min(room)]);
                self.truncated |= masked.len() > room;
            }
            Keep::Pieces => {
                self.pieces.extend(masked.chunks(PIECE).map(|bytes| Piece { stream, bytes: bytes.to_vec() }))
            }
        }
    }

    fn end(&mut self, status: ExitStatus) {
        if let Some(shown) = &mut self.shown {
            shown.finish();
        }
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            let kept = self.kept(stream);
            debug_assert_eq!(kept.stream, stream);
            let rest = kept.mask.finish();
            self.keep_masked(stream, rest);
        }
        self.status = Some(status);
    }

    /// Ends the command, within a bounded time.
    pub async fn kill(&mut self) {
        if self.status.is_none() {
            if tokio::time::timeout(KILL, self.running.kill()).await.is_err() {
                tracing::warn!("a command did not end within {} s of being told to", KILL.as_secs());
            }
            if let Some(shown) = &mut self.shown {
                shown.finish();
            }
        }
    }
}
