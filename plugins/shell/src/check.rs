//! The rules between options, checked before a machine exists.

use fornax_plugin_scripts::source::{self, Look};
use fornax_plugin_scripts::vars;
use fornax_plugin_sdk::Check;

use crate::config::Config;
use crate::env;

/// Checks a configuration and names the files that will be read.
pub fn check(check: &mut Check, look: &Look) {
    source::check(check, "shell", look);
    vars::check(check, "shell", &["env_var_format"], |name| {
        (!env::is_name(name))
            .then_some("Names consist of letters, digits and `_` and do not start with a digit.")
    });
    texts(check);
}

fn texts(check: &mut Check) {
    let Some(config) = check.typed::<Config>() else { return };
    for (pointer, duration) in
        [("/start_retry_timeout", config.retry_timeout()), ("/pause_after", config.pause())]
    {
        if let Err(problem) = duration {
            check.error(pointer, "shell/duration", problem, "");
        }
    }
    if config.execute_command.as_deref().is_some_and(|command| !command.contains(".Path")) {
        check.warning(
            "/execute_command",
            "shell/command-without-path",
            "This execute_command does not run the script: {{ .Path }} is not in it",
            "Write `{{ .Path }}` where the script is run.",
        );
    }
    if !config.env_file()
        && config.execute_command.as_deref().is_some_and(|text| text.contains(".EnvVarFile"))
    {
        check.warning(
            "/execute_command",
            "shell/no-env-var-file",
            "{{ .EnvVarFile }} is empty without use_env_var_file",
            "Set `\"use_env_var_file\": true`.",
        );
    }
}
