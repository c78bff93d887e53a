//! What a build of a machine image is: template, plan, saga, journal, secrets, events and report.
//!
//! This crate opens no socket, no file and no terminal. What it needs from outside it names as a port (a trait), and
//! the adapters beside it implement the ports: the builder (`fornax-azure`), the way into the machine
//! (`fornax-communicator`) and the plugins (`fornax-plugin-host`). The binary is the only place where all meet.
//!
//! ```text
//! template text → template → plan → build (saga over the journal → provision → artifact → post-process) → report
//! ```

pub mod build;
pub mod builder;
pub mod communicator;
pub mod diagnostic;
pub mod duration;
pub mod event;
pub mod hcl;
pub mod ids;
pub mod interpolate;
pub mod journal;
mod pattern;
pub mod plan;
pub mod plugin;
pub mod report;
pub mod saga;
pub mod schema;
pub mod secret;
pub mod source;
pub mod template;
pub mod value;

#[cfg(test)]
mod testing;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use event::{BuildEvents, Event, EventSink};
pub use secret::{Redactor, Secret};
pub use source::{SourceFile, Span};
pub use value::{Node, Text, Value};
