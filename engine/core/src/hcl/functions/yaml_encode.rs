//! The writer of `yamlencode`: block style with an indentation of two, texts in double quotes or, with several lines,
//! as literal blocks, lines folded after 80 columns where a quoted text has a space.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::{Fault, fits};
use crate::hcl::Val;

/// Columns after which quoted texts are folded.
const WIDTH: usize = 80;
/// Bytes of a key that stands before its colon without further notice.
const MAX_KEY: usize = 128;

/// A known value as a YAML document.
pub(super) fn document(value: &Val) -> Result<String, Fault> {
    let mut writer = Writer { out: String::new() };
    writer.node(value, None, Place::Root)?;
    writer.line(0);
    Ok(writer.out)
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    /// Behind a dash, a question mark, or the colon that answers it.
    Item,
    /// Behind a key and its colon.
    Value,
}

struct Writer {
    out: String,
}

impl Writer {
    /// Goes to a column of a fresh line.
    fn line(&mut self, indent: usize) {
        if !self.out.is_empty() && !self.out.ends_with('\n') {
            self.out.push('\n');
        }
        self.out.push_str(&" ".repeat(indent));
    }

    /// `indent` is the one of the surrounding collection.
    fn node(&mut self, value: &Val, indent: Option<usize>, place: Place) -> Result<(), Fault> {
        fits(self.out.len())?;
        let inner = indent.map_or(0, |i| i + 2);
        match value {
            Val::List(_, items) | Val::Set(_, items) | Val::Tuple(items) if !items.is_empty() => {
                // The dashes of a list stand below the key that it belongs to.
                let own = if place == Place::Value { indent.unwrap_or(0) } else { inner };
                for (i, item) in items.iter().enumerate() {
                    self.begin(i == 0, own, place);
                    self.out.push('-');
                    self.node(item, Some(own), Place::Item)?;
                }
                Ok(())
            }
            Val::Map(_, fields) | Val::Object(fields) if !fields.is_empty() => {
                for (i, (key, item)) in fields.iter().enumerate() {
                    self.begin(i == 0, inner, place);
                    if key.len() <= MAX_KEY && !key.contains(is_break) {
                        self.quoted(key, None);
                        self.out.push(':');
                        self.node(item, Some(inner), Place::Value)?;
                    } else {
                        self.out.push('?');
                        self.scalar(key, inner + 2, Place::Item);
                        self.line(inner);
                        self.out.push(':');
                        self.node(item, Some(inner), Place::Item)?;
                    }
                }
                Ok(())
            }
            other => {
                // Blocks of the outermost text are indented too.
                self.leaf(other, indent.map_or(2, |i| i + 2), place)
            }
        }
    }

    /// Where an element of a block collection begins: the first one on the line of the dash before it.
    fn begin(&mut self, first: bool, indent: usize, place: Place) {
        match place {
            Place::Root if first => {}
            Place::Item if first => self.out.push(' '),
            _ => self.line(indent),
        }
    }

    fn leaf(&mut self, value: &Val, indent: usize, place: Place) -> Result<(), Fault> {
        if let Val::String(text) = value {
            self.scalar(&text.expose(), indent, place);
            return Ok(());
        }
        if place != Place::Root {
            self.out.push(' ');
        }
        match value {
            Val::Null(_) => self.out.push_str("null"),
            Val::Bool { value, .. } => self.out.push_str(if *value { "true" } else { "false" }),
            Val::Number { value, .. } => {
                let _ = write!(self.out, "{value}");
            }
            Val::Map(..) | Val::Object(_) => self.out.push_str("{}"),
            Val::List(..) | Val::Set(..) | Val::Tuple(_) => self.out.push_str("[]"),
            Val::Unknown(_) => return Err("cannot serialize unknown value as YAML".into()),
            Val::String(_) => {}
        }
        Ok(())
    }

    fn scalar(&mut self, text: &str, indent: usize, place: Place) {
        if place != Place::Root {
            self.out.push(' ');
        }
        if text.contains('\n') && allows_block(text) {
            self.literal(text, indent);
        } else {
            self.quoted(text, Some(indent));
        }
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.out.push('|');
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            self.out.push('2');
        }
        let mut last = text.chars().rev();
        match (last.next().is_some_and(is_break), last.next().is_none_or(is_break)) {
            (false, _) => self.out.push('-'),
            (true, true) => self.out.push('+'),
            (true, false) => {}
        }
        self.out.push('\n');
        let mut fresh = true;
        for c in text.chars() {
            if !is_break(c) && std::mem::take(&mut fresh) {
                self.out.push_str(&" ".repeat(indent));
            }
            self.out.push(c);
            fresh = fresh || is_break(c);
        }
    }

    /// In double quotes; folded to an indentation, if there is one.
    fn quoted(&mut self, text: &str, fold: Option<usize>) {
        let mut column = self.out.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        self.out.push('"');
        let mut before = None;
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            let inside = before.is_some() && !rest.as_str().is_empty();
            match fold {
                Some(indent) if c == ' ' && before != Some(' ') && inside && column > WIDTH => {
                    self.line(indent);
                    column = indent;
                    // A space at the beginning of a line would be lost.
                    if rest.as_str().starts_with(' ') {
                        self.out.push('\\');
                        column += 1;
                    }
                }
                _ if is_printable(c) && !is_break(c) && !matches!(c, '"' | '\\') => {
                    self.out.push(c);
                    column += 1;
                }
                _ => {
                    let shown = escape(c);
                    column += shown.len();
                    self.out.push_str(&shown);
                }
            }
            before = Some(c);
        }
        self.out.push('"');
    }
}

/// Whether a text can be a literal block: nothing in it needs an escape, and no space is at the end of a line.
fn allows_block(text: &str) -> bool {
    let mut before = None;
    for c in text.chars() {
        if !is_printable(c) || (is_break(c) && before == Some(' ')) {
            return false;
        }
        before = Some(c);
    }
    before != Some(' ')
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{fffd}') && c != '\u{feff}'
}

fn escape(c: char) -> Cow<'static, str> {
    Cow::Borrowed(match c {
        '\0' => "\\0",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\t' => "\\t",
        '\n' => "\\n",
        '\u{b}' => "\\v",
        '\u{c}' => "\\f",
        '\r' => "\\r",
        '\u{1b}' => "\\e",
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{85}' => "\\N",
        '\u{2028}' => "\\L",
        '\u{2029}' => "\\P",
        c => {
            return Cow::Owned(match u32::from(c) {
                code @ 0..=0xff => format!("\\x{code:02X}"),
                code @ 0x100..=0xffff => format!("\\u{code:04X}"),
                code => format!("\\U{code:08X}"),
            });
        }
    })
}
