//! Reads JSON into values that know their places. Goes on after an error where the rest still means something, and
//! says exactly where and what is wrong.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{SourceFile, Span};
use crate::value::{Member, Node, Text, Value};

/// Deeper nesting than any template has; protects the stack.
const MAX_DEPTH: usize = 128;

/// The document, or none if it is so broken that nothing can be said about the rest.
pub fn parse(file: &Arc<SourceFile>) -> (Option<Node>, Diagnostics) {
    let mut reader = Reader { file, text: file.text(), at: 0, found: Diagnostics::new() };
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
    found: Diagnostics,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Node, Broken> {
        self.blank();
        if self.at == self.text.len() {
            return Err(self.error(
                self.at..self.at,
                "the template is empty",
                "write at least {\"builders\": [...]}",
            ));
        }
        let node = self.value(0)?;
        self.blank();
        if self.at < self.text.len() {
            let at = self.at;
            return Err(self.error(
                at..self.char_end(at),
                "there is more text after the end of the document",
                "remove it, or check whether a bracket above closes too early",
            ));
        }
        Ok(node)
    }

    fn value(&mut self, depth: usize) -> Result<Node, Broken> {
        if depth > MAX_DEPTH {
            return Err(self.error(
                self.at..self.at + 1,
                &format!("values are nested more than {MAX_DEPTH} levels deep"),
                "flatten the template",
            ));
        }
        let start = self.at;
        match self.peek() {
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            Some('"') => {
                let text = self.string()?;
                Ok(Node::new(Value::String(Text::plain(text)), self.span(start..self.at)))
            }
            Some('-' | '0'..='9') => self.number(),
            Some(c) if c.is_ascii_alphabetic() => self.word(),
            Some('\'') => {
                Err(self.error(start..start + 1, "JSON strings stand in double quotes", "replace ' by \""))
            }
            Some('/' | '#') => Err(self.error(
                start..start + 1,
                "JSON has no comments",
                "use a root level key that begins with an underscore, such as \"_comment\": \"...\"",
            )),
            Some(c) => Err(self.error(
                start..self.char_end(start),
                &format!("a value is expected here, not {c:?}"),
                if matches!(c, ',' | ']' | '}') {
                    "remove the extra comma, or put a value in its place"
                } else {
                    "write a string, number, list or object"
                },
            )),
            None => Err(self.error(
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
        self.blank();
        if self.eat('}') {
            return Ok(Node::new(Value::Object(members), self.span(start..self.at)));
        }
        loop {
            self.blank();
            let key_start = self.at;
            match self.peek() {
                Some('"') => {}
                Some('}') => {
                    return Err(self.error(
                        key_start..key_start + 1,
                        "a comma stands before the end of the object",
                        "remove the comma after the last member",
                    ));
                }
                Some(c) => {
                    let help = if c.is_alphabetic() || c == '\'' {
                        "put the key in double quotes"
                    } else {
                        "write \"key\": value"
                    };
                    return Err(self.error(
                        key_start..self.char_end(key_start),
                        "a key in double quotes is expected here",
                        help,
                    ));
                }
                None => return Err(self.unclosed(start, '{', '}')),
            }
            let key = self.string()?;
            let key_span = self.span(key_start..self.at);
            self.blank();
            if !self.eat(':') {
                let at = self.at;
                return Err(self.error(
                    at..self.char_end(at),
                    &format!("a colon is missing after the key \"{key}\""),
                    "write \"key\": value",
                ));
            }
            self.blank();
            let value = self.value(depth + 1)?;
            if let Some(first) = members.iter().find(|m| m.key == key) {
                self.found.push(
                    Diagnostic::error(
                        "json/duplicate-key",
                        format!("the key \"{key}\" stands twice in this object"),
                    )
                    .at(&key_span)
                    .related(&first.key_span, "first here")
                    .help("remove one of the two"),
                );
            } else {
                members.push(Member { key, key_span, value });
            }
            let end = self.at;
            self.blank();
            if self.eat('}') {
                return Ok(Node::new(Value::Object(members), self.span(start..self.at)));
            }
            if !self.eat(',') {
                match self.peek() {
                    None => return Err(self.unclosed(start, '{', '}')),
                    // A forgotten comma is plain enough to go on.
                    Some('"') => self.missing_comma(end),
                    Some(_) => {
                        let at = self.at;
                        return Err(self.error(
                            at..self.char_end(at),
                            "a comma or } is expected here",
                            "separate members by commas",
                        ));
                    }
                }
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Node, Broken> {
        let start = self.at;
        self.at += 1;
        let mut items = Vec::new();
        self.blank();
        if self.eat(']') {
            return Ok(Node::new(Value::Array(items), self.span(start..self.at)));
        }
        loop {
            self.blank();
            match self.peek() {
                Some(']') => {
                    return Err(self.error(
                        self.at..self.at + 1,
                        "a comma stands before the end of the list",
                        "remove the comma after the last item",
                    ));
                }
                None => return Err(self.unclosed(start, '[', ']')),
                _ => items.push(self.value(depth + 1)?),
            }
            let end = self.at;
            self.blank();
            if self.eat(']') {
                return Ok(Node::new(Value::Array(items), self.span(start..self.at)));
            }
            if !self.eat(',') {
                match self.peek() {
                    None => return Err(self.unclosed(start, '[', ']')),
                    Some('"' | '{' | '[') => self.missing_comma(end),
                    Some(_) => {
                        let at = self.at;
                        return Err(self.error(
                            at..self.char_end(at),
                            "a comma or ] is expected here",
                            "separate items by commas",
                        ));
                    }
                }
            }
        }
    }

    fn string(&mut self) -> Result<String, Broken> {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let at = self.at;
            let Some(c) = self.peek() else {
                return Err(self.error(
                    start..start + 1,
                    "this string has no end",
                    "close it with a double quote",
                ));
            };
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(out),
                '\\' => self.escape(at, &mut out)?,
                '\n' | '\r' => {
                    return Err(self.error(
                        start..at,
                        "this string does not end on its line",
                        "close it with a double quote, or write \\n for a line end",
                    ));
                }
                c if (c as u32) < 0x20 => {
                    return Err(self.error(
                        at..self.at,
                        "a control character stands in a string",
                        "write it as \\t or \\u00XX",
                    ));
                }
                c => out.push(c),
            }
        }
    }

    fn escape(&mut self, at: usize, out: &mut String) -> Result<(), Broken> {
        let c = self.peek();
        self.at += c.map_or(0, char::len_utf8);
        let plain = match c {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let high = self.hex4(at)?;
                let code = if (0xD800..0xDC00).contains(&high) && self.text[self.at..].starts_with("\\u") {
                    let rewind = self.at;
                    self.at += 2;
                    let low = self.hex4(at)?;
                    if (0xDC00..0xE000).contains(&low) {
                        0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
                    } else {
                        self.at = rewind;
                        high
                    }
                } else {
                    high
                };
                // A lone surrogate is no character; Go's reader puts the replacement character there.
                char::from_u32(code).unwrap_or('\u{fffd}')
            }
            _ => {
                return Err(self.error(
                    at..self.at,
                    "this escape is not known in JSON",
                    "known are \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX; a backslash itself is written \\\\",
                ));
            }
        };
        out.push(plain);
        Ok(())
    }

    fn hex4(&mut self, at: usize) -> Result<u32, Broken> {
        let digits = self.text.get(self.at..self.at + 4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.and_then(|d| u32::from_str_radix(d, 16).ok()) {
            Some(code) => {
                self.at += 4;
                Ok(code)
            }
            None => Err(self.error(
                at..self.at,
                "\\u needs four hexadecimal digits",
                "write for instance \\u00e4",
            )),
        }
    }

    fn number(&mut self) -> Result<Node, Broken> {
        let start = self.at;
        let rest = &self.text[start..];
        let length =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(rest.len());
        self.at += length;
        match serde_json::from_str::<serde_json::Number>(&rest[..length]) {
            Ok(number) => Ok(Node::new(Value::Number(number), self.span(start..self.at))),
            Err(_) => Err(self.error(
                start..self.at,
                &format!("{} is not a number of JSON", &rest[..length]),
                "write it like 10, -1.5 or 2e3, or put it in quotes",
            )),
        }
    }

    fn word(&mut self) -> Result<Node, Broken> {
        let start = self.at;
        let rest = &self.text[start..];
        let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        self.at += length;
        let value = match &rest[..length] {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            word => {
                let word = word.to_owned();
                return Err(self.error(
                    start..self.at,
                    &format!("{word} is no value of JSON"),
                    &format!("write \"{word}\" in quotes, or one of true, false, null"),
                ));
            }
        };
        Ok(Node::new(value, self.span(start..self.at)))
    }

    fn blank(&mut self) {
        let rest = self.text[self.at..].trim_start_matches([' ', '\t', '\n', '\r']);
        self.at = self.text.len() - rest.len();
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

    fn span(&self, range: std::ops::Range<usize>) -> Span {
        Span::new(self.file, range)
    }

    fn missing_comma(&mut self, end: usize) {
        let finding = Diagnostic::error("json/syntax", "a comma is missing here")
            .at(&self.span(end.saturating_sub(1)..end))
            .help("put a comma after this value");
        self.found.push(finding);
    }

    fn unclosed(&mut self, start: usize, open: char, close: char) -> Broken {
        self.error(
            start..start + 1,
            &format!("this {open} is never closed"),
            &format!("add the missing {close}"),
        )
    }

    fn error(&mut self, range: std::ops::Range<usize>, summary: &str, help: &str) -> Broken {
        self.found.push(Diagnostic::error("json/syntax", summary).at(&self.span(range)).help(help));
        Broken
    }
}
