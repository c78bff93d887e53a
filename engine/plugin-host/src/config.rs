//! The configuration of a step as a guest receives it: JSON with sealed secrets, and what the schema's annotations say
//! about it (host paths that it names, values that are sensitive).

use std::path::{Component, Path, PathBuf};

use fornax_core::value::{Node, Value};
use fornax_core::{Redactor, Secret};
use serde_json::Value as Json;

use crate::seal::{Origin, Sealer};

/// A configuration, sealed.
pub struct SealedConfig {
    pub json: Json,
    /// JSON Pointers to values that are not known yet.
    pub unknown: Vec<String>,
    /// JSON Pointers to values with placeholders.
    pub sealed: Vec<String>,
    /// Absolute paths that the configuration names for reading (`x-host-path`).
    pub host_paths: Vec<PathBuf>,
    /// Absolute paths that it names as output (`x-host-output`).
    pub host_outputs: Vec<PathBuf>,
    /// Patterns for host files that it names (`x-host-glob`).
    pub host_globs: Vec<String>,
    /// Texts that the guest renders (`x-template`) and that name an output or a pattern then.
    pub named_templates: Vec<NamedTemplate>,
}

/// A text of the configuration that names something once it is rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTemplate {
    /// As the guest sees it.
    pub text: String,
    pub output: bool,
    pub glob: bool,
}

const DEPTH: usize = 64;

/// Seals a configuration. Values that the schema marks `writeOnly` are secrets as a whole and become known to the
/// redactor.
pub fn seal(
    config: &Node,
    schema: &Json,
    sealer: &mut Sealer,
    redactor: &Redactor,
    working_dir: &Path,
) -> SealedConfig {
    let mut result = SealedConfig {
        json: Json::Null,
        unknown: Vec::new(),
        sealed: Vec::new(),
        host_paths: Vec::new(),
        host_outputs: Vec::new(),
        host_globs: Vec::new(),
        named_templates: Vec::new(),
    };
    let mut walk = Walk { root: schema, sealer, redactor, working_dir, result: &mut result };
    let json = walk.node(config, &[schema], &mut String::new(), 0);
    result.json = json;
    result
}

struct Walk<'a> {
    root: &'a Json,
    sealer: &'a mut Sealer,
    redactor: &'a Redactor,
    working_dir: &'a Path,
    result: &'a mut SealedConfig,
}

impl<'a> Walk<'a> {
    fn node(&mut self, node: &Node, schemas: &[&'a Json], pointer: &mut String, depth: usize) -> Json {
        if depth > DEPTH {
            return Json::Null;
        }
        let schemas = expand(self.root, schemas);
        let marked = |name: &str| schemas.iter().any(|s| s.get(name) == Some(&Json::Bool(true)));
        match &node.value {
            Value::Null => Json::Null,
            Value::Unknown => {
                self.result.unknown.push(pointer.clone());
                Json::Null
            }
            Value::Bool(b) => Json::Bool(*b),
            Value::Number(n) => Json::Number(n.clone()),
            Value::String(text) => {
                let exposed = text.expose();
                let sealed = if marked("writeOnly") && !exposed.is_empty() {
                    let secret = Secret::new(exposed.clone());
                    self.redactor.register(&secret);
                    self.sealer.seal_secret(&secret, Origin::Config)
                } else {
                    self.sealer.seal(text, Origin::Config)
                };
                if text.is_sensitive() || marked("writeOnly") {
                    self.result.sealed.push(pointer.clone());
                }
                self.name(&exposed, &sealed, &marked);
                Json::String(sealed)
            }
            Value::Array(items) => {
                let below: Vec<&Json> = schemas.iter().filter_map(|s| s.get("items")).collect();
                let length = pointer.len();
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| {
                        pointer.push_str(&format!("/{index}"));
                        let json = self.node(item, &below, pointer, depth + 1);
                        pointer.truncate(length);
                        json
                    })
                    .collect()
            }
            Value::Object(members) => {
                let length = pointer.len();
                let object = members
                    .iter()
                    .map(|member| {
                        let mut below: Vec<&Json> =
                            schemas.iter().filter_map(|s| s.get("properties")?.get(&member.key)).collect();
                        if below.is_empty() {
                            below = schemas.iter().filter_map(|s| s.get("additionalProperties")).collect();
                        }
                        pointer.push('/');
                        pointer.push_str(&member.key.replace('~', "~0").replace('/', "~1"));
                        let json = self.node(&member.value, &below, pointer, depth + 1);
                        pointer.truncate(length);
                        (member.key.clone(), json)
                    })
                    .collect();
                // A path that the schema gives by default is named by the configuration too.
                let defaults: Vec<(&String, &Json)> = schemas
                    .iter()
                    .filter_map(|s| s.get("properties")?.as_object())
                    .flatten()
                    .filter(|(key, _)| members.iter().all(|m| m.key != **key))
                    .collect();
                for (_, schema) in defaults {
                    let all = expand(self.root, &[schema]);
                    let marked = |name: &str| all.iter().any(|s| s.get(name) == Some(&Json::Bool(true)));
                    if let Some(path) = all.iter().find_map(|s| s.get("default")?.as_str()) {
                        self.name(path, path, &marked);
                    }
                }
                Json::Object(object)
            }
        }
    }

