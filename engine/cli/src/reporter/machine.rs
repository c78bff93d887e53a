//! Packer's `-machine-readable` lines: `UNIXTIME,TARGET,TYPE,DATA…`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use fornax_core::event::{Event, EventSink};
use jiff::Timestamp;

use super::{LineOptions, LineReporter, Out, Reporter};

pub struct MachineReporter {
    out: Out,
    lines: LineReporter,
    artifacts: Mutex<HashMap<String, Vec<Vec<Vec<String>>>>>,
    errors: Mutex<Vec<(String, String)>>,
}

/// One line, with the time and without an end.
fn line<T: AsRef<str>>(target: &str, kind: &str, data: &[T]) -> String {
    let mut line = format!("{},{target},{kind}", Timestamp::now().as_second());
    for item in data {
        line.push(',');
        line.push_str(&escape(item.as_ref()));
    }
    line
}

/// A line of a command that builds nothing.
pub fn machine_line<T: AsRef<str>>(kind: &str, data: &[T]) -> String {
    line("", kind, data)
}

/// Commas and line ends as Packer writes them inside of data.
fn escape(data: &str) -> String {
    data.replace(',', "%!(PACKER_COMMA)").replace('\r', "\\r").replace('\n', "\\n")
}

impl MachineReporter {
    pub fn new(out: Out) -> Self {
        let lines = LineReporter::new(out.clone(), LineOptions::default());
        Self { out, lines, artifacts: Mutex::default(), errors: Mutex::default() }
    }

    fn line(&self, target: &str, kind: &str, data: &[&str]) {
        self.out.line(&line(target, kind, data));
    }

    fn results(&self) {
        let errors = std::mem::take(&mut *self.errors.lock().unwrap_or_else(PoisonError::into_inner));
        if !errors.is_empty() {
            self.line("", "error-count", &[&errors.len().to_string()]);
            for (build, message) in &errors {
                self.line(build, "error", &[message]);
            }
        }
        let artifacts = std::mem::take(&mut *self.artifacts.lock().unwrap_or_else(PoisonError::into_inner));
        for (build, artifacts) in artifacts {
            self.line(&build, "artifact-count", &[&artifacts.len().to_string()]);
            for (index, rows) in artifacts.iter().enumerate() {
                for row in rows {
                    let index = index.to_string();
                    let data: Vec<&str> =
                        std::iter::once(index.as_str()).chain(row.iter().map(String::as_str)).collect();
                    self.line(&build, "artifact", &data);
                }
            }
        }
    }
}

impl EventSink for MachineReporter {
    fn emit(&self, event: Event) {
        let kind = match &event {
            Event::Say { .. } | Event::Output { .. } | Event::Message { .. } | Event::Warning { .. } => "say",
            Event::Error { .. } | Event::ResourceRemains { .. } => "error",
            Event::Artifact { build, builder_id, id, text, files, .. } => {
                let row = |items: &[&str]| items.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
                let mut rows = vec![
                    row(&["builder-id", builder_id]),
                    row(&["id", id]),
                    row(&["string", text]),
                    row(&["files-count", &files.len().to_string()]),
                ];
                rows.extend(files.iter().enumerate().map(|(i, f)| row(&["file", &i.to_string(), f])));
                rows.push(row(&["end"]));
                let mut artifacts = self.artifacts.lock().unwrap_or_else(PoisonError::into_inner);
                artifacts.entry(build.clone()).or_default().push(rows);
                return;
            }
            Event::BuildFinished { build, error: Some(error), .. } => {
                let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
                errors.push((build.clone(), error.clone()));
                return;
            }
            Event::RunFinished { .. } => return self.results(),
            _ => return,
        };
        if let Some(text) = self.lines.format(&event) {
            self.line("", "ui", &[kind, text.trim_end_matches('\n')]);
        }
    }
}

impl Reporter for MachineReporter {
    fn text(&self, text: &str) {
        let text = text.trim_end_matches('\n');
        if !text.is_empty() {
            self.line("", "ui", &["say", text]);
        }
    }
}
