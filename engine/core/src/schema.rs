//! Checks a configuration against the JSON Schema that its component describes, with Packer's weak conversions first.
//! Every finding points into the template.
//!
//! Understood: `type` (also a list), `properties`, `required`, `additionalProperties`, `items`, `enum`, `const`,
//! `pattern`, `minLength`, `maxLength`, `minimum`, `maximum`, `minItems`, `maxItems`, `deprecated`, and the annotations
//! `x-duration`, `x-template`, `x-host-path`, `x-host-output`. Other keywords are left to the component's own check.

use serde_json::Value as Json;

use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::duration::parse_duration;
use crate::value::{Member, Node, Text, Value};

/// Converts and checks. The result has the keys as the schema spells them; unknown values are left alone.
pub fn check(config: &Node, schema: &Json) -> (Node, Diagnostics) {
    let mut checker = Checker { found: Diagnostics::new() };
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
}

impl Checker {
    fn wrong(&mut self, node: &Node, code: &str, summary: String) -> &mut Self {
        self.found.push(Diagnostic::error(format!("config/{code}"), summary).at(&node.span));
        self
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
        Node::new(value, node.span)
    }

    /// Packer's weak typing: text to number and boolean, anything plain to text, one value to a list of one.
    fn converted(&mut self, node: &Node, types: &[&str], name: &str) -> Option<Node> {
        let is = |t: &str| types.contains(&t);
        let like = |value: Value| Some(Node::new(value, node.span.clone()));
        if types.is_empty() {
            return Some(node.clone());
        }
        match &node.value {
            Value::Null if is("null") => return Some(node.clone()),
            Value::Bool(_) if is("boolean") => return Some(node.clone()),
            Value::Number(n)
                if is("number") || (is("integer") && n.as_f64().is_some_and(|f| f.fract() == 0.0)) =>
            {
                return Some(node.clone());
            }
            Value::String(_) if is("string") => return Some(node.clone()),
            Value::Array(_) if is("array") => return Some(node.clone()),
            Value::Object(_) if is("object") => return Some(node.clone()),
            Value::Bool(b) if is("string") => return like(Value::String(Text::plain(b.to_string()))),
            Value::Bool(b) if is("integer") || is("number") => {
                return like(Value::Number(i64::from(*b).into()));
            }
            Value::Number(n) if is("string") => return like(Value::String(Text::plain(n.to_string()))),
            Value::Number(n) if is("boolean") => return like(Value::Bool(n.as_f64() != Some(0.0))),
            Value::String(text) if is("integer") || is("number") => {
                let text = text.expose();
                let number = text.trim().parse::<i64>().map(serde_json::Number::from).ok();
                let number = number.or_else(|| {
                    text.trim().parse().ok().filter(|_| is("number")).and_then(serde_json::Number::from_f64)
                });
                if let Some(number) = number {
                    return like(Value::Number(number));
                }
            }
            Value::String(text) if is("boolean") => match text.expose().as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => return like(Value::Bool(true)),
                "0" | "f" | "F" | "false" | "FALSE" | "False" | "" => return like(Value::Bool(false)),
                _ => {}
            },
            Value::String(text) if is("array") => {
                // A comma separates items, unless the text is secret: then it is one item.
                let plain = text.expose();
                let items: Vec<Node> = if text.is_sensitive() {
                    vec![node.clone()]
                } else if plain.is_empty() {
                    Vec::new()
                } else {
                    plain
                        .split(',')
                        .map(|t| Node::new(Value::String(Text::plain(t)), node.span.clone()))
                        .collect()
                };
                return like(Value::Array(items));
            }
            Value::Null => return Some(node.clone()),
            _ if is("array") => return like(Value::Array(vec![node.clone()])),
            Value::Array(items)
                if is("object") && items.len() == 1 && matches!(items[0].value, Value::Object(_)) =>
            {
                return Some(items[0].clone());
            }
            _ => {}
        }
        let wanted: Vec<&str> = types
            .iter()
            .map(|t| match *t {
                "string" => "a string",
                "integer" => "a whole number",
                "number" => "a number",
                "boolean" => "true or false",
                "array" => "a list",
                "object" => "an object",
                other => other,
            })
            .collect();
        self.wrong(
            node,
            "wrong-type",
            format!("\"{name}\" must be {}, not {}", wanted.join(" or "), node.kind()),
        );
        None
    }

    fn object(&mut self, node: &Node, members: &[Member], schema: &Json) -> Value {
        let empty = serde_json::Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&empty);
        let open = match &schema["additionalProperties"] {
            Json::Bool(open) => *open,
            _ => true,
        };
        let mut out: Vec<Member> = Vec::new();
        for member in members {
            let known = properties
                .keys()
                .find(|k| **k == member.key)
                .or_else(|| properties.keys().find(|k| k.eq_ignore_ascii_case(&member.key)));
            let key = known.cloned().unwrap_or_else(|| member.key.clone());
            if known.is_none() && !open {
                let near = nearest(&member.key, properties.keys().map(String::as_str));
                let help = match near {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => {
                        format!("known are {}", properties.keys().cloned().collect::<Vec<_>>().join(", "))
                    }
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
            if !out.iter().any(|m| m.key == name && m.value.value != Value::Null) {
                let about = schema["properties"][name]["description"].as_str().unwrap_or_default();
                let start = node.span.range().start;
                self.found.push(
                    Diagnostic::error("config/missing-option", format!("the option \"{name}\" is missing"))
                        .at(&crate::Span::new(node.span.file(), start..start + 1))
                        .detail(about.to_owned())
                        .help(format!("add \"{name}\": ...")),
                );
            }
        }
        Value::Object(out)
    }

    fn constraints(&mut self, node: &Node, schema: &Json, name: &str) {
        let number = |key: &str| schema[key].as_f64();
        match &node.value {
            Value::String(text) => {
                let plain = text.expose();
                let shown = text.masked();
                let length = plain.chars().count() as f64;
                if let Some(allowed) = schema["enum"].as_array()
                    && !allowed.iter().any(|a| a.as_str() == Some(plain.as_str()))
                {
                    let names: Vec<&str> = allowed.iter().filter_map(Json::as_str).collect();
                    let help = match nearest(&plain, names.iter().copied()).filter(|_| !text.is_sensitive()) {
                        Some(near) => format!("did you mean \"{near}\"?"),
                        None => format!("write one of {}", names.join(", ")),
                    };
                    self.found.push(
                        Diagnostic::error("config/unknown-value", format!("\"{name}\" can't be \"{shown}\""))
                            .at(&node.span)
                            .help(help),
                    );
                }
                if let Some(wanted) = schema["const"].as_str().filter(|c| *c != plain) {
                    self.wrong(node, "unknown-value", format!("\"{name}\" must be \"{wanted}\""));
                }
                if let Some(pattern) = schema["pattern"].as_str()
                    && regex::Regex::new(pattern).is_ok_and(|p| !p.is_match(&plain))
                {
                    self.wrong(
                        node,
                        "pattern",
                        format!("\"{name}\" is \"{shown}\", which does not match {pattern}"),
                    );
                }
                if number("minLength").is_some_and(|min| length < min) {
                    self.wrong(node, "length", format!("\"{name}\" is too short"));
                }
                if number("maxLength").is_some_and(|max| length > max) {
                    self.wrong(node, "length", format!("\"{name}\" is too long"));
                }
                if schema["x-duration"] == true
                    && let Err(why) = parse_duration(&plain)
                {
                    let why = if text.is_sensitive() { "it is not a duration".to_owned() } else { why };
                    self.wrong(node, "duration", format!("\"{name}\": {why}"));
                }
            }
            Value::Number(n) => {
                let n = n.as_f64().unwrap_or_default();
                if number("minimum").is_some_and(|min| n < min)
                    || number("maximum").is_some_and(|max| n > max)
                {
                    let bounds = match (number("minimum"), number("maximum")) {
                        (Some(min), Some(max)) => format!("from {min} to {max}"),
                        (Some(min), None) => format!("{min} or more"),
                        (_, max) => format!("{} or less", max.unwrap_or_default()),
                    };
                    self.wrong(node, "range", format!("\"{name}\" is {n}; it must be {bounds}"));
                }
            }
            Value::Array(items) => {
                let count = items.len() as f64;
                if number("minItems").is_some_and(|min| count < min)
                    || number("maxItems").is_some_and(|max| count > max)
                {
                    self.wrong(node, "count", format!("\"{name}\" has {count} items, which is not allowed"));
                }
            }
            _ => {}
        }
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
        let (node, found) = check(&config, &schema());
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(node.expose_json(), json!({"name": "5", "count": 3, "on": true, "list": ["a", "b"]}));
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
        let (_, found) = check(&config, &schema());
        let mut codes: Vec<&str> = found.iter().map(|d| d.code.as_str()).collect();
        codes.sort_unstable();
        assert_eq!(
            codes,
            [
                "config/duration",
                "config/missing-option",
                "config/range",
                "config/unknown-option",
                "config/unknown-value",
                "config/wrong-type"
            ]
        );
        assert_eq!(deferred(&schema()), ["command"]);
    }
}
