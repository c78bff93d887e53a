//! The rules between options, checked before a machine exists.

use fornax_plugin_sdk::{Check, FileState};
use serde_json::Value;

use crate::paths::{base_name, content_target};

/// Looks at a host path.
pub type Look<'a> = dyn Fn(&str) -> FileState + 'a;

/// Checks a configuration and names the files that will be read.
pub fn check(check: &mut Check, look: &Look) {
    let filled = |check: &Check, pointer: &str| {
        check.is_unknown(pointer)
            || match check.get(pointer) {
                Some(Value::Array(items)) => !items.is_empty(),
                Some(Value::String(text)) => !text.is_empty(),
                _ => false,
            }
    };
    let (content, source, sources) =
        (filled(check, "/content"), filled(check, "/source"), filled(check, "/sources"));
    let download = check.text("/direction") == Some("download");
    if content && (source || sources) {
        check.error(
            "/content",
            "file/content-and-source",
            "Only one of content and source or sources can be specified",
            "Use two provisioners, one behind the other.",
        );
    }
    if !content && !source && !sources {
        check.error(
            "",
            "file/no-source",
            "One of source, sources and content must be specified",
            "Name the file to copy, for instance `\"source\": \"app.conf\"`.",
        );
    }
    if !filled(check, "/destination") {
        check.error(
            "/destination",
            "file/no-destination",
            "Destination must be specified",
            "Say where to copy it to, for instance `\"destination\": \"/tmp/app.conf\"`.",
        );
    }
    if download && content {
        check.error(
            "/content",
            "file/content-download",
            "content can't be downloaded",
            "Use `source` for the path on the machine.",
        );
    }
    let destination = check.text("/destination").filter(|to| content && !download && to.ends_with('/'));
    if let Some(to) = destination.map(content_target) {
        check.warning(
            "/destination",
            "file/content-without-name",
            format!("The destination names a folder: the content is written to {to}"),
            "Append the name of the file.",
        );
    }
    if !download && check.get("/generated") != Some(&Value::Bool(true)) && !check.is_unknown("/direction") {
        existing(check, look);
    }
}

fn existing(check: &mut Check, look: &Look) {
    for (pointer, path) in check.texts("/source", "/sources") {
        let problem = match look(&path) {
            FileState::File | FileState::Directory => {
                check.reads(path);
                continue;
            }
            FileState::Missing => "no such file or directory".to_owned(),
            FileState::Unreadable(why) => why,
        };
        let name = base_name(&path);
        check.error(
            &pointer,
            "file/bad-source",
            format!("Bad source '{path}': {problem}"),
            format!(
                "Relative paths start at the folder in which the engine was started. Set `\"generated\": true` if an \
                 earlier step makes {name}."
            ),
        );
    }
}
