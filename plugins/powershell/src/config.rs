//! The configuration of a step and the defaults that follow from it.

use std::collections::BTreeMap;
use std::time::Duration;

use fornax_plugin_scripts::source::{self, Source, text};
use serde::Deserialize;

/// What `execution_policy` takes; `none` leaves the setting, and the program that takes it, out of command lines.
pub const POLICIES: [&str; 8] =
    ["bypass", "allsigned", "default", "remotesigned", "restricted", "undefined", "unrestricted", "none"];

/// How a variable is written.
pub const FORMAT: &str = "$env:%s=\"%s\"; ";

/// Folder of what a step writes to the machine.
const FOLDER: &str = "c:/Windows/Temp";

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
    pub elevated_env_var_format: Option<String>,
    pub execute_command: Option<String>,
    pub elevated_execute_command: Option<String>,
    pub elevated_user: Option<String>,
    pub elevated_password: Option<String>,
    pub execution_policy: Option<String>,
    pub use_pwsh: Option<bool>,
    pub debug_mode: Option<u8>,
    pub remote_path: Option<String>,
    pub remote_env_var_path: Option<String>,
    pub binary: Option<bool>,
    pub valid_exit_codes: Option<Vec<i64>>,
    pub skip_clean: Option<bool>,
    pub start_retry_timeout: Option<String>,
    pub pause_after: Option<String>,
}

