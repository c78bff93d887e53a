//! Host side of `ui`: messages of plugins, masked, without control characters, bounded in size and number.

use std::time::Instant;

use fornax_core::event::Event;

use crate::bindings::host::fornax::plugin::ui::{Host, Level};
use crate::rate::Pass;
use crate::state::State;

/// A message longer than this is cut.
const MESSAGE: usize = 16 * 1024;
/// A structured message with more fields loses the rest.
const FIELDS: usize = 32;

impl State {
    /// A text for people.
    pub fn presentable(&self, text: &str) -> String {
        // Cut generously, masked, then cut exactly: what a secret straddles at the first cut is gone by the second.
        let masked = self.sealer.mask(&text[..text.floor_char_boundary(4 * MESSAGE)], &self.redactor);
        let mut clean = crate::output::strip_control(&masked);
        if clean.len() > MESSAGE || text.len() > 4 * MESSAGE {
            clean.truncate(clean.floor_char_boundary(MESSAGE));
            clean.push('…');
        }
        clean
    }

    fn may_speak(&mut self) -> bool {
        match self.messages.pass(Instant::now()) {
            Pass::No => false,
            Pass::Yes => true,
            Pass::After(dropped) => {
                self.report_dropped(dropped);
                true
            }
        }
    }

    /// Says that messages are missing.
    pub fn report_dropped(&self, dropped: u64) {
        if let Some(step) = self.step.as_ref().filter(|_| dropped > 0) {
            step.events.warning(format!(
                "{dropped} messages of plugin {} were dropped, because it sends too many",
                self.plugin_name
            ));
        }
    }
}

impl Host for State {
    async fn say(&mut self, message: String) -> wasmtime::Result<()> {
        if !self.may_speak() {
            return Ok(());
        }
        let message = self.presentable(&message);
        match &self.step {
            Some(step) => step.events.say(message),
            None => tracing::debug!(target: "fornax::plugin", plugin = %self.plugin_name, "{message}"),
        }
        Ok(())
    }

    async fn log(
        &mut self,
        level: Level,
        message: String,
        fields: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        if !self.may_speak() {
            return Ok(());
        }
        let message = self.presentable(&message);
        let fields: Vec<(String, String)> = fields
            .iter()
            .take(FIELDS)
            .map(|(name, value)| (self.presentable(name), self.presentable(value)))
            .collect();
        if matches!(level, Level::Error) {
            // A guest that panics may say why here.
            self.output.remember(&message);
        }
        let level = match level {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        match &self.step {
            Some(step) => step.events.emit(Event::PluginLog {
                build: step.events.build().to_owned(),
                plugin: self.plugin_name.to_string(),
                level: level.to_owned(),
                message,
                fields,
            }),
            None => {
                tracing::debug!(target: "fornax::plugin", plugin = %self.plugin_name, level, ?fields, "{message}")
            }
        }
        Ok(())
    }

    async fn progress(&mut self, label: String, done: u64, total: Option<u64>) -> wasmtime::Result<()> {
        let last = total == Some(done);
        if let Some(step) = &self.step
            && (self.progress.pass(Instant::now()) != Pass::No || last)
        {
            let label = self.presentable(&label);
            step.events.emit(Event::Progress { build: step.events.build().to_owned(), label, done, total });
        }
        Ok(())
    }
}
