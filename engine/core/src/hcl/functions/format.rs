//! `format` and `formatlist`: verbs, flags, widths and precisions as in Go's `printf`, for values of HCL. A verb that
//! does not fit its argument, and an argument without a verb, are errors.

use unicode_segmentation::UnicodeSegmentation;

use super::{
    Fault, Function, Host, Known, Outcome, Param, any, at, fits, function, gives, json, param, string, text,
};
use crate::hcl::types::Type;
use crate::hcl::{Val, convert};

mod numbers;

/// Widths and precisions beyond this are refused.
const MAX_WIDTH: usize = 1_000_000;

const FORMAT: &[Param] = &[param("format", string)];
const ARGS: Param = param("args", any).or_null().known(Known::Any);

pub(super) const TABLE: &[Function] = &[
    function("format", "A text with values in the places of its verbs.", FORMAT, gives::string, format)
        .rest(ARGS),
    function(
        "formatlist",
        "Texts with values in the places of their verbs: one for each element of lists.",
        FORMAT,
        gives::strings,
        formatlist,
    )
    .rest(ARGS),
];

fn format(args: &[Val], _: &dyn Host) -> Outcome {
    if !args.iter().all(Val::is_wholly_known) {
        return Ok(Val::Unknown(Type::String));
    }
    let values: Vec<&Val> = args[1..].iter().collect();
    Ok(Val::string(write(&text(args, 0), &values)?))
}

fn formatlist(args: &[Val], _: &dyn Host) -> Outcome {
    let (layout, values) = (text(args, 0), &args[1..]);
    let mut length: Option<(usize, usize)> = None;
    let mut unknown = false;
    for (i, value) in values.iter().enumerate() {
        let count = match value {
            Val::List(_, items) | Val::Set(_, items) | Val::Tuple(items) => items.len(),
            Val::Unknown(Type::Tuple(types)) => {
                unknown = true;
                types.len()
            }
            Val::Unknown(Type::Dynamic | Type::List(_) | Type::Set(_)) => {
                unknown = true;
                continue;
            }
            _ => continue,
        };
        match length {
            None => length = Some((count, i)),
            Some((other, chooser)) if other != count => {
                return Err(at(
                    i + 1,
                    format!(
                        "argument {} has length {count}, which is inconsistent with argument {} of length {other}",
                        i + 1,
                        chooser + 1
                    ),
                ));
            }
            Some(_) => {}
        }
    }
    if unknown {
        return Ok(Val::Unknown(Type::list(Type::String)));
    }
    let mut out = Vec::new();
    let mut size = 0;
    for row in 0..length.map_or(1, |(count, _)| count) {
        let values: Vec<&Val> =
            values.iter().map(|v| v.items().and_then(|items| items.get(row)).unwrap_or(v)).collect();
        if !values.iter().all(|v| v.is_wholly_known()) {
            out.push(Val::Unknown(Type::String));
            continue;
        }
        let line = write(&layout, &values)
            .map_err(|e| Fault::from(format!("error on format iteration {row}: {}", e.into_text())))?;
        size += line.len();
        fits(size)?;
        out.push(Val::string(line));
    }
    Ok(Val::list(Type::String, out))
}

/// A verb with what stands between it and its percent sign.
#[derive(Default)]
struct Verb<'a> {
    raw: &'a str,
    offset: usize,
    letter: char,
    zero: bool,
    sharp: bool,
    plus: bool,
    minus: bool,
    space: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

impl Verb<'_> {
    fn unsupported(&self, why: impl std::fmt::Display) -> Fault {
        format!("unsupported value for {:?} at {}: {why}", self.raw, self.offset).into()
    }
}

/// The text with the verbs replaced.
fn write(layout: &str, values: &[&Val]) -> Result<String, Fault> {
    let mut out = String::new();
    let (mut next, mut highest) = (0, 0);
    let mut place = 0;
    while let Some(found) = layout[place..].find('%') {
        let start = place + found;
        out.push_str(&layout[place..start]);
        if layout[start + 1..].starts_with('%') {
            out.push('%');
            place = start + 2;
            continue;
        }
        let (verb, index, end) = parse(layout, start)?;
        let index = index.unwrap_or(next);
        let value = values.get(index).ok_or_else(|| {
            format!(
                "not enough arguments for {:?} at {}: need index {} but have {} total",
                verb.raw,
                verb.offset,
                index + 1,
                values.len()
            )
        })?;
        append(&mut out, &verb, value)?;
        fits(out.len())?;
        next = index + 1;
        highest = highest.max(next);
        place = end;
    }
    out.push_str(&layout[place..]);
    if highest < values.len() {
        // Counted from the format.
        let message = match highest {
            0 => "too many arguments; no verbs in format string".to_owned(),
            n => format!("too many arguments; only {n} used by format string"),
        };
        return Err(at(highest + 1, message));
    }
    Ok(out)
}

