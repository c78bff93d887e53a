//! The functions of templates: Packer's own and Go's builtins.

use std::cmp::Ordering;

use jiff::tz::TimeZone;

use super::{BuildFacts, Data, PACKER_VERSION, Problem, Scope};
use crate::secret::Secret;
use crate::value::Text;

/// Keys that every builder offers to `{{build "Key"}}`.
pub const COMMON_BUILD_KEYS: &[&str] = &[
    "ID",
    "Host",
    "Port",
    "User",
    "Password",
    "ConnType",
    "PackerRunUUID",
    "PackerHTTPIP",
    "PackerHTTPPort",
    "PackerHTTPAddr",
    "SSHPublicKey",
    "SSHPrivateKey",
    "WinRMPassword",
];

struct Call<'a> {
    name: &'a str,
    args: Vec<Data>,
    at: usize,
}

impl Call<'_> {
    fn fail(&self, why: impl std::fmt::Display) -> Problem {
        Problem::Wrong { at: self.at, message: format!("{}: {why}", self.name) }
    }

    fn count(&self, allowed: std::ops::RangeInclusive<usize>) -> Result<(), Problem> {
        if allowed.contains(&self.args.len()) {
            return Ok(());
        }
        let want = if allowed.start() == allowed.end() {
            allowed.start().to_string()
        } else {
            format!("{} to {}", allowed.start(), allowed.end())
        };
        Err(self.fail(format!("wrong number of args: want {want}, got {}", self.args.len())))
    }

    fn text(&self, i: usize) -> Result<&Text, Problem> {
        match self.args.get(i) {
            Some(Data::Text(text)) => Ok(text),
            Some(other) => Err(self.fail(format!("expected string; found {}", other.print().masked()))),
            None => Err(self.fail("an argument is missing")),
        }
    }

    fn int(&self, i: usize) -> Result<i64, Problem> {
        match self.args.get(i) {
            Some(Data::Int(n)) => Ok(*n),
            Some(other) => Err(self.fail(format!("expected integer; found {}", other.print().masked()))),
            None => Err(self.fail("an argument is missing")),
        }
    }

    /// A result made of the arguments: secret if one of them is.
    fn made(&self, result: String) -> Data {
        let secret = self.args.iter().any(|a| matches!(a, Data::Text(t) if t.is_sensitive()));
        Data::Text(if secret { Text::secret(Secret::new(result)) } else { Text::plain(result) })
    }
}

