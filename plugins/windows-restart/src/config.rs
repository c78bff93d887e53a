//! The configuration of a step and the defaults that follow from it.

use std::time::Duration;

use fornax_plugin_sdk::duration;
use serde::Deserialize;

/// Restarts the machine.
pub const COMMAND: &str = "shutdown /r /f /t 0 /c \"packer restart\"";
/// Succeeds once the machine can be used again. Nothing in it means anything to the shells that may read it first.
pub const CHECK: &str =
    "powershell -NoProfile -Command \"Write-Output ('{0} restarted.' -f [System.Net.Dns]::GetHostName())\"";
/// Keys that are there while a restart is pending.
pub const KEYS: [&str; 3] = [
    "HKLM:SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\RebootPending",
    "HKLM:SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\PackagesPending",
    "HKLM:SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\RebootInProgress",
];

/// Options of the provisioner, as they are written in a template.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub restart_command: Option<String>,
    pub restart_check_command: Option<String>,
    pub restart_timeout: Option<String>,
    pub check_registry: Option<bool>,
    pub registry_keys: Option<Vec<String>>,
}

/// An option that is set to the empty text counts as not set.
fn text(option: &Option<String>) -> Option<&str> {
    option.as_deref().filter(|text| !text.is_empty())
}

impl Config {
    /// The command that restarts the machine.
    pub fn command(&self) -> &str {
        text(&self.restart_command).unwrap_or(COMMAND)
    }

    /// The command that succeeds once the machine can be used again.
    pub fn check_command(&self) -> &str {
        text(&self.restart_check_command).unwrap_or(CHECK)
    }

    /// How long all of it may take.
    pub fn timeout(&self) -> Result<Duration, String> {
        text(&self.restart_timeout).map_or(Ok(Duration::from_secs(300)), duration::parse)
    }

    /// The registry keys that must be gone.
    pub fn keys(&self) -> Vec<&str> {
        match (self.check_registry, self.registry_keys.as_deref()) {
            (Some(true), Some(keys)) if !keys.is_empty() => keys.iter().map(String::as_str).collect(),
            (Some(true), _) => KEYS.to_vec(),
            _ => Vec::new(),
        }
    }

    /// The command that prints for each registry key in a line whether it is there; none without keys.
    pub fn registry_command(&self) -> Option<String> {
        let keys: Vec<_> =
            self.keys().into_iter().map(|key| format!("'{}'", key.replace('\'', "''"))).collect();
        (!keys.is_empty())
            .then(|| format!("powershell -NoProfile -Command \"Test-Path -LiteralPath {}\"", keys.join(",")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults() {
        let config = Config::default();
        assert_eq!(config.command(), "shutdown /r /f /t 0 /c \"packer restart\"");
        assert_eq!(config.timeout(), Ok(Duration::from_secs(300)));
        assert!(config.check_command().contains("restarted.") && config.registry_command().is_none());
    }

    #[test]
    fn registry() {
        let keys = Some(vec!["HKLM:a'b".to_owned(), "HKLM:c".to_owned()]);
        let config = Config { check_registry: Some(true), registry_keys: keys, ..Config::default() };
        let expected = "powershell -NoProfile -Command \"Test-Path -LiteralPath 'HKLM:a''b','HKLM:c'\"";
        assert_eq!(config.registry_command().as_deref(), Some(expected));
        let config = Config { registry_keys: None, ..config };
        assert_eq!(config.keys(), KEYS);
        assert!(Config { check_registry: None, ..config }.keys().is_empty());
    }
}
