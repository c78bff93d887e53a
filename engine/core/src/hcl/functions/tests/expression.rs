//! Calls and literals as values, and values as text. `unknown("list of string")`, `secret(x)`, `list(...)`, `set(...)`
//! and `map({...})` make values that literals don't.

use super::super::{CallError, Host, call};
use crate::hcl::convert::unify;
use crate::hcl::{Number, Type, Val, convert};

pub(super) fn evaluate(source: &str, host: &dyn Host) -> Result<Val, CallError> {
    let mut reader = Reader { rest: source, host };
    let value = reader.value()?;
    reader.space();
    assert_eq!(reader.rest, "", "the whole of {source} is read");
    Ok(value)
}

/// Whether the reader understands an expression.
pub(super) fn is_simple(source: &str) -> bool {
    let mut plain = String::new();
    let mut quoted = false;
    let mut escaped = false;
    for c in source.chars() {
        let special = escaped;
        escaped = quoted && !special && c == '\\';
        match c {
            '"' if !special => quoted = !quoted,
            '$' | '%'
                if quoted && source.contains("{") && (source.contains("${") || source.contains("%{")) =>
            {
                return false;
            }
            c if !quoted => plain.push(c),
            _ => {}
        }
    }
    let starts_with_call = plain
        .split_once('(')
        .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_lowercase() || "_0123456789".contains(c)));
    let special =
        ["can(", "try(", "convert(", "templatefile(", "env(", "var", "local", "==", " + ", "?", "for "];
    starts_with_call && plain.ends_with(')') && !special.iter().any(|s| plain.contains(s))
}

struct Reader<'a> {
    rest: &'a str,
    host: &'a dyn Host,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        self.space();
        self.rest.strip_prefix(token).map(|rest| self.rest = rest).is_some()
    }

    fn word(&mut self) -> String {
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        word.to_owned()
    }

    fn list(&mut self, end: &str) -> Result<Vec<Val>, CallError> {
        let mut items = Vec::new();
        while !self.take(end) {
            items.push(self.value()?);
            self.take(",");
        }
        Ok(items)
    }

    fn value(&mut self) -> Result<Val, CallError> {
        self.space();
        if self.rest.starts_with('"') {
            return Ok(Val::string(self.string()));
        }
        if self.take("[") {
            return Ok(Val::Tuple(self.list("]")?));
        }
        if self.take("{") {
            let mut fields = Vec::new();
            while !self.take("}") {
                self.space();
                let key = if self.rest.starts_with('"') { self.string() } else { self.word() };
                assert!(self.take("=") || self.take(":"), "a key and its value in {}", self.rest);
                fields.push((key, self.value()?));
                self.take(",");
            }
            return Ok(Val::object(fields));
        }
        let word = self.word();
        match word.as_str() {
            "null" => return Ok(Val::NULL),
            "true" | "false" => return Ok(Val::bool(word == "true")),
            _ => {}
        }
        if self.take("(") {
            let args = self.list(")")?;
            return special(&word, &args).map_or_else(|| call(&word, args, self.host), Ok);
        }
        Ok(Val::number(Number::parse(&word).unwrap_or_else(|| panic!("a number: {word:?} {}", self.rest))))
    }

    fn string(&mut self) -> String {
        let mut escaped = false;
        let end = self.rest[1..].find(|c| {
            let end = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            end
        });
        let (literal, rest) = self.rest.split_at(end.expect("a closing quote") + 2);
        self.rest = rest;
        serde_json::from_str(literal).expect("a text as in JSON")
    }
}

fn special(name: &str, args: &[Val]) -> Option<Val> {
    let to = |ty: Type| convert(args[0].clone(), &ty).expect("convertible");
    let common = || unify(&args.iter().map(Val::ty).collect::<Vec<_>>()).expect("one type");
    Some(match name {
        "unknown" => Val::Unknown(match args.first().and_then(Val::as_str).as_deref() {
            None => Type::Dynamic,
            Some("string") => Type::String,
            Some("number") => Type::Number,
            Some("list of string") => Type::list(Type::String),
            Some("map of string") => Type::map(Type::String),
            Some(other) => panic!("a type: {other}"),
        }),
        "unknown_like" => Val::Unknown(args[0].ty()),
        "secret" => args[0].clone().mark(),
        "list" => Val::list(
            common(),
            args.iter().map(|v| convert(v.clone(), &common()).expect("one type")).collect(),
        ),
        "set" => Val::set(
            common(),
            args.iter().map(|v| convert(v.clone(), &common()).expect("one type")).collect(),
        ),
        "map" => to(Type::map(Type::Dynamic)),
        _ => return None,
    })
}

/// One line, in which types, secrets and what is not known can be told apart.
pub(super) fn compact(value: &Val) -> String {
    let all = |items: &[Val]| items.iter().map(compact).collect::<Vec<_>>().join(", ");
    let pairs = |fields: &std::collections::BTreeMap<String, Val>| {
        fields.iter().map(|(k, v)| format!("{k:?} = {}", compact(v))).collect::<Vec<_>>().join(", ")
    };
    match value {
        Val::Null(_) => "null".to_owned(),
        Val::Unknown(ty) => format!("unknown {}", ty.friendly()),
        Val::Bool { value, sensitive: false } => value.to_string(),
        Val::Number { value, sensitive: false } => value.to_string(),
        Val::String(text) if !text.is_sensitive() => format!("{:?}", text.expose()),
        Val::Bool { value, .. } => format!("secret({value})"),
        Val::Number { value, .. } => format!("secret({value})"),
        Val::String(text) => format!("secret({:?})", text.expose()),
        Val::List(_, items) => format!("list({})", all(items)),
        Val::Set(_, items) => format!("set({})", all(items)),
        Val::Tuple(items) => format!("[{}]", all(items)),
        Val::Map(_, fields) => format!("map({{{}}})", pairs(fields)),
        Val::Object(fields) => format!("{{{}}}", pairs(fields)),
    }
}

/// As the console prints it.
pub(super) fn console(value: &Val) -> String {
    match value {
        Val::String(text) => text.expose(),
        other => nested(other, 0),
    }
}

fn nested(value: &Val, depth: usize) -> String {
    let pad = "  ".repeat(depth + 1);
    let end = "  ".repeat(depth);
    match value {
        Val::String(text) => format!("{:?}", text.expose()),
        Val::List(_, items) | Val::Set(_, items) | Val::Tuple(items) if !items.is_empty() => {
            let lines: String = items.iter().map(|v| format!("{pad}{},\n", nested(v, depth + 1))).collect();
            format!("[\n{lines}{end}]")
        }
        Val::Map(_, fields) | Val::Object(fields) if !fields.is_empty() => {
            let line = |(k, v): (&String, &Val)| format!("{pad}{k:?} = {}\n", nested(v, depth + 1));
            let lines: String = fields.iter().map(line).collect();
            format!("{{\n{lines}{end}}}")
        }
        Val::Map(..) | Val::Object(_) => "{}".to_owned(),
        Val::List(..) | Val::Set(..) | Val::Tuple(_) => "[]".to_owned(),
        other => compact(other),
    }
}
