//! Checks a configuration against the JSON Schema that its component describes, with Packer's weak conversions first.
//! Every finding points into the template.
//!
//! Understood: `type` (also a list), `properties`, `required`, `additionalProperties`, `items`, `enum`, `const`,
//! `pattern`, `minLength`, `maxLength`, `minimum`, `maximum`, `minItems`, `maxItems`, `uniqueItems`, `anyOf`, `oneOf`,
//! `deprecated`, and the annotations `x-duration`, `x-template`, `x-host-path`, `x-host-output`, `x-host-glob`. Other
//! keywords are left to the component's own check; `default` is documentation, because a component knows its defaults itself.

use serde_json::Value as Json;

use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::value::{Member, Node, Text, Value};

pub mod common;
mod constraints;
mod convert;
pub mod document;
mod editor;

/// How much is converted before the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typing {
    /// As Packer's JSON templates: nearly everything to what is wanted.
    Weak,
    /// As HCL: texts, numbers and booleans among each other, but a text is no list.
    Typed,
}

/// Converts and checks. The result has the keys as the schema spells them; unknown values are left alone.
pub fn check(config: &Node, schema: &Json, typing: Typing) -> (Node, Diagnostics) {
    let mut checker = Checker { found: Diagnostics::new(), typing };
    let node = checker.node(config, schema, "");
    (node, checker.found)
}

/// The options (top level) whose text the component renders itself.
pub fn deferred(schema: &Json) -> Vec<String> {
    let annotated =
        |(name, property): (&String, &Json)| (property["x-template"] == true).then(|| name.clone());
    schema["properties"].as_object().map(|p| p.iter().filter_map(annotated).collect()).unwrap_or_default()
}

/// The texts of all options with this annotation (`x-host-path`, `x-host-output`).
pub fn annotated<'a>(config: &'a Node, schema: &Json, annotation: &str) -> Vec<&'a Text> {
    let mut out = Vec::new();
    collect(config, schema, annotation, false, &mut out);
    out
}

fn collect<'a>(node: &'a Node, schema: &Json, annotation: &str, inherited: bool, out: &mut Vec<&'a Text>) {
    let marked = inherited || schema[annotation] == true;
    match &node.value {
        Value::String(text) if marked => out.push(text),
        Value::Array(items) => {
            items.iter().for_each(|n| collect(n, &schema["items"], annotation, marked, out))
        }
        Value::Object(members) => {
            members.iter().for_each(|m| {
                collect(&m.value, property(schema, &m.key).unwrap_or(&Json::Null), annotation, marked, out)
            });
        }
        _ => {}
    }
}

fn property<'a>(schema: &'a Json, key: &str) -> Option<&'a Json> {
    let additional = || Some(&schema["additionalProperties"]).filter(|a| a.is_object());
    schema["properties"].get(key).or_else(additional)
}

