//! From a JSON document to the blocks of a template: types, common keys, forms of post-processors. Everything that is
//! wrong is told at its place, and the rest is read.

use std::sync::Arc;

use super::{Template, Variable, first_char};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::source::{SourceFile, Span};
use crate::value::{Member, Node, Value};

pub(super) mod blocks;

const ROOT_KEYS: &[&str] = &[
    "builders",
    "provisioners",
    "post-processors",
    "variables",
    "sensitive-variables",
    "min_packer_version",
    "description",
    "error-cleanup-provisioner",
    "push",
];

/// The template, unless the document is none at all.
pub(super) fn template(file: &Arc<SourceFile>, node: &Node) -> (Option<Template>, Diagnostics) {
    let mut reader = Reader { found: Diagnostics::new() };
    let template = reader.template(file, node);
    (template, reader.found)
}

/// Reads a variable file: a JSON object of scalars. Names, values, and their places.
pub(super) fn variable_file(file: &Arc<SourceFile>) -> (Vec<(String, String, Span)>, Diagnostics) {
    let (node, found) = super::json::parse(file);
    let mut reader = Reader { found };
    let mut out = Vec::new();
    if let Some(node) = node {
        if !matches!(node.value, Value::Object(_)) {
            reader.wrong(
                &node,
                "variables/not-an-object",
                "a variable file is an object of names and values",
                "write {\"name\": \"value\"}",
            );
        }
        for member in node.members() {
            let value = match member.value.value {
                // As in Packer, null gives an empty text here.
                Value::Null => Some(String::new()),
                _ => reader.variable_value(&member.value, &member.key),
            };
            if let Some(value) = value {
                out.push((member.key.clone(), value, member.value.span.clone()));
            }
        }
    }
    (out, reader.found)
}

/// A number as Packer turns it into a text: whole numbers without a point.
fn number_text(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(f) if !number.is_i64() && !number.is_u64() && f.is_finite() => format!("{f}"),
        _ => number.to_string(),
    }
}

struct Reader {
    found: Diagnostics,
}

impl Reader {
    fn wrong(&mut self, node: &Node, code: &str, summary: impl Into<String>, help: &str) {
        // What could not be read has been told.
        if matches!(node.value, Value::Unknown) {
            return;
        }
        self.found.push(
            Diagnostic::error(code, summary)
                .at(&node.span)
                .detail(format!("here is {}", node.kind()))
                .help(help),
        );
    }

    fn template(&mut self, file: &Arc<SourceFile>, node: &Node) -> Option<Template> {
        if !matches!(node.value, Value::Object(_)) {
            self.wrong(
                node,
                "template/not-an-object",
                "a template is an object with \"builders\" and more",
                "write {\"builders\": [...]}",
            );
            return None;
        }
        let mut template = Template {
            file: file.clone(),
            root: first_char(node),
            description: None,
            min_version: None,
            variables: Vec::new(),
            sensitive: Vec::new(),
            builders: Vec::new(),
            builders_told: false,
            provisioners: Vec::new(),
            error_cleanup: None,
            post_processors: Vec::new(),
        };
        for Member { key, key_span, value } in node.members() {
            // As everywhere in Packer, case does not matter in the names of keys.
            let known = ROOT_KEYS.iter().find(|k| k.eq_ignore_ascii_case(key));
            match known.map_or(key.as_str(), |k| k) {
                "builders" => {
                    let before = self.found.len();
                    template.builders =
                        self.list(value, key).iter().filter_map(|n| self.builder(n)).collect();
                    template.builders_told = self.found.len() > before;
                }
                "provisioners" => {
                    template.provisioners =
                        self.list(value, key).iter().filter_map(|n| self.provisioner(n)).collect();
                }
                "error-cleanup-provisioner" => template.error_cleanup = self.provisioner(value),
                "post-processors" => {
                    template.post_processors =
                        self.list(value, key).iter().map(|n| self.sequence(n)).collect();
                }
                "variables" => self.variables(value, &mut template.variables),
                "sensitive-variables" => template.sensitive = self.names(value, key),
                "description" => template.description = self.scalar(value, key),
                "min_packer_version" => {
                    template.min_version = self.scalar(value, key).map(|v| (v, value.span.clone()));
                }
                "push" => {}
                key if key.starts_with('_') => {
                    if value.as_text().is_none() {
                        self.wrong(value, "template/comment", "a root level key that begins with an underscore is a comment: its value must be a string", "put the value in quotes");
                    }
                }
                key => {
                    let near = nearest(key, ROOT_KEYS.iter().copied());
                    template.builders_told |= near == Some("builders");
                    let help = match near {
                        Some(near) => format!("did you mean \"{near}\"?"),
                        None => format!(
                            "known are {}, and comments that begin with an underscore",
                            ROOT_KEYS.join(", ")
                        ),
                    };
                    self.found.push(
                        Diagnostic::error(
                            "template/unknown-key",
                            format!("unknown root level key \"{key}\""),
                        )
                        .at(key_span)
                        .help(help),
                    );
                }
            }
        }
        Some(template)
    }

