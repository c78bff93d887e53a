//! Patterns in RE2's syntax as ones of the `regex` crate, where both differ: Perl's classes are about ASCII there and
//! about Unicode here, brackets nest here, and each knows some escapes that the other lacks.

/// Repetitions of more are refused, as RE2 does.
const MAX_REPEAT: u32 = 1000;

/// The pattern in the crate's syntax, or what is wrong with it.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    // Whether a repetition was just written, so that another one would repeat it.
    let mut repeated = false;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let mut repeats = false;
        rest = match c {
            '\\' => escape(after, &mut out)?,
            '[' => class(after, &mut out)?,
            '(' => group(after, &mut out)?,
            '*' | '+' | '?' => {
                if repeated {
                    return Err("invalid nested repetition operator".to_owned());
                }
                repeats = true;
                out.push(c);
                lazy(after, &mut out)
            }
            '{' => match repetition(after)? {
                Some(length) => {
                    if repeated {
                        return Err("invalid nested repetition operator".to_owned());
                    }
                    repeats = true;
                    out.push('{');
                    out.push_str(&after[..length]);
                    lazy(&after[length..], &mut out)
                }
                // No numbers inside: the brace itself.
                None => {
                    out.push_str("\\{");
                    after
                }
            },
            '}' => {
                out.push_str("\\}");
                after
            }
            c => {
                out.push(c);
                after
            }
        };
        repeated = repeats;
    }
    Ok(out)
}

fn lazy<'a>(after: &'a str, out: &mut String) -> &'a str {
    match after.strip_prefix('?') {
        Some(rest) => {
            out.push('?');
            rest
        }
        None => after,
    }
}

/// The length of `2,5}` after a brace, if it is a repetition.
fn repetition(after: &str) -> Result<Option<usize>, String> {
    let Some(end) = after.find('}') else { return Ok(None) };
    let numbers: Vec<&str> = after[..end].splitn(2, ',').collect();
    let is_number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let valid = match numbers.as_slice() {
        [only] => is_number(only),
        [from, to] => is_number(from) && (to.is_empty() || is_number(to)),
        _ => false,
    };
    if !valid {
        return Ok(None);
    }
    let within = |s: &&str| s.is_empty() || s.parse::<u32>().is_ok_and(|n| n <= MAX_REPEAT);
    if !numbers.iter().all(within) {
        return Err(format!("invalid repeat count: more than {MAX_REPEAT}"));
    }
    Ok(Some(end + 1))
}

/// After a parenthesis. Flags that RE2 does not have are refused: some would change how the rest is read.
fn group<'a>(after: &'a str, out: &mut String) -> Result<&'a str, String> {
    out.push('(');
    let Some(inside) = after.strip_prefix('?') else { return Ok(after) };
    if inside.starts_with("P<") || inside.starts_with('<') {
        return Ok(after);
    }
    let end = inside.find([':', ')']).ok_or("missing closing )")?;
    if !inside[..end].chars().all(|c| "imsU-".contains(c)) {
        return Err(format!("invalid or unsupported Perl syntax: `(?{}`", &inside[..end]));
    }
    Ok(after)
}

/// After a backslash, outside of brackets.
fn escape<'a>(after: &'a str, out: &mut String) -> Result<&'a str, String> {
    let c = after.chars().next().ok_or("trailing backslash at end of expression")?;
    let rest = &after[c.len_utf8()..];
    match c {
        'd' | 's' | 'w' => {
            out.push('[');
            out.push_str(perl(c));
            out.push(']');
        }
        'D' | 'S' | 'W' => {
            out.push_str("[^");
            out.push_str(perl(c.to_ascii_lowercase()));
            out.push(']');
        }
        'b' | 'B' => {
            out.push_str("(?-u:\\");
            out.push(c);
            out.push(')');
        }
        'Q' => {
            let end = rest.find("\\E");
            out.push_str(&regex::escape(&rest[..end.unwrap_or(rest.len())]));
            return Ok(end.map_or("", |e| &rest[e + 2..]));
        }
        'A' | 'z' => {
            out.push('\\');
            out.push(c);
        }
        _ => return character(c, rest, out),
    }
    Ok(rest)
}

/// An escape that means one character or a class of Unicode, inside and outside of brackets.
fn character<'a>(c: char, rest: &'a str, out: &mut String) -> Result<&'a str, String> {
    match c {
        'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'p' | 'P' | 'x' => {
            out.push('\\');
            out.push(c);
            // The braces of \p{Greek} and \x{1F600} are no repetition.
            if let Some(end) = rest.starts_with('{').then(|| rest.find('}')).flatten() {
                out.push_str(&rest[..=end]);
                return Ok(&rest[end + 1..]);
            }
        }
        // Up to three octal digits; one from 1 alone would be a reference to a group, which RE2 does not have.
        '0'..='7' => {
            let digits = rest.bytes().take(2).take_while(|b| (b'0'..=b'7').contains(b)).count();
            if c != '0' && digits == 0 {
                return Err(format!("invalid escape sequence: `\\{c}`"));
            }
            let code = u32::from_str_radix(&format!("{c}{}", &rest[..digits]), 8).unwrap_or(0);
            out.push_str(&format!("\\x{{{code:x}}}"));
            return Ok(&rest[digits..]);
        }
        c if c.is_ascii_punctuation() => {
            // A backslash before < and > would mean the edge of a word.
            if !matches!(c, '<' | '>') {
                out.push('\\');
            }
            out.push(c);
        }
        c => return Err(format!("invalid escape sequence: `\\{c}`")),
    }
    Ok(rest)
}

fn perl(c: char) -> &'static str {
    match c {
        'd' => "0-9",
        's' => "\\t\\n\\x0C\\r ",
        _ => "0-9A-Za-z_",
    }
}

/// After an opening bracket, up to its end.
fn class<'a>(after: &'a str, out: &mut String) -> Result<&'a str, String> {
    const MISSING: &str = "missing closing ]";
    out.push('[');
    let mut rest = after;
    if let Some(r) = rest.strip_prefix('^') {
        out.push('^');
        rest = r;
    }
    let mut first = true;
    loop {
        let c = rest.chars().next().ok_or(MISSING)?;
        let next = &rest[c.len_utf8()..];
        rest = match c {
            ']' if !first => {
                out.push(']');
                return Ok(next);
            }
            '[' if next.starts_with(':') => {
                let end = next.find(":]").ok_or(MISSING)? + 2;
                out.push('[');
                out.push_str(&next[..end]);
                &next[end..]
            }
            '\\' => {
                let c = next.chars().next().ok_or("trailing backslash at end of expression")?;
                let rest = &next[c.len_utf8()..];
                match c {
                    'd' | 's' | 'w' => {
                        out.push_str(perl(c));
                        rest
                    }
                    'D' | 'S' | 'W' => {
                        out.push_str("[^");
                        out.push_str(perl(c.to_ascii_lowercase()));
                        out.push(']');
                        rest
                    }
                    c => character(c, rest, out)?,
                }
            }
            // Brackets nest, and && -- ~~ are operators, in the crate's classes only.
            '[' | ']' | '&' | '~' => {
                out.push('\\');
                out.push(c);
                next
            }
            '-' if next.starts_with('-') => {
                out.push_str("\\-");
                next
            }
            c => {
                out.push(c);
                next
            }
        };
        first = false;
    }
}
