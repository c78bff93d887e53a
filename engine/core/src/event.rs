//! What happens in a run, as typed facts. Reporters (terminal, JSON lines, machine-readable) turn them into output;
//! the report is made of them. Developers' logs go through `tracing` and never through here.
//!
//! Sinks receive events **after** masking: the composition root puts a redacting sink in front of every reporter.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

/// Which stream of a command a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputStream {
    Stdout,
    Stderr,
}

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    Succeeded,
    Failed,
    Cancelled,
    Skipped,
}

/// A fact. `build` is the build's name as people see it. Serialised as `{"type":"step-finished",…}`; durations are
/// seconds. The form is a public interface: new fields and types may come, none changes.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    RunStarted {
        run_id: String,
        engine_version: String,
        template: String,
        simulated: bool,
        builds: Vec<String>,
    },
    BuildStarted {
        build: String,
        builder_type: String,
        build_id: String,
    },
    /// A line for the person who watches (`==> name: message`).
    Say {
        build: Option<String>,
        message: String,
    },
    /// A detail (`    name: message`).
    Message {
        build: Option<String>,
        message: String,
    },
    /// Something went wrong (`==> name: message`, red).
    Error {
        build: Option<String>,
        message: String,
    },
    Warning {
        build: Option<String>,
        message: String,
    },
    /// Whole lines of a command's output, without line ends.
    Output {
        build: String,
        stream: OutputStream,
        lines: Vec<String>,
    },
    StepStarted {
        build: String,
        step: String,
    },
    StepFinished {
        build: String,
        step: String,
        ending: Ending,
        #[serde(serialize_with = "seconds")]
        duration: Duration,
    },
    /// The engine waits: for what, since when, and how long it is willing to.
    Waiting {
        build: String,
        what: String,
        #[serde(serialize_with = "seconds")]
        elapsed: Duration,
        #[serde(serialize_with = "opt_seconds")]
        limit: Option<Duration>,
    },
    Progress {
        build: String,
        label: String,
        done: u64,
        total: Option<u64>,
    },
    ResourceCreated {
        build: String,
        kind: String,
        id: String,
    },
    ResourceDeleted {
        build: String,
        kind: String,
        id: String,
    },
    /// An undo failed: the resource may remain and may cost money.
    ResourceRemains {
        build: String,
        kind: String,
        id: String,
        error: String,
    },
    /// A structured message of a plugin.
    PluginLog {
        build: String,
        plugin: String,
        level: String,
        message: String,
        fields: Vec<(String, String)>,
    },
    Artifact {
        build: String,
        index: usize,
        builder_id: String,
        id: String,
        text: String,
        files: Vec<String>,
        simulated: bool,
    },
    BuildFinished {
        build: String,
        ending: Ending,
        #[serde(serialize_with = "seconds")]
        duration: Duration,
        error: Option<String>,
    },
    RunFinished {
        ending: Ending,
        #[serde(serialize_with = "seconds")]
        duration: Duration,
    },
}

pub(crate) fn seconds<S: serde::Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64((d.as_secs_f64() * 1000.0).round() / 1000.0)
}

fn opt_seconds<S: serde::Serializer>(d: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
    match d {
        Some(d) => seconds(d, s),
        None => s.serialize_none(),
    }
}

/// Takes events; must not block for long and must not fail.
pub trait EventSink: Send + Sync {
    fn emit(&self, event: Event);
}

/// The events of one build: the sink and the build's name. Cheap to clone.
#[derive(Clone)]
pub struct BuildEvents {
    sink: Arc<dyn EventSink>,
    build: Arc<str>,
}

impl BuildEvents {
    pub fn new(sink: Arc<dyn EventSink>, build: &str) -> Self {
        Self { sink, build: build.into() }
    }

    pub fn build(&self) -> &str {
        &self.build
    }

    pub fn sink(&self) -> &Arc<dyn EventSink> {
        &self.sink
    }

    pub fn emit(&self, event: Event) {
        self.sink.emit(event);
    }

    pub fn say(&self, message: impl Into<String>) {
        self.emit(Event::Say { build: Some(self.build.to_string()), message: message.into() });
    }

    pub fn message(&self, message: impl Into<String>) {
        self.emit(Event::Message { build: Some(self.build.to_string()), message: message.into() });
    }

    pub fn error(&self, message: impl Into<String>) {
        self.emit(Event::Error { build: Some(self.build.to_string()), message: message.into() });
    }

    pub fn warning(&self, message: impl Into<String>) {
        self.emit(Event::Warning { build: Some(self.build.to_string()), message: message.into() });
    }

    pub fn output(&self, stream: OutputStream, lines: Vec<String>) {
        if !lines.is_empty() {
            self.emit(Event::Output { build: self.build.to_string(), stream, lines });
        }
    }

    pub fn waiting(&self, what: impl Into<String>, elapsed: Duration, limit: Option<Duration>) {
        self.emit(Event::Waiting { build: self.build.to_string(), what: what.into(), elapsed, limit });
    }
}

/// `1h5m`, `20m`, `90s` as people and templates write durations: the largest two units.
pub fn human_duration(d: Duration) -> String {
    let (h, m, s, ms) = (d.as_secs() / 3600, d.as_secs() / 60 % 60, d.as_secs() % 60, d.subsec_millis());
    match (h, m, s, ms) {
        (0, 0, 0, ms) => format!("{ms}ms"),
        (0, 0, s, 0) => format!("{s}s"),
        (0, 0, s, ms) => format!("{s}.{}s", ms / 100),
        (0, m, 0, _) => format!("{m}m"),
        (0, m, s, _) => format!("{m}m{s}s"),
        (h, 0, ..) => format!("{h}h"),
        (h, m, ..) => format!("{h}h{m}m"),
    }
}
