//! Go's `printf` for the values of templates, and times in Go's layouts.

use std::fmt::Write as _;

use jiff::Zoned;

use super::functions::Call;
use super::{Data, Problem};

/// Go's verbs that make sense for the values of templates; a wrong one is marked in the result, as Go does.
pub(super) fn printf(call: &Call<'_>) -> Result<Data, Problem> {
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
            text
        };
        let width = digits().parse::<usize>().unwrap_or(0).min(10_000);
        let precision = chars.next_if_eq(&'.').map(|_| {
            let mut text = String::new();
            while let Some(d) = chars.next_if(char::is_ascii_digit) {
                text.push(d);
            }
            text.parse::<usize>().unwrap_or(0).min(1_000)
        });
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match args.next() {
                None => {
                    let _ = write!(out, "%!{verb}(MISSING)");
                }
                Some(arg) => pad(&mut out, &body(verb, arg, &flags, precision), arg, &flags, width),
            },
        }
    }
    let extra: Vec<String> = args.map(|a| format!("{}={}", kind(a), a.print().expose())).collect();
    if !extra.is_empty() {
        let _ = write!(out, "%!(EXTRA {})", extra.join(", "));
    }
    Ok(call.made(out))
}

fn kind(arg: &Data) -> &'static str {
    match arg {
        Data::Int(_) => "int",
        Data::Float(_) => "float64",
        Data::Bool(_) => "bool",
        Data::Text(_) => "string",
        Data::List(_) | Data::Map(_) | Data::Missing => "<nil>",
    }
}

fn body(verb: char, arg: &Data, flags: &str, precision: Option<usize>) -> String {
    let text = arg.print().expose();
    let signed = |n: i64, digits: String| {
        let sign = if n < 0 {
            "-"
        } else if flags.contains('+') {
            "+"
        } else {
            ""
        };
        format!("{sign}{digits}")
    };
    let plus = |negative: bool, digits: String| {
        if !negative && flags.contains('+') { format!("+{digits}") } else { digits }
    };
    match (verb, arg) {
        ('v' | 's', Data::Text(_)) => precision.map_or(text.clone(), |p| text.chars().take(p).collect()),
        ('q', Data::Text(_)) => go_quoted(&text),
        ('v' | 'd', Data::Int(n)) => signed(*n, n.unsigned_abs().to_string()),
        ('x', Data::Int(n)) => signed(*n, format!("{:x}", n.unsigned_abs())),
        ('X', Data::Int(n)) => signed(*n, format!("{:X}", n.unsigned_abs())),
        ('o', Data::Int(n)) => signed(*n, format!("{:o}", n.unsigned_abs())),
        ('b', Data::Int(n)) => signed(*n, format!("{:b}", n.unsigned_abs())),
        ('c', Data::Int(n)) => {
            u32::try_from(*n).ok().and_then(char::from_u32).unwrap_or('\u{fffd}').to_string()
        }
        ('x', Data::Text(_)) => text.bytes().fold(String::new(), |mut out, b| {
            let _ = write!(out, "{b:02x}");
            out
        }),
        ('f' | 'F', Data::Float(f)) => plus(*f < 0.0, format!("{f:.*}", precision.unwrap_or(6))),
        ('g', Data::Float(f)) => plus(*f < 0.0, go_float(*f)),
        ('e', Data::Float(f)) => plus(*f < 0.0, exponent(*f, Some(precision.unwrap_or(6)))),
        ('t', Data::Bool(b)) => b.to_string(),
        ('v', _) => text,
        _ => format!("%!{verb}({}={text})", kind(arg)),
    }
}

fn pad(out: &mut String, body: &str, arg: &Data, flags: &str, width: usize) {
    let fill = width.saturating_sub(body.chars().count());
    let numeric = matches!(arg, Data::Int(_) | Data::Float(_));
    if flags.contains('-') {
        out.push_str(body);
        out.push_str(&" ".repeat(fill));
    } else if flags.contains('0') && numeric {
        let (sign, digits) = body.split_at(usize::from(body.starts_with(['-', '+'])));
        out.push_str(sign);
        out.push_str(&"0".repeat(fill));
        out.push_str(digits);
    } else {
        out.push_str(&" ".repeat(fill));
        out.push_str(body);
    }
}

