//! Functions of texts. What people see as one character counts as one.

use unicode_segmentation::UnicodeSegmentation;

use super::{
    Function, Host, Known, Outcome, Param, at, fits, function, gives, int, number, param, string, strings,
    text,
};
use crate::hcl::Val;
use crate::hcl::types::Type;
use crate::value::Text;

const STR: &[Param] = &[param("str", string)];

pub(super) const TABLE: &[Function] = &[
    function("chomp", "The text without newlines at its end.", STR, gives::string, chomp),
    function(
        "endswith",
        "Whether a text ends with another.",
        &[param("str", string), param("suffix", string)],
        gives::bool,
        |args, _| Ok(Val::bool(text(args, 0).ends_with(&text(args, 1)))),
    ),
    function(
        "indent",
        "The text with spaces at the beginning of all lines but the first.",
        &[param("spaces", number), param("str", string)],
        gives::string,
        indent,
    ),
    function(
        "join",
        "The texts of lists with a separator between them.",
        &[param("separator", string)],
        gives::string,
        join,
    )
    .rest(param("lists", strings).known(Known::Outside))
    .own_marks(),
    function("lower", "The text in lower case.", STR, gives::string, |args, _| {
        Ok(Val::string(text(args, 0).chars().map(lower).collect::<String>()))
    }),
    function(
        "replace",
        "The text with each occurrence of a part replaced.",
        &[param("str", string), param("substr", string), param("replace", string)],
        gives::string,
        replace,
    ),
    function(
        "split",
        "The parts of a text between separators.",
        &[param("separator", string), param("str", string)],
        gives::strings,
        split,
    ),
    function(
        "startswith",
        "Whether a text starts with another.",
        &[param("str", string), param("prefix", string)],
        gives::bool,
        |args, _| Ok(Val::bool(text(args, 0).starts_with(&text(args, 1)))),
    ),
    function(
        "strcontains",
        "Whether a text is part of another.",
        &[param("str", string), param("substr", string)],
        gives::bool,
        |args, _| Ok(Val::bool(text(args, 0).contains(&text(args, 1)))),
    ),
    function("strrev", "The characters in reverse order.", STR, gives::string, |args, _| {
        Ok(Val::string(text(args, 0).graphemes(true).rev().collect::<String>()))
    }),
    function(
        "substr",
        "A part of a text by offset and length; a negative offset counts from the end, a negative length reaches \
         to it.",
        &[param("str", string), param("offset", number), param("length", number)],
        gives::string,
        substr,
    ),
    function(
        "title",
        "The text with the first letter of each word in upper case.",
        STR,
        gives::string,
        title,
    ),
    function(
        "trim",
        "The text without any of some characters at both ends.",
        &[param("str", string), param("cutset", string)],
        gives::string,
        |args, _| {
            let cut = text(args, 1);
            Ok(Val::string(text(args, 0).trim_matches(|c| cut.contains(c))))
        },
    ),
    function(
        "trimprefix",
        "The text without a beginning, if it has it.",
        &[param("str", string), param("prefix", string)],
        gives::string,
        |args, _| {
            let whole = text(args, 0);
            Ok(Val::string(whole.strip_prefix(&text(args, 1)).unwrap_or(&whole)))
        },
    ),
    function("trimspace", "The text without white space at both ends.", STR, gives::string, |args, _| {
        Ok(Val::string(text(args, 0).trim()))
    }),
    function(
        "trimsuffix",
        "The text without an end, if it has it.",
        &[param("str", string), param("suffix", string)],
        gives::string,
        |args, _| {
            let whole = text(args, 0);
            Ok(Val::string(whole.strip_suffix(&text(args, 1)).unwrap_or(&whole)))
        },
    ),
    function("upper", "The text in upper case.", STR, gives::string, |args, _| {
        Ok(Val::string(text(args, 0).chars().map(upper).collect::<String>()))
    }),
];

/// The upper case of one character as one character: ß, which has none, stays.
fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => match c {
            // Greek letters with an iota below, whose full upper case is two letters.
            '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
                char::from_u32(u32::from(c) + 8).unwrap_or(c)
            }
            '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => char::from_u32(u32::from(c) + 9).unwrap_or(c),
            other => other,
        },
    }
}

/// The lower case of one character as one character.
fn lower(c: char) -> char {
    // Its full lower case has a dot of its own.
    if c == 'İ' { 'i' } else { c.to_lowercase().next().unwrap_or(c) }
}

