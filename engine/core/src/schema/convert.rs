//! Packer's weak conversions: what is written as one type and wanted as another.

use super::{Checker, Typing};
use crate::value::{Node, Text, Value};

/// Characters of a wrong text that a finding repeats.
const SHOWN: usize = 40;

impl Checker {
    /// Packer's weak typing: text to number and boolean, anything plain to text, one value to a list of one.
    pub(super) fn converted(&mut self, node: &Node, types: &[&str], name: &str) -> Option<Node> {
        let is = |t: &str| types.contains(&t);
        let weak = self.typing == Typing::Weak;
        let like = |value: Value| Some(Node::new(value, node.span.clone()));
        if types.is_empty() {
            return Some(node.clone());
        }
        match &node.value {
            Value::Null if is("null") => return Some(node.clone()),
            Value::Bool(_) if is("boolean") => return Some(node.clone()),
            // A whole number may be written as 9.0; components take it as 9.
            Value::Number(n) if is("integer") && !is("number") && n.is_f64() => {
                let whole = n.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 1e15);
                if let Some(whole) = whole {
                    return like(Value::Number((whole as i64).into()));
                }
            }
            Value::Number(_) if is("number") || is("integer") => return Some(node.clone()),
            Value::String(_) if is("string") => return Some(node.clone()),
            Value::Array(_) if is("array") => return Some(node.clone()),
            Value::Object(_) if is("object") => return Some(node.clone()),
            Value::Bool(b) if is("string") => return like(Value::String(Text::plain(b.to_string()))),
            Value::Bool(b) if (is("integer") || is("number")) && weak => {
                return like(Value::Number(i64::from(*b).into()));
            }
            Value::Number(n) if is("string") => {
                let whole = n.as_f64().filter(|f| !n.is_i64() && !n.is_u64() && f.fract() == 0.0);
                let text = whole.map_or_else(|| n.to_string(), |f| f.to_string());
                return like(Value::String(Text::plain(text)));
            }
            Value::Number(n) if is("boolean") && weak => return like(Value::Bool(n.as_f64() != Some(0.0))),
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
            // A flag with three states: the empty text leaves it unset.
            Value::String(text) if is("boolean") && is("null") && text.is_empty() => {
                return like(Value::Null);
            }
            Value::String(text) if is("boolean") => match text.expose().as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => return like(Value::Bool(true)),
                "0" | "f" | "F" | "false" | "FALSE" | "False" | "" => return like(Value::Bool(false)),
                _ => {}
            },
            Value::String(text) if is("array") && weak => {
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
            // In HCL a block that stands once is a list of one; other values are what they are.
            value if is("array") && (weak || matches!(value, Value::Object(_))) => {
                return like(Value::Array(vec![node.clone()]));
            }
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
        // Many texts would do, so it matters which one this is.
        let shown = match node.as_text().map(Text::masked) {
            Some(text) if text.chars().count() <= SHOWN && !text.contains('\n') => format!("\"{text}\""),
            _ => node.kind().to_owned(),
        };
        self.wrong(
            node,
            "config/wrong-type",
            format!("\"{name}\" must be {}, not {shown}", wanted.join(" or ")),
        );
        None
    }
}