/// A float as Go's `%v` prints it: the shortest digits, with an exponent for the very small and the very large.
pub(super) fn go_float(f: f64) -> String {
    if f.is_nan() {
        return "NaN".to_owned();
    }
    if f.is_infinite() {
        return if f > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if f != 0.0 && !(1e-4..1e21).contains(&f.abs()) { exponent(f, None) } else { f.to_string() }
}

/// Go writes at least two digits of the exponent, and its sign.
fn exponent(f: f64, precision: Option<usize>) -> String {
    let text = precision.map_or_else(|| format!("{f:e}"), |p| format!("{f:.p$e}"));
    match text.split_once('e') {
        Some((digits, power)) => {
            let (sign, power) = power.strip_prefix('-').map_or(('+', power), |p| ('-', p));
            format!("{digits}e{sign}{power:0>2}")
        }
        None => text,
    }
}

fn go_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{b}' => out.push_str("\\v"),
            c if c < ' ' || c == '\u{7f}' => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A time (UTC) in a layout of Go, which is an example of how the moment 2006-01-02 15:04:05 would be written.
pub(crate) fn go_time(time: &Zoned, layout: &str) -> String {
    let mut out = String::new();
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        let taken = match fraction(time, rest) {
            Some((text, length)) => {
                out.push_str(&text);
                length
            }
            None => match PARTS.iter().find(|(part, _)| matches(rest, part)) {
                Some((part, directive)) => {
                    out.push_str(&time.strftime(directive).to_string());
                    part.len()
                }
                None => {
                    out.push(c);
                    c.len_utf8()
                }
            },
        };
        rest = &rest[taken..];
    }
    out
}

/// A time in a format of `strftime`.
pub(crate) fn strftime(time: &Zoned, format: &str) -> Result<String, jiff::Error> {
    jiff::fmt::strtime::format(format, time)
}

/// Parts of layouts, longer ones first, and what writes them. An underscore before the year belongs to neither.
const PARTS: &[(&str, &str)] = &[
    ("_2006", "_%Y"),
    ("2006", "%Y"),
    ("January", "%B"),
    ("Monday", "%A"),
    ("Z07:00:00", "Z"),
    ("-07:00:00", "%:z:00"),
    ("Z070000", "Z"),
    ("-070000", "%z00"),
    ("Z07:00", "Z"),
    ("-07:00", "%:z"),
    ("Z0700", "Z"),
    ("-0700", "%z"),
    ("Z07", "Z"),
    ("-07", "+00"),
    ("002", "%j"),
    ("__2", "%_3j"),
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

/// Short names of months and days are not the beginnings of longer words ("Monitor").
fn matches(rest: &str, part: &str) -> bool {
    let Some(after) = rest.strip_prefix(part) else { return false };
    !(matches!(part, "Jan" | "Mon") && after.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// `.000` is a fraction of a second with so many digits, `.999` the same without trailing zeros.
fn fraction(time: &Zoned, rest: &str) -> Option<(String, usize)> {
    let point = rest.chars().next().filter(|c| matches!(c, '.' | ','))?;
    let digit = rest[1..].chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let count = rest[1..].chars().take_while(|c| *c == digit).count();
    if count > 9 || rest[1 + count..].starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let nanos = format!("{:09}", time.subsec_nanosecond());
    let digits = &nanos[..count];
    let digits = if digit == '9' { digits.trim_end_matches('0') } else { digits };
    let text = if digits.is_empty() { String::new() } else { format!("{point}{digits}") };
    Some((text, 1 + count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_of_go_write_the_time() {
        let time: jiff::Timestamp = "2024-03-07T09:05:03.120450Z".parse().expect("a time");
        let time = time.to_zoned(jiff::tz::TimeZone::UTC);
        for (layout, expected) in [
            ("2006-01-02T15:04:05Z07:00", "2024-03-07T09:05:03Z"),
            ("20060102_150405", "20240307_090503"),
            ("Mon Jan _2 15:04:05 MST 2006", "Thu Mar  7 09:05:03 UTC 2024"),
            ("Monday, January 2", "Thursday, March 7"),
            ("Monitor Janus", "Monitor Janus"),
            ("3:4:5 PM pm", "9:5:3 AM am"),
            ("v1_2006", "v3_2024"),
            ("002 __2", "067  67"),
            ("05.000 05.999 05,000000", "03.120 03.12 03,120450"),
            ("-0700 -07:00 Z0700", "+0000 +00:00 Z"),
            ("06-1-2", "24-3-7"),
            ("100%", "300%"),
            ("", ""),
        ] {
            assert_eq!(go_time(&time, layout), expected, "{layout}");
        }
    }

    #[test]
    fn floats_look_like_gos() {
        for (f, expected) in [
            (1.0, "1"),
            (0.5, "0.5"),
            (1e21, "1e+21"),
            (1e-5, "1e-05"),
            (-2.5e300, "-2.5e+300"),
            (1e20, "100000000000000000000"),
        ] {
            assert_eq!(go_float(f), expected);
        }
    }
}
