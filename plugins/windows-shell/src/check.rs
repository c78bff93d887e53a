//! The rules between options, checked before a machine exists.

use fornax_plugin_scripts::source::{self, Look};
use fornax_plugin_scripts::vars;
use fornax_plugin_sdk::Check;

use crate::config::Config;

const NAME: &str = "windows-shell";

/// Checks a configuration and names the files that will be read.
pub fn check(check: &mut Check, look: &Look) {
    source::check(check, NAME, look);
    vars::check(check, NAME, &["env_var_format"], name_of);
    let Some(config) = check.typed::<Config>() else { return };
    if let Err(problem) = config.retry_timeout() {
        check.error("/start_retry_timeout", "windows-shell/duration", problem, "");
    }
    if !config.command().contains(".Path") {
        check.warning(
            "/execute_command",
            "windows-shell/command-without-path",
            "This execute_command does not run the script: {{ .Path }} is not in it",
            "Write `{{ .Path }}` where the script is run.",
        );
    }
}

fn name_of(name: &str) -> Option<&'static str> {
    let bad = name.contains(['"', '%', '&', '|', '<', '>', '^', '!']) || name.chars().any(char::is_control);
    bad.then_some("`set` can't write quotes, percent signs and operators in a name.")
}