/// Calls a function by name.
pub fn call(name: &str, args: Vec<Data>, scope: &Scope<'_>, at: usize) -> Result<Data, Problem> {
    let call = Call { name, args, at };
    let plain = |text: String| Ok(Data::Text(Text::plain(text)));
    match name {
        "user" => {
            call.count(1..=1)?;
            let name = call.text(0)?.expose();
            match (scope.user)(&name) {
                Some(text) => Ok(Data::Text(text)),
                None if scope.strict_user => Err(Problem::NoVariable { at, name }),
                None => Ok(Data::Text(Text::default())),
            }
        }
        "env" => {
            call.count(1..=1)?;
            let name = call.text(0)?.expose();
            match scope.env {
                Some(env) => plain(env(&name).unwrap_or_default()),
                None => Err(call.fail("env vars are not allowed here; read the variable in \"variables\" and use {{user}}")),
            }
        }
        "consul_key" | "vault" | "aws_secretsmanager" | "aws_secretsmanager_raw" => Err(call.fail(
            "Fornax has no client for this service; put the value into an environment variable or a variable file",
        )),
        "isotime" => {
            call.count(0..=1)?;
            let time = scope.start_time.to_zoned(TimeZone::UTC);
            match call.args.is_empty() {
                true => plain(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
                false => plain(go_time(&time, &call.text(0)?.expose())),
            }
        }
        "strftime" => {
            call.count(1..=1)?;
            let format = call.text(0)?.expose();
            let time = scope.start_time.to_zoned(TimeZone::UTC);
            jiff::fmt::strtime::format(&format, &time).map_err(|e| call.fail(e)).and_then(plain)
        }
        "timestamp" => call.count(0..=0).and_then(|()| plain(scope.start_time.as_second().to_string())),
        "uuid" => call.count(0..=0).and_then(|()| plain(crate::ids::time_ordered_uuid())),
        "pwd" => call.count(0..=0).and_then(|()| plain(scope.working_dir.to_owned())),
        "template_dir" => call.count(0..=0).and_then(|()| plain(scope.template_dir.to_owned())),
        "packer_version" => call.count(0..=0).and_then(|()| plain(PACKER_VERSION.to_owned())),
        "build_name" | "build_type" => {
            call.count(0..=0)?;
            let value = if name == "build_name" { scope.build_name } else { scope.build_type };
            value.map(|v| Data::Text(Text::plain(v))).ok_or_else(|| call.fail("not known here; it is known in builders, provisioners and post-processors"))
        }
        "build" => build(&call, scope),
        "split" => {
            call.count(3..=3)?;
            let (text, separator, index) = (call.text(0)?.expose(), call.text(1)?.expose(), call.int(2)?);
            let parts: Vec<String> = if separator.is_empty() { text.chars().map(String::from).collect() } else { text.split(&separator).map(str::to_owned).collect() };
            match usize::try_from(index).ok().and_then(|i| parts.get(i)) {
                Some(part) => Ok(call.made(part.clone())),
                None => Err(call.fail(format!("there is no part {index}; the text has {} parts, counted from 0", parts.len()))),
            }
        }
        "replace" => {
            call.count(4..=4)?;
            let (old, new, n, text) = (call.text(0)?.expose(), call.text(1)?.expose(), call.int(2)?, call.text(3)?.expose());
            let result = match usize::try_from(n) {
                Ok(n) => text.replacen(&old, &new, n),
                Err(_) => text.replace(&old, &new),
            };
            Ok(call.made(result))
        }
        "replace_all" => {
            call.count(3..=3)?;
            let (old, new, text) = (call.text(0)?.expose(), call.text(1)?.expose(), call.text(2)?.expose());
            Ok(call.made(text.replace(&old, &new)))
        }
        "upper" | "lower" => {
            call.count(1..=1)?;
            Ok(Data::Text(call.text(0)?.map(|t| if name == "upper" { t.to_uppercase() } else { t.to_lowercase() })))
        }
        "sed" => Err(call.fail("this function is deprecated; use replace or replace_all")),
        "clean_resource_name" => {
            call.count(1..=1)?;
            Ok(Data::Text(call.text(0)?.map(|text| {
                let keep = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
                let cleaned: String = text.chars().map(|c| if keep(c) { c } else { '-' }).collect();
                cleaned.trim_end_matches(['-', '_', '.']).to_owned()
            })))
        }
        _ => builtin(&call),
    }
}

fn build(call: &Call<'_>, scope: &Scope<'_>) -> Result<Data, Problem> {
    call.count(1..=1)?;
    let key = call.text(0)?.expose();
    match scope.build {
        BuildFacts::None => {
            Err(call.fail("facts of a build are known only in builders, provisioners and post-processors"))
        }
        BuildFacts::Pending => Err(Problem::Unknown),
        BuildFacts::Known(data) => match data.get(&key) {
            Some(text) => Ok(Data::Text(text.clone())),
            None if COMMON_BUILD_KEYS.contains(&key.as_str()) => Ok(Data::Text(Text::default())),
            None => {
                let known: Vec<&str> = data.keys().map(String::as_str).collect();
                Err(call.fail(format!("this build has no {key:?}; known are {}", known.join(", "))))
            }
        },
    }
}

fn builtin(call: &Call<'_>) -> Result<Data, Problem> {
    let bool = |b: bool| Ok(Data::Bool(b));
    match call.name {
        "not" => call.count(1..=1).and_then(|()| bool(!call.args[0].truth())),
        "and" | "or" => Err(call.fail("wrong number of args: want at least 1, got 0")),
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" => compare(call),
        "len" => {
            call.count(1..=1)?;
            let length = match &call.args[0] {
                Data::Text(text) => text.expose().len(),
                Data::List(items) => items.len(),
                Data::Map(map) => map.len(),
                other => return Err(call.fail(format!("len of {}", other.print().masked()))),
            };
            Ok(Data::Int(length as i64))
        }
        "index" => index(call),
        "slice" => {
            call.count(1..=3)?;
            let text = call.text(0)?.expose();
            let from = if call.args.len() > 1 { call.int(1)? } else { 0 };
            let to = if call.args.len() > 2 { call.int(2)? } else { text.len() as i64 };
            let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
            match range.and_then(|(from, to)| text.get(from..to)) {
                Some(part) => Ok(call.made(part.to_owned())),
                None => Err(call.fail("index out of range")),
            }
        }
        "print" | "println" => {
            let mut out = Text::default();
            for (i, arg) in call.args.iter().enumerate() {
                let both_not_text =
                    i > 0 && !matches!(arg, Data::Text(_)) && !matches!(call.args[i - 1], Data::Text(_));
                if i > 0 && (call.name == "println" || both_not_text) {
                    out.push_str(" ");
                }
                out.push_text(&arg.print());
            }
            out.push_str(if call.name == "println" { "\n" } else { "" });
            Ok(Data::Text(out))
        }
        "printf" => printf(call),
        "html" => Ok(call.made(
            joined(call)
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('"', "&#34;")
                .replace('\'', "&#39;"),
        )),
        "js" => {
            let mut out = String::new();
            for c in joined(call).chars() {
                match c {
                    '\\' | '\'' | '"' => {
                        out.push('\\');
                        out.push(c);
                    }
                    '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
                    c if c < ' ' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
                    c => out.push(c),
                }
            }
            Ok(call.made(out))
        }
        "urlquery" => {
            let mut out = String::new();
            for b in joined(call).bytes() {
                match b {
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                        out.push(char::from(b))
                    }
                    b' ' => out.push('+'),
                    b => out.push_str(&format!("%{b:02X}")),
                }
            }
            Ok(call.made(out))
        }
        name => {
            let known = crate::diagnostic::nearest(name, NAMES.iter().copied());
            let hint = known.map(|k| format!("; did you mean {k}?")).unwrap_or_default();
            Err(Problem::Wrong { at: call.at, message: format!("function {name:?} not defined{hint}") })
        }
    }
}

