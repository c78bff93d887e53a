//! Checking a configuration in `prepare`. Some values may be unknown until the build runs, others are sealed
//! placeholders; [`Check`] knows which, collects the findings with JSON Pointers to what they are about, and the
//! files that will be read.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::types::{Prepared, ValidateContext};
use crate::{Diagnostic, Severity};

/// A configuration under check and what was found.
#[derive(Debug)]
pub struct Check {
    config: Value,
    unknown: Vec<String>,
    sealed: Vec<String>,
    offline: bool,
    findings: Vec<Diagnostic>,
    normalized: Option<Value>,
    reads: Vec<String>,
}

impl Check {
    /// Starts a check; for tests of a plugin's own rules, as the SDK does it in the sandbox.
    pub fn new(config: Value, context: ValidateContext) -> Self {
        Check {
            config,
            unknown: context.unknown,
            sealed: context.sealed,
            offline: context.offline,
            findings: Vec::new(),
            normalized: None,
            reads: Vec::new(),
        }
    }

    /// A check of a configuration in which everything is known.
    pub fn of(config: Value) -> Self {
        Check::new(config, ValidateContext { unknown: Vec::new(), sealed: Vec::new(), offline: true })
    }

    /// The configuration. Unknown values are `null`.
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// The value at a JSON Pointer; none if it is absent, `null` or unknown.
    pub fn get(&self, pointer: &str) -> Option<&Value> {
        self.config.pointer(pointer).filter(|value| !value.is_null())
    }

    /// The text at a JSON Pointer.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.get(pointer).and_then(Value::as_str)
    }

    /// The texts of a single option and of a list option, each with its pointer: `script` and `scripts`.
    pub fn texts(&self, single: &str, list: &str) -> Vec<(String, String)> {
        let one = self
            .text(single)
            .filter(|text| !text.is_empty())
            .map(|text| (single.to_owned(), text.to_owned()));
        let many = self.get(list).and_then(Value::as_array).into_iter().flatten().enumerate();
        let many =
            many.filter_map(|(index, text)| Some((format!("{list}/{index}"), text.as_str()?.to_owned())));
        one.into_iter().chain(many).collect()
    }

    /// Whether something stands there, known or not.
    pub fn is_set(&self, pointer: &str) -> bool {
        self.get(pointer).is_some() || self.is_unknown(pointer)
    }

    /// Whether the value, or a part of it, is not known before the build runs.
    pub fn is_unknown(&self, pointer: &str) -> bool {
        self.unknown.iter().any(|unknown| touches(unknown, pointer))
    }

    /// Whether the value, or a part of it, is a sealed placeholder.
    pub fn is_sealed(&self, pointer: &str) -> bool {
        self.sealed.iter().any(|sealed| touches(sealed, pointer))
    }

    /// Whether anything is unknown.
    pub fn has_unknown(&self) -> bool {
        !self.unknown.is_empty()
    }

    /// True when called for `validate` without any build.
    pub fn offline(&self) -> bool {
        self.offline
    }

    /// The configuration as a type, where all of it is known and fits.
    pub fn typed<T: DeserializeOwned>(&self) -> Option<T> {
        if self.has_unknown() { None } else { T::deserialize(&self.config).ok() }
    }

    /// The configuration cannot be used. `code` is stable, such as `motd/text-empty`; `summary` is one sentence,
    /// `help` says what to do about it; it may be empty.
    pub fn error(&mut self, pointer: &str, code: &str, summary: impl Into<String>, help: impl Into<String>) {
        self.add(Severity::Error, pointer, code, summary.into(), help.into());
    }

    /// Usable, but probably not meant like this.
    pub fn warning(
        &mut self,
        pointer: &str,
        code: &str,
        summary: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Severity::Warning, pointer, code, summary.into(), help.into());
    }

    /// A hint.
    pub fn note(&mut self, pointer: &str, code: &str, summary: impl Into<String>, help: impl Into<String>) {
        self.add(Severity::Note, pointer, code, summary.into(), help.into());
    }

    fn add(&mut self, severity: Severity, pointer: &str, code: &str, summary: String, help: String) {
        self.findings.push(Diagnostic {
            severity,
            path: pointer.into(),
            summary,
            detail: help,
            code: code.into(),
        });
    }

    /// What was found so far.
    pub fn findings(&self) -> &[Diagnostic] {
        &self.findings
    }

    /// Whether an error was found.
    pub fn failed(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// A host file that the step will read: it becomes part of the plan.
    pub fn reads(&mut self, path: impl Into<String>) {
        self.reads.push(path.into());
    }

    /// The files that the step will read.
    pub fn read_paths(&self) -> &[String] {
        &self.reads
    }

    /// Replaces the configuration that the step will get.
    pub fn normalize(&mut self, config: Value) {
        self.normalized = Some(config);
    }

    pub(crate) fn finish(self) -> Prepared {
        Prepared {
            diagnostics: self.findings,
            normalized: self.normalized.map(|config| config.to_string()),
            reads: self.reads,
        }
    }
}

/// Whether one pointer is the other or a part of it.
fn touches(one: &str, other: &str) -> bool {
    let inside = |whole: &str, part: &str| {
        part.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    inside(one, other) || inside(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_parts_count_as_set_and_are_never_typed() {
        let context =
            ValidateContext { unknown: vec!["/env/A".into()], sealed: vec!["/text".into()], offline: false };
        let check = Check::new(json!({"env": {"A": null}, "text": "sealed_"}), context);
        assert!(check.is_set("/env/A") && check.is_unknown("/env") && check.is_unknown("/env/A"));
        assert!(!check.is_unknown("/environment") && !check.is_set("/missing"));
        assert!(check.is_sealed("/text"));
        assert!(check.typed::<Value>().is_none());
    }

    #[test]
    fn findings_keep_their_place() {
        let mut check = Check::of(json!({}));
        check.warning("/a", "x/w", "odd", "");
        assert!(!check.failed());
        check.error("/b", "x/e", "wrong", "do this");
        assert!(check.failed());
        let prepared = check.finish();
        assert_eq!(prepared.diagnostics[1].path, "/b");
        assert_eq!(prepared.diagnostics[1].code, "x/e");
    }
}
