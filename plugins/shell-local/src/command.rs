//! The command that runs a script: which arguments it has, which of them a shell reads, and whether the variables stand
//! in its environment or in its text.

use std::collections::BTreeMap;

use fornax_plugin_scripts::vars::Format;

use crate::config::{Config, Os};

/// An argument of the command, before it is rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// A template with `.Vars`, `.Script` and `.Command`.
    pub template: String,
    /// A POSIX shell reads it, so that secrets in it are quoted for their place.
    pub line: bool,
}

/// How a script is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub words: Vec<Word>,
    /// What `.Vars` stands for.
    pub vars: String,
    /// What `.Script` stands for.
    pub script: String,
    /// Variables that stand in the environment.
    pub env: Vec<(String, String)>,
}

/// How the script with this path is run with these variables.
pub fn plan(
    config: &Config,
    os: Os,
    path: &str,
    variables: &BTreeMap<String, String>,
) -> Result<Plan, String> {
    let templates = config.execute_command(os);
    if os == Os::Unix && config.runs_as_usual() {
        // In the environment every value arrives as it is, and nobody sees it in the list of processes.
        return Ok(Plan {
            words: words(templates, os),
            vars: String::new(),
            script: quote(path),
            env: variables.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        });
    }
    let format = Format::parse(config.format(os)).map_err(|problem| format!("env_var_format {problem}"))?;
    let escape = |value: &str| value.replace('\'', r#"'"'"'"#);
    Ok(Plan {
        words: words(templates, os),
        vars: format.write(variables, escape),
        script: path.to_owned(),
        env: Vec::new(),
    })
}

fn words(templates: Vec<String>, os: Os) -> Vec<Word> {
    let mut after_c = false;
    let words = templates.into_iter().enumerate().map(|(index, template)| {
        let line = os == Os::Unix && index > 0 && (after_c || template.contains(".Vars"));
        after_c = is_command_option(&template);
        Word { template, line }
    });
    words.collect()
}

/// `-c`, `-ec` and the like: the next argument is a command line.
fn is_command_option(word: &str) -> bool {
    word.strip_prefix('-').is_some_and(|o| o.ends_with('c') && o.bytes().all(|b| b.is_ascii_alphabetic()))
}

/// A word for a POSIX shell; most paths stay as they are.
fn quote(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+,:@%".contains(&b);
    if !path.is_empty() && path.bytes().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r#"'"'"'"#))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(os: Os, options: Value) -> Plan {
        let config: Config = serde_json::from_value(options).unwrap();
        let variables =
            BTreeMap::from([("A".to_owned(), "it's".to_owned()), ("B".to_owned(), "b".to_owned())]);
        plan(&config, os, "./a b.sh", &variables).unwrap()
    }

    fn lines(plan: &Plan) -> Vec<(&str, bool)> {
        plan.words.iter().map(|word| (word.template.as_str(), word.line)).collect()
    }

    #[test]
    fn usually_variables_stand_in_the_environment() {
        let plan = of(Os::Unix, json!({}));
        assert_eq!(lines(&plan), [("/bin/sh", false), ("-c", false), ("{{.Vars}} {{.Script}}", true)]);
        assert_eq!((plan.vars.as_str(), plan.script.as_str()), ("", "'./a b.sh'"));
        assert_eq!(plan.env, [("A".to_owned(), "it's".to_owned()), ("B".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn what_the_template_says_is_done() {
        let plan =
            of(Os::Unix, json!({"execute_command": ["bash", "-ec", "x {{.Script}}", "{{.Vars}}", "y"]}));
        let expected =
            [("bash", false), ("-ec", false), ("x {{.Script}}", true), ("{{.Vars}}", true), ("y", false)];
        assert_eq!(lines(&plan), expected);
        assert_eq!(plan.vars, "A='it'\"'\"'s' B='b' ");
        assert_eq!((plan.script.as_str(), plan.env.len()), ("./a b.sh", 0));
        let plan = of(Os::Unix, json!({"env_var_format": "-e %s=%s "}));
        assert_eq!(plan.vars, "-e A=it'\"'\"'s -e B=b ");
    }

    #[test]
    fn windows() {
        let plan = of(Os::Windows, json!({}));
        assert_eq!(plan.vars, "set A=it'\"'\"'s && set B=b && ");
        assert!(plan.words.iter().all(|word| !word.line) && plan.env.is_empty());
    }

    #[test]
    fn command_options() {
        for (word, expected) in [
            ("-c", true),
            ("-lc", true),
            ("c", false),
            ("--rc", false),
            ("-cx", false),
            ("-", false),
            ("/C", false),
        ] {
            assert_eq!(is_command_option(word), expected, "{word}");
        }
    }
}
