//! The functions of templates: Packer's own and Go's builtins.

use std::cmp::Ordering;

use jiff::tz::TimeZone;

use super::{BuildFacts, Data, PACKER_VERSION, Problem, Scope, format};
use crate::secret::Secret;
use crate::value::Text;

/// What stands for a common fact of the build that this builder does not offer.
pub(crate) fn missing_build_fact(key: &str) -> &'static str {
    match key {
        "ID" => "ERR_ID_NOT_IMPLEMENTED_BY_BUILDER",
        "PackerHTTPIP" => "ERR_HTTP_IP_NOT_IMPLEMENTED_BY_BUILDER",
        "PackerHTTPPort" => "ERR_HTTP_PORT_NOT_IMPLEMENTED_BY_BUILDER",
        "PackerHTTPAddr" => "ERR_HTTP_ADDR_NOT_IMPLEMENTED_BY_BUILDER",
        _ => "",
    }
}

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
    "SSHPrivateKeyFile",
    "SSHAgentAuth",
];

pub(super) struct Call<'a> {
    pub(super) name: &'a str,
    pub(super) args: Vec<Data>,
    at: usize,
}

impl Call<'_> {
    pub(super) fn fail(&self, why: impl std::fmt::Display) -> Problem {
        Problem::Wrong { at: self.at, message: format!("{}: {why}", self.name) }
    }

    pub(super) fn count(&self, allowed: std::ops::RangeInclusive<usize>) -> Result<(), Problem> {
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

    pub(super) fn text(&self, i: usize) -> Result<&Text, Problem> {
        match self.args.get(i) {
            Some(Data::Text(text)) => Ok(text),
            Some(other) => Err(self.fail(format!("expected string; found {}", other.print().masked()))),
            None => Err(self.fail("an argument is missing")),
        }
    }

    pub(super) fn int(&self, i: usize) -> Result<i64, Problem> {
        match self.args.get(i) {
            Some(Data::Int(n)) => Ok(*n),
            Some(other) => Err(self.fail(format!("expected integer; found {}", other.print().masked()))),
            None => Err(self.fail("an argument is missing")),
        }
    }

    /// A result made of the arguments: secret if one of them is.
    pub(super) fn made(&self, result: String) -> Data {
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
                false => plain(format::go_time(&time, &call.text(0)?.expose())),
            }
        }
        "strftime" => {
            call.count(1..=1)?;
            let layout = call.text(0)?.expose();
            let time = scope.start_time.to_zoned(TimeZone::UTC);
            format::strftime(&time, &layout).map_err(|e| call.fail(e)).and_then(plain)
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
            replaced(&call, &text, &old, &new, usize::try_from(n).unwrap_or(usize::MAX))
        }
        "replace_all" => {
            call.count(3..=3)?;
            let (old, new, text) = (call.text(0)?.expose(), call.text(1)?.expose(), call.text(2)?.expose());
            replaced(&call, &text, &old, &new, usize::MAX)
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

fn replaced(call: &Call<'_>, text: &str, old: &str, new: &str, n: usize) -> Result<Data, Problem> {
    let count = text.matches(old).take(n).count();
    if count.saturating_mul(new.len()).saturating_add(text.len()) > super::MAX_TEXT {
        return Err(call.fail("the result is too long"));
    }
    Ok(call.made(text.replacen(old, new, n)))
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
            None if COMMON_BUILD_KEYS.contains(&key.as_str()) => {
                Ok(Data::Text(Text::plain(missing_build_fact(&key))))
            }
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
        "printf" => format::printf(call),
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
            let near = crate::diagnostic::nearest(name, NAMES.iter().copied());
            Err(Problem::NoFunction { at: call.at, name: name.to_owned(), near })
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
