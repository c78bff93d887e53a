//! Values as people see them: on the console, in `inspect`, and in JSON. Secrets are masked.

use std::fmt::Write as _;

use super::value::Val;
use crate::secret::MASK;

/// A value as `console` prints it: a text as it is, the parts of lists and objects quoted, one a line.
pub fn print(value: &Val) -> String {
    match value {
        Val::String(text) => text.masked(),
        other => {
            let mut out = String::new();
            write(other, 0, &mut out);
            out
        }
    }
}

fn write(value: &Val, depth: usize, out: &mut String) {
    // Writing to a text can't fail.
    let _ = match value {
        Val::Null(_) => write!(out, "null"),
        Val::Unknown(_) => write!(out, "<unknown>"),
        Val::Bool { sensitive: true, .. } | Val::Number { sensitive: true, .. } => write!(out, "{MASK}"),
        Val::Bool { value, .. } => write!(out, "{value}"),
        Val::Number { value, .. } => write!(out, "{value}"),
        Val::String(text) => write!(out, "{}", quote(&text.masked())),
        Val::List(_, items) | Val::Set(_, items) | Val::Tuple(items) if items.is_empty() => write!(out, "[]"),
        // As in Packer, what is null is left out of maps and objects.
        Val::Map(_, fields) | Val::Object(fields) if fields.values().all(Val::is_null) => write!(out, "{{}}"),
        Val::List(_, items) | Val::Set(_, items) | Val::Tuple(items) => {
            let _ = writeln!(out, "[");
            for item in items {
                let _ = write!(out, "{:width$}", "", width = (depth + 1) * 2);
                write(item, depth + 1, out);
                let _ = writeln!(out, ",");
            }
            write!(out, "{:width$}]", "", width = depth * 2)
        }
        Val::Map(_, fields) | Val::Object(fields) => {
            let _ = writeln!(out, "{{");
            for (key, item) in fields.iter().filter(|(_, item)| !item.is_null()) {
                let _ = write!(out, "{:width$}{} = ", "", quote(key), width = (depth + 1) * 2);
                write(item, depth + 1, out);
                let _ = writeln!(out);
            }
            write!(out, "{:width$}}}", "", width = depth * 2)
        }
    };
}

/// A text in double quotes, special characters escaped.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