fn chomp(args: &[Val], _: &dyn Host) -> Outcome {
    Ok(Val::string(text(args, 0).trim_end_matches(['\r', '\n'])))
}

fn indent(args: &[Val], _: &dyn Host) -> Outcome {
    let spaces = usize::try_from(int(args, 0)?).map_err(|_| at(0, "must not be negative"))?;
    let body = text(args, 1);
    let lines = body.matches('\n').count();
    fits(lines.saturating_mul(spaces).saturating_add(body.len()))?;
    if lines == 0 {
        return Ok(Val::string(body));
    }
    Ok(Val::string(body.replace('\n', &format!("\n{}", " ".repeat(spaces)))))
}

fn join(args: &[Val], _: &dyn Host) -> Outcome {
    let separator = args[0].as_text().cloned().unwrap_or_default();
    if args.len() == 1 {
        return Err("at least one list is required".into());
    }
    if !args.iter().all(Val::is_wholly_known) {
        return Ok(Val::Unknown(Type::String));
    }
    let mut out = Text::default();
    let mut size = 0_usize;
    let mut first = true;
    for (list, arg) in args.iter().enumerate().skip(1) {
        for (i, item) in arg.items().unwrap_or_default().iter().enumerate() {
            let part = item.as_text().ok_or_else(|| {
                at(list, format!("element {i} of list {list} is null; cannot concatenate null values"))
            })?;
            size += super::length(part) + super::length(&separator);
            fits(size.saturating_sub(super::length(&separator)))?;
            if !std::mem::take(&mut first) {
                out.push_text(&separator);
            }
            out.push_text(part);
        }
    }
    // Where a character begins in one text and ends in the next, the parts are composed again.
    let whole = out.expose();
    let composed = crate::hcl::value::normal(&whole);
    Ok(if composed == whole { Val::String(out) } else { Val::string(composed).mark_if(out.is_sensitive()) })
}

fn replace(args: &[Val], _: &dyn Host) -> Outcome {
    let (body, part, new) = (text(args, 0), text(args, 1), text(args, 2));
    let count = body.matches(&part).count();
    fits(count.saturating_mul(new.len()).saturating_add(body.len()))?;
    Ok(Val::string(body.replace(&part, &new)))
}

fn split(args: &[Val], _: &dyn Host) -> Outcome {
    let (separator, body) = (text(args, 0), text(args, 1));
    let count = if separator.is_empty() { body.len() } else { body.matches(&separator).count() };
    super::Budget::default().items(count)?;
    let parts = if separator.is_empty() {
        body.chars().map(|c| Val::string(c.to_string())).collect()
    } else {
        body.split(&separator).map(Val::string).collect()
    };
    Ok(Val::list(Type::String, parts))
}

fn substr(args: &[Val], _: &dyn Host) -> Outcome {
    let body = text(args, 0);
    let (mut offset, length) = (int(args, 1)?, int(args, 2)?);
    if offset < 0 {
        let total = body.graphemes(true).count();
        offset = offset.saturating_add(i64::try_from(total).unwrap_or(i64::MAX));
    } else if length == 0 {
        return Ok(Val::string(""));
    }
    let rest = body.graphemes(true).skip(usize::try_from(offset).unwrap_or(0));
    // After a negative offset, no length means all of the rest.
    let wanted = usize::try_from(length).ok().filter(|n| *n > 0).unwrap_or(usize::MAX);
    Ok(Val::string(rest.take(wanted).collect::<String>()))
}

fn title(args: &[Val], _: &dyn Host) -> Outcome {
    let mut out = String::new();
    let mut before = ' ';
    for c in text(args, 0).chars() {
        out.push(if separates(before) { title_case(c) } else { c });
        before = c;
    }
    Ok(Val::string(out))
}

/// Whether a word may begin after it.
fn separates(c: char) -> bool {
    if c.is_ascii() { !(c.is_ascii_alphanumeric() || c == '_') } else { c.is_whitespace() }
}

fn title_case(c: char) -> char {
    match c {
        // Letters that are two, of which only the first is capital in titles.
        'Ǆ'..='ǆ' => 'ǅ',
        'Ǉ'..='ǉ' => 'ǈ',
        'Ǌ'..='ǌ' => 'ǋ',
        'Ǳ'..='ǳ' => 'ǲ',
        c => upper(c),
    }
}
