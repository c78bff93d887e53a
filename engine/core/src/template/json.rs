//! Reads JSON into values that know their places. Goes on after every error whose meaning is plain (a comma too many or
//! too few, a comment, single quotes, a bad escape), so that one run shows all of them, and says exactly where and what
//! is wrong. Reading is bounded in size, depth and number of errors.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{SourceFile, Span};
use crate::value::{Member, Node, Text, Value};

mod escape;
#[cfg(test)]
mod tests;

pub(super) use escape::inside;

use escape::unescape;

/// Deeper nesting than any template has; protects the stack.
const MAX_DEPTH: usize = 128;
/// Bytes; a larger text is a mistake, and places are counted in 32 bits.
const MAX_SIZE: usize = 64 << 20;
/// After so many errors the rest says nothing new.
const MAX_ERRORS: usize = 50;

/// The document, or none if it is so broken that nothing can be said about the rest. A value that could not be read
/// where the rest could is [`Value::Unknown`].
pub fn parse(file: &Arc<SourceFile>) -> (Option<Node>, Diagnostics) {
    read(file, false)
}

/// Like [`parse`], but a key may stand more than once, and each of them is kept: in HCL's JSON form they are blocks.
pub fn parse_repeated(file: &Arc<SourceFile>) -> (Option<Node>, Diagnostics) {
    read(file, true)
}

fn read(file: &Arc<SourceFile>, repeated: bool) -> (Option<Node>, Diagnostics) {
    let mut reader = Reader { file, text: file.text(), at: 0, repeated, found: Diagnostics::new() };
    if reader.text.len() > MAX_SIZE {
        let summary = format!("the text has {} bytes; the limit is {MAX_SIZE}", reader.text.len());
        let _ = reader.fatal(0..0, &summary, "pass the path of a template");
        return (None, reader.found);
    }
    if reader.text.starts_with('\u{feff}') {
        reader.at = '\u{feff}'.len_utf8();
    }
    let node = reader.document();
    (node.ok(), reader.found)
}

/// The error is in `found` already.
struct Broken;

