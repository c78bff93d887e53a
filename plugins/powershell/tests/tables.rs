//! The case table of the corpus for the provisioner `powershell`: quoting of variables, accepted and refused
//! configurations, command lines. It lies beside the workspace; without it the test says so. No case is left out.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::collections::BTreeMap;

use fornax_plugin_powershell::PowerShell;
use fornax_plugin_powershell::check::check;
use fornax_plugin_powershell::config::Config;
use fornax_plugin_powershell::text;
use fornax_plugin_scripts::exit;
use fornax_plugin_scripts::vars::{Format, collect};
use fornax_plugin_sdk::prelude::*;
use fornax_plugin_sdk::{FileState, types::ValidateContext};

fn cases() -> Vec<Value> {
    fornax_tests::windows_cases("powershell")
}

fn look(path: &str) -> FileState {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => FileState::Directory,
        Ok(_) => FileState::File,
        Err(_) => FileState::Missing,
    }
}

/// What the host does before: text and single values become numbers and lists, as Packer does it.
fn converted(mut config: Value) -> Value {
    if let Some(codes) = config.get_mut("valid_exit_codes") {
        let number =
            |code: &Value| code.as_str().map_or(code.clone(), |text| json!(text.parse::<i64>().unwrap()));
        *codes = match &*codes {
            Value::Array(codes) => codes.iter().map(number).collect(),
            one => json!([number(one)]),
        };
    }
    config
}

/// The checks that a configuration goes through: the schema's closed list of properties, the rules, the type.
fn accepts(config: &Value) -> (bool, Vec<String>) {
    let description = PowerShell::describe();
    let properties = description.config_schema()["properties"].as_object().unwrap();
    let known = config.as_object().unwrap().keys().all(|key| properties.contains_key(key));
    let mut checked = Check::of(config.clone());
    check(&mut checked, &look);
    let codes = checked.findings().iter().map(|finding| finding.code.clone()).collect();
    (known && !checked.failed() && Config::deserialize(config).is_ok(), codes)
}

fn matches(text: &str, pattern: &str) -> bool {
    regex::Regex::new(pattern).unwrap().is_match(text)
}

const UUID: &str = "01234567-89ab-4def-8123-456789abcdef";

#[test]
fn the_table() {
    let existing = std::env::current_exe().unwrap();
    let mut seen = Vec::new();
    for case in cases() {
        let id = case["id"].as_str().unwrap();
        let expect = if case["expect_modern"].is_null() { &case["expect"] } else { &case["expect_modern"] };
        if let Some(expected) = expect["vars"].as_str() {
            let pairs: Vec<String> = Vec::deserialize(&case["environment_vars"]).unwrap();
            let env: BTreeMap<String, String> = BTreeMap::deserialize(&case["env"]).unwrap();
            let names = (case["build_name"].as_str().unwrap(), case["builder_type"].as_str().unwrap());
            let all = collect(Some(&pairs), Some(&env), names.0, names.1);
            for user in [None, Some("u".to_owned())] {
                assert!(user.is_none() || expect["same_for_elevated"] == true, "{id}");
                let config = Config { elevated_user: user, ..Config::default() };
                let written = text::variables(&all, &Format::parse(config.format()).unwrap());
                assert_eq!(written, expected, "{id}");
            }
            seen.push("vars");
            continue;
        }
        let config = case["config"].to_string().replace("<existing file>", existing.to_str().unwrap());
        let value = converted(serde_json::from_str(&config).unwrap());
        let (ok, codes) = accepts(&value);
        assert_eq!(ok, expect["ok"].as_bool().unwrap_or(true), "{id}: {codes:?}");
        if !ok {
            seen.push("refused");
            continue;
        }
        let config = Config::deserialize(&value).unwrap();
        for (key, expected) in expect.as_object().unwrap() {
            let text = expected.as_str().unwrap_or_default();
            match key.as_str() {
                "ok" => {}
                "execute_command" => assert_eq!(config.execute_command(), text, "{id}"),
                "elevated_execute_command" => assert_eq!(config.elevated_execute_command(), text, "{id}"),
                "elevated_env_var_format" => {
                    let elevated = Config { elevated_user: Some("u".into()), ..config.clone() };
                    assert_eq!(elevated.format(), text, "{id}");
                }
                "remote_path_regex" => assert!(matches(&config.remote_path(UUID), text), "{id}"),
                "inline_script_contains" => {
                    let all = collect(None, None, "vmware", "iso");
                    let variables = text::variables(&all, &Format::parse(config.format()).unwrap());
                    let script = text::inline(config.inline.as_deref().unwrap(), &variables, 0);
                    for part in Vec::<String>::deserialize(expected).unwrap() {
                        assert!(script.contains(&part), "{id}: {part:?} is not in {script}");
                    }
                }
                "valid_exit_codes" => {
                    let codes = exit::valid(config.valid_exit_codes.as_deref());
                    assert_eq!(&json!(codes), expected, "{id}");
                }
                "command_regex" => {
                    let command = config
                        .command()
                        .replace("{{.Path}}", &config.remote_path(UUID))
                        .replace("{{.Vars}}", &config.env_path(UUID));
                    assert!(matches(&command, text), "{id}: {command}");
                }
                "last_command_contains" => {
                    assert!(!config.keep(), "{id}");
                    assert!(config.file_command(&config.cleanup_path(UUID)).contains(text), "{id}");
                }
                other => panic!("{id}: {other} is not known"),
            }
            seen.push("checked");
        }
    }
    for kind in ["vars", "refused", "checked"] {
        assert!(seen.is_empty() || seen.contains(&kind), "no case of the kind {kind}");
    }
}

