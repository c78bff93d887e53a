//! Reading the few options of the small builders, with their places.

use fornax_core::diagnostic::nearest;
use fornax_core::{Diagnostic, Diagnostics, Node, Text, Value};

/// An error for each key that neither `known` nor `also` has.
pub fn refuse_unknown(config: &Node, known: &[&str], also: &[&str], diagnostics: &mut Diagnostics) {
    for member in config.members() {
        let names = || known.iter().chain(also).copied();
        if names().any(|k| k.eq_ignore_ascii_case(&member.key)) {
            continue;
        }
        let mut finding =
            Diagnostic::error("builder/unknown-option", format!("unknown option \"{}\"", member.key))
                .at(&member.key_span);
        finding = match nearest(&member.key, names()) {
            Some(near) => finding.help(format!("did you mean \"{near}\"?")),
            None => finding.help(format!("this builder knows: {}", known.join(", "))),
        };
        diagnostics.push(finding);
    }
}

/// The text of an option; numbers and booleans become text as Packer does it. None where it is absent or unusable.
pub fn text(config: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Text> {
    let node = &config.members().iter().find(|m| m.key.eq_ignore_ascii_case(key))?.value;
    match &node.value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(b) => Some(Text::plain(b.to_string())),
        Value::Number(n) => Some(Text::plain(n.to_string())),
        Value::Null | Value::Unknown => None,
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
