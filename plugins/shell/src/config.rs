//! The configuration of a step and the defaults that follow from it.

use std::collections::BTreeMap;
use std::time::Duration;

use fornax_plugin_scripts::exit::{self, DISCONNECTED};
use fornax_plugin_scripts::source::{self, Source, text};
use serde::Deserialize;

/// Options of the provisioner, as they are written in a template.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub inline: Option<Vec<String>>,
    pub inline_shebang: Option<String>,
    pub script: Option<String>,
    pub scripts: Option<Vec<String>>,
    pub environment_vars: Option<Vec<String>>,
    pub env: Option<BTreeMap<String, String>>,
    pub env_var_format: Option<String>,
    pub use_env_var_file: Option<bool>,
    pub execute_command: Option<String>,
    pub remote_folder: Option<String>,
    pub remote_file: Option<String>,
    pub remote_path: Option<String>,
    pub binary: Option<bool>,
    pub valid_exit_codes: Option<Vec<i64>>,
    pub expect_disconnect: Option<bool>,
    pub skip_clean: Option<bool>,
    pub start_retry_timeout: Option<String>,
    pub pause_after: Option<String>,
}

impl Config {
    /// The scripts in the order in which they run.
    pub fn sources(&self) -> Vec<Source<'_>> {
        source::all(self.inline.as_deref(), &self.script, self.scripts.as_deref())
    }

    /// The interpreter of an inline script; none where its first line names one and the option is unset.
    pub fn shebang(&self) -> Option<&str> {
        let first = self.inline.as_deref().and_then(<[_]>::first);
        match text(&self.inline_shebang) {
            Some(shebang) => Some(shebang),
            None if first.is_some_and(|line| line.starts_with("#!")) => None,
            None => Some("/bin/sh -e"),
        }
    }

    /// Whether variables go into a file of their own.
    pub fn env_file(&self) -> bool {
        self.use_env_var_file == Some(true)
    }

    /// How a variable is written.
    pub fn format(&self) -> &str {
        let default = if self.env_file() { "export %s='%s'\n" } else { "%s='%s' " };
        text(&self.env_var_format).unwrap_or(default)
    }

    /// The template of the command line.
    pub fn command(&self) -> &str {
        let default = if self.env_file() {
            "chmod +x {{.Path}}; . {{.EnvVarFile}} && {{.Path}}"
        } else {
            "chmod +x {{.Path}}; {{.Vars}} {{.Path}}"
        };
        text(&self.execute_command).unwrap_or(default)
    }

    /// The folder for scripts on the machine.
    pub fn folder(&self) -> &str {
        text(&self.remote_folder).unwrap_or("/tmp")
    }

    /// Where scripts are written; `number` (0 to 9998) makes the name where none is given.
    pub fn path(&self, number: u32) -> String {
        match (text(&self.remote_path), text(&self.remote_file)) {
            (Some(path), _) => path.to_owned(),
            (None, Some(file)) => format!("{}/{file}", self.folder()),
            (None, None) => format!("{}/script_{number}.sh", self.folder()),
        }
    }

    /// Where the file with the variables is written.
    pub fn env_file_path(&self, number: u32) -> String {
        format!("{}/varfile_{number}.sh", self.folder())
    }

    /// Exit codes that count as success.
    pub fn valid_exit_codes(&self) -> &[i64] {
        exit::valid(self.valid_exit_codes.as_deref())
    }

    /// Whether losing the connection counts as success.
    pub fn may_disconnect(&self) -> bool {
        self.expect_disconnect == Some(true) || self.valid_exit_codes().contains(&DISCONNECTED)
    }

    /// Whether scripts stay on the machine.
    pub fn keep(&self) -> bool {
        self.skip_clean == Some(true)
    }

    /// How long the start of a script is tried.
    pub fn retry_timeout(&self) -> Result<Duration, String> {
        source::retry_timeout(&self.start_retry_timeout)
    }

    /// The pause behind the step.
    pub fn pause(&self) -> Result<Duration, String> {
        source::pause(&self.pause_after)
    }
}

/// The text for a connection that was lost while a script ran.
pub const DISCONNECT_MESSAGE: &str = "Script disconnected unexpectedly. If you expected your script to disconnect, i.e. \
     from a restart, you can try adding `\"expect_disconnect\": true` or `\"valid_exit_codes\": [0, 2300218]` to the \
     shell provisioner parameters";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(value: serde_json::Value) -> Config {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn defaults() {
        let config = config(json!({"inline": ["true"]}));
        assert_eq!(config.path(17), "/tmp/script_17.sh");
        assert_eq!(config.env_file_path(17), "/tmp/varfile_17.sh");
        assert_eq!(config.command(), "chmod +x {{.Path}}; {{.Vars}} {{.Path}}");
        assert_eq!(config.shebang(), Some("/bin/sh -e"));
        assert_eq!(config.retry_timeout(), Ok(Duration::from_secs(300)));
        assert_eq!(config.valid_exit_codes(), [0]);
        assert!(!config.may_disconnect() && !config.keep());
    }

    #[test]
    fn paths_and_shebang() {
        let own = config(json!({"inline": ["#!/bin/bash", "x"], "remote_folder": "/r", "remote_file": "f"}));
        assert_eq!(own.path(1), "/r/f");
        assert_eq!(own.shebang(), None);
        let both = config(json!({"inline": ["#!/bin/bash"], "inline_shebang": "/bin/zsh"}));
        assert_eq!(both.shebang(), Some("/bin/zsh"));
    }

    #[test]
    fn empty_inline_counts_as_unset() {
        let config = config(json!({"inline": [], "script": "a", "scripts": ["b"]}));
        assert_eq!(config.sources(), [Source::File("a"), Source::File("b")]);
    }

    #[test]
    fn the_exit_code_of_a_disconnect_allows_one() {
        assert!(config(json!({"valid_exit_codes": [0, 2300218]})).may_disconnect());
    }
}
