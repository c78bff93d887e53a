//! What the fixers of builders do, where it takes more than a new name.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value as Json;

use super::{Document, Object, Wrong, remove, rename, type_of};

pub(super) static CREATE_TIME: LazyLock<Regex> = LazyLock::new(|| regex(r"\{\{\s*\.CreateTime\s*\}\}"));
pub(super) static CLEAN_NAME: LazyLock<Regex> = LazyLock::new(|| regex("clean_(image|ami)_name"));

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is a literal that the tests compile")
}

pub(super) fn is_parallels(kind: &str) -> bool {
    matches!(kind, "parallels-iso" | "parallels-pvm")
}

pub(super) fn replace(value: &mut Json, pattern: &Regex, by: &str) -> bool {
    let Json::String(text) = value else { return false };
    if !pattern.is_match(text) {
        return false;
    }
    *text = pattern.replace_all(text, by).into_owned();
    true
}

/// A builder without a name is called by its type, so what names it changes with the type.
pub(super) fn rename_type(document: &mut Document, old: &str, new: &str) -> Result<(), Wrong> {
    let mut named = false;
    document.builders(|kind, b| {
        named |= b.get("name").and_then(Json::as_str) == Some(old);
        if kind == old {
            b.insert("type".into(), new.into());
        }
        kind == old
    });
    if named {
        return Ok(());
    }
    let follow = |block: &mut Object| {
        let mut changed = false;
        for key in ["only", "except"] {
            for name in block.get_mut(key).and_then(Json::as_array_mut).into_iter().flatten() {
                if name.as_str() == Some(old) {
                    *name = new.into();
                    changed = true;
                }
            }
        }
        let overrides = block.get_mut("override").and_then(Json::as_object_mut);
        changed | overrides.is_some_and(|o| rename(o, old, new))
    };
    document.provisioners(|_, block| follow(block));
    // The vagrant post-processor has an "override" of its own, whose keys are providers.
    document.post_processors(|kind, block| kind != "vagrant" && follow(block));
    Ok(())
}

pub(super) fn private_ip(document: &mut Document) -> Result<(), Wrong> {
    let mut changed = false;
    for (i, builder) in document.list("builders").iter_mut().enumerate() {
        let Some(builder) = builder.as_object_mut().filter(|b| type_of(b).starts_with("amazon-")) else {
            continue;
        };
        if builder.contains_key("ssh_interface") {
            continue;
        }
        let private = match builder.get("ssh_private_ip") {
            None => continue,
            Some(Json::Bool(private)) => Some(*private),
            Some(Json::String(text)) => match text.as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
                _ => None,
            },
            Some(_) => None,
        };
        let Some(private) = private else {
            return Err(Wrong {
                pointer: format!("/builders/{i}/ssh_private_ip"),
                summary: "\"ssh_private_ip\" must be true or false".to_owned(),
                help: "write true or false, or \"ssh_interface\" in its place",
            });
        };
        remove(builder, "ssh_private_ip");
        builder.insert("ssh_interface".into(), if private { "private_ip" } else { "public_ip" }.into());
        changed = true;
    }
    document.changed |= changed;
    Ok(())
}

pub(super) fn skip_compaction(builder: &mut Object) -> bool {
    if builder.get("remote_type").and_then(Json::as_str) != Some("esx5") {
        return false;
    }
    let mut changed = false;
    match builder.get("disk_type_id") {
        None => {
            builder.insert("disk_type_id".into(), "zeroedthick".into());
            changed = true;
        }
        Some(Json::String(kind)) if kind != "thin" => {}
        Some(_) => return false,
    }
    if matches!(builder.get("skip_compaction"), None | Some(Json::Bool(false))) {
        builder.insert("skip_compaction".into(), true.into());
        changed = true;
    }
    changed
}

/// Moves keys of a builder into one object, the first of the list under `list`.
pub(super) fn gather(builder: &mut Object, list: &str, keys: &[(&str, &str)]) -> bool {
    let mut first = Object::new();
    for (old, new) in keys {
        if let Some(value) = builder.remove(*old) {
            first.insert((*new).to_owned(), value);
        }
    }
    if first.is_empty() {
        return false;
    }
    let mut items = vec![Json::Object(first)];
    match builder.remove(list) {
        Some(Json::Array(more)) => items.extend(more),
        Some(Json::Null) | None => {}
        Some(one) => items.push(one),
    }
    builder.insert(list.to_owned(), Json::Array(items));
    true
}

pub(super) fn iso_checksum(builder: &mut Object) -> bool {
    let mut take = |key: &str| builder.remove(key).map(|v| v.as_str().unwrap_or_default().to_owned());
    let (url, kind) = (take("iso_checksum_url"), take("iso_checksum_type"));
    let changed = url.is_some() || kind.is_some();
    let (url, kind) = (url.unwrap_or_default(), kind.unwrap_or_default());
    let checksum = builder.get("iso_checksum").and_then(Json::as_str).unwrap_or_default();
    let joined = match (url.as_str(), kind.as_str(), checksum) {
        // Without a checksum this type says that there is none, which has to be said today too.
        ("", "none", _) => "none".to_owned(),
        ("", "", _) | ("", _, "") => return changed,
        ("", kind, checksum) if checksum.starts_with(&format!("{kind}:")) => checksum.to_owned(),
        ("", kind, checksum) => format!("{kind}:{checksum}"),
        (url, ..) => format!("file:{url}"),
    };
    builder.insert("iso_checksum".into(), joined.into());
    true
}
