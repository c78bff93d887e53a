//! `yamldecode` and `yamlencode`. A parser gives events; what a scalar means is decided here, by YAML 1.1's words for
//! booleans and 1.2's grammar of numbers, and what aliases make of a small text is bounded.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::{
    Budget, Fault, Function, Host, Known, Outcome, any, function, gives, param, string, text, yaml_encode,
};
use crate::hcl::types::Type;
use crate::hcl::value::normal;
use crate::hcl::{Number, Val, convert};

/// How deep values may be nested in a text.
const MAX_DEPTH: usize = 128;

pub(super) const TABLE: &[Function] = &[
    function(
        "yamldecode",
        "The value that a YAML text describes.",
        &[param("src", string)],
        gives::any,
        yamldecode,
    ),
    function(
        "yamlencode",
        "A value as YAML.",
        &[param("value", any).or_null().known(Known::Any)],
        gives::string,
        yamlencode,
    ),
];

fn yamlencode(args: &[Val], _: &dyn Host) -> Outcome {
    if !args[0].is_wholly_known() {
        return Ok(Val::Unknown(Type::String));
    }
    Ok(Val::string(yaml_encode::document(&args[0])?))
}

fn yamldecode(args: &[Val], _: &dyn Host) -> Outcome {
    let source = text(args, 0);
    let mut reader =
        Reader { parser: Parser::new_from_str(&source), anchors: HashMap::new(), budget: Budget::default() };
    reader.expect(|e| matches!(e, Event::StreamStart), "the YAML text has no beginning")?;
    if !matches!(reader.next()?.0, Event::DocumentStart(_)) {
        return Err("expecting value but found end of stream".into());
    }
    let first = reader.next()?;
    let value = reader.value(first, 0)?;
    reader.expect(|e| matches!(e, Event::DocumentEnd), "unexpected extra content after value")?;
    reader.expect(|e| matches!(e, Event::StreamEnd), "only a single document is allowed")?;
    Ok(value)
}

type Item<'a> = (Event<'a>, Span);

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// Finished values by the number of their anchor.
    anchors: HashMap<usize, Val>,
    budget: Budget,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Item<'a>, Fault> {
        match self.parser.next_event() {
            Some(Ok(item)) => Ok(item),
            Some(Err(error)) => Err(scan_fault(&error)),
            None => Err("the YAML text ends too early".into()),
        }
    }

    fn expect(&mut self, wanted: fn(&Event<'_>) -> bool, message: &'static str) -> Result<(), Fault> {
        if wanted(&self.next()?.0) { Ok(()) } else { Err(message.into()) }
    }

    fn value(&mut self, (event, span): Item<'a>, depth: usize) -> Outcome {
        if depth > MAX_DEPTH {
            return Err("the YAML text is nested deeper than 128 levels".into());
        }
        self.budget.items(1)?;
        let (value, anchor) = match event {
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned().ok_or_else(|| {
                    fault_at(span, "cannot refer to an anchor from inside its own definition")
                })?;
                self.budget.take(&value)?;
                return Ok(value);
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.budget.bytes(text.len())?;
                (scalar(&text, style, tag.as_deref()).map_err(|e| fault_at(span, e))?, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                only_tag(tag.as_deref(), "seq").map_err(|e| fault_at(span, e))?;
                let mut items = Vec::new();
                loop {
                    let next = self.next()?;
                    if matches!(next.0, Event::SequenceEnd) {
                        break;
                    }
                    items.push(self.value(next, depth + 1)?);
                }
                (Val::Tuple(items), anchor)
            }
            Event::MappingStart(anchor, tag) => {
                only_tag(tag.as_deref(), "map").map_err(|e| fault_at(span, e))?;
                (Val::Object(self.mapping(depth)?), anchor)
            }
            _ => return Err(fault_at(span, "a value is missing")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn mapping(&mut self, depth: usize) -> Result<BTreeMap<String, Val>, Fault> {
        const KEYS: &str = "only strings are allowed as mapping keys";
        let mut fields = BTreeMap::new();
        loop {
            let (key, span) = self.next()?;
            let (key, style, tag) = match key {
                Event::MappingEnd => return Ok(fields),
                Event::Scalar(text, style, _, tag) => (text, style, tag),
                _ => return Err(fault_at(span, KEYS)),
            };
            self.budget.bytes(key.len())?;
            if tag.as_deref().map_or(key == "<<", |t| t.is_yaml_core_schema() && t.suffix == "merge") {
                let next = self.next()?;
                match self.value(next, depth + 1)? {
                    Val::Object(other) => fields.extend(other),
                    Val::Tuple(items) => {
                        for item in items {
                            let Val::Object(other) = item else {
                                let what = item.ty().friendly();
                                let message = format!("cannot merge {what} (from sequence) into mapping");
                                return Err(fault_at(span, message));
                            };
                            fields.extend(other);
                        }
                    }
                    other => {
                        let what = other.ty().friendly();
                        return Err(fault_at(span, format!("cannot merge {what} into mapping")));
                    }
                }
                continue;
            }
            let key = scalar(&key, style, tag.as_deref()).map_err(|e| fault_at(span, e))?;
            let key = convert(key, &Type::String).ok().and_then(|v| v.as_str());
            let key = key.ok_or_else(|| fault_at(span, "mapping key cannot be null"))?;
            let next = self.next()?;
            let value = self.value(next, depth + 1)?;
            fields.insert(normal(&key), value);
        }
    }
}

fn scan_fault(error: &ScanError) -> Fault {
    let place = error.marker();
    format!("on line {}, column {}: {}", place.line(), place.col() + 1, error.info()).into()
}

fn fault_at(span: Span, message: impl Into<Cow<'static, str>>) -> Fault {
    let (line, column) = (span.start.line(), span.start.col() + 1);
    format!("on line {line}, column {column}: {}", message.into()).into()
}

fn only_tag(tag: Option<&Tag>, wanted: &str) -> Result<(), String> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == wanted) => {
            Err(format!("can't interpret this as {tag}"))
        }
        _ => Ok(()),
    }
}

