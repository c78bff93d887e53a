//! What came of a run, complete enough to derive a signed statement from it: inputs by digest, steps with durations,
//! artifacts, what was created and what became of it. Also the text that ends a run, as Packer prints it.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::builder::Remains;
use crate::event::{Ending, seconds};
use crate::journal::{Entry, Lifetime, Status, Undone};
use crate::plugin::{Artifact, ExtensionInfo, ExtensionKind};
use crate::secret::Redactor;

/// The whole run. Serialised it is a public interface; durations are seconds, times RFC 3339 in UTC.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    pub run_id: String,
    pub engine_version: String,
    pub template: String,
    pub simulated: bool,
    pub started: String,
    pub ending: Ending,
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// In template order.
    pub builds: Vec<BuildReport>,
}

#[derive(Clone, Debug, Serialize)]
pub struct BuildReport {
    pub name: String,
    pub build_id: String,
    pub builder_type: String,
    pub simulated: bool,
    pub started: String,
    pub ending: Ending,
    pub error: Option<String>,
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// In the order in which they ended.
    pub steps: Vec<StepReport>,
    pub artifacts: Vec<Artifact>,
    /// Everything that began to exist, in that order.
    pub resources: Vec<ResourceReport>,
    /// What may still be there; empty is the only good answer.
    pub remains: Vec<Remains>,
    /// Where the journal is, or was.
    pub journal: Option<String>,
    pub inputs: Inputs,
}

#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    pub name: String,
    pub ending: Ending,
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub duration: Duration,
}

#[derive(Clone, Debug, Serialize)]
pub struct ResourceReport {
    pub kind: String,
    pub id: String,
    pub lifetime: Lifetime,
    pub state: ResourceState,
}

/// What became of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResourceState {
    Deleted,
    /// It never came to exist.
    Absent,
    /// It belongs to somebody else and was not touched.
    NotOurs,
    /// A product of the build.
    Kept,
    Remains,
}

/// What the result depends on.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Inputs {
    /// Lower-case hexadecimal SHA-256 of the template.
    pub template_digest: String,
    pub plugins: Vec<PluginInput>,
    /// Facts about the source image.
    pub source: serde_json::Map<String, serde_json::Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PluginInput {
    pub kind: ExtensionKind,
    #[serde(rename = "type")]
    pub type_name: String,
    pub plugin: String,
    pub version: String,
    /// Lower-case hexadecimal SHA-256 of the component.
    pub digest: String,
    pub origin: String,
}

impl From<&ExtensionInfo> for PluginInput {
    fn from(info: &ExtensionInfo) -> Self {
        Self {
            kind: info.kind,
            type_name: info.name.clone(),
            plugin: info.plugin_name.clone(),
            version: info.plugin_version.clone(),
            digest: info.plugin_digest.clone(),
            origin: info.origin.clone(),
        }
    }
}

impl From<&Entry> for ResourceReport {
    fn from(entry: &Entry) -> Self {
        let state = match entry.status {
            Status::Undone(Undone::Absent) if entry.existed => ResourceState::Deleted,
            Status::Undone(Undone::Deleted) => ResourceState::Deleted,
            Status::Undone(Undone::Absent) => ResourceState::Absent,
            Status::Undone(Undone::NotOurs) => ResourceState::NotOurs,
            Status::Kept => ResourceState::Kept,
            Status::Began | Status::Done | Status::Failed | Status::UndoBegan | Status::UndoFailed { .. } => {
                ResourceState::Remains
            }
        };
        let resource = &entry.resource;
        Self { kind: resource.kind.clone(), id: resource.id.clone(), lifetime: resource.lifetime, state }
    }
}

impl BuildReport {
    /// Masks every text that comes from outside.
    pub(crate) fn mask(&mut self, redactor: &Redactor) {
        let mask = |text: &mut String| *text = redactor.redact(text);
        mask(&mut self.name);
        self.error.iter_mut().for_each(mask);
        self.steps.iter_mut().for_each(|step| mask(&mut step.name));
        for artifact in &mut self.artifacts {
            mask(&mut artifact.id);
            mask(&mut artifact.text);
            artifact.metadata.values_mut().for_each(|value| redactor.redact_json(value));
            for file in &mut artifact.files {
                *file = redactor.redact(&file.to_string_lossy()).into();
            }
        }
        self.resources.iter_mut().for_each(|resource| mask(&mut resource.id));
        for remains in &mut self.remains {
            mask(&mut remains.id);
            mask(&mut remains.reason);
        }
        self.inputs.source.values_mut().for_each(|value| redactor.redact_json(value));
    }