/// Reads the verb that starts with the percent sign at `start`: the verb, the index of its argument if it names one,
/// and where it ends.
fn parse(layout: &str, start: usize) -> Result<(Verb<'_>, Option<usize>, usize), Fault> {
    let bytes = layout.as_bytes();
    let mut verb = Verb { offset: start, ..Verb::default() };
    let mut i = start + 1;
    while let Some(flag) = bytes.get(i) {
        match flag {
            b'0' => verb.zero = true,
            b'#' => verb.sharp = true,
            b'-' => verb.minus = true,
            b'+' => verb.plus = true,
            b' ' => verb.space = true,
            _ => break,
        }
        i += 1;
    }
    let digits = |i: &mut usize| -> Result<Option<usize>, Fault> {
        let from = *i;
        while bytes.get(*i).is_some_and(u8::is_ascii_digit) {
            *i += 1;
        }
        if from == *i {
            return Ok(None);
        }
        let number = layout[from..*i].parse::<usize>().ok().filter(|n| *n <= MAX_WIDTH);
        number.map(Some).ok_or_else(|| format!("a number at offset {from} is larger than {MAX_WIDTH}").into())
    };
    verb.width = digits(&mut i)?;
    if bytes.get(i) == Some(&b'.') {
        i += 1;
        verb.precision = Some(digits(&mut i)?.unwrap_or(0));
    }
    let mut index = None;
    if bytes.get(i) == Some(&b'[') {
        let from = i;
        i += 1;
        index = digits(&mut i)?.and_then(|n| n.checked_sub(1));
        if index.is_none() || bytes.get(i) != Some(&b']') {
            return Err(format!("the index at offset {from} must be a number from 1 in brackets").into());
        }
        i += 1;
    }
    match layout[i..].chars().next() {
        Some(letter) if letter.is_ascii_alphabetic() => {
            verb.letter = letter;
            verb.raw = &layout[start..=i];
            Ok((verb, index, i + 1))
        }
        Some(other) => Err(format!("unrecognized format character {other:?} at offset {i}").into()),
        None => Err(format!("invalid format string starting at offset {start}").into()),
    }
}

fn append(out: &mut String, verb: &Verb<'_>, value: &Val) -> Result<(), Fault> {
    if verb.letter != 'v' && value.is_null() {
        return Err(verb.unsupported("null value cannot be formatted"));
    }
    let converted = |ty: &Type| convert(value.clone(), ty).map_err(|e| verb.unsupported(e));
    match verb.letter {
        'v' => {
            let body = match value {
                Val::String(text) if !verb.sharp => text.expose(),
                Val::Number { value, .. } if !verb.sharp => numbers::shortest(value),
                other => json::encoded(other).map_err(|e| verb.unsupported(e.into_text()))?,
            };
            pad(out, verb, &body);
        }
        't' => {
            let truth = converted(&Type::Bool)?.as_bool().unwrap_or_default();
            out.push_str(if truth { "true" } else { "false" });
        }
        'b' | 'd' | 'o' | 'x' | 'X' | 'e' | 'E' | 'f' | 'g' | 'G' => {
            let number = converted(&Type::Number)?;
            let number = number.as_number().ok_or_else(|| verb.unsupported("a number is required"))?;
            match verb.letter {
                'b' | 'd' | 'o' | 'x' | 'X' => numbers::integer(out, verb, number)?,
                _ => numbers::float(out, verb, number),
            }
        }
        's' | 'q' => {
            let mut body = converted(&Type::String)?.as_str().unwrap_or_default();
            if let Some(precision) = verb.precision.filter(|p| *p > 0) {
                body = body.graphemes(true).take(precision).collect();
            }
            if verb.letter == 'q' {
                body = json::quoted(&body);
            }
            pad(out, verb, &body);
        }
        other => {
            let (raw, offset) = (verb.raw, verb.offset);
            return Err(format!("unsupported format verb {other:?} in {raw:?} at offset {offset}").into());
        }
    }
    Ok(())
}

/// Fills up to the width.
fn pad(out: &mut String, verb: &Verb<'_>, body: &str) {
    let missing = match verb.width {
        Some(width) => width.saturating_sub(body.graphemes(true).count()),
        None => 0,
    };
    let fill = if verb.zero { "0" } else { " " }.repeat(missing);
    if verb.minus {
        out.push_str(body);
        out.push_str(&fill);
    } else {
        out.push_str(&fill);
        out.push_str(body);
    }
}
