//! The configuration of a step and the defaults that follow from it and from the operating system.

use std::collections::BTreeMap;

use fornax_plugin_scripts::source::text;
use fornax_plugin_sdk::prelude::*;

/// Options of the provisioner and of the post-processor, as they are written in a template.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub command: Option<String>,
    pub inline: Option<Vec<String>>,
    pub inline_shebang: Option<String>,
    pub script: Option<String>,
    pub scripts: Option<Vec<String>>,
    pub environment_vars: Option<Vec<String>>,
    pub env: Option<BTreeMap<String, String>>,
    pub env_var_format: Option<String>,
    pub execute_command: Option<Vec<String>>,
    pub valid_exit_codes: Option<Vec<i64>>,
    pub only_on: Option<Vec<String>>,
    pub tempfile_extension: Option<String>,
    pub use_linux_pathing: Option<bool>,
}

/// What the defaults depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Os {
    Unix,
    Windows,
}

impl Os {
    /// By the name that the engine and `only_on` use.
    pub fn named(name: &str) -> Self {
        if name == "windows" { Os::Windows } else { Os::Unix }
    }

    /// The machine that runs the build.
    pub fn of_host() -> Self {
        Os::named(&host_os())
    }
}

/// The name of the operating system on which the engine runs.
pub fn host_os() -> String {
    let facts = run::get_build_info().more;
    facts.into_iter().find(|(name, _)| name == "host-os").map(|(_, os)| os).unwrap_or_default()
}

/// A script of the step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Script {
    /// The text of one that is written for the step.
    Text(String),
    /// The path of one that is there.
    File(String),
}

impl Config {
    /// The scripts in the order in which they run.
    pub fn scripts(&self, os: Os) -> Vec<Script> {
        let files = text(&self.script).into_iter().chain(self.scripts.iter().flatten().map(String::as_str));
        let files: Vec<_> = files.map(|path| Script::File(self.path(path, os))).collect();
        if !files.is_empty() {
            return files;
        }
        let command = text(&self.command).map(|line| vec![line.to_owned()]);
        let lines = command.or_else(|| self.inline.clone()).unwrap_or_default();
        vec![Script::Text(self.text(&lines, os))]
    }

    /// The interpreter of an inline script. It stands in the first line, whatever the template has there.
    pub fn shebang(&self, os: Os) -> Option<&str> {
        text(&self.inline_shebang).or(match os {
            Os::Unix => Some("/bin/sh -e"),
            Os::Windows => None,
        })
    }

    fn text(&self, lines: &[String], os: Os) -> String {
        let shebang = self.shebang(os).map(|shebang| format!("#!{shebang}"));
        shebang.iter().chain(lines).flat_map(|line| [line.as_str(), "\n"]).collect()
    }

    /// A script's path as a command: a name alone would be looked for in the folders of `PATH`.
    fn path(&self, path: &str, os: Os) -> String {
        if self.use_linux_pathing == Some(true) {
            return linux_path(path);
        }
        if os == Os::Unix && !path.contains('/') { format!("./{path}") } else { path.to_owned() }
    }

    /// The ending of an inline script's name, with its dot.
    pub fn suffix(&self, os: Os) -> String {
        let extension = text(&self.tempfile_extension).or(if os == Os::Windows { Some("cmd") } else { None });
        extension.map(|extension| format!(".{}", extension.trim_start_matches('.'))).unwrap_or_default()
    }

    /// How a variable is written.
    pub fn format(&self, os: Os) -> &str {
        let linux = os == Os::Unix || self.use_linux_pathing == Some(true);
        text(&self.env_var_format).unwrap_or(if linux { "%s='%s' " } else { "set %s=%s && " })
    }

    /// Whether the template says nothing about how scripts are run and variables are passed.
    pub fn runs_as_usual(&self) -> bool {
        text(&self.env_var_format).is_none() && self.execute_command.as_ref().is_none_or(Vec::is_empty)
    }

