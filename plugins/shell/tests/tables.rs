//! The case tables of the corpus for the provisioner `shell`: quoting of variables, accepted and refused
//! configurations. They lie beside the workspace; without them the test says so.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::collections::BTreeMap;

use fornax_plugin_scripts::vars::{Format, collect};
use fornax_plugin_sdk::prelude::*;
use fornax_plugin_sdk::{FileState, types::ValidateContext};
use fornax_plugin_shell::Shell;
use fornax_plugin_shell::check::check;
use fornax_plugin_shell::config::Config;
use fornax_plugin_shell::env::escape;
use fornax_tests::cases;

fn look(path: &str) -> FileState {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => FileState::Directory,
        Ok(_) => FileState::File,
        Err(_) => FileState::Missing,
    }
}

/// The checks that a configuration goes through: the schema's closed list of properties, the rules, the type.
fn accepts(config: &Value) -> (bool, Vec<String>) {
    let description = Shell::describe();
    let properties = description.config_schema()["properties"].as_object().expect("it is an object");
    let known = config.as_object().expect("it is an object").keys().all(|key| properties.contains_key(key));
    let mut checked = Check::of(config.clone());
    check(&mut checked, &look);
    let codes = checked.findings().iter().map(|finding| finding.code.clone()).collect();
    (known && !checked.failed() && Config::deserialize(config).is_ok(), codes)
}

#[test]
fn quoting_of_variables() {
    for case in cases("shell_env.jsonl") {
        let expect = &case["expect"];
        let config = Config {
            environment_vars: Some(Vec::deserialize(&case["environment_vars"]).unwrap()),
            env: Some(BTreeMap::deserialize(&case["env"]).unwrap()),
            env_var_format: case["env_var_format"].as_str().map(str::to_owned),
            use_env_var_file: Some(!expect["file"].is_null()),
            ..Config::default()
        };
        let [name, kind] = ["build_name", "builder_type"].map(|key| case[key].as_str().unwrap());
        let all = collect(config.environment_vars.as_deref(), config.env.as_ref(), name, kind);
        let written = Format::parse(config.format()).unwrap().write(&all, escape);
        let expected = expect["vars"].as_str().or(expect["file"].as_str()).unwrap();
        assert_eq!(written, expected, "{}", case["id"]);
    }
}

#[test]
fn configurations() {
    let existing = std::env::current_exe().unwrap();
    for case in cases("shell_config.jsonl") {
        let text = case["config"].to_string().replace("<existing file>", existing.to_str().unwrap());
        let value: Value = serde_json::from_str(&text).unwrap();
        let expect = &case["expect"];
        let (ok, codes) = accepts(&value);
        assert_eq!(ok, expect["ok"].as_bool().unwrap(), "{}: {codes:?}", case["id"]);
        if !ok {
            continue;
        }
        let config = Config::deserialize(&value).unwrap();
        if let Some(path) = expect["remote_path"].as_str() {
            assert_eq!(config.path(0), path, "{}", case["id"]);
        }
        if let Some(shebang) = expect["inline_shebang"].as_str() {
            assert_eq!(config.shebang(), Some(shebang), "{}", case["id"]);
        }
        if let Some(expected) = expect["expect_disconnect"].as_bool() {
            assert_eq!(config.may_disconnect(), expected, "{}", case["id"]);
        }
    }
}

#[test]
fn every_mistake_has_its_code_and_place() {
    for (config, code, pointer) in [
        (json!({}), "shell/no-script", ""),
        (json!({"inline": []}), "shell/inline-empty", "/inline"),
        (json!({"inline": ["a"], "script": "b"}), "shell/inline-and-script", "/inline"),
        (json!({"script": "b", "scripts": ["c"]}), "shell/script-and-scripts", "/script"),
        (json!({"scripts": ["/no/such"]}), "shell/bad-script", "/scripts/0"),
        (json!({"script": "/"}), "shell/bad-script", "/script"),
        (
            json!({"inline": ["a"], "environment_vars": ["A=1", "B"]}),
            "shell/environment-variable",
            "/environment_vars/1",
        ),
        (json!({"inline": ["a"], "env": {"": "x"}}), "shell/environment-variable", "/env/"),
        (json!({"inline": ["a"], "env": {"A/B": "x"}}), "shell/environment-name", "/env/A~1B"),
        (json!({"inline": ["a"], "env_var_format": "%d"}), "shell/env-var-format", "/env_var_format"),
        (json!({"inline": ["a"], "pause_after": "10"}), "shell/duration", "/pause_after"),
        (json!({"inline": ["a"], "start_retry_timeout": "x"}), "shell/duration", "/start_retry_timeout"),
        (json!({"inline": ["a"], "execute_command": "sh"}), "shell/command-without-path", "/execute_command"),
        (
            json!({"inline": ["a"], "execute_command": ". {{.EnvVarFile}}; {{.Path}}"}),
            "shell/no-env-var-file",
            "/execute_command",
        ),
    ] {
        let mut checked = Check::of(config.clone());
        check(&mut checked, &look);
        let found = checked.findings().iter().any(|finding| finding.code == code && finding.path == pointer);
        assert!(found, "{config}: {:?}", checked.findings());
    }
}

#[test]
fn unknown_values_are_not_mistakes() {
    let context = ValidateContext { unknown: vec!["/inline/0".into()], sealed: Vec::new(), offline: true };
    let mut checked = Check::new(json!({"inline": [null], "env": {"A": "b"}}), context);
    check(&mut checked, &look);
    assert!(checked.findings().is_empty(), "{:?}", checked.findings());
}

#[test]
fn examples_are_accepted_but_for_their_files() {
    for example in Shell::describe().example_configs() {
        let (ok, codes) = accepts(example);
        assert!(ok || codes.iter().all(|code| code == "shell/bad-script"), "{example}: {codes:?}");
    }
}