#[test]
fn every_mistake_has_its_code_and_place() {
    for (config, code, pointer) in [
        (json!({}), "powershell/no-script", ""),
        (
            json!({"inline": ["a"], "environment_vars": ["B"]}),
            "powershell/environment-variable",
            "/environment_vars/0",
        ),
        (json!({"inline": ["a"], "env": {"A-B": "x"}}), "powershell/environment-name", "/env/A-B"),
        (json!({"inline": ["a"], "env_var_format": "%d"}), "powershell/env-var-format", "/env_var_format"),
        (
            json!({"inline": ["a"], "elevated_env_var_format": "%s"}),
            "powershell/env-var-format",
            "/elevated_env_var_format",
        ),
        (
            json!({"inline": ["a"], "elevated_password": "p"}),
            "powershell/password-without-user",
            "/elevated_password",
        ),
        (
            json!({"inline": ["a"], "execution_policy": "Bypass"}),
            "powershell/execution-policy",
            "/execution_policy",
        ),
        (json!({"inline": ["a"], "debug_mode": 3}), "powershell/debug-mode", "/debug_mode"),
        (json!({"inline": ["a"], "pause_after": "10"}), "powershell/duration", "/pause_after"),
        (json!({"inline": ["a"], "start_retry_timeout": "x"}), "powershell/duration", "/start_retry_timeout"),
        (
            json!({"inline": ["a"], "execute_command": "x"}),
            "powershell/command-without-path",
            "/execute_command",
        ),
        (
            json!({"inline": ["a"], "elevated_execute_command": "x"}),
            "powershell/command-without-path",
            "/elevated_execute_command",
        ),
    ] {
        let mut checked = Check::of(config.clone());
        check(&mut checked, &look);
        let found = checked.findings().iter().any(|finding| finding.code == code && finding.path == pointer);
        assert!(found, "{config}: {:?}", checked.findings());
    }
}

#[test]
fn secrets_and_unknown_values() {
    let command = format!("x {{{{.Path}}}} sealed_{}", "0".repeat(32));
    let config = json!({"inline": [null], "elevated_password": null, "elevated_user": "u",
        "elevated_execute_command": command});
    let context = ValidateContext {
        unknown: vec!["/inline/0".into(), "/elevated_password".into()],
        sealed: vec!["/elevated_execute_command".into()],
        offline: true,
    };
    let mut checked = Check::new(config, context);
    check(&mut checked, &look);
    let codes: Vec<_> = checked.findings().iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes, ["powershell/secret-in-elevated-command"]);
}

#[test]
fn examples_are_accepted_but_for_their_files() {
    for example in PowerShell::describe().example_configs() {
        let (ok, codes) = accepts(example);
        assert!(ok || codes.iter().all(|code| code == "powershell/bad-script"), "{example}: {codes:?}");
    }
}
