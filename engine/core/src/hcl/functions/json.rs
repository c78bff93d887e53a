//! `jsonencode` and `jsondecode`. Numbers keep all their digits in both directions, so neither goes through floats.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{
    Fault, Function, Host, Known, MAX_BYTES, Outcome, any, fits, function, gives, param, string, text,
};
use crate::hcl::types::Type;
use crate::hcl::value::normal;
use crate::hcl::{Number, Val};

/// How deep values may be nested in a text.
const MAX_DEPTH: usize = 128;

pub(super) const TABLE: &[Function] = &[
    function(
        "jsondecode",
        "The value that a JSON text describes.",
        &[param("str", string)],
        gives::any,
        jsondecode,
    ),
    function(
        "jsonencode",
        "A value as JSON.",
        &[param("val", any).or_null().known(Known::Any)],
        gives::string,
        jsonencode,
    ),
];

fn jsonencode(args: &[Val], _: &dyn Host) -> Outcome {
    if !args[0].is_wholly_known() {
        return Ok(Val::Unknown(Type::String));
    }
    Ok(Val::string(encoded(&args[0])?))
}

/// A known value as JSON.
pub(super) fn encoded(value: &Val) -> Result<String, Fault> {
    let mut out = String::new();
    encode(&mut out, value)?;
    Ok(out)
}

fn encode(out: &mut String, value: &Val) -> Result<(), Fault> {
    match value {
        Val::Null(_) => out.push_str("null"),
        Val::Unknown(_) => return Err("value is not known".into()),
        Val::Bool { value, .. } => out.push_str(if *value { "true" } else { "false" }),
        Val::Number { value: value @ Number::Finite(_), .. } => {
            let _ = write!(out, "{value}");
        }
        Val::Number { .. } => return Err("cannot serialize infinity as JSON".into()),
        Val::String(text) => quote(out, &text.expose()),
        Val::List(_, items) | Val::Set(_, items) | Val::Tuple(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                encode(out, item)?;
            }
            out.push(']');
        }
        Val::Map(_, fields) | Val::Object(fields) => {
            out.push('{');
            for (i, (key, item)) in fields.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                quote(out, key);
                out.push(':');
                encode(out, item)?;
            }
            out.push('}');
        }
    }
    fits(out.len())
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::new();
    quote(&mut out, text);
    out
}

/// What would end a script or a line elsewhere is escaped, as Go does.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' || matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn jsondecode(args: &[Val], _: &dyn Host) -> Outcome {
    let source = text(args, 0);
    if source.len() > MAX_BYTES {
        return Err("the text is longer than 16 MiB".into());
    }
    let mut reader = Reader { rest: &source, length: source.len() };
    let value = reader.value(0)?;
    reader.space();
    if !reader.rest.is_empty() {
        return Err("extraneous data after JSON object".into());
    }
    Ok(value)
}

struct Reader<'a> {
    rest: &'a str,
    length: usize,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, token: &str) -> bool {
        self.rest.strip_prefix(token).map(|rest| self.rest = rest).is_some()
    }

    fn unexpected(&self) -> Fault {
        let place = self.length - self.rest.len();
        match self.rest.chars().next() {
            Some(c) => format!("invalid character {c:?} at offset {place} of the JSON text").into(),
            None => "the JSON text ends too early".into(),
        }
    }

    fn value(&mut self, depth: usize) -> Outcome {
        if depth > MAX_DEPTH {
            return Err("the JSON text is nested deeper than 128 levels".into());
        }
        self.space();
        match self.rest.bytes().next() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.tuple(depth),
            Some(b'"') => Ok(Val::string(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.take("true") => Ok(Val::bool(true)),
            _ if self.take("false") => Ok(Val::bool(false)),
            _ if self.take("null") => Ok(Val::NULL),
            _ => Err(self.unexpected()),
        }
    }

    fn object(&mut self, depth: usize) -> Outcome {
        self.take("{");
        let mut fields = BTreeMap::new();
        self.space();
        if self.take("}") {
            return Ok(Val::Object(fields));
        }
        loop {
            self.space();
            if !self.rest.starts_with('"') {
                return Err(self.unexpected());
            }
            let key = normal(&self.string()?);
            self.space();
            if !self.take(":") {
                return Err(self.unexpected());
            }
            let value = self.value(depth + 1)?;
            fields.insert(key, value);
            self.space();
            if self.take("}") {
                return Ok(Val::Object(fields));
            }
            if !self.take(",") {
                return Err(self.unexpected());
            }
        }
    }

    fn tuple(&mut self, depth: usize) -> Outcome {
        self.take("[");
        let mut items = Vec::new();
        self.space();
        if self.take("]") {
            return Ok(Val::Tuple(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.take("]") {
                return Ok(Val::Tuple(items));
            }
            if !self.take(",") {
                return Err(self.unexpected());
            }
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        self.take("\"");
        let mut out = String::new();
        loop {
            let plain = self.rest.find(|c| c == '"' || c == '\\' || c < ' ').unwrap_or(self.rest.len());
            out.push_str(&self.rest[..plain]);
            self.rest = &self.rest[plain..];
            if self.take("\"") {
                return Ok(out);
            }
            if !self.take("\\") {
                return Err(self.unexpected());
            }
            let escape = self.rest.chars().next().ok_or_else(|| self.unexpected())?;
            let c = match escape {
                '"' | '\\' | '/' => escape,
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    self.take("u");
                    out.push(self.unicode()?);
                    continue;
                }
                _ => return Err(self.unexpected()),
            };
            self.rest = &self.rest[escape.len_utf8()..];
            out.push(c);
        }
    }

    /// The four digits after `\u`, with those of the other half of a pair. Halves without the other become the
    /// replacement character.
    fn unicode(&mut self) -> Result<char, Fault> {
        let first = self.hex()?;
        if (0xd800..0xdc00).contains(&first) && self.rest.starts_with("\\u") {
            let before = self.rest;
            self.take("\\u");
            let second = self.hex()?;
            if (0xdc00..0xe000).contains(&second) {
                let point = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.rest = before;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32, Fault> {
        let digits = self.rest.get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let digits = digits.ok_or_else(|| self.unexpected())?;
        let point = u32::from_str_radix(digits, 16).map_err(|_| self.unexpected())?;
        self.rest = &self.rest[4..];
        Ok(point)
    }

    fn number(&mut self) -> Outcome {
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E')))
            .unwrap_or(self.rest.len());
        let text = &self.rest[..end];
        if !is_number(text) {
            return Err(self.unexpected());
        }
        let value = Number::parse(text).ok_or("a number in the JSON text is too large")?;
        self.rest = &self.rest[end..];
        Ok(Val::number(value))
    }
}

/// JSON's grammar of numbers, which is narrower than HCL's.
fn is_number(text: &str) -> bool {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((m, e)) => (m, Some(e.strip_prefix(['+', '-']).unwrap_or(e))),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((w, f)) => (w, Some(f)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}