    fn list<'a>(&mut self, node: &'a Node, key: &str) -> &'a [Node] {
        match &node.value {
            Value::Array(items) => items,
            // Packer takes one value in place of a list of one.
            Value::Object(_) | Value::String(_) => std::slice::from_ref(node),
            Value::Null => &[],
            _ => {
                self.wrong(node, "template/wrong-type", format!("\"{key}\" must be a list"), "write [...]");
                &[]
            }
        }
    }

    fn names(&mut self, node: &Node, key: &str) -> Vec<(String, Span)> {
        self.list(node, key)
            .iter()
            .filter_map(|n| self.scalar(n, key).map(|name| (name, n.span.clone())))
            .collect()
    }

    fn scalar(&mut self, node: &Node, key: &str) -> Option<String> {
        match &node.value {
            Value::String(text) => Some(text.expose()),
            Value::Bool(b) => Some(if *b { "1" } else { "0" }.to_owned()),
            Value::Number(n) => Some(number_text(n)),
            _ => {
                self.wrong(
                    node,
                    "template/wrong-type",
                    format!("\"{key}\" must be a string"),
                    "put the value in quotes",
                );
                None
            }
        }
    }

    fn variables(&mut self, node: &Node, out: &mut Vec<Variable>) {
        if !matches!(node.value, Value::Object(_)) {
            self.wrong(
                node,
                "template/wrong-type",
                "\"variables\" must be an object of names and values",
                "write {\"name\": \"value\"}",
            );
        }
        for member in node.members() {
            let default = match &member.value.value {
                Value::Null => None,
                _ => match self.variable_value(&member.value, &member.key) {
                    Some(value) => Some(value),
                    None => continue,
                },
            };
            out.push(Variable {
                name: member.key.clone(),
                span: member.key_span.clone(),
                default,
                value_span: member.value.span.clone(),
            });
        }
    }

    /// The text of a variable; a list of strings is joined by commas, as Packer does.
    fn variable_value(&mut self, node: &Node, name: &str) -> Option<String> {
        match &node.value {
            Value::Array(items) if items.iter().all(|i| i.as_text().is_some()) => {
                Some(items.iter().filter_map(Node::as_text).map(|t| t.expose()).collect::<Vec<_>>().join(","))
            }
            Value::Array(_) | Value::Object(_) => {
                self.found.push(
                    Diagnostic::error(
                        "template/variable-type",
                        format!("the variable \"{name}\" must be a string"),
                    )
                    .at(&node.span)
                    .detail(format!("here is {}", node.kind()))
                    .help("write a string, or null if the user has to give it"),
                );
                None
            }
            _ => self.scalar(node, name),
        }
    }
}
