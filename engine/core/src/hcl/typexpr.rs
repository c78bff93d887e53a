//! Type expressions: `string`, `list(string)`, `object({ name = string, size = optional(number, 10) })`.

use std::collections::BTreeMap;

use super::convert::convert;
use super::eval::{Allow, evaluate};
use super::functions::Host;
use super::scope::Scope;
use super::syntax::{Expr, ExprKind, ObjectKey};
use super::types::{Field, Type};
use crate::diagnostic::{Diagnostic, nearest};

const NAMES: [&str; 9] = ["string", "number", "bool", "any", "list", "set", "map", "tuple", "object"];

/// The type that an expression writes.
pub fn type_of(expr: &Expr, host: &dyn Host) -> Result<Type, Diagnostic> {
    match &expr.kind {
        ExprKind::Paren(inner) => type_of(inner, host),
        ExprKind::Variable(name) => match name.as_str() {
            "string" => Ok(Type::String),
            "number" => Ok(Type::Number),
            "bool" => Ok(Type::Bool),
            "any" => Ok(Type::Dynamic),
            // Old templates leave the element's type out.
            "list" => Ok(Type::list(Type::Dynamic)),
            "map" => Ok(Type::map(Type::Dynamic)),
            "set" => Ok(Type::set(Type::Dynamic)),
            "object" | "tuple" => Err(wrong(expr, format!("\"{name}\" needs to know what is in it"))
                .help("write object({ name = string }) or tuple([string, number])")),
            other => Err(unknown(expr, other)),
        },
        ExprKind::Call { name, args, expand: false, .. } => match (name.as_str(), args.as_slice()) {
            ("list", [element]) => Ok(Type::list(type_of(element, host)?)),
            ("set", [element]) => Ok(Type::set(type_of(element, host)?)),
            ("map", [element]) => Ok(Type::map(type_of(element, host)?)),
            ("tuple", [Expr { kind: ExprKind::Tuple(items), .. }]) => {
                Ok(Type::Tuple(items.iter().map(|item| type_of(item, host)).collect::<Result<_, _>>()?))
            }
            ("object", [Expr { kind: ExprKind::Object(items), .. }]) => object(items, host),
            ("optional", _) => {
                Err(wrong(expr, "only the attribute of an object can be optional").help("leave optional(…) out"))
            }
            ("list" | "set" | "map" | "tuple" | "object", _) => {
                Err(wrong(expr, format!("\"{name}\" is not written like this")).help(
                    "write list(string), set(string), map(string), tuple([string, number]) or object({ name = string })",
                ))
            }
            (other, _) => Err(unknown(expr, other)),
        },
        _ => {
            let finding = wrong(expr, "a type is expected here");
            Err(match expr.literal_text() {
                Some(text) if NAMES.iter().any(|n| text.starts_with(n)) => {
                    finding.help(format!("write it without quotation marks: {text}"))
                }
                _ => finding.help("write for instance string, number, bool or list(string)"),
            })
        }
    }
}

fn wrong(expr: &Expr, summary: impl Into<String>) -> Diagnostic {
    Diagnostic::error("hcl/type", summary).at(&expr.span)
}

fn unknown(expr: &Expr, name: &str) -> Diagnostic {
    let help = match nearest(name, NAMES) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("types are {}", NAMES.join(", ")),
    };
    wrong(expr, format!("there is no type \"{name}\"")).help(help)
}

fn object(items: &[(ObjectKey, Expr)], host: &dyn Host) -> Result<Type, Diagnostic> {
    let mut fields = BTreeMap::new();
    for (key, value) in items {
        let name = match key {
            ObjectKey::Name(name, _) => name.clone(),
            ObjectKey::Expr(expr) => expr
                .literal_text()
                .ok_or_else(|| wrong(expr, "the name of an attribute must be written as it is"))?,
        };
        let field = match &value.kind {
            ExprKind::Call { name, args, .. } if name == "optional" => match args.as_slice() {
                [ty] => Field { ty: type_of(ty, host)?, optional: true, default: None },
                [ty, default] => optional(ty, default, host)?,
                _ => {
                    return Err(wrong(value, "\"optional\" takes a type and a default")
                        .help("write optional(string, \"x\")"));
                }
            },
            _ => Field::from(type_of(value, host)?),
        };
        fields.insert(name, field);
    }
    Ok(Type::Object(fields))
}

fn optional(ty: &Expr, default: &Expr, host: &dyn Host) -> Result<Field, Diagnostic> {
    let ty = type_of(ty, host)?;
    let names = BTreeMap::new();
    let allow = Allow { functions: true, ..Allow::NOTHING };
    let (value, found) = evaluate(default, &Scope::new(&names), allow, host);
    if let Some(finding) = found.into_iter().next() {
        return Err(finding);
    }
    let value =
        convert(value, &ty).map_err(|e| wrong(default, format!("the default is not of the type: {e}")))?;
    Ok(Field { ty, optional: true, default: Some(value) })
}
