//! Functions of regular expressions in RE2's syntax: classes like `\w` are about ASCII. Matching takes linear time; a
//! compiled pattern is bounded.

use std::collections::BTreeMap;

use regex::{Captures, Regex, RegexBuilder};

use super::{Budget, Fault, Function, Host, Outcome, Param, at, fits, function, gives, param, string, text};
use crate::hcl::Val;
use crate::hcl::types::Type;

mod syntax;

const PATTERN: &[Param] = &[param("pattern", string), param("string", string)];
/// Bytes of a pattern.
const MAX_PATTERN: usize = 64 << 10;
/// Bytes of a compiled pattern.
const MAX_COMPILED: usize = 4 << 20;

pub(super) const TABLE: &[Function] = &[
    function(
        "regex",
        "The part of a text that matches a pattern, or its capture groups; an error if there is none.",
        PATTERN,
        gives::any,
        first,
    ),
    function(
        "regex_replace",
        "The text with all matches of a pattern replaced; $1 and ${name} are its groups.",
        &[param("str", string), param("pattern", string), param("replace", string)],
        gives::string,
        replace,
    ),
    function(
        "regexall",
        "All parts of a text that match a pattern, or their capture groups.",
        PATTERN,
        |_| Type::list(Type::Dynamic),
        all,
    ),
];

fn compile(args: &[Val], index: usize) -> Result<Regex, Fault> {
    let pattern = text(args, index);
    if pattern.len() > MAX_PATTERN {
        return Err(at(index, "the pattern is longer than 65536 bytes"));
    }
    let pattern =
        syntax::translate(&pattern).map_err(|e| at(index, format!("invalid regexp pattern: {e}")))?;
    RegexBuilder::new(&pattern).size_limit(MAX_COMPILED).build().map_err(|e| match e {
        regex::Error::CompiledTooBig(_) => at(index, "the pattern is too large"),
        // The last line of the message says what is wrong; those before it show the translated pattern.
        other => {
            let message = other.to_string();
            let reason = message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            at(index, format!("invalid regexp pattern: {reason}"))
        }
    })
}

/// What a match gives.
enum Shape {
    /// No groups: the whole match.
    Whole,
    Groups,
    Named,
}

fn shape(regex: &Regex) -> Result<(Shape, Type), Fault> {
    let named: Vec<&str> = regex.capture_names().flatten().collect();
    match (named.len(), regex.captures_len() - 1) {
        (_, 0) => Ok((Shape::Whole, Type::String)),
        (0, n) => Ok((Shape::Groups, Type::Tuple(vec![Type::String; n]))),
        (n, all) if n == all => {
            Ok((Shape::Named, Type::object(named.into_iter().map(|name| (name, Type::String)))))
        }
        _ => Err(at(0, "invalid regexp pattern: cannot mix both named and unnamed capture groups")),
    }
}

fn value(regex: &Regex, shape: &Shape, captures: &Captures<'_>) -> Val {
    let group = |i: usize| captures.get(i).map_or(Val::Null(Type::String), |m| Val::string(m.as_str()));
    match shape {
        Shape::Whole => group(0),
        Shape::Groups => Val::Tuple((1..captures.len()).map(group).collect()),
        Shape::Named => {
            let names = regex.capture_names().enumerate();
            let fields: BTreeMap<String, Val> =
                names.filter_map(|(i, name)| Some((name?.to_owned(), group(i)))).collect();
            Val::Object(fields)
        }
    }
}

fn first(args: &[Val], _: &dyn Host) -> Outcome {
    let regex = compile(args, 0)?;
    let (shape, _) = shape(&regex)?;
    let subject = text(args, 1);
    let captures = regex.captures(&subject).ok_or("pattern did not match any part of the given string")?;
    Ok(value(&regex, &shape, &captures))
}

fn all(args: &[Val], _: &dyn Host) -> Outcome {
    let regex = compile(args, 0)?;
    let (shape, element) = shape(&regex)?;
    let subject = text(args, 1);
    let mut budget = Budget::default();
    let mut found = Vec::new();
    for captures in regex.captures_iter(&subject) {
        let value = value(&regex, &shape, &captures);
        budget.take(&value)?;
        found.push(value);
    }
    Ok(Val::list(element, found))
}

fn replace(args: &[Val], _: &dyn Host) -> Outcome {
    let regex = compile(args, 1)?;
    let (subject, template) = (text(args, 0), text(args, 2));
    let mut out = String::new();
    let mut place = 0;
    for captures in regex.captures_iter(&subject) {
        let whole = captures.get_match();
        out.push_str(&subject[place..whole.start()]);
        captures.expand(&template, &mut out);
        fits(out.len())?;
        place = whole.end();
    }
    out.push_str(&subject[place..]);
    Ok(Val::string(out))
}
