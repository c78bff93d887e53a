//! The texts of the scripts that a step writes: the wrapper of inline lines, the file with the variables, the script
//! that removes what was written. They are UTF-8 with a byte order mark, without which Windows PowerShell would read
//! them in the code page of the machine. Placeholders in them are quoted by the host, which reads the text as
//! PowerShell does.

use std::collections::BTreeMap;

use fornax_plugin_scripts::vars::Format;

/// Opens every script of ours.
pub const BOM: char = '\u{feff}';

/// Escapes a value for the double quotes of the default format.
pub fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 8);
    for c in value.chars() {
        if matches!(c, '$' | '"' | '`' | '\'') {
            out.push('`');
        }
        out.push(c);
    }
    out
}

/// Quotes a text as a literal.
pub fn literal(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('\'');
    for c in value.chars() {
        // All of these end a literal.
        if matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}') {
            out.push(c);
        }
        out.push(c);
    }
    out.push('\'');
    out
}

/// The variables as statements.
pub fn variables(all: &BTreeMap<String, String>, format: &Format) -> String {
    format.write(all, escape)
}

/// The file with the variables.
pub fn variables_file(variables: &str) -> String {
    format!("{BOM}{variables}")
}

/// The script of inline lines. It sets the variables and ends with 1 after a terminating error, else with the exit
/// code of the last program that had one.
pub fn inline(lines: &[String], variables: &str, trace: u8) -> String {
    let mut text = String::from(BOM);
    text.push_str("$global:ProgressPreference = 'SilentlyContinue'\n");
    if trace > 0 {
        text.push_str(&format!("Set-PSDebug -Trace {trace}\n"));
    }
    text.push_str("try {\n");
    text.push_str(variables);
    text.push('\n');
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(
        "} catch {\n    $Host.UI.WriteErrorLine(($_ | Out-String))\n    exit 1\n}\n\
         if (Test-Path -Path variable:global:LASTEXITCODE) { exit $global:LASTEXITCODE }\nexit 0\n",
    );
    text
}

/// What is to be removed at the end of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Files that may stay where removing them fails.
    pub files: Vec<String>,
    /// Files that hold secrets: the script fails while one of them is there.
    pub secret: Vec<String>,
    /// Names of scheduled tasks, with the file of each that takes its output.
    pub tasks: Vec<(String, String)>,
}

impl Leftovers {
    /// Whether nothing is to be removed.
    pub fn is_empty(&self) -> bool {
        *self == Leftovers::default()
    }

    /// Whether it matters when it can't be removed.
    pub fn matter(&self) -> bool {
        !self.secret.is_empty() || !self.tasks.is_empty()
    }
}

/// The script that removes what a step wrote, itself not included.
pub fn cleanup(leftovers: &Leftovers) -> String {
    let list = |paths: &[String]| paths.iter().map(|path| literal(path)).collect::<Vec<_>>().join(", ");
    let mut text = format!("{BOM}$ErrorActionPreference = 'SilentlyContinue'\n$left = 0\n");
    for (name, log) in &leftovers.tasks {
        text.push_str(&format!(
            "$service = New-Object -ComObject 'Schedule.Service'\n$service.Connect()\n$folder = \
             $service.GetFolder('\\')\n$task = $null\ntry {{ $task = $folder.GetTask({name}) }} catch {{ }}\nif ($null -ne \
             $task) {{\n    try {{ $task.Stop(0); $folder.DeleteTask({name}, 0) }} catch {{ $left = 1 }}\n}}\nRemove-Item \
             -Force -LiteralPath ([Environment]::ExpandEnvironmentVariables({log}))\n",
            name = literal(name),
            log = literal(log),
        ));
    }
    if !leftovers.files.is_empty() {
        text.push_str(&format!("Remove-Item -Force -LiteralPath {}\n", list(&leftovers.files)));
    }
    if !leftovers.secret.is_empty() {
        text.push_str(&format!(
            "foreach ($path in {}) {{\n    Remove-Item -Force -LiteralPath $path\n    if (Test-Path -LiteralPath $path) \
             {{ $left = 1 }}\n}}\n",
            list(&leftovers.secret)
        ));
    }
    text.push_str("exit $left\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals() {
        for (value, expected) in
            [("", "''"), ("it's", "'it''s'"), ("a\u{2019}b", "'a\u{2019}\u{2019}b'"), ("$x`\"", "'$x`\"'")]
        {
            assert_eq!(literal(value), expected);
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(escape("a$b\"c`d'e\\"), "a`$b`\"c``d`'e\\");
        let sealed = format!("sealed_{}", "0".repeat(32));
        assert_eq!(escape(&sealed), sealed);
    }

    #[test]
    fn inline_text() {
        let text = inline(&["foo".into(), "bar".into()], "$env:A=\"b\"; ", 0);
        assert!(text.starts_with("\u{feff}$global:") && !text.contains("Trace"), "{text}");
        assert!(text.contains("try {\n$env:A=\"b\"; \nfoo\nbar\n} catch {"), "{text}");
        assert!(inline(&[], "", 2).contains("\nSet-PSDebug -Trace 2\n"));
    }

    #[test]
    fn cleanup_text() {
        let nothing = cleanup(&Leftovers::default());
        assert_eq!(nothing, "\u{feff}$ErrorActionPreference = 'SilentlyContinue'\n$left = 0\nexit $left\n");
        let all = Leftovers {
            files: vec!["c:/a".into(), "c:/it's".into()],
            secret: vec!["c:/b".into()],
            tasks: vec![("packer-x".into(), "%TEMP%/x.out".into())],
        };
        assert!(all.matter() && !all.is_empty());
        let text = cleanup(&all);
        for part in [
            "Remove-Item -Force -LiteralPath 'c:/a', 'c:/it''s'\n",
            "foreach ($path in 'c:/b') {",
            "$folder.DeleteTask('packer-x', 0)",
            "ExpandEnvironmentVariables('%TEMP%/x.out')",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