const NAMES: &[&str] = &[
    "user",
    "env",
    "consul_key",
    "vault",
    "aws_secretsmanager",
    "isotime",
    "strftime",
    "timestamp",
    "uuid",
    "pwd",
    "template_dir",
    "packer_version",
    "build_name",
    "build_type",
    "build",
    "split",
    "replace",
    "replace_all",
    "upper",
    "lower",
    "clean_resource_name",
    "and",
    "or",
    "not",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "len",
    "index",
    "slice",
    "print",
    "println",
    "printf",
    "html",
    "js",
    "urlquery",
];

fn joined(call: &Call<'_>) -> String {
    call.args.iter().map(|a| a.print().expose()).collect()
}

fn index(call: &Call<'_>) -> Result<Data, Problem> {
    let mut value = call.args.first().cloned().ok_or_else(|| call.fail("an argument is missing"))?;
    for key in &call.args[1..] {
        value = match (&value, key) {
            (Data::List(items), Data::Int(i)) => usize::try_from(*i).ok().and_then(|i| items.get(i)).cloned(),
            (Data::Text(text), Data::Int(i)) => usize::try_from(*i)
                .ok()
                .and_then(|i| text.expose().as_bytes().get(i).copied())
                .map(|b| Data::Int(i64::from(b))),
            (Data::Map(map), Data::Text(key)) => {
                Some(map.get(&key.expose()).cloned().unwrap_or(Data::Missing))
            }
            _ => return Err(call.fail("this value can't be indexed so")),
        }
        .ok_or_else(|| call.fail("index out of range"))?;
    }
    Ok(value)
}

