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
            None if also.is_empty() => finding.help(format!("this builder knows {}", known.join(", "))),
            None => finding.help(format!(
                "this builder knows {} and the options of SSH, which begin with ssh_",
                known.join(", ")
            )),
        };
        diagnostics.push(finding);
    }
}

/// Whether an option is given in a form that can't be used. Nothing more is to be said about it.
pub fn is_unusable(config: &Node, key: &str) -> bool {
    let member = config.members().iter().find(|m| m.key.eq_ignore_ascii_case(key));
    member.is_some_and(|m| matches!(m.value.value, Value::Unknown | Value::Array(_) | Value::Object(_)))
}

/// Whether an option that is not known is a slip of the pen for this one.
pub fn is_misspelt(config: &Node, key: &str, known: &[&str]) -> bool {
    let unknown = config.members().iter().filter(|m| !known.iter().any(|k| k.eq_ignore_ascii_case(&m.key)));
    unknown.into_iter().any(|m| nearest(&m.key, known.iter().copied()) == Some(key))
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
