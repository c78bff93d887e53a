//! The traits that a plugin implements, and the description from which the host takes schema and documentation.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::bindings::exports::fornax::plugin::plugin::{CapabilityRequest, Extension, ExtensionKind};
use crate::{Capability, Check, Error, ErrorCode, Machine, Outcome, Processed, Result, artifacts::Artifact};

/// A provisioner: changes the machine that is being built.
pub trait Provisioner {
    /// Name in templates: lower-case letters, digits and `-`, at most 40.
    const NAME: &'static str;
    /// The configuration of a step.
    type Config: DeserializeOwned;

    /// What it is and which options it takes.
    fn describe() -> Description;

    /// Checks a configuration that already passed the schema, without any machine. Findings go into `check`.
    fn prepare(check: &mut Check) -> Result<()> {
        let _ = check;
        Ok(())
    }

    /// Does the work on the machine. Not called where [`Self::step`] is implemented.
    fn provision(config: Self::Config, machine: Machine) -> Result<Outcome> {
        let _ = (config, machine);
        Err(Error::new(ErrorCode::Unsupported, format!("{} has no work for a machine", Self::NAME)))
    }

    /// The whole step. A provisioner that needs no machine implements this instead of [`Self::provision`]: it works in
    /// builds without one, too.
    fn step(config: Self::Config) -> Result<Outcome> {
        Self::provision(config, Machine::current()?)
    }
}

/// A post-processor: turns an artifact into the next one.
pub trait PostProcessor {
    /// Name in templates: lower-case letters, digits and `-`, at most 40.
    const NAME: &'static str;
    /// The configuration of a step.
    type Config: DeserializeOwned;

    /// What it is and which options it takes.
    fn describe() -> Description;

    /// Checks a configuration that already passed the schema. Findings go into `check`.
    fn prepare(check: &mut Check) -> Result<()> {
        let _ = check;
        Ok(())
    }

    /// Does the work on the artifact that comes in.
    fn process(config: Self::Config, input: Artifact) -> Result<Processed>;
}

/// What an extension is and which options it takes.
#[derive(Clone, Debug, Default)]
pub struct Description {
    summary: String,
    docs: String,
    schema: Value,
    examples: Vec<Value>,
    capabilities: Vec<(Capability, bool, String)>,
}

impl Description {
    /// Starts with the one-line summary.
    pub fn new(summary: impl Into<String>) -> Self {
        Description { summary: summary.into(), ..Description::default() }
    }

    /// Long documentation in Markdown.
    #[must_use]
    pub fn docs(mut self, markdown: impl Into<String>) -> Self {
        self.docs = markdown.into();
        self
    }

    /// The whole JSON Schema of the configuration.
    #[must_use]
    pub fn schema(mut self, schema: Value) -> Self {
        self.schema = schema;
        self
    }

    /// The schema of an object with these properties and no others, of which some are required.
    #[must_use]
    pub fn options(self, required: &[&str], properties: Value) -> Self {
        self.schema(serde_json::json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        }))
    }

    /// An example configuration.
    #[must_use]
    pub fn example(mut self, config: Value) -> Self {
        self.examples.push(config);
        self
    }

    /// A right without which the extension still works in part; `reason` is for the operator who decides.
    #[must_use]
    pub fn wants(mut self, capability: Capability, reason: impl Into<String>) -> Self {
        self.capabilities.push((capability, false, reason.into()));
        self
    }

    /// A right without which the extension cannot work at all.
    #[must_use]
    pub fn requires(mut self, capability: Capability, reason: impl Into<String>) -> Self {
        self.capabilities.push((capability, true, reason.into()));
        self
    }

    /// The JSON Schema, for tests.
    pub fn config_schema(&self) -> &Value {
        &self.schema
    }

    /// The examples, for tests.
    pub fn example_configs(&self) -> &[Value] {
        &self.examples
    }

    pub(crate) fn extension(self, kind: ExtensionKind, name: &str) -> Extension {
        Extension {
            kind,
            name: name.to_owned(),
            summary: self.summary,
            docs: self.docs,
            config_schema: self.schema.to_string(),
            examples: self.examples.iter().map(Value::to_string).collect(),
            capabilities: self
                .capabilities
                .into_iter()
                .map(|(capability, required, reason)| CapabilityRequest { capability, required, reason })
                .collect(),
        }
    }
}

impl Outcome {
    /// The machine was changed.
    pub fn changed() -> Self {
        Outcome { outputs: "{}".into(), changed: true }
    }

    /// Nothing had to be changed.
    pub fn unchanged() -> Self {
        Outcome { outputs: "{}".into(), changed: false }
    }

    /// Values for later steps; a JSON object.
    #[must_use]
    pub fn with_outputs(mut self, outputs: &crate::Map) -> Self {
        self.outputs = serde_json::to_string(outputs).unwrap_or_else(|_| "{}".into());
        self
    }
}
