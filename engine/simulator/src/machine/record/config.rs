//! Settings of the `record` machine: scripted answers, limits, boot time.
//!
//! Rules are what fault scripts write: the first whose pattern matches a command decides how it ends. Without rules a
//! command ends with 0 and says nothing.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use regex::Regex;
use serde::Deserialize;

use crate::machine::MachineError;

/// How machines of the `record` backend behave.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordConfig {
    /// Answers to commands; the first rule that matches wins.
    pub rules: Vec<ScriptRule>,
    pub limits: Limits,
    /// Milliseconds from power-on until connections are accepted.
    pub boot_ms: u64,
}

impl RecordConfig {
    pub(super) fn boot(&self) -> Duration {
        Duration::from_millis(self.boot_ms)
    }
}

/// How one kind of command ends.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScriptRule {
    /// Regular expression, searched in the command line as it was sent.
    pub pattern: String,
    /// The rule is used up after this many commands; none: never.
    pub times: Option<u32>,
    /// Exit code; 0 where neither this nor `signal` is set.
    pub exit: Option<u32>,
    /// Name of the signal that ended the command, without `SIG`; the command then has no exit code.
    pub signal: Option<String>,
    pub stdout: String,
    pub stderr: String,
    /// Milliseconds between the end of the input and the answer.
    pub delay_ms: u64,
    /// The connection is cut (after `delay_ms`) instead of an answer.
    pub disconnect: bool,
}

/// What one machine keeps at most. What exceeds a limit is counted in the provenance.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Commands.
    pub commands: usize,
    /// Bytes of one command line, of one environment value.
    pub command_bytes: usize,
    /// Files and directories.
    pub files: usize,
    /// Bytes of file content in all. Of a file beyond it size and digest are kept, but it cannot be read back.
    pub content_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { commands: 4096, command_bytes: 16 * 1024, files: 50_000, content_bytes: 64 * 1024 * 1024 }
    }
}

/// Compiled rules with their use counts.
pub(super) struct Rules(Vec<(Regex, ScriptRule, AtomicU32)>);

impl Rules {
    pub fn compile(rules: &[ScriptRule]) -> Result<Self, MachineError> {
        let compile = |rule: &ScriptRule| {
            Regex::new(&rule.pattern).map(|regex| (regex, rule.clone(), AtomicU32::new(0))).map_err(|error| {
                MachineError::Failed(format!(
                    "the pattern {:?} of a scripted answer is no regular expression: {error}",
                    rule.pattern
                ))
            })
        };
        rules.iter().map(compile).collect::<Result<_, _>>().map(Self)
    }

    /// The first rule that matches and is not used up; this counts as one use.
    pub fn find(&self, command: &str) -> Option<&ScriptRule> {
        self.0.iter().find_map(|(regex, rule, used)| {
            let free = regex.is_match(command)
                && rule.times.is_none_or(|times| used.fetch_add(1, Ordering::Relaxed) < times);
            free.then_some(rule)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_used_up_and_the_next_one_follows() {
        let rule = |pattern: &str, times, exit| ScriptRule {
            pattern: pattern.into(),
            times,
            exit: Some(exit),
            ..ScriptRule::default()
        };
        let rules = Rules::compile(&[rule("^apt", Some(2), 100), rule("apt", None, 7)]).unwrap();
        let exits: Vec<_> = (0..3).map(|_| rules.find("apt-get update").unwrap().exit.unwrap()).collect();
        assert_eq!(exits, [100, 100, 7]);
        assert!(rules.find("true").is_none());
    }

    #[test]
    fn a_broken_pattern_is_named() {
        let rule = ScriptRule { pattern: "a(".into(), ..ScriptRule::default() };
        let error = Rules::compile(&[rule]).err().unwrap().to_string();
        assert!(error.contains("\"a(\""), "{error}");
    }

    #[test]
    fn unknown_settings_are_refused() {
        let error =
            serde_json::from_str::<RecordConfig>(r#"{"rules":[{"pattern":"x","exitcode":1}]}"#).unwrap_err();
        assert!(error.to_string().contains("exitcode"));
    }
}
