//! Where the scripts of a step come from (`inline`, `script` or `scripts`, exactly one of them), and the times of a step.

use std::time::Duration;

use fornax_plugin_sdk::{Check, FileState, duration};
use serde_json::Value;

/// Looks at a host path.
pub type Look<'a> = dyn Fn(&str) -> FileState + 'a;

/// Where a script comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// The lines of one script.
    Inline(&'a [String]),
    /// A file on the host.
    File(&'a str),
}

/// An option that is set to the empty text counts as not set.
pub fn text(option: &Option<String>) -> Option<&str> {
    option.as_deref().filter(|text| !text.is_empty())
}

/// How long the start of a script is tried (`start_retry_timeout`): five minutes unless the template says otherwise.
pub fn retry_timeout(option: &Option<String>) -> Result<Duration, String> {
    text(option).map_or(Ok(Duration::from_secs(300)), duration::parse)
}

/// The pause behind a step (`pause_after`).
pub fn pause(option: &Option<String>) -> Result<Duration, String> {
    text(option).map_or(Ok(Duration::ZERO), duration::parse)
}

/// The scripts in the order in which they run.
pub fn all<'a>(
    inline: Option<&'a [String]>,
    script: &'a Option<String>,
    scripts: Option<&'a [String]>,
) -> Vec<Source<'a>> {
    let inline = inline.filter(|lines| !lines.is_empty()).map(Source::Inline);
    let files = text(script).into_iter().chain(scripts.into_iter().flatten().map(String::as_str));
    inline.into_iter().chain(files.map(Source::File)).collect()
}

/// Checks the three options and names the files that will be read. Codes start with the name of the provisioner.
pub fn check(check: &mut Check, name: &str, look: &Look) {
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
            &format!("{name}/script-and-scripts"),
            "Only one of script or scripts can be specified",
            "Put all of them into `scripts`.",
        );
    }
    if inline && (script || scripts) {
        check.error(
            "/inline",
            &format!("{name}/inline-and-script"),
            "Only a script file or an inline script can be specified, not both",
            "Use two provisioners, one behind the other.",
        );
    }
    if !inline && !script && !scripts {
        let empty = check.get("/inline").is_some();
        let (pointer, code) = if empty {
            ("/inline", format!("{name}/inline-empty"))
        } else {
            ("", format!("{name}/no-script"))
        };
        check.error(
            pointer,
            &code,
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
            &format!("{name}/bad-script"),
            format!("Bad script '{path}': {problem}"),
            "Relative paths start at the folder in which the engine was started.",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn exactly_one_of_the_three() {
        for (config, code, pointer) in [
            (json!({}), "x/no-script", ""),
            (json!({"inline": []}), "x/inline-empty", "/inline"),
            (json!({"inline": ["a"], "script": "b"}), "x/inline-and-script", "/inline"),
            (json!({"script": "b", "scripts": ["c"]}), "x/script-and-scripts", "/script"),
            (json!({"scripts": ["b", "none"]}), "x/bad-script", "/scripts/1"),
            (json!({"script": "folder"}), "x/bad-script", "/script"),
        ] {
            let mut checked = Check::of(config.clone());
            check(&mut checked, "x", &|path| match path {
                "none" => FileState::Missing,
                "folder" => FileState::Directory,
                _ => FileState::File,
            });
            let found = checked.findings().iter().any(|f| f.code == code && f.path == pointer);
            assert!(found, "{config}: {:?}", checked.findings());
        }
    }

    #[test]
    fn order() {
        let (one, many) = (Some("a".to_owned()), ["b".to_owned()]);
        assert_eq!(all(Some(&[]), &one, Some(&many)), [Source::File("a"), Source::File("b")]);
    }
}
