//! Reading the few options of the small builders, with their places.

use fornax_core::builder::BuilderFactory;
use fornax_core::diagnostic::nearest;
use fornax_core::{Diagnostic, Diagnostics, Node, Text, Value};
use serde_json::{Map, Value as Json, json};

/// The schema of a builder that has these options and no others.
pub fn schema(required: &[&str], properties: Map<String, Json>) -> Json {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// An error for each key that the builder's schema does not have. Returns the options that were meant by those.
pub fn refuse_unknown(
    config: &Node,
    builder: &dyn BuilderFactory,
    diagnostics: &mut Diagnostics,
) -> Vec<String> {
    let mut misspelt = Vec::new();
    let schema = builder.describe().schema;
    let known: Vec<&str> =
        schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    for member in config.members() {
        if known.iter().any(|k| k.eq_ignore_ascii_case(&member.key)) {
            continue;
        }
        let mut finding =
            Diagnostic::error("builder/unknown-option", format!("unknown option \"{}\"", member.key))
                .at(&member.key_span);
        let near = nearest(&member.key, known.iter().copied());
        misspelt.extend(near.map(str::to_owned));
        finding = match near {
            Some(near) => finding.help(format!("did you mean \"{near}\"?")),
            None if known.len() < 10 => finding.help(format!("this builder knows {}", known.join(", "))),
            None => finding.help(format!(
                "remove it, or look for its name: `fornax docs -kind builder {}`",
                builder.type_name()
            )),
        };
        diagnostics.push(finding);
    }
    misspelt
}

/// Whether an option is given in a form that can't be used. Nothing more is to be said about it.
pub fn is_unusable(config: &Node, key: &str) -> bool {
    let member = config.members().iter().find(|m| m.key.eq_ignore_ascii_case(key));
    member.is_some_and(|m| matches!(m.value.value, Value::Unknown | Value::Array(_) | Value::Object(_)))
}

/// The text of an option; numbers and booleans become text as Packer does it. None where it is absent or unusable.
pub fn text(config: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Text> {
    let node = &config.members().iter().find(|m| m.key.eq_ignore_ascii_case(key))?.value;
    match &node.value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(b) => Some(Text::plain(b.to_string())),
        Value::Number(n) => Some(Text::plain(n.to_string())),
        Value::Null => None,
        Value::Unknown => {
            diagnostics.push(
                Diagnostic::error(
                    "builder/unknown-value",
                    format!("\"{key}\" is known only while the build runs"),
                )
                .at(&node.span)
                .detail("the builder needs it before it starts anything")
                .help("use a variable or a function that does not depend on the build"),
            );
            None
        }
        _ => {
            diagnostics.push(
                Diagnostic::error(
                    "builder/wrong-type",
                    format!("\"{key}\" must be a string, not {}", node.kind()),
                )
                .at(&node.span),
            );
            None
        }
    }
}
