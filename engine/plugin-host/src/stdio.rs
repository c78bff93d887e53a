//! Standard output and error of a guest. Nothing of it reaches the terminal as it is: lines go to the developer's log,
//! and the last lines are kept, because a guest that panics says why there.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use fornax_core::Redactor;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// How much of the end is kept.
const TAIL: usize = 4096;
/// How much one instance may write to the log.
const LOG: usize = 1024 * 1024;

struct Inner {
    plugin: Arc<str>,
    redactor: Redactor,
    partial: Vec<u8>,
    tail: Vec<u8>,
    logged: usize,
}

/// Takes what a guest writes. Clones write to the same place.
#[derive(Clone)]
pub struct GuestOutput(Arc<Mutex<Inner>>);

impl GuestOutput {
    pub fn new(plugin: &Arc<str>, redactor: &Redactor) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            plugin: Arc::clone(plugin),
            redactor: redactor.clone(),
            partial: Vec::new(),
            tail: Vec::new(),
            logged: 0,
        })))
    }

    fn write(&self, bytes: &[u8]) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.keep(bytes);
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            inner.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") || inner.partial.len() > TAIL {
                inner.log();
            }
        }
    }

    /// Keeps a message as if it had been written, without logging it.
    pub fn remember(&self, message: &str) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.keep(message.as_bytes());
        inner.keep(b"\n");
    }

    /// The end of what was written, masked, on one line.
    pub fn last_words(&self) -> String {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.log();
        let text = crate::output::strip_control(&String::from_utf8_lossy(&inner.tail));
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        inner.redactor.redact(&lines.join(" "))
    }
}

impl Inner {
    fn keep(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        let excess = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..excess);
    }

    fn log(&mut self) {
        let line = std::mem::take(&mut self.partial);
        if line.is_empty() || self.logged > LOG {
            return;
        }
        self.logged += line.len();
        let text = self.redactor.redact(&crate::output::clean(&line));
        tracing::debug!(target: "fornax::plugin", plugin = %self.plugin, "{text}");
    }
}

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestOutput {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for GuestOutput {
    async fn ready(&mut self) {}
}

impl OutputStream for GuestOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        GuestOutput::write(self, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 * 1024)
    }
}

impl tokio::io::AsyncWrite for GuestOutput {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        GuestOutput::write(&self, bytes);
        std::task::Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}
