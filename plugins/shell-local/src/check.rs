//! The rules between options, checked before anything runs.

use fornax_plugin_scripts::source::Look;
use fornax_plugin_scripts::vars;
use fornax_plugin_sdk::{Check, FileState};
use serde_json::Value;

use crate::config::{Config, Os};

/// Names that `only_on` knows.
pub const SYSTEMS: [&str; 6] = ["darwin", "freebsd", "linux", "openbsd", "solaris", "windows"];

/// Checks a configuration and names the files that will be read.
pub fn check(check: &mut Check, os: Os, look: &Look) {
    sources(check, look);
    vars::check(check, "shell-local", &["env_var_format"], |name| {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let good = name.bytes().all(word) && !name.starts_with(|c: char| c.is_ascii_digit());
        (!good).then_some("Names consist of letters, digits and `_` and do not start with a digit.")
    });
    systems(check);
    texts(check, os);
}

fn filled(check: &Check, pointer: &str) -> bool {
    check.is_unknown(pointer)
        || match check.get(pointer) {
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::String(text)) => !text.is_empty(),
            _ => false,
        }
}

fn sources(check: &mut Check, look: &Look) {
    let given: Vec<&str> = ["/command", "/inline", "/script", "/scripts"]
        .into_iter()
        .filter(|pointer| filled(check, pointer))
        .collect();
    match given.as_slice() {
        [] => {
            let place = if check.get("/inline").is_some() { "/inline" } else { "" };
            check.error(
                place,
                "shell-local/no-script",
                "Command, Inline, Script and Scripts options cannot all be empty",
                "Set one of `command`, `inline`, `script` and `scripts`.",
            );
        }
        [_] => {}
        [.., last] => {
            let last = (*last).to_owned();
            check.error(
                &last,
                "shell-local/several-scripts",
                "You may only specify one of the following options: Command, Inline, Script or Scripts",
                "Please consolidate these options in your config.",
            );
        }
    }
    for (pointer, path) in check.texts("/script", "/scripts") {
        let problem = match look(&path) {
            FileState::File => {
                check.reads(path);
                continue;
            }
            FileState::Missing => "no such file".to_owned(),
            FileState::Directory => "it is a directory".to_owned(),
            FileState::Unreadable(why) => why,
        };
        check.error(
            &pointer,
            "shell-local/bad-script",
            format!("Bad script '{path}': {problem}"),
            "Relative paths start at the folder in which the engine was started.",
        );
    }
}

fn systems(check: &mut Check) {
    let wrong: Vec<(usize, String)> = check
        .get("/only_on")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
        .filter_map(|(index, name)| Some((index, name.as_str()?.to_owned())))
        .filter(|(_, name)| !SYSTEMS.contains(&name.as_str()))
        .collect();
    for (index, name) in wrong {
        check.error(
            &format!("/only_on/{index}"),
            "shell-local/only-on",
            format!("Invalid OS specified in only_on: '{name}'"),
            format!("Supported OS names: {}", SYSTEMS.join(", ")),
        );
    }
}

