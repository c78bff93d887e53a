//! The rules between options, checked before a machine exists.

use fornax_plugin_scripts::source::{self, Look};
use fornax_plugin_scripts::vars;
use fornax_plugin_sdk::Check;

use crate::config::{Config, POLICIES};

const NAME: &str = "powershell";

/// Checks a configuration and names the files that will be read.
pub fn check(check: &mut Check, look: &Look) {
    source::check(check, NAME, look);
    vars::check(check, NAME, &["env_var_format", "elevated_env_var_format"], name_of);
    elevated(check);
    if let Some(policy) = check.text("/execution_policy").filter(|text| !text.is_empty())
        && !POLICIES.contains(&policy)
    {
        let policy = policy.to_owned();
        check.error(
            "/execution_policy",
            "powershell/execution-policy",
            format!("Invalid execution policy {policy:?}"),
            format!("One of {}.", POLICIES.map(|policy| format!("`{policy}`")).join(", ")),
        );
    }
    if let Some(level) =
        check.get("/debug_mode").filter(|level| level.as_i64().is_none_or(|n| !(0..=2).contains(&n)))
    {
        let summary =
            format!("{level} is an invalid Trace level for `debug_mode`; valid values are 0, 1, and 2");
        check.error("/debug_mode", "powershell/debug-mode", summary, "Leave it out for no trace.");
    }
    commands(check);
}

fn name_of(name: &str) -> Option<&'static str> {
    let good = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (!good).then_some("`$env:NAME` takes letters, digits and `_`.")
}

fn elevated(check: &mut Check) {
    let filled = |check: &Check, option: &str| {
        check.is_unknown(option) || check.text(option).is_some_and(|text| !text.is_empty())
    };
    if filled(check, "/elevated_password") && !filled(check, "/elevated_user") {
        check.error(
            "/elevated_password",
            "powershell/password-without-user",
            "Must supply an 'elevated_user' if 'elevated_password' provided",
            "Name the user, or leave the password out.",
        );
    }
    if check.is_sealed("/elevated_execute_command") {
        check.error(
            "/elevated_execute_command",
            "powershell/secret-in-elevated-command",
            "A secret value can't stand in elevated_execute_command",
            "Other users of the machine could read it there; pass it in `env`.",
        );
    }
}

fn commands(check: &mut Check) {
    for (option, duration) in
        [("/start_retry_timeout", Config::retry_timeout as fn(&Config) -> _), ("/pause_after", Config::pause)]
    {
        if let Some(Err(problem)) = check.typed::<Config>().map(|config| duration(&config)) {
            check.error(option, "powershell/duration", problem, "Write it like `30s` or `5m`.");
        }
    }
    for option in ["execute_command", "elevated_execute_command"] {
        let pointer = format!("/{option}");
        if check.text(&pointer).is_some_and(|command| !command.is_empty() && !command.contains(".Path")) {
            check.warning(
                &pointer,
                "powershell/command-without-path",
                format!("This {option} does not run the script: {{{{ .Path }}}} is not in it"),
                "Write `{{ .Path }}` where the script is run.",
            );
        }
    }
}
