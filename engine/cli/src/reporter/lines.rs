//! Packer's lines: `==> name: text`, one colour a build, errors in red.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use fornax_core::event::{Event, EventSink, OutputStream};
use jiff::Timestamp;

use super::{Out, Reporter};

/// How lines look.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineOptions {
    pub color: bool,
    /// A time in front of each message (`-timestamp-ui`).
    pub timestamps: bool,
}

/// Green, cyan, magenta, yellow, blue: the order in which builds get them.
const COLORS: [u8; 5] = [32, 36, 35, 33, 34];
const RED: u8 = 31;

pub struct LineReporter {
    out: Out,
    options: LineOptions,
    colors: Mutex<HashMap<String, u8>>,
}

impl LineReporter {
    pub fn new(out: Out, options: LineOptions) -> Self {
        Self { out, options, colors: Mutex::default() }
    }

    fn color_of(&self, build: &str) -> u8 {
        let mut colors = self.colors.lock().unwrap_or_else(PoisonError::into_inner);
        let next = COLORS[colors.len() % COLORS.len()];
        *colors.entry(build.to_owned()).or_insert(next)
    }

    /// What an event looks like; none for events that have no line.
    pub(super) fn format(&self, event: &Event) -> Option<String> {
        let (build, color, bold, text) = match event {
            Event::RunStarted { builds, .. } if self.options.color => {
                let mut text = String::new();
                for build in builds {
                    let color = self.color_of(build);
                    text.push_str(&paint(&format!("{build}: output will be in this color."), color, false));
                    text.push('\n');
                }
                return Some(text + "\n");
            }
            Event::Say { build, message } => (build.as_deref(), None, true, message.clone()),
            Event::Message { build, message } => (build.as_deref(), None, false, message.clone()),
            Event::Error { build, message } => (build.as_deref(), Some(RED), true, message.clone()),
            Event::Warning { build, message } => {
                (build.as_deref(), Some(33), true, format!("Warning: {message}"))
            }
            Event::Output { build, stream, lines } => {
                let color = (*stream == OutputStream::Stderr).then_some(RED);
                (Some(build.as_str()), color, false, lines.join("\n"))
            }
            Event::ResourceRemains { build, kind, id, error } => {
                (Some(build.as_str()), Some(RED), true, format!("{kind} {id} may remain: {error}"))
            }
            _ => return None,
        };
        let color = color.or_else(|| build.map(|b| self.color_of(b)));
        let mut out = String::with_capacity(text.len() + 64);
        if self.options.timestamps {
            out.push_str(&Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ: ").to_string());
        }
        let text = text.trim_end();
        for line in text.split('\n') {
            let line = match build {
                Some(build) => format!("==> {build}: {line}"),
                None => format!("==> {line}"),
            };
            let line = line.trim_end();
            match color {
                Some(color) if self.options.color => out.push_str(&paint(line, color, bold)),
                _ => out.push_str(line),
            }
            out.push('\n');
        }
        Some(out)
    }
}

fn paint(text: &str, color: u8, bold: bool) -> String {
    format!("\x1b[{};{color}m{text}\x1b[0m", u8::from(bold))
}

impl EventSink for LineReporter {
    fn emit(&self, event: Event) {
        if let Some(text) = self.format(&event) {
            self.out.write(&text);
        }
    }
}

impl Reporter for LineReporter {
    fn text(&self, text: &str) {
        self.out.write(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_look_as_packer_prints_them() {
        let reporter = LineReporter::new(Out::new(Vec::new()), LineOptions::default());
        let say = Event::Say { build: Some("web".into()), message: "one\ntwo\n".into() };
        assert_eq!(reporter.format(&say).as_deref(), Some("==> web: one\n==> web: two\n"));
        let colored = LineReporter::new(Out::new(Vec::new()), LineOptions { color: true, timestamps: false });
        assert_eq!(
            colored.format(&Event::Say { build: Some("web".into()), message: "x".into() }).as_deref(),
            Some("\x1b[1;32m==> web: x\x1b[0m\n")
        );
        let output = Event::Output {
            build: "db".into(),
            stream: OutputStream::Stdout,
            lines: vec!["a".into(), "b".into()],
        };
        assert_eq!(
            colored.format(&output).as_deref(),
            Some("\x1b[0;36m==> db: a\x1b[0m\n\x1b[0;36m==> db: b\x1b[0m\n")
        );
    }
}