fn texts(check: &mut Check, os: Os) {
    let first = check.text("/inline/0").map(str::to_owned);
    if os == Os::Unix && first.is_some_and(|line| line.starts_with("#!")) && !filled(check, "/inline_shebang")
    {
        check.warning(
            "/inline/0",
            "shell-local/shebang",
            "The first line of an inline script does not choose its interpreter: /bin/sh -e runs it",
            "Set `inline_shebang`.",
        );
    }
    if let Some(extension) = check.text("/tempfile_extension") {
        let harmless = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if extension.len() > 31 || !extension.bytes().all(harmless) {
            let summary = format!("{extension:?} can't end the name of a file");
            let detail = "At most 31 letters, digits, `.`, `_` and `-` can.";
            check.error("/tempfile_extension", "shell-local/tempfile-extension", summary, detail);
        }
    }
    let Some(config) = check.typed::<Config>() else { return };
    if config.use_linux_pathing == Some(true) {
        if filled(check, "/command") || filled(check, "/inline") {
            check.error(
                "/use_linux_pathing",
                "shell-local/linux-pathing",
                "Inline scripts can't be used with the Linux subsystem of Windows",
                "Use `script` or `scripts` instead of `command` and `inline`.",
            );
        } else if os == Os::Unix {
            check.error(
                "/use_linux_pathing",
                "shell-local/linux-pathing",
                "use_linux_pathing is for the Linux subsystem of Windows; paths have no drive here",
                "Leave it out, or make it depend on where the build runs.",
            );
        }
    }
    let command = config.execute_command.as_deref().unwrap_or_default();
    if !command.is_empty() && !command.iter().any(|w| w.contains(".Script") || w.contains(".Command")) {
        check.warning(
            "/execute_command",
            "shell-local/command-without-script",
            "This execute_command does not run the script: {{ .Script }} is not in it",
            "Write `{{ .Script }}` where the script is run.",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(os: Os, config: Value) -> Vec<(String, String)> {
        let mut checked = Check::of(config);
        check(&mut checked, os, &|path| match path {
            "none" => FileState::Missing,
            "folder" => FileState::Directory,
            _ => FileState::File,
        });
        checked.findings().iter().map(|f| (f.path.clone(), f.code.clone())).collect()
    }

    #[test]
    fn findings() {
        for (config, expected) in [
            (json!({"inline": ["a"]}), None),
            (json!({"command": "a", "inline": [], "scripts": [], "script": ""}), None),
            (
                json!({"scripts": ["a", "b"], "only_on": ["linux", "darwin"], "tempfile_extension": ".py"}),
                None,
            ),
            (json!({}), Some(("", "no-script"))),
            (json!({"inline": []}), Some(("/inline", "no-script"))),
            (json!({"command": "a", "inline": ["b"]}), Some(("/inline", "several-scripts"))),
            (json!({"inline": ["a"], "script": "b"}), Some(("/script", "several-scripts"))),
            (json!({"script": "a", "scripts": ["b"]}), Some(("/scripts", "several-scripts"))),
            (json!({"scripts": ["a", "none"]}), Some(("/scripts/1", "bad-script"))),
            (json!({"script": "folder"}), Some(("/script", "bad-script"))),
            (json!({"inline": ["a"], "only_on": ["linux", "plan9"]}), Some(("/only_on/1", "only-on"))),
            (json!({"inline": ["#!/usr/bin/python3"]}), Some(("/inline/0", "shebang"))),
            (json!({"inline": ["#!/bin/a"], "inline_shebang": "/bin/a"}), None),
            (
                json!({"inline": ["a"], "tempfile_extension": "a/b"}),
                Some(("/tempfile_extension", "tempfile-extension")),
            ),
            (
                json!({"inline": ["a"], "use_linux_pathing": true}),
                Some(("/use_linux_pathing", "linux-pathing")),
            ),
            (
                json!({"script": "a", "use_linux_pathing": true}),
                Some(("/use_linux_pathing", "linux-pathing")),
            ),
            (
                json!({"inline": ["a"], "environment_vars": ["B"]}),
                Some(("/environment_vars/0", "environment-variable")),
            ),
            (json!({"inline": ["a"], "env": {"A-B": "x"}}), Some(("/env/A-B", "environment-name"))),
            (json!({"inline": ["a"], "env_var_format": "%d"}), Some(("/env_var_format", "env-var-format"))),
            (
                json!({"inline": ["a"], "execute_command": ["sh", "x"]}),
                Some(("/execute_command", "command-without-script")),
            ),
            (json!({"inline": ["a"], "execute_command": ["sh", "{{ .Command }}"]}), None),
        ] {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(path, code)| (path.to_owned(), format!("shell-local/{code}")))
                .collect();
            assert_eq!(found(Os::Unix, config.clone()), expected, "{config}");
        }
        assert_eq!(found(Os::Windows, json!({"script": "a", "use_linux_pathing": true})), []);
    }

    #[test]
    fn unknown_scripts_count_as_given() {
        let context = fornax_plugin_sdk::types::ValidateContext {
            unknown: vec!["/inline/0".into()],
            sealed: Vec::new(),
            offline: true,
        };
        let mut checked = Check::new(json!({"inline": [null]}), context);
        check(&mut checked, Os::Unix, &|_| FileState::File);
        assert!(checked.findings().is_empty(), "{:?}", checked.findings());
    }
}