fn types(schema: &Json) -> Vec<&str> {
    match &schema["type"] {
        Json::String(one) => vec![one],
        Json::Array(many) => many.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

struct Checker {
    found: Diagnostics,
    typing: Typing,
}

impl Checker {
    fn wrong(&mut self, node: &Node, code: &str, summary: String) {
        self.found.push(Diagnostic::error(code, summary).at(&node.span));
    }

    fn node(&mut self, node: &Node, schema: &Json, name: &str) -> Node {
        if matches!(node.value, Value::Unknown) || !schema.is_object() {
            return node.clone();
        }
        let types = types(schema);
        // What has the wrong type has been told; nothing more can be said about it.
        let Some(node) = self.converted(node, &types, name) else {
            return Node::new(Value::Unknown, node.span.clone());
        };
        self.constraints(&node, schema, name);
        let value = match &node.value {
            Value::Object(members) => self.object(&node, members, schema),
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.node(item, &schema["items"], name)).collect())
            }
            other => other.clone(),
        };
        self.alternatives(Node::new(value, node.span), schema, name)
    }

    fn object(&mut self, node: &Node, members: &[Member], schema: &Json) -> Value {
        let empty = serde_json::Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&empty);
        let open = match &schema["additionalProperties"] {
            Json::Bool(open) => *open,
            _ => true,
        };
        let mut out: Vec<Member> = Vec::new();
        let mut slips: Vec<String> = Vec::new();
        for member in members {
            let known = properties
                .keys()
                .find(|k| **k == member.key)
                .or_else(|| properties.keys().find(|k| k.eq_ignore_ascii_case(&member.key)));
            let key = known.cloned().unwrap_or_else(|| member.key.clone());
            if known.is_none() && !open {
                let near = nearest(&member.key, properties.keys().map(String::as_str));
                slips.extend(near.map(str::to_owned));
                let help = match near {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => match properties.keys().cloned().collect::<Vec<_>>().as_slice() {
                        [] => "there are no options; remove it".to_owned(),
                        [one] => format!("the only option is {one}"),
                        all => format!("known are {}", all.join(", ")),
                    },
                };
                self.found.push(
                    Diagnostic::error("config/unknown-option", format!("unknown option \"{}\"", member.key))
                        .at(&member.key_span)
                        .help(help),
                );
                continue;
            }
            if let Some(note) = property(schema, &key).filter(|p| p["deprecated"] == true) {
                let why = note["description"].as_str().unwrap_or_default().to_owned();
                self.found.push(
                    Diagnostic::warning("config/deprecated", format!("the option \"{key}\" is deprecated"))
                        .at(&member.key_span)
                        .detail(why),
                );
            }
            let value = match property(schema, &key) {
                Some(property) => self.node(&member.value, property, &key),
                None => member.value.clone(),
            };
            out.push(Member { key, key_span: member.key_span.clone(), value });
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            // A name that was misspelt has been told.
            if slips.iter().any(|slip| slip == name) {
                continue;
            }
            if !out.iter().any(|m| m.key == name && m.value.value != Value::Null) {
                let about = schema["properties"][name]["description"].as_str().unwrap_or_default();
                self.found.push(
                    Diagnostic::error("config/missing-option", format!("the option \"{name}\" is missing"))
                        .at(&node.head())
                        .detail(about.to_owned())
                        .help(match self.typing {
                            Typing::Weak => format!("add \"{name}\": ..."),
                            Typing::Typed => format!("add {name} = …"),
                        }),
                );
            }
        }
        Value::Object(out)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::{SourceFile, Span};

    fn config(members: &[(&str, Value)]) -> Node {
        let file = SourceFile::new("t.json", "{}");
        let span = Span::new(&file, 0..2);
        let member = |(key, value): &(&str, Value)| Member {
            key: (*key).to_owned(),
            key_span: span.clone(),
            value: Node::new(value.clone(), span.clone()),
        };
        Node::new(Value::Object(members.iter().map(member).collect()), span.clone())
    }

    fn schema() -> Json {
        json!({"type": "object", "additionalProperties": false, "required": ["name"], "properties": {
            "name": {"type": "string"}, "count": {"type": "integer", "minimum": 1}, "on": {"type": "boolean"},
            "list": {"type": "array", "items": {"type": "string"}}, "wait": {"type": "string", "x-duration": true},
            "how": {"type": "string", "enum": ["fast", "slow"]}, "command": {"type": "string", "x-template": true}}})
    }

    fn text(t: &str) -> Value {
        Value::String(Text::plain(t))
    }

    #[test]
    fn weak_values_are_converted_as_packer_does() {
        let config = config(&[
            ("NAME", Value::Number(5.into())),
            ("count", text("3")),
            ("on", text("true")),
            ("list", text("a,b")),
        ]);
        let (node, found) = check(&config, &schema(), Typing::Weak);
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(node.expose_json(), json!({"name": "5", "count": 3, "on": true, "list": ["a", "b"]}));
        let nine = serde_json::Number::from_f64(9.0).expect("a number");
        let (node, found) = check(
            &self::config(&[("name", text("x")), ("count", Value::Number(nine))]),
            &schema(),
            Typing::Weak,
        );
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(node.expose_json(), json!({"name": "x", "count": 9}));
    }

    #[test]
    fn every_problem_is_found_at_once() {
        let config = config(&[
            ("count", text("0")),
            ("nam", text("x")),
            ("wait", text("soon")),
            ("how", text("fats")),
            ("on", text("maybe")),
        ]);
        let (_, found) = check(&config, &schema(), Typing::Weak);
        let mut codes: Vec<&str> = found.iter().map(|d| d.code.as_str()).collect();
        codes.sort_unstable();
        // The missing name is the one that was misspelt, and that is told once.
        assert_eq!(
            codes,
            [
                "config/duration",
                "config/range",
                "config/unknown-option",
                "config/unknown-value",
                "config/wrong-type"
            ]
        );
        assert_eq!(deferred(&schema()), ["command"]);
        let (_, found) = check(&self::config(&[("on", text("true"))]), &schema(), Typing::Typed);
        let missing: Vec<_> = found.iter().map(|d| (d.code.as_str(), d.help.as_deref())).collect();
        assert_eq!(missing, [("config/missing-option", Some("add name = …"))]);
    }

    #[test]
    fn alternatives_are_tried_in_order() {
        let value = json!({"type": "object", "properties": {
            "how": {"anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "string"}}]}}});
        let (node, found) = check(&config(&[("how", text("a,b"))]), &value, Typing::Weak);
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(node.expose_json(), json!({"how": ["a", "b"]}));
        let groups = json!({"oneOf": [{"required": ["inline"]}, {"required": ["script"]}]});
        let messages = |members: &[(&str, Value)]| {
            let (_, found) = check(&config(members), &groups, Typing::Weak);
            found.iter().map(|d| d.summary.clone()).collect::<Vec<_>>()
        };
        assert_eq!(messages(&[]), ["one of \"inline\", \"script\" must be given"]);
        assert_eq!(
            messages(&[("inline", text("x")), ("script", text("y"))]),
            ["only one of \"inline\", \"script\" may be given"]
        );
        assert!(messages(&[("script", text("y"))]).is_empty());
    }

    #[test]
    fn limits_of_single_values_hold() {
        let limits = json!({"type": "object", "properties": {
            "n": {"type": "integer", "enum": [1, 2]}, "c": {"const": "x"}, "flag": {"type": ["boolean", "null"]},
            "l": {"type": "array", "uniqueItems": true, "maxItems": 2, "items": {"type": "string"}},
            "s": {"type": "string", "minLength": 2, "maxLength": 3, "pattern": "^[a-z]+$"}}});
        let found = |key: &str, value: Value| {
            let (_, found) = check(&config(&[(key, value)]), &limits, Typing::Weak);
            found.iter().map(|d| d.code.clone()).collect::<Vec<_>>()
        };
        assert_eq!(found("n", text("3")), ["config/unknown-value"]);
        assert_eq!(found("c", text("y")), ["config/unknown-value"]);
        assert_eq!(found("l", text("a,b,a")), ["config/count", "config/duplicate-item"]);
        assert_eq!(found("s", text("A")), ["config/pattern", "config/length"]);
        assert_eq!(found("s", text("abcd")), ["config/length"]);
        assert!(found("flag", text("")).is_empty());
        assert!(found("s", Value::Unknown).is_empty());
        let secret = Value::String(Text::secret(crate::Secret::new("hunter2")));
        let (_, told) = check(&config(&[("s", secret)]), &limits, Typing::Weak);
        assert!(told.has_errors() && told.iter().all(|d| !d.render().contains("hunter2")), "{told:?}");
    }
}