impl Config {
    /// The scripts in the order in which they run.
    pub fn sources(&self) -> Vec<Source<'_>> {
        source::all(self.inline.as_deref(), &self.script, self.scripts.as_deref())
    }

    /// Whether the lines of `inline` run, from a wrapper that sets the variables itself.
    pub fn is_inline(&self) -> bool {
        self.inline.as_ref().is_some_and(|lines| !lines.is_empty())
    }

    /// Whether scripts run as another user, by a scheduled task.
    pub fn is_elevated(&self) -> bool {
        self.elevated_user().is_some()
    }

    /// The user of the scheduled task.
    pub fn elevated_user(&self) -> Option<&str> {
        text(&self.elevated_user)
    }

    /// The user's password; empty for accounts of services, which have none.
    pub fn elevated_password(&self) -> &str {
        text(&self.elevated_password).unwrap_or_default()
    }

    /// The execution policy.
    pub fn policy(&self) -> &str {
        text(&self.execution_policy).unwrap_or("bypass")
    }

    /// The level of `Set-PSDebug -Trace`.
    pub fn debug_mode(&self) -> u8 {
        self.debug_mode.unwrap_or(0)
    }

    /// The template of the command line.
    pub fn execute_command(&self) -> String {
        text(&self.execute_command).map_or_else(|| self.default_command(), str::to_owned)
    }

    /// The template of the command line that the scheduled task runs.
    pub fn elevated_execute_command(&self) -> String {
        text(&self.elevated_execute_command).map_or_else(|| self.default_command(), str::to_owned)
    }

    /// The template in use.
    pub fn command(&self) -> String {
        if self.is_elevated() { self.elevated_execute_command() } else { self.execute_command() }
    }

    fn default_command(&self) -> String {
        if self.is_inline() {
            return self.file_command("{{.Path}}");
        }
        let trace = match self.debug_mode() {
            0 => String::new(),
            level => format!("Set-PsDebug -Trace {level};"),
        };
        let block = format!(
            "& {{ if (Test-Path variable:global:ProgressPreference){{set-variable -name \
             variable:global:ProgressPreference -value 'SilentlyContinue'}};{trace}. {{{{.Vars}}}}; &'{{{{.Path}}}}'; \
             exit $LastExitCode }}"
        );
        match (self.policy(), self.use_pwsh == Some(true)) {
            ("none", _) => block,
            (policy, true) => format!("pwsh -executionpolicy {policy} -command \"{block}\""),
            (policy, false) => format!("powershell -executionpolicy {policy} \"{block}\""),
        }
    }

    /// The command line that runs a script file. Without an execution policy the shell itself must be PowerShell.
    pub fn file_command(&self, path: &str) -> String {
        match (self.policy(), self.use_pwsh == Some(true)) {
            ("none", _) => format!("& '{path}'; exit $LastExitCode"),
            (policy, true) => format!("pwsh -executionpolicy {policy} -file {path}"),
            (policy, false) => format!("powershell -executionpolicy {policy} -file {path}"),
        }
    }

    /// The format of variables in use.
    pub fn format(&self) -> &str {
        let option = if self.is_elevated() { &self.elevated_env_var_format } else { &self.env_var_format };
        text(option).unwrap_or(FORMAT)
    }

    /// Where scripts are written.
    pub fn remote_path(&self, uuid: &str) -> String {
        text(&self.remote_path).map_or_else(|| format!("{FOLDER}/script-{uuid}.ps1"), str::to_owned)
    }

    /// Where the variables are written.
    pub fn env_path(&self, uuid: &str) -> String {
        let default = || format!("{FOLDER}/packer-ps-env-vars-{uuid}.ps1");
        text(&self.remote_env_var_path).map_or_else(default, str::to_owned)
    }

    /// Where the script lies that removes the others: beside them.
    pub fn cleanup_path(&self, uuid: &str) -> String {
        let folder = text(&self.remote_path)
            .map_or(FOLDER, |path| path.rfind(['/', '\\']).map_or(".", |end| &path[..end]));
        format!("{folder}/packer-cleanup-{uuid}.ps1")
    }

    /// Whether scripts stay on the machine, but for those that hold secrets.
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn config(value: Value) -> Config {
        serde_json::from_value(value).unwrap()
    }

    const BLOCK: &str = "& { if (Test-Path variable:global:ProgressPreference){set-variable -name \
                         variable:global:ProgressPreference -value 'SilentlyContinue'};. {{.Vars}}; &'{{.Path}}'; exit \
                         $LastExitCode }";

    #[test]
    fn command_lines() {
        for (options, expected) in [
            (json!({"inline": ["a"]}), "powershell -executionpolicy bypass -file {{.Path}}".to_owned()),
            (
                json!({"inline": ["a"], "use_pwsh": true, "execution_policy": "remotesigned"}),
                "pwsh -executionpolicy remotesigned -file {{.Path}}".to_owned(),
            ),
            (
                json!({"inline": ["a"], "execution_policy": "none"}),
                "& '{{.Path}}'; exit $LastExitCode".to_owned(),
            ),
            (json!({"script": "a"}), format!("powershell -executionpolicy bypass \"{BLOCK}\"")),
            (
                json!({"script": "a", "use_pwsh": true}),
                format!("pwsh -executionpolicy bypass -command \"{BLOCK}\""),
            ),
            (json!({"script": "a", "execution_policy": "none"}), BLOCK.to_owned()),
            (
                json!({"inline": [], "script": "a", "debug_mode": 2}),
                format!(
                    "powershell -executionpolicy bypass \"{}\"",
                    BLOCK.replace(". {{.Vars}}", "Set-PsDebug -Trace 2;. {{.Vars}}")
                ),
            ),
            (json!({"script": "a", "execute_command": "x {{.Path}}"}), "x {{.Path}}".to_owned()),
            (
                json!({"inline": ["a"], "elevated_user": "u", "execute_command": "x"}),
                "powershell -executionpolicy bypass -file {{.Path}}".to_owned(),
            ),
            (json!({"inline": ["a"], "elevated_user": "u", "elevated_execute_command": "y"}), "y".to_owned()),
        ] {
            assert_eq!(config(options.clone()).command(), expected, "{options}");
        }
    }

    #[test]
    fn paths() {
        let all = config(json!({"inline": ["a"]}));
        assert_eq!(all.remote_path("U"), "c:/Windows/Temp/script-U.ps1");
        assert_eq!(all.env_path("U"), "c:/Windows/Temp/packer-ps-env-vars-U.ps1");
        assert_eq!(all.cleanup_path("U"), "c:/Windows/Temp/packer-cleanup-U.ps1");
        assert_eq!(all.retry_timeout(), Ok(Duration::from_secs(300)));
        for (path, expected) in [("C:\\x\\s.ps1", "C:\\x"), ("/tmp/s.ps1", "/tmp"), ("s.ps1", ".")] {
            let own = config(json!({"inline": ["a"], "remote_path": path}));
            assert_eq!(own.remote_path("U"), path);
            assert_eq!(own.cleanup_path("U"), format!("{expected}/packer-cleanup-U.ps1"));
        }
    }

    #[test]
    fn an_empty_user_elevates_nothing() {
        assert!(!config(json!({"elevated_user": ""})).is_elevated());
        let elevated = config(json!({"elevated_user": "SYSTEM", "elevated_env_var_format": "%s=%s"}));
        assert_eq!((elevated.elevated_password(), elevated.format()), ("", "%s=%s"));
    }
}
