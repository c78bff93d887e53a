//! Examples, which components give as JSON, in the form of HCL2: an object with properties of its own is a nested
//! block, everything else an argument, and a call of a user variable is an expression.

use fornax_core::hcl::lex::is_identifier;
use fornax_core::hcl::write::{Item, Piece, Value, print, quote};
use serde_json::Value as Json;

/// One block with labels, in the canonical format.
pub fn block(kind: &str, labels: &[&str], options: &Json, schema: &Json) -> String {
    print(&[Item::block(kind, labels, body(options, schema))])
}

fn body(options: &Json, schema: &Json) -> Vec<Item> {
    let mut out = Vec::new();
    for (name, value) in options.as_object().into_iter().flatten() {
        let property = &schema["properties"][name];
        let items = &property["items"];
        match value {
            Json::Object(_) if property["properties"].is_object() => {
                out.push(Item::block(name, &[], body(value, property)));
            }
            Json::Array(list) if items["properties"].is_object() => {
                out.extend(list.iter().map(|inner| Item::block(name, &[], body(inner, items))));
            }
            _ => out.push(Item::attribute(name, expression(value))),
        }
    }
    out
}

fn expression(value: &Json) -> Value {
    match value {
        Json::String(text) => template(text),
        Json::Array(items) => Value::List(items.iter().map(expression).collect()),
        Json::Object(members) => {
            let key = |key: &String| match is_identifier(key) {
                true => key.clone(),
                false => quote(&[Piece::Text(key.clone())]),
            };
            Value::Object(members.iter().map(|(k, v)| (key(k), expression(v))).collect())
        }
        other => Value::Code(other.to_string()),
    }
}

/// A text as an expression; what is a call of a user variable in JSON templates is a reference here.
fn template(text: &str) -> Value {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((start, end, name)) = user_call(rest) {
        pieces.extend((start > 0).then(|| Piece::Text(rest[..start].to_owned())));
        pieces.push(Piece::Code(format!("var.{name}")));
        rest = &rest[end..];
    }
    match pieces.as_slice() {
        [Piece::Code(reference)] if rest.is_empty() => return Value::Code(reference.clone()),
        _ => pieces.push(Piece::Text(rest.to_owned())),
    }
    Value::Template(pieces)
}

/// The first ``{{user `name`}}`` of a text: where it begins and ends, and the name.
fn user_call(text: &str) -> Option<(usize, usize, &str)> {
    let mut from = 0;
    while let Some(start) = text[from..].find("{{").map(|at| from + at) {
        let end = start + text[start..].find("}}")?;
        let name = text[start + 2..end].trim().strip_prefix("user").map(str::trim);
        let name = name.and_then(|n| n.strip_prefix(['`', '"'])).and_then(|n| n.strip_suffix(['`', '"']));
        match name {
            Some(name) => return Some((start, end + 2, name)),
            None => from = end + 2,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_arguments_and_variables() {
        let schema = json!({"properties": {
            "plan": {"type": "object", "properties": {"name": {"type": "string"}}},
            "tag": {"type": "array", "items": {"type": "object", "properties": {"n": {}}}},
            "env": {"type": "object", "additionalProperties": {"type": "string"}}}});
        let example = json!({
            "inline": ["echo \"a\"", "${HOME}"], "env": {"A": "b", "c.d": 1}, "plan": {"name": "x"},
            "tag": [{"n": 1}, {"n": true}], "secret": "{{user `s`}}", "name": "img-{{ user \"id\" }}-{{timestamp}}"
        });
        let expected = r#"provisioner "shell" {
  inline = ["echo \"a\"", "$${HOME}"]
  env = {
    A     = "b"
    "c.d" = 1
  }
  plan {
    name = "x"
  }
  tag {
    n = 1
  }
  tag {
    n = true
  }
  secret = var.s
  name   = "img-${var.id}-{{timestamp}}"
}
"#;
        assert_eq!(block("provisioner", &["shell"], &example, &schema), expected);
    }
}
