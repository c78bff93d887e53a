//! The rules between options, checked before a machine exists.

use fornax_plugin_sdk::Check;
use serde_json::Value;

use crate::config::Config;

/// Checks a configuration.
pub fn check(check: &mut Check) {
    let wrong: Vec<_> = check
        .get("/registry_keys")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
        .filter(|(_, key)| {
            key.as_str().is_some_and(|key| key.is_empty() || key.contains(['"', '%', '\n', '\r']))
        })
        .map(|(index, key)| (format!("/registry_keys/{index}"), key.to_string()))
        .collect();
    for (pointer, key) in wrong {
        check.error(
            &pointer,
            "windows-restart/registry-key",
            format!("{key} can't be asked for"),
            "A key is a PowerShell path such as `HKLM:SOFTWARE\\\\Vendor`, without quotes and percent signs.",
        );
    }
    let Some(config) = check.typed::<Config>() else { return };
    if let Err(problem) = config.timeout() {
        check.error("/restart_timeout", "windows-restart/duration", problem, "");
    }
    if config.registry_keys.is_some() && config.check_registry != Some(true) {
        check.warning(
            "/registry_keys",
            "windows-restart/registry-not-checked",
            "registry_keys are not looked at without check_registry",
            "Set `\"check_registry\": true`.",
        );
    }
}
