//! Masking of events. The composition root puts this sink in front of every reporter and of the report, so that no
//! reporter has to think of secrets.

use std::sync::Arc;

use super::redactor::Redactor;
use crate::event::{Event, EventSink};

/// Passes events on with every text in them masked.
pub struct RedactingSink {
    redactor: Redactor,
    inner: Arc<dyn EventSink>,
}

impl RedactingSink {
    pub fn new(redactor: Redactor, inner: Arc<dyn EventSink>) -> Self {
        Self { redactor, inner }
    }

    fn mask(&self, event: &mut Event) {
        let mask = |text: &mut String| {
            if let std::borrow::Cow::Owned(_) = self.redactor.redact_bytes(text.as_bytes()) {
                *text = self.redactor.redact(text);
            }
        };
        let mask_some = |text: &mut Option<String>| {
            if let Some(text) = text {
                mask(text);
            }
        };
        match event {
            Event::RunStarted { run_id: _, engine_version: _, template, simulated: _, builds } => {
                mask(template);
                builds.iter_mut().for_each(mask);
            }
            Event::BuildStarted { build, builder_type: _, build_id: _ } => mask(build),
            Event::Say { build, message }
            | Event::Message { build, message }
            | Event::Error { build, message }
            | Event::Warning { build, message } => {
                mask_some(build);
                mask(message);
            }
            Event::Output { build, stream: _, lines } => {
                mask(build);
                lines.iter_mut().for_each(mask);
            }
            Event::StepStarted { build, step } | Event::StepFinished { build, step, .. } => {
                mask(build);
                mask(step);
            }
            Event::Waiting { build, what, elapsed: _, limit: _ } => {
                mask(build);
                mask(what);
            }
            Event::Progress { build, label, done: _, total: _ } => {
                mask(build);
                mask(label);
            }
            Event::ResourceCreated { build, kind: _, id } | Event::ResourceDeleted { build, kind: _, id } => {
                mask(build);
                mask(id);
            }
            Event::ResourceRemains { build, kind: _, id, error } => {
                mask(build);
                mask(id);
                mask(error);
            }
            Event::PluginLog { build, plugin: _, level: _, message, fields } => {
                mask(build);
                mask(message);
                for (name, value) in fields {
                    mask(name);
                    mask(value);
                }
            }
            Event::Artifact { build, index: _, builder_id: _, id, text, files, simulated: _ } => {
                mask(build);
                mask(id);
                mask(text);
                files.iter_mut().for_each(mask);
            }
            Event::BuildFinished { build, ending: _, duration: _, error } => {
                mask(build);
                mask_some(error);
            }
            Event::RunFinished { ending: _, duration: _ } => {}
        }
    }
}

impl EventSink for RedactingSink {
    fn emit(&self, mut event: Event) {
        self.mask(&mut event);
        self.inner.emit(event);
    }
}
