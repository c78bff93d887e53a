//! The case table of the corpus for the provisioner `windows-restart`: accepted and refused configurations. It lies
//! beside the workspace; without it the test says so. No case is left out.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use fornax_plugin_sdk::prelude::*;
use fornax_plugin_windows_restart::WindowsRestart;
use fornax_plugin_windows_restart::check::check;
use fornax_plugin_windows_restart::config::Config;

fn cases() -> Vec<Value> {
    fornax_tests::windows_cases("windows-restart")
}

fn found(config: &Value) -> Vec<(String, String)> {
    let mut checked = Check::of(config.clone());
    check(&mut checked);
    checked.findings().iter().map(|finding| (finding.code.clone(), finding.path.clone())).collect()
}

#[test]
fn the_table() {
    let description = WindowsRestart::describe();
    let properties = description.config_schema()["properties"].as_object().unwrap();
    for case in cases() {
        let (value, expect) = (&case["config"], &case["expect"]);
        let known = value.as_object().unwrap().keys().all(|key| properties.contains_key(key));
        let config = Config::deserialize(value).ok();
        let ok = known && found(value).is_empty() && config.is_some();
        assert_eq!(ok, expect["ok"].as_bool().unwrap(), "{}", case["id"]);
        if let (Some(config), Some(seconds)) = (config, expect["restart_timeout_s"].as_u64()) {
            assert_eq!(config.timeout().unwrap().as_secs(), seconds, "{}", case["id"]);
        }
    }
}

#[test]
fn every_mistake_has_its_code_and_place() {
    for (config, code, pointer) in [
        (json!({"restart_timeout": "5"}), "windows-restart/duration", "/restart_timeout"),
        (
            json!({"check_registry": true, "registry_keys": ["HKLM:x", "a\"b"]}),
            "windows-restart/registry-key",
            "/registry_keys/1",
        ),
        (json!({"registry_keys": ["HKLM:x"]}), "windows-restart/registry-not-checked", "/registry_keys"),
    ] {
        assert_eq!(found(&config), [(code.to_owned(), pointer.to_owned())], "{config}");
    }
}

#[test]
fn examples_are_accepted() {
    for example in WindowsRestart::describe().example_configs() {
        Config::deserialize(example).unwrap();
        assert!(found(example).is_empty(), "{example}");
    }
}
