//! The configuration of a step and the defaults that follow from it.

use std::collections::BTreeMap;
use std::time::Duration;

use fornax_plugin_scripts::source::{self, Source, text};
use fornax_plugin_sdk::duration;
use serde::Deserialize;

/// The template of the command line.
pub const COMMAND: &str = "{{.Vars}}\"{{.Path}}\"";
/// How a variable is written.
pub const FORMAT: &str = "set \"%s=%s\" && ";
/// Where scripts are written.
pub const PATH: &str = "c:/Windows/Temp/script.bat";

/// Options of the provisioner, as they are written in a template.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub inline: Option<Vec<String>>,
    pub script: Option<String>,
    pub scripts: Option<Vec<String>>,
    pub environment_vars: Option<Vec<String>>,
    pub env: Option<BTreeMap<String, String>>,
    pub env_var_format: Option<String>,
    pub execute_command: Option<String>,
    pub remote_path: Option<String>,
    pub binary: Option<bool>,
    pub valid_exit_codes: Option<Vec<i64>>,
    pub start_retry_timeout: Option<String>,
}

impl Config {
    /// The scripts in the order in which they run.
    pub fn sources(&self) -> Vec<Source<'_>> {
        source::all(self.inline.as_deref(), &self.script, self.scripts.as_deref())
    }

    /// The template of the command line.
    pub fn command(&self) -> &str {
        text(&self.execute_command).unwrap_or(COMMAND)
    }

    /// How a variable is written, where the template says it.
    pub fn own_format(&self) -> Option<&str> {
        text(&self.env_var_format)
    }

    /// Where scripts are written.
    pub fn path(&self) -> &str {
        text(&self.remote_path).unwrap_or(PATH)
    }

    /// How long the start of a script is tried.
    pub fn retry_timeout(&self) -> Result<Duration, String> {
        text(&self.start_retry_timeout).map_or(Ok(Duration::from_secs(300)), duration::parse)
    }
}

/// The text of an inline script.
pub fn inline(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults() {
        let config = Config::default();
        assert_eq!(config.command(), "{{.Vars}}\"{{.Path}}\"");
        assert_eq!(config.path(), "c:/Windows/Temp/script.bat");
        assert_eq!(config.retry_timeout(), Ok(Duration::from_secs(300)));
        let own = Config { remote_path: Some("c:/x.cmd".into()), execute_command: Some("".into()), ..config };
        assert_eq!((own.path(), own.command()), ("c:/x.cmd", COMMAND));
        assert_eq!(inline(&["a".into(), "b".into()]), "a\nb\n");
    }
}
