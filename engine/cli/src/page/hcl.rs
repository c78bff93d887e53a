//! Examples, which components give as JSON, in the form of HCL2: an object with properties of its own is a nested
//! block, everything else an argument, and a call of a user variable is an expression.

use std::fmt::Write as _;

use fornax_core::hcl::format::format;
use fornax_core::hcl::print::quote;
use serde_json::Value as Json;

/// One block with labels, in the canonical format.
pub fn block(kind: &str, labels: &[&str], options: &Json, schema: &Json) -> String {
    let mut out = String::from(kind);
    for label in labels {
        let _ = write!(out, " {}", text(label));
    }
    out.push_str(" {\n");
    body(options, schema, &mut out);
    out.push_str("}\n");
    format(&out)
}

fn body(options: &Json, schema: &Json, out: &mut String) {
    for (name, value) in options.as_object().into_iter().flatten() {
        let property = &schema["properties"][name];
        let items = &property["items"];
        let blocks = match value {
            Json::Object(_) if property["properties"].is_object() => Some((vec![value], property)),
            Json::Array(list) if items["properties"].is_object() => Some((list.iter().collect(), items)),
            _ => None,
        };
        match blocks {
            Some((blocks, schema)) => {
                for inner in blocks {
                    let _ = writeln!(out, "{name} {{");
                    body(inner, schema, out);
                    out.push_str("}\n");
                }
            }
            None => {
                let _ = write!(out, "{name} = ");
                expression(value, out);
                out.push('\n');
            }
        }
    }
}

fn expression(value: &Json, out: &mut String) {
    match value {
        Json::String(value) => out.push_str(&text(value)),
        Json::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                expression(item, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push_str("{\n");
            for (key, value) in members {
                let is_name = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                let bare = is_name && !key.starts_with(|c: char| c.is_ascii_digit());
                let _ = write!(out, "{} = ", if bare { key.clone() } else { text(key) });
                expression(value, out);
                out.push('\n');
            }
            out.push('}');
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

/// A text as an expression; what is a call of a user variable in JSON templates is a reference here.
fn text(value: &str) -> String {
    let mut parts: Vec<Result<&str, &str>> = Vec::new();
    let mut rest = value;
    while let Some((start, end, name)) = user_call(rest) {
        parts.extend((start > 0).then(|| Ok(&rest[..start])));
        parts.push(Err(name));
        rest = &rest[end..];
    }
    if let [Err(name)] = parts.as_slice()
        && rest.is_empty()
    {
        return format!("var.{name}");
    }
    parts.push(Ok(rest));
    let mut out = String::new();
    for part in parts {
        match part {
            Ok(plain) => out.push_str(&plain.replace("${", "$${").replace("%{", "%%{")),
            Err(name) => {
                let _ = write!(out, "${{var.{name}}}");
            }
        }
    }
    quote(&out)
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
            "inline": ["echo \"a\"", "${HOME}"], "env": {"A": "b", "c-d": 1}, "plan": {"name": "x"},
            "tag": [{"n": 1}, {"n": true}], "secret": "{{user `s`}}", "name": "img-{{ user \"id\" }}-{{timestamp}}"
        });
        let expected = r#"provisioner "shell" {
  inline = ["echo \"a\"", "$${HOME}"]
  env = {
    A     = "b"
    "c-d" = 1
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