struct Reader<'a> {
    file: &'a Arc<SourceFile>,
    text: &'a str,
    at: usize,
    /// Keys may stand more than once.
    repeated: bool,
    found: Diagnostics,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Node, Broken> {
        self.blank()?;
        if self.at == self.text.len() {
            let at = self.at;
            return Err(self.fatal(at..at, "the text is empty", "write at least {\"builders\": [...]}"));
        }
        let node = self.value(0)?;
        self.blank()?;
        if self.at < self.text.len() {
            let at = self.at;
            self.error(
                at..self.char_end(at),
                "there is more text after the end of the document",
                "remove it, or check whether a bracket above closes too early",
            )?;
        }
        Ok(node)
    }

    fn value(&mut self, depth: usize) -> Result<Node, Broken> {
        let start = self.at;
        if depth > MAX_DEPTH {
            let summary = format!("values are nested more than {MAX_DEPTH} levels deep");
            return Err(self.fatal(start..self.char_end(start), &summary, "flatten the template"));
        }
        match self.peek() {
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            Some('"' | '\'') => {
                let text = self.string()?;
                Ok(Node::new(Value::String(Text::plain(text)), self.span(start..self.at)))
            }
            Some('-' | '+' | '.' | '0'..='9') => self.number(),
            Some(c) if c.is_alphabetic() || c == '_' => self.word(),
            Some(c) => Err(self.fatal(
                start..self.char_end(start),
                &format!("a value is expected here, not {c:?}"),
                "write a string, number, list or object",
            )),
            None => Err(self.fatal(
                start..start,
                "the text ends where a value is expected",
                "complete the template",
            )),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Node, Broken> {
        let start = self.at;
        self.at += 1;
        let mut members: Vec<Member> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        self.blank()?;
        while !self.eat('}') {
            let (key, key_span) = self.key(start)?;
            self.blank()?;
            let value = if matches!(self.peek(), Some(',' | '}')) {
                let at = self.at;
                self.error(
                    at..at + 1,
                    &format!("the key \"{key}\" has no value"),
                    "write a value, or null for none",
                )?;
                Node::new(Value::Unknown, self.span(at..at))
            } else {
                self.value(depth + 1)?
            };
            if let Some(first) = places.get(&key).filter(|_| !self.repeated) {
                let finding = Diagnostic::error(
                    "json/duplicate-key",
                    format!("the key \"{key}\" stands twice in this object"),
                )
                .at(&key_span)
                .related(&members[*first].key_span, "first here")
                .help("remove one of the two");
                self.found.push(finding);
            } else {
                places.insert(key.clone(), members.len());
                members.push(Member { key, key_span, value });
            }
            self.separator(start, '{', '}')?;
        }
        Ok(Node::new(Value::Object(members), self.span(start..self.at)))
    }

    /// A key and the colon after it.
    fn key(&mut self, open: usize) -> Result<(String, Span), Broken> {
        let start = self.at;
        let key = match self.peek() {
            Some('"' | '\'') => self.string()?,
            Some(c) if c.is_alphabetic() || c == '_' => {
                let key = self.take_word();
                self.error(start..self.at, "a key must stand in double quotes", &format!("write \"{key}\""))?;
                key
            }
            Some(']') => return Err(self.mismatch(open, '{', ']')),
            Some(_) => {
                return Err(self.fatal(
                    start..self.char_end(start),
                    "a key in double quotes is expected here",
                    "write \"key\": value",
                ));
            }
            None => return Err(self.unclosed(open, '{', '}')),
        };
        let span = self.span(start..self.at);
        self.blank()?;
        if !self.eat(':') {
            let at = self.at;
            let summary = format!("a colon is missing after the key \"{key}\"");
            match self.peek() {
                Some('=') => {
                    self.error(at..at + 1, &summary, "write : in place of =")?;
                    self.at += 1;
                }
                // Plain enough to go on; the value is told missing, or read.
                Some('"' | '{' | '[' | ',' | '}') => {
                    self.error(self.char_before(at), &summary, "put a colon between key and value")?;
                }
                _ => return Err(self.fatal(at..self.char_end(at), &summary, "write \"key\": value")),
            }
        }
        Ok((key, span))
    }

    fn array(&mut self, depth: usize) -> Result<Node, Broken> {
        let start = self.at;
        self.at += 1;
        let mut items = Vec::new();
        self.blank()?;
        while !self.eat(']') {
            match self.peek() {
                None => return Err(self.unclosed(start, '[', ']')),
                Some('}') => return Err(self.mismatch(start, '[', '}')),
                Some(_) => items.push(self.value(depth + 1)?),
            }
            self.separator(start, '[', ']')?;
        }
        Ok(Node::new(Value::Array(items), self.span(start..self.at)))
    }

    /// What stands between two items: afterwards comes an item or the end.
    fn separator(&mut self, open_at: usize, open: char, close: char) -> Result<(), Broken> {
        let end = self.at;
        self.blank()?;
        let comma = self.at;
        if self.eat(',') {
            self.blank()?;
            while self.peek() == Some(',') {
                let at = self.at;
                self.error(at..at + 1, "here is a comma too many", "remove it")?;
                self.at += 1;
                self.blank()?;
            }
            return match self.peek() {
                Some(c) if c == close => {
                    let what = if close == '}' { "object" } else { "list" };
                    self.error(
                        comma..comma + 1,
                        &format!("a comma stands before the end of the {what}"),
                        "remove the comma after the last one",
                    )
                }
                None => Err(self.unclosed(open_at, open, close)),
                _ => Ok(()),
            };
        }
        match self.peek() {
            Some(c) if c == close => Ok(()),
            None => Err(self.unclosed(open_at, open, close)),
            Some(c @ (']' | '}')) => Err(self.mismatch(open_at, open, c)),
            // A forgotten comma is plain enough to go on.
            Some(c) if matches!(c, '"' | '\'') || (close == ']' && "{[-0123456789tfn".contains(c)) => {
                self.error(self.char_before(end), "a comma is missing here", "put a comma after this value")
            }
            Some(_) => {
                let finding =
                    Diagnostic::error("json/syntax", format!("a comma or {close} is expected here"))
                        .at(&self.span(self.at..self.char_end(self.at)))
                        .related(&self.span(open_at..open_at + 1), format!("this {open} is still open"))
                        .help("separate values by commas");
                self.found.push(finding);
                Err(Broken)
            }
        }
    }

    fn string(&mut self) -> Result<String, Broken> {
        let start = self.at;
        let single = self.eat('\'');
        let quote = if single { '\'' } else { '"' };
        self.at += usize::from(!single);
        let mut out = String::new();
        loop {
            let at = self.at;
            let Some(c) = self.peek() else {
                return Err(self.fatal(
                    start..start + 1,
                    "this string has no end",
                    "close it with a double quote",
                ));
            };
            self.at += c.len_utf8();
            match c {
                c if c == quote => break,
                '\\' => match unescape(&self.text[self.at..]) {
                    Ok((c, length)) => {
                        out.push(c);
                        self.at += length;
                    }
                    Err((what, length)) => {
                        self.at += length;
                        self.error(
                            at..self.at,
                            what,
                            "known are \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX; a backslash itself is written \\\\",
                        )?;
                    }
                },
                '\n' | '\r' => {
                    return Err(self.fatal(
                        start..at,
                        "this string does not end on its line",
                        "close it with a double quote, or write \\n for a line end",
                    ));
                }
                c if (c as u32) < 0x20 => {
                    self.error(
                        at..self.at,
                        "a control character stands in a string",
                        "write it as \\t or \\u00XX",
                    )?;
                    out.push(c);
                }
                c => out.push(c),
            }
        }
        if single {
            self.error(start..self.at, "JSON strings stand in double quotes", "replace ' by \"")?;
        }
        Ok(out)
    }

    fn number(&mut self) -> Result<Node, Broken> {
        let start = self.at;
        let rest = &self.text[start..];
        let length =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-._".contains(c))).unwrap_or(rest.len());
        self.at += length;
        let value = match serde_json::from_str::<serde_json::Number>(&rest[..length]) {
            Ok(number) => Value::Number(number),
            Err(_) => {
                self.error(
                    start..self.at,
                    &format!("{} is not a number of JSON", &rest[..length]),
                    "write it like 10, -1.5 or 2e3, or put it in quotes",
                )?;
                Value::Unknown
            }
        };
        Ok(Node::new(value, self.span(start..self.at)))
    }

    fn word(&mut self) -> Result<Node, Broken> {
        let start = self.at;
        let word = self.take_word();
        let value = match word.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            word => {
                let lower = word.to_lowercase();
                let help = match lower.as_str() {
                    "true" | "false" | "null" => format!("write {lower}"),
                    "none" | "nil" => "write null".to_owned(),
                    _ => format!("write \"{word}\" in quotes, or one of true, false, null"),
                };
                self.error(start..self.at, &format!("{word} is no value of JSON"), &help)?;
                Value::Unknown
            }
        };
        Ok(Node::new(value, self.span(start..self.at)))
    }

    fn take_word(&mut self) -> String {
        let rest = &self.text[self.at..];
        let length = rest.find(|c: char| !(c.is_alphanumeric() || "_-".contains(c))).unwrap_or(rest.len());
        self.at += length;
        rest[..length].to_owned()
    }

    /// Skips blanks, and comments with an error.
    fn blank(&mut self) -> Result<(), Broken> {
        loop {
            let rest = self.text[self.at..].trim_start_matches([' ', '\t', '\n', '\r']);
            self.at = self.text.len() - rest.len();
            let length = if rest.starts_with('#') || rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                rest.find("*/").map_or(rest.len(), |end| end + 2)
            } else {
                return Ok(());
            };
            let shown = rest.find('\n').map_or(length, |line| line.min(length));
            self.error(
                self.at..self.at + shown,
                "JSON has no comments",
                "use a root level key that begins with an underscore, such as \"_comment\": \"...\"",
            )?;
            self.at += length;
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    fn char_end(&self, at: usize) -> usize {
        at + self.text[at..].chars().next().map_or(0, char::len_utf8)
    }

    /// The place of the character that ends at `at`.
    fn char_before(&self, at: usize) -> Range<usize> {
        at - self.text[..at].chars().next_back().map_or(0, char::len_utf8)..at
    }

    fn span(&self, range: Range<usize>) -> Span {
        Span::new(self.file, range)
    }

    fn unclosed(&mut self, start: usize, open: char, close: char) -> Broken {
        let summary = format!("this {open} is never closed");
        self.fatal(start..start + 1, &summary, &format!("add the missing {close}"))
    }

    fn mismatch(&mut self, start: usize, open: char, wrong: char) -> Broken {
        let close = if open == '{' { '}' } else { ']' };
        let finding = Diagnostic::error("json/syntax", format!("{wrong} can't close {open}"))
            .at(&self.span(self.at..self.at + 1))
            .related(&self.span(start..start + 1), format!("this {open} is still open"))
            .help(format!("add the missing {close} before it"));
        self.found.push(finding);
        Broken
    }

    /// An error after which nothing more can be said.
    fn fatal(&mut self, range: Range<usize>, summary: &str, help: &str) -> Broken {
        self.found.push(Diagnostic::error("json/syntax", summary).at(&self.span(range)).help(help));
        Broken
    }

    /// An error after which reading goes on.
    fn error(&mut self, range: Range<usize>, summary: &str, help: &str) -> Result<(), Broken> {
        let broken = self.fatal(range, summary, help);
        if self.found.len() < MAX_ERRORS { Ok(()) } else { Err(broken) }
    }
}