    pub fn may_remain(&self) -> bool {
        !self.remains.is_empty()
    }

    /// `Build 'x' finished after 4 seconds 311 milliseconds.`
    pub fn headline(&self) -> String {
        let after = long_duration(self.duration);
        match &self.error {
            _ if self.ending == Ending::Succeeded => format!("Build '{}' finished after {after}.", self.name),
            Some(error) => format!("Build '{}' errored after {after}: {error}", self.name),
            None => format!("Build '{}' errored after {after}.", self.name),
        }
    }

    /// The steps with their durations, a line each; empty if there were none.
    pub fn steps_text(&self) -> String {
        let mut out = String::new();
        let width = self.steps.iter().map(|step| step.name.chars().count()).max().unwrap_or(0);
        for step in &self.steps {
            let ending = match step.ending {
                Ending::Succeeded => "",
                Ending::Failed => "  failed",
                Ending::Cancelled => "  cancelled",
                Ending::Skipped => "  skipped",
            };
            let seconds = step.duration.as_secs_f64();
            let _ = writeln!(out, "    {:width$}  {seconds:>8.3} s{ending}", step.name);
        }
        out
    }

    /// What was created and what became of it, in one line; empty if nothing was.
    pub fn resources_text(&self) -> String {
        if self.resources.is_empty() {
            return String::new();
        }
        let mut out = format!("created {}", self.resources.len());
        for (state, word) in [
            (ResourceState::Deleted, "deleted"),
            (ResourceState::Absent, "never came to exist"),
            (ResourceState::NotOurs, "not ours and left alone"),
            (ResourceState::Kept, "kept"),
            (ResourceState::Remains, "MAY REMAIN"),
        ] {
            match self.resources.iter().filter(|resource| resource.state == state).count() {
                0 => {}
                count => {
                    let _ = write!(out, ", {count} {word}");
                }
            }
        }
        out
    }
}

impl RunReport {
    pub fn may_remain(&self) -> bool {
        self.builds.iter().any(BuildReport::may_remain)
    }

    /// The end of a run as Packer prints it, from the line `Wait completed` on, and what Packer has not: steps with
    /// durations, and what was created and deleted.
    pub fn summary(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "\n==> Wait completed after {}", long_duration(self.duration));
        let failed: Vec<&BuildReport> =
            self.builds.iter().filter(|build| build.ending != Ending::Succeeded).collect();
        if self.ending == Ending::Cancelled {
            let all_gone = if self.may_remain() { "Cancelled" } else { "Cleanly cancelled" };
            let _ = writeln!(out, "\n{all_gone} builds after being interrupted.");
        }
        if !failed.is_empty() {
            out.push_str("\n==> Some builds didn't complete successfully and had errors:\n");
            for build in failed {
                let _ = writeln!(
                    out,
                    "--> {}: {}",
                    build.name,
                    build.error.as_deref().unwrap_or("unknown error")
                );
            }
        }
        for build in self.builds.iter().filter(|build| !build.steps.is_empty()) {
            let _ = writeln!(out, "\n==> Steps of '{}':", build.name);
            out.push_str(&build.steps_text());
            if !build.resources.is_empty() {
                let _ = writeln!(out, "    resources: {}", build.resources_text());
            }
        }
        let simulated = if self.simulated { " (simulated)" } else { "" };
        if self.builds.iter().all(|build| build.artifacts.is_empty()) {
            let _ = writeln!(out, "\n==> Builds finished but no artifacts were created.");
        } else {
            let _ =
                writeln!(out, "\n==> Builds finished. The artifacts of successful builds are{simulated}:");
            for build in &self.builds {
                for artifact in &build.artifacts {
                    let _ = writeln!(out, "--> {}: {}", build.name, artifact.text);
                }
            }
        }
        out
    }
}

/// The two largest units, as Packer writes durations: `4 seconds 311 milliseconds`.
pub fn long_duration(duration: Duration) -> String {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let units = [
        ("week", 604_800_000_000),
        ("day", 86_400_000_000),
        ("hour", 3_600_000_000),
        ("minute", 60_000_000),
        ("second", 1_000_000),
        ("millisecond", 1000),
        ("microsecond", 1),
    ];
    let mut left = micros;
    let mut parts = Vec::new();
    for (name, size) in units {
        let count = left / size;
        left %= size;
        if count > 0 && parts.len() < 2 {
            parts.push(format!("{count} {name}{}", if count == 1 { "" } else { "s" }));
        }
    }
    if parts.is_empty() { "0 seconds".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests;