const TRUE: &[&str] = &["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"];
const FALSE: &[&str] = &["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"];

/// A word that stands for something else than itself.
fn word(text: &str) -> Option<Val> {
    Some(match text {
        _ if TRUE.contains(&text) => Val::bool(true),
        _ if FALSE.contains(&text) => Val::bool(false),
        "" | "~" | "null" | "Null" | "NULL" => Val::NULL,
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Val::number(Number::Infinite),
        "-.inf" | "-.Inf" | "-.INF" => Val::number(Number::NegativeInfinite),
        _ => return None,
    })
}

/// What a scalar means.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Val, String> {
    let tag = match tag {
        None => "",
        Some(tag) if tag.is_yaml_core_schema() => tag.suffix.as_str(),
        Some(tag) => return Err(format!("unsupported tag \"{tag}\"")),
    };
    if !matches!(tag, "" | "str" | "bool" | "int" | "float" | "null" | "timestamp" | "binary") {
        return Err(format!("unsupported tag \"!!{tag}\""));
    }
    let quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
    let first = text.chars().next();
    // The first character tells whether it may mean something else than a text.
    let special = first.is_none_or(|c| c.is_ascii_digit() || "+-.yYnNtTfFoO~".contains(c));
    if special && !matches!(tag, "str" | "binary") {
        if quoted {
            return Ok(Val::string(text));
        }
        if let Some(value) = word(text) {
            return Ok(value);
        }
        if tag.is_empty() && matches!(text, ".nan" | ".NaN" | ".NAN") {
            return Err("floating point NaN is not supported".to_owned());
        }
        if let Some('.') = first
            && let Some(number) = Number::parse(text)
        {
            return Ok(Val::number(number));
        }
        if first.is_some_and(|c| c.is_ascii_digit() || matches!(c, '+' | '-')) {
            if matches!(tag, "" | "timestamp")
                && let Some(time) = super::dates::yaml_timestamp(text)
            {
                return Ok(Val::string(time));
            }
            if is_number(text) {
                return number(text);
            }
        }
    }
    let wrong = || Err(format!("cannot parse {text:?} as !!{tag}"));
    match tag {
        "binary" => {
            let compact: String = text.split_ascii_whitespace().collect();
            match base64::engine::general_purpose::STANDARD.decode(compact) {
                Ok(_) => Ok(Val::string(text)),
                Err(_) => Err(format!("cannot parse {text:?} as !!binary: not valid base64")),
            }
        }
        "int" | "float" => number(text),
        "bool" => match word(text) {
            Some(value @ Val::Bool { .. }) => Ok(value),
            _ => wrong(),
        },
        "timestamp" => super::dates::yaml_timestamp(text).map(Val::string).map_or_else(wrong, Ok),
        "null" => Ok(Val::NULL),
        _ => Ok(Val::string(text)),
    }
}

/// Decimal, octal and hexadecimal integers, and decimal fractions.
fn is_number(text: &str) -> bool {
    let all = |s: &str, ok: fn(&u8) -> bool| !s.is_empty() && s.bytes().all(|b| ok(&b));
    if let Some(octal) = text.strip_prefix("0o") {
        return all(octal, |b| (b'0'..=b'7').contains(b));
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return all(hex, u8::is_ascii_hexdigit);
    }
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((m, e)) => (m, Some(e.strip_prefix(['+', '-']).unwrap_or(e))),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((w, f)) => (w, Some(f)),
        None => (mantissa, None),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    digits(whole)
        && fraction.is_none_or(digits)
        && (!whole.is_empty() || fraction.is_some_and(|f| !f.is_empty()))
        && exponent.is_none_or(|e| all(e, u8::is_ascii_digit))
}

fn number(text: &str) -> Result<Val, String> {
    let plain = text.replace('_', "");
    let based = |prefix: &[&str], base: u32| {
        let digits = prefix.iter().find_map(|p| plain.strip_prefix(p))?;
        u64::from_str_radix(digits, base).ok().and_then(|n| Number::parse(&n.to_string()))
    };
    Number::parse(&plain)
        .or_else(|| based(&["0x", "0X"], 16))
        .or_else(|| based(&["0o", "0O"], 8))
        .or_else(|| based(&["0b", "0B"], 2))
        .map(Val::number)
        .ok_or_else(|| format!("cannot parse {text:?} as a number"))
}
