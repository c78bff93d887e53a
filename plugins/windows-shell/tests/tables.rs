//! The case table of the corpus for the provisioner `windows-shell`: quoting of variables. It lies beside the
//! workspace; without it the test says so. No case is left out.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::collections::BTreeMap;

use fornax_plugin_scripts::vars::collect;
use fornax_plugin_sdk::FileState;
use fornax_plugin_sdk::prelude::*;
use fornax_plugin_windows_shell::WindowsShell;
use fornax_plugin_windows_shell::check::check;
use fornax_plugin_windows_shell::config::Config;
use fornax_plugin_windows_shell::env;

fn cases() -> Vec<Value> {
    fornax_tests::windows_cases("windows-shell")
}

#[test]
fn the_table() {
    for case in cases() {
        let pairs: Vec<String> = Vec::deserialize(&case["environment_vars"]).unwrap();
        let env: BTreeMap<String, String> = BTreeMap::deserialize(&case["env"]).unwrap();
        let names = (case["build_name"].as_str().unwrap(), case["builder_type"].as_str().unwrap());
        let all = collect(Some(&pairs), Some(&env), names.0, names.1);
        assert_eq!(
            env::write(&all, None).unwrap(),
            case["expect"]["vars"].as_str().unwrap(),
            "{}",
            case["id"]
        );
    }
}

fn found(config: &Value) -> Vec<(String, String)> {
    let mut checked = Check::of(config.clone());
    check(&mut checked, &|path| if path == "there.bat" { FileState::File } else { FileState::Missing });
    checked.findings().iter().map(|finding| (finding.code.clone(), finding.path.clone())).collect()
}

#[test]
fn every_mistake_has_its_code_and_place() {
    for (config, code, pointer) in [
        (json!({}), "windows-shell/no-script", ""),
        (json!({"script": "missing.bat"}), "windows-shell/bad-script", "/script"),
        (
            json!({"inline": ["a"], "environment_vars": ["B"]}),
            "windows-shell/environment-variable",
            "/environment_vars/0",
        ),
        (json!({"inline": ["a"], "env": {"A%": "x"}}), "windows-shell/environment-name", "/env/A%"),
        (json!({"inline": ["a"], "env_var_format": "%d"}), "windows-shell/env-var-format", "/env_var_format"),
        (
            json!({"inline": ["a"], "start_retry_timeout": "x"}),
            "windows-shell/duration",
            "/start_retry_timeout",
        ),
        (
            json!({"inline": ["a"], "execute_command": "x"}),
            "windows-shell/command-without-path",
            "/execute_command",
        ),
    ] {
        let found = found(&config);
        assert!(found.contains(&(code.to_owned(), pointer.to_owned())), "{config}: {found:?}");
    }
    assert!(found(&json!({"script": "there.bat", "env": {"ProgramFiles(x86)": "c:/"}})).is_empty());
}

#[test]
fn examples_have_known_options_and_no_mistakes_but_missing_files() {
    let description = WindowsShell::describe();
    for example in description.example_configs() {
        Config::deserialize(example).unwrap();
        let properties = description.config_schema()["properties"].as_object().unwrap();
        assert!(example.as_object().unwrap().keys().all(|key| properties.contains_key(key)));
        assert!(found(example).iter().all(|(code, _)| code == "windows-shell/bad-script"), "{example}");
    }
}