fn order(a: &Data, b: &Data) -> Option<Ordering> {
    match (a, b) {
        (Data::Int(a), Data::Int(b)) => Some(a.cmp(b)),
        (Data::Float(a), Data::Float(b)) => a.partial_cmp(b),
        (Data::Text(a), Data::Text(b)) => Some(a.expose().cmp(&b.expose())),
        (Data::Bool(a), Data::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn compare(call: &Call<'_>) -> Result<Data, Problem> {
    let many = call.name == "eq";
    call.count(2..=if many { 32 } else { 2 })?;
    let mut any = false;
    for other in &call.args[1..] {
        let order =
            order(&call.args[0], other).ok_or_else(|| call.fail("incompatible types for comparison"))?;
        any |= match call.name {
            "eq" => order.is_eq(),
            "ne" => order.is_ne(),
            "lt" => order.is_lt(),
            "le" => order.is_le(),
            "gt" => order.is_gt(),
            _ => order.is_ge(),
        };
    }
    Ok(Data::Bool(any))
}

/// Go's verbs that make sense for the values of templates.
fn printf(call: &Call<'_>) -> Result<Data, Problem> {
    let format = call.text(0)?.expose();
    let mut args = call.args[1..].iter();
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = String::new();
        while let Some(f) = chars.next_if(|c| "+-# 0".contains(*c)) {
            flags.push(f);
        }
        let mut digits = || {
            let mut text = String::new();
            while let Some(d) = chars.next_if(char::is_ascii_digit) {
                text.push(d);
            }
            text.parse::<usize>().ok()
        };
        let width = digits().unwrap_or(0).min(10_000);
        let precision = chars.next_if_eq(&'.').map(|_| {
            let mut text = String::new();
            while let Some(d) = chars.next_if(char::is_ascii_digit) {
                text.push(d);
            }
            text.parse::<usize>().unwrap_or(0).min(1_000)
        });
        let Some(verb) = chars.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some(arg) = args.next() else {
            out.push_str(&format!("%!{verb}(MISSING)"));
            continue;
        };
        let text = arg.print().expose();
        let body = match (verb, arg) {
            ('v' | 's', Data::Text(_)) | ('v', _) => {
                precision.map_or(text.clone(), |p| text.chars().take(p).collect())
            }
            ('q', Data::Text(_)) => format!("{text:?}"),
            ('d', Data::Int(n)) => {
                if flags.contains('+') && *n >= 0 {
                    format!("+{n}")
                } else {
                    n.to_string()
                }
            }
            ('x', Data::Int(n)) => format!("{n:x}"),
            ('X', Data::Int(n)) => format!("{n:X}"),
            ('o', Data::Int(n)) => format!("{n:o}"),
            ('b', Data::Int(n)) => format!("{n:b}"),
            ('c', Data::Int(n)) => {
                u32::try_from(*n).ok().and_then(char::from_u32).map(String::from).unwrap_or_default()
            }
            ('x', Data::Text(_)) => text.bytes().map(|b| format!("{b:02x}")).collect(),
            ('f' | 'F', Data::Float(f)) => format!("{f:.*}", precision.unwrap_or(6)),
            ('g', Data::Float(f)) => f.to_string(),
            ('e', Data::Float(f)) => format!("{f:.*e}", precision.unwrap_or(6)),
            ('t', Data::Bool(b)) => b.to_string(),
            _ => {
                let kind = match arg {
                    Data::Int(_) => "int",
                    Data::Float(_) => "float64",
                    Data::Bool(_) => "bool",
                    Data::Text(_) => "string",
                    _ => "<nil>",
                };
                format!("%!{verb}({kind}={text})")
            }
        };
        let fill = width.saturating_sub(body.chars().count());
        let numeric = matches!(arg, Data::Int(_) | Data::Float(_));
        if flags.contains('-') {
            out.push_str(&body);
            out.push_str(&" ".repeat(fill));
        } else if flags.contains('0') && numeric {
            let (sign, digits) = body.split_at(usize::from(body.starts_with(['-', '+'])));
            out.push_str(sign);
            out.push_str(&"0".repeat(fill));
            out.push_str(digits);
        } else {
            out.push_str(&" ".repeat(fill));
            out.push_str(&body);
        }
    }
    Ok(call.made(out))
}

/// A time in a layout of Go, which is an example of how the moment 2006-01-02 15:04:05 would be written.
fn go_time(time: &jiff::Zoned, layout: &str) -> String {
    const PARTS: &[(&str, &str)] = &[
        ("2006", "%Y"),
        ("January", "%B"),
        ("Monday", "%A"),
        ("-07:00", "%:z"),
        ("Z07:00", "Z"),
        ("-0700", "%z"),
        ("Z0700", "Z"),
        (".000000000", ".%9f"),
        (".000000", ".%6f"),
        (".000", ".%3f"),
        ("002", "%j"),
        ("Jan", "%b"),
        ("Mon", "%a"),
        ("MST", "UTC"),
        ("01", "%m"),
        ("02", "%d"),
        ("03", "%I"),
        ("04", "%M"),
        ("05", "%S"),
        ("06", "%y"),
        ("15", "%H"),
        ("PM", "%p"),
        ("pm", "%P"),
        ("_2", "%e"),
        ("1", "%-m"),
        ("2", "%-d"),
        ("3", "%-I"),
        ("4", "%-M"),
        ("5", "%-S"),
    ];
    let mut format = String::new();
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        match PARTS.iter().find(|(go, _)| rest.starts_with(go)) {
            Some((go, directive)) => {
                format.push_str(directive);
                rest = &rest[go.len()..];
            }
            None => {
                format.push(c);
                if c == '%' {
                    format.push('%');
                }
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    time.strftime(&format).to_string()
}
