//! The rules between options, checked before a machine exists.

use fornax_plugin_sdk::{Check, FileState};
use serde_json::Value;

use crate::config::Config;
use crate::env::{self, Format};

/// Looks at a host path.
pub type Look<'a> = dyn Fn(&str) -> FileState + 'a;

/// Checks a configuration and names the files that will be read.
pub fn check(check: &mut Check, look: &Look) {
    sources(check, look);
    variables(check);
    texts(check);
}

fn sources(check: &mut Check, look: &Look) {
    let filled = |check: &Check, pointer: &str| {
        check.is_unknown(pointer)
            || match check.get(pointer) {
                Some(Value::Array(items)) => !items.is_empty(),
                Some(Value::String(text)) => !text.is_empty(),
                _ => false,
            }
    };
    let (inline, script, scripts) =
        (filled(check, "/inline"), filled(check, "/script"), filled(check, "/scripts"));
    if script && scripts {
        check.error(
            "/script",
            "shell/script-and-scripts",
            "Only one of script or scripts can be specified",
            "",
        );
    }
    if inline && (script || scripts) {
        check.error(
            "/inline",
            "shell/inline-and-script",
            "Only a script file or an inline script can be specified, not both",
            "Use two provisioners, one behind the other.",
        );
    }
    if !inline && !script && !scripts {
        let empty = check.get("/inline").is_some();
        let (pointer, code) = if empty { ("/inline", "shell/inline-empty") } else { ("", "shell/no-script") };
        check.error(
            pointer,
            code,
            "Either a script file or inline script must be specified",
            "Set one of `inline`, `script` and `scripts`.",
        );
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
            "shell/bad-script",
            format!("Bad script '{path}': {problem}"),
            "Relative paths start at the folder in which the engine was started.",
        );
    }
}

fn variables(check: &mut Check) {
    let mut names = Vec::new();
    let mut wrong = Vec::new();
    for (index, pair) in
        check.get("/environment_vars").and_then(Value::as_array).into_iter().flatten().enumerate()
    {
        let pointer = format!("/environment_vars/{index}");
        match pair.as_str().map(|pair| (pair, env::split(pair))) {
            Some((_, Some((name, _)))) => names.push((pointer, name.to_owned())),
            Some((pair, None)) => wrong.push((pointer, pair.to_owned())),
            None => {}
        }
    }
    for name in check.get("/env").and_then(Value::as_object).into_iter().flat_map(|env| env.keys()) {
        let pointer = format!("/env/{}", name.replace('~', "~0").replace('/', "~1"));
        if name.is_empty() || name.contains('=') {
            wrong.push((pointer, name.clone()));
        } else {
            names.push((pointer, name.clone()));
        }
    }
    for (pointer, pair) in wrong {
        check.error(
            &pointer,
            "shell/environment-variable",
            format!("Environment variable not in format 'key=value': {pair}"),
            "",
        );
    }
    for (pointer, name) in names {
        if !env::is_name(&name) {
            check.warning(
                &pointer,
                "shell/environment-name",
                format!("The shell does not take {name:?} for the name of a variable"),
                "Names consist of letters, digits and `_` and do not start with a digit.",
            );
        }
    }
    if let Some(Err(problem)) =
        check.text("/env_var_format").filter(|format| !format.is_empty()).map(Format::parse)
    {
        check.error("/env_var_format", "shell/env-var-format", problem, "The default is `%s='%s' `.");
    }
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
            "",
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