    /// Notes a path or a pattern by its annotations; `sealed` is what the guest sees of it.
    fn name(&mut self, path: &str, sealed: &str, marked: &dyn Fn(&str) -> bool) {
        if path.is_empty() {
            return;
        }
        let (output, glob) = (marked("x-host-output"), marked("x-host-glob"));
        if marked("x-template") {
            if output || glob {
                self.result.named_templates.push(NamedTemplate { text: sealed.to_owned(), output, glob });
            }
            return;
        }
        let absolute = absolute(self.working_dir, path);
        if marked("x-host-path") {
            self.result.host_paths.push(absolute.clone());
        }
        if output {
            self.result.host_outputs.push(absolute);
        }
        if glob {
            self.result.host_globs.push(path.to_owned());
        }
    }
}

/// The schemas with what they refer to and combine.
fn expand<'a>(root: &'a Json, schemas: &[&'a Json]) -> Vec<&'a Json> {
    let mut all: Vec<&Json> = schemas.to_vec();
    let mut at = 0;
    while at < all.len() && all.len() < 256 {
        let schema = all[at];
        at += 1;
        if let Some(target) =
            schema.get("$ref").and_then(Json::as_str).and_then(|r| root.pointer(r.strip_prefix('#')?))
        {
            all.push(target);
        }
        for list in ["allOf", "anyOf", "oneOf"] {
            all.extend(schema.get(list).and_then(Json::as_array).into_iter().flatten());
        }
        all.extend(["then", "else"].iter().filter_map(|name| schema.get(name)));
    }
    all
}

/// The absolute path without `.` and `..`, decided by the text alone.
pub fn absolute(working_dir: &Path, path: &str) -> PathBuf {
    let mut result = PathBuf::new();
    for component in working_dir.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                result.pop();
            }
            other => result.push(other),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fornax_core::source::{SourceFile, Span};
    use fornax_core::value::{Member, Text};

    use super::*;

    #[test]
    fn seals_and_collects_paths() {
        let file: Arc<SourceFile> = SourceFile::new("t.json", "{}");
        let span = Span::new(&file, 0..0);
        let node = |value| Node::new(value, span.clone());
        let member =
            |key: &str, value| Member { key: key.into(), key_span: span.clone(), value: node(value) };
        let mut text = Text::plain("A=");
        text.push_text(&Text::secret(Secret::new("s3cr3t")));
        let config = node(Value::Object(vec![
            member("env", Value::Array(vec![node(Value::String(text))])),
            member("script", Value::String("../x/./s.sh".into())),
            member("token", Value::String("tok".into())),
            member("late", Value::Unknown),
            member("files", Value::Array(vec![node(Value::String("out/*.x".into()))])),
        ]));
        let schema = serde_json::json!({"properties": {
            "script": {"$ref": "#/$defs/path"},
            "token": {"type": "string", "writeOnly": true},
            "output": {"x-host-output": true, "default": "out.json"},
            "files": {"items": {"x-host-glob": true}},
            "archive": {"x-host-output": true, "x-template": true, "default": "{{.BuildName}}.tar"}
        }, "$defs": {"path": {"x-host-path": true}}});
        let (mut sealer, redactor) = (Sealer::default(), Redactor::new());
        let sealed = seal(&config, &schema, &mut sealer, &redactor, Path::new("/w/d"));
        let json = sealed.json.to_string();
        assert!(!json.contains("s3cr3t") && !json.contains("\"tok\""), "{json}");
        assert_eq!(sealed.sealed, ["/env/0", "/token"]);
        assert_eq!(sealed.unknown, ["/late"]);
        assert_eq!(sealed.host_paths, [PathBuf::from("/w/x/s.sh")]);
        assert_eq!(sealed.host_outputs, [PathBuf::from("/w/d/out.json")]);
        assert_eq!(sealed.host_globs, ["out/*.x"]);
        let text = "{{.BuildName}}.tar".to_owned();
        assert_eq!(sealed.named_templates, [NamedTemplate { text, output: true, glob: false }]);
        assert_eq!(redactor.redact("tok"), "<sensitive>");
    }
}
