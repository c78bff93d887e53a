//! Turns events into what people and programs read. One reporter is active in a run: plain lines (as Packer prints
//! them), the same with live progress on a terminal, JSON lines, or Packer's machine-readable lines.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use fornax_core::event::EventSink;

mod json;
mod lines;
mod live;
mod machine;

pub use json::JsonReporter;
pub use lines::{LineOptions, LineReporter};
pub use live::LiveReporter;
pub use machine::{MachineReporter, machine_line};

/// Where output goes. Shared by the reporter and by what the commands print themselves.
#[derive(Clone)]
pub struct Out(Arc<Mutex<Box<dyn Write + Send>>>);

impl Out {
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(writer))))
    }

    /// Writes and flushes. A closed pipe ends nobody: a build must still clean up when its reader has gone away.
    pub fn write(&self, text: &str) {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writer.write_all(text.as_bytes());
        let _ = writer.flush();
    }

    pub fn line(&self, text: &str) {
        self.write(&format!("{text}\n"));
    }
}

/// A reporter: takes events, and prints the closing text of the run.
pub trait Reporter: EventSink {
    /// Plain text that belongs to no build (headers, the summary).
    fn text(&self, text: &str);
    /// While it is held, nothing is drawn over what stands at the end of the screen, such as a question.
    fn hold(&self, _held: bool) {}
    /// Nothing is drawn after this.
    fn close(&self) {}
}