    /// The program that runs a script and its arguments, each a template.
    pub fn execute_command(&self, os: Os) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self.execute_command.as_deref() {
            // Older templates have the line for a shell alone.
            Some([line]) if os == Os::Unix => words(&["sh", "-c", line]),
            Some(command) if !command.is_empty() => command.to_vec(),
            _ if os == Os::Windows => words(&["cmd", "/V", "/C", "{{.Vars}}", "call", "{{.Script}}"]),
            _ => words(&["/bin/sh", "-c", "{{.Vars}} {{.Script}}"]),
        }
    }

    /// Whether the step runs on this operating system.
    pub fn runs_on(&self, host: &str) -> bool {
        self.only_on.as_ref().is_none_or(|list| list.is_empty() || list.iter().any(|name| name == host))
    }
}

/// Where the Linux subsystem of Windows sees a path. A relative one means the same there.
pub fn linux_path(path: &str) -> String {
    let path = path.replace('\\', "/");
    match path.split_once(":/") {
        Some((drive, rest)) => format!("/mnt/{}/{rest}", drive.to_lowercase()),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(value: Value) -> Config {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn scripts() {
        let text = |text: &str| vec![Script::Text(text.into())];
        let files = |paths: &[&str]| paths.iter().map(|path| Script::File((*path).into())).collect();
        for (os, options, expected) in [
            (Os::Unix, json!({"command": "ls"}), text("#!/bin/sh -e\nls\n")),
            (Os::Unix, json!({"inline": ["a", "b"]}), text("#!/bin/sh -e\na\nb\n")),
            (Os::Unix, json!({"inline": ["#!x"], "inline_shebang": "/bin/y"}), text("#!/bin/y\n#!x\n")),
            (Os::Windows, json!({"inline": ["a"]}), text("a\n")),
            (Os::Windows, json!({"inline": ["a"], "inline_shebang": "z"}), text("#!z\na\n")),
            (Os::Unix, json!({"script": "a.sh"}), files(&["./a.sh"])),
            (
                Os::Unix,
                json!({"scripts": ["x/a.sh", "/b", "./c"], "inline": []}),
                files(&["x/a.sh", "/b", "./c"]),
            ),
            (Os::Windows, json!({"script": "a.cmd"}), files(&["a.cmd"])),
            (
                Os::Windows,
                json!({"scripts": ["C:\\x\\a.sh", "y\\b.sh"], "use_linux_pathing": true}),
                files(&["/mnt/c/x/a.sh", "y/b.sh"]),
            ),
        ] {
            assert_eq!(config(options.clone()).scripts(os), expected, "{options}");
        }
    }

    #[test]
    fn defaults() {
        let none = config(json!({}));
        assert_eq!(none.execute_command(Os::Unix), ["/bin/sh", "-c", "{{.Vars}} {{.Script}}"]);
        assert_eq!(none.execute_command(Os::Windows)[..3], ["cmd", "/V", "/C"]);
        assert_eq!((none.format(Os::Unix), none.format(Os::Windows)), ("%s='%s' ", "set %s=%s && "));
        assert_eq!((none.suffix(Os::Unix), none.suffix(Os::Windows)), (String::new(), ".cmd".into()));
        assert!(none.runs_as_usual() && none.runs_on("linux"));
        let linux = config(json!({"use_linux_pathing": true}));
        assert_eq!(linux.format(Os::Windows), "%s='%s' ");
        for extension in ["py", ".py"] {
            assert_eq!(config(json!({"tempfile_extension": extension})).suffix(Os::Unix), ".py");
        }
        let line = config(json!({"execute_command": ["bash {{.Script}}"]}));
        assert_eq!(line.execute_command(Os::Unix), ["sh", "-c", "bash {{.Script}}"]);
        assert!(!line.runs_as_usual());
    }

    #[test]
    fn only_on() {
        let windows = config(json!({"only_on": ["windows", "darwin"]}));
        assert!(!windows.runs_on("linux") && windows.runs_on("darwin"));
        assert!(config(json!({"only_on": []})).runs_on("linux"));
    }
}
