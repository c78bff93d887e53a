//! The fixers of provisioners and post-processors.

use serde_json::Value as Json;

use super::{Fixer, Object, remove, rename, rename_unless_set};

pub(super) const FIXERS: &[Fixer] = &[
    Fixer {
        name: "pp-vagrant-override",
        summary: "keys named by a provider become the \"override\" of the vagrant post-processor",
        run: |document| {
            document.post_processors(|kind, p| {
                let mut overrides = Object::new();
                for provider in ["aws", "digitalocean", "virtualbox", "vmware"] {
                    if let Some(value) = (kind == "vagrant").then(|| p.remove(provider)).flatten() {
                        overrides.insert(provider.to_owned(), value);
                    }
                }
                let changed = !overrides.is_empty();
                if changed {
                    let place = p.entry("override").or_insert_with(|| Json::Object(Object::new()));
                    match place {
                        Json::Object(known) => known.extend(overrides),
                        other => *other = Json::Object(overrides),
                    }
                }
                changed
            });
            Ok(())
        },
    },
    Fixer {
        name: "manifest-filename",
        summary: "\"filename\" of the manifest post-processor becomes \"output\"",
        run: |document| {
            document.post_processors(|kind, p| {
                kind == "manifest"
                    && p.get("filename").is_some_and(Json::is_string)
                    && rename(p, "filename", "output")
            });
            Ok(())
        },
    },
    Fixer {
        name: "docker-email",
        summary: "\"login_email\" of docker goes",
        run: |document| {
            document.builders_of("docker", |b| remove(b, "login_email"));
            document.post_processors(|kind, p| kind.starts_with("docker") && remove(p, "login_email"));
            Ok(())
        },
    },
    Fixer {
        name: "docker-tag-tags",
        summary: "\"tag\" of the docker-tag post-processor becomes a part of \"tags\"",
        run: |document| {
            document.post_processors(|kind, p| kind == "docker-tag" && docker_tags(p));
            Ok(())
        },
    },
    Fixer {
        name: "powershell-escapes",
        summary: "escapes of PowerShell in user, password and environment variables go, which are added today",
        run: |document| {
            document.provisioners(|kind, p| kind == "powershell" && powershell_escapes(p));
            Ok(())
        },
    },
    Fixer {
        name: "galaxy-command",
        summary: "\"galaxycommand\" of ansible-local becomes \"galaxy_command\"",
        run: |document| {
            document.provisioners(|kind, p| {
                let known =
                    p.contains_key("galaxy_command") || p.get("galaxycommand").is_some_and(Json::is_string);
                kind == "ansible-local" && known && rename_unless_set(p, "galaxycommand", "galaxy_command")
            });
            Ok(())
        },
    },
];

/// The tags of both keys in one list, each once. Without any there is nothing to write.
fn docker_tags(block: &mut Object) -> bool {
    let before = block.clone();
    let mut tags: Vec<Json> = Vec::new();
    let mut found = false;
    for key in ["tag", "tags"] {
        let more: Vec<Json> = match block.remove(key) {
            Some(Json::Array(items)) => items,
            Some(Json::String(text)) => text.split(',').map(|t| t.trim().into()).collect(),
            Some(other) if !other.is_null() => vec![other],
            _ => continue,
        };
        found = true;
        for tag in more {
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
    }
    if found {
        block.insert("tags".into(), Json::Array(tags));
    }
    *block != before
}

fn powershell_escapes(block: &mut Object) -> bool {
    let mut changed = false;
    let mut unescape = |value: &mut Json| {
        if let Json::String(text) = value {
            let plain = without_escapes(text);
            changed |= plain != *text;
            *text = plain;
        }
    };
    for key in ["elevated_user", "elevated_password"] {
        if let Some(value) = block.get_mut(key) {
            unescape(value);
        }
    }
    match block.get_mut("environment_vars") {
        Some(Json::Array(items)) => items.iter_mut().for_each(unescape),
        Some(one) => unescape(one),
        None => {}
    }
    changed
}

/// Backticks before the signs that PowerShell would read go.
fn without_escapes(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match rest.peek() {
            Some(next @ ('$' | '"' | '`' | '\'')) if c == '`' => {
                out.push(*next);
                rest.next();
            }
            _ => out.push(c),
        }
    }
    out
}
