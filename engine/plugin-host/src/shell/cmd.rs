//! Puts secret values into command lines and batch files for `cmd.exe`, which has no quoting that holds everything. A
//! value arrives exactly behind `set NAME=`, where a caret takes the meaning from any character, and behind
//! `set "NAME=`, where a value with a quote or a percent sign is refused. Every other word is read once more by the
//! program that gets it, so that only letters, digits and a few marks may stand there.

use super::{Found, Refused};

/// Where the text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A command line, as a connection passes it.
    Line,
    /// A batch file, where a percent sign is written twice.
    Batch,
}

const ARGUMENT: &str = "in a cmd command other than set";
const QUOTED: &str = "inside the quotes of set, because it contains a quote or a percent sign,";
const EXPANDED: &str = "in a cmd command behind a variable";
const DELAYED: &str = "in a cmd script with delayed expansion";
const CARET: &str = "directly after a caret";
const NAME: &str = "as a name in a cmd command, because it contains a quote or a percent sign,";
const LINES: &str = "in a cmd command, because it contains a line end,";

/// Whether the value means the same wherever it stands.
pub fn is_safe(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_./:@+-".contains(&b))
}

/// The value for a place without quotes behind `set NAME=`.
pub fn escaped(value: &str, kind: Kind) -> String {
    let mut out = String::with_capacity(value.len() + 8);
    for c in value.chars() {
        match (c, kind) {
            ('%', Kind::Batch) => out.push_str("%%"),
            // `%NAME^%` is no variable, so nothing is expanded before the carets are taken away.
            ('^' | '&' | '|' | '<' | '>' | '(' | ')' | '"' | '!' | '%', _) => {
                out.push('^');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// One argument of a program that reads its command line as the C runtime of Windows does.
pub fn argument(value: &str) -> Result<String, Refused> {
    lines(value)?;
    if is_safe(value) {
        return Ok(value.to_owned());
    }
    let mut quoted = String::from("\"");
    let mut backslashes = 0;
    for c in value.chars() {
        match c {
            '\\' => backslashes += 1,
            '"' => {
                quoted.push_str(&"\\".repeat(backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        quoted.push(c);
    }
    quoted.push_str(&"\\".repeat(backslashes));
    quoted.push('"');
    Ok(escaped(&quoted, Kind::Line))
}

/// The name of a program or a folder, which may stand in quotes only.
pub fn name(value: &str) -> Result<String, Refused> {
    lines(value)?;
    match is_safe(value) {
        true => Ok(value.to_owned()),
        false if value.contains(['"', '%']) => Err(Refused(NAME)),
        false => Ok(format!("\"{value}\"")),
    }
}

/// Commands that set a variable for what follows.
pub fn variable(name: &str, value: &str) -> Result<String, Refused> {
    lines(value)?;
    Ok(format!("set {name}={}&& ", escaped(value, Kind::Line)))
}

fn lines(value: &str) -> Result<(), Refused> {
    if value.contains(['\0', '\n', '\r']) { Err(Refused(LINES)) } else { Ok(()) }
}

/// Replaces the placeholders that `find` recognises at the start of a text.
pub fn fill<'a>(
    text: &'a str,
    kind: Kind,
    find: &'a dyn Fn(&str) -> Option<Found<'a>>,
) -> Result<String, Refused> {
    let delayed = kind == Kind::Batch && text.to_ascii_lowercase().contains("delayedexpansion");
    let mut out = String::with_capacity(text.len() + 64);
    let mut command = Command::default();
    let mut rest = text;
    let mut after_caret = false;
    while let Some(c) = rest.chars().next() {
        if let Some(found) = find(rest) {
            out.push_str(&command.place(found.value, kind, delayed, after_caret)?);
            rest = &rest[found.length..];
            command.text.push_str(found.value);
            after_caret = false;
            continue;
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
        let escaped = std::mem::take(&mut after_caret);
        match c {
            '\n' if !escaped => {
                command = Command::default();
                continue;
            }
            '"' if !escaped => command.quoted = !command.quoted,
            '^' if !escaped && !command.quoted => {
                after_caret = true;
                continue;
            }
            '&' | '|' | '(' | ')' if !escaped && !command.quoted => {
                command = Command { expanded: command.expanded, ..Command::default() };
                continue;
            }
            _ => {}
        }
        command.expanded |= c == '%' && !escaped;
        command.text.push(c);
    }
    Ok(out)
}

/// A command so far.
#[derive(Default)]
struct Command {
    text: String,
    quoted: bool,
    /// A variable may have put anything before, quotes too. Lasts to the end of the line.
    expanded: bool,
}

impl Command {
    fn place(&self, value: &str, kind: Kind, delayed: bool, after_caret: bool) -> Result<String, Refused> {
        if is_safe(value) {
            return Ok(value.to_owned());
        }
        lines(value)?;
        if after_caret {
            return Err(Refused(CARET));
        }
        if self.expanded {
            return Err(Refused(EXPANDED));
        }
        if delayed {
            return Err(Refused(DELAYED));
        }
        let Some(set) = self.set() else { return Err(Refused(ARGUMENT)) };
        match (set, self.quoted) {
            (Set::Quoted, true) if value.contains('"') || (kind == Kind::Line && value.contains('%')) => {
                Err(Refused(QUOTED))
            }
            (Set::Quoted, true) => Ok(value.replace('%', "%%")),
            (Set::Bare, false) => Ok(escaped(value, kind)),
            _ => Err(Refused(ARGUMENT)),
        }
    }

    /// Whether the value of a variable follows, of which a part may be there already.
    fn set(&self) -> Option<Set> {
        let text = self.text.trim_start_matches([' ', '\t', '@', '\r', ',', ';', '=']);
        let argument = text.get(..3).filter(|word| word.eq_ignore_ascii_case("set")).map(|_| &text[3..])?;
        let argument = argument.strip_prefix([' ', '\t'])?.trim_start_matches([' ', '\t']);
        let (set, assignment) = match argument.strip_prefix('"') {
            Some(assignment) => (Set::Quoted, assignment),
            None => (Set::Bare, argument),
        };
        // Options ask a question or calculate; a second quote is read differently by `set` and by `cmd`.
        let plain = !assignment.starts_with('/') && !assignment.contains(['"', '<', '>']);
        (plain && assignment.find('=').is_some_and(|at| at > 0)).then_some(set)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Set {
    Bare,
    Quoted,
}

#[cfg(test)]
#[path = "cmd_tests.rs"]
mod tests;
