//! HCL2 as it is written by the engine itself: blocks, attributes and values, and their canonical form. One element
//! a line in objects.

use std::fmt::Write as _;

use super::format::format;
use super::lex::is_identifier;

/// What stands in a file or in the body of a block.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Attribute(String, Value),
    Block {
        kind: String,
        labels: Vec<String>,
        body: Vec<Item>,
    },
    /// A text of one or more lines.
    Comment(String),
    Blank,
    /// A line as it is.
    Line(String),
    /// Items that belong together.
    Group(Vec<Item>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An expression as it is.
    Code(String),
    Template(Vec<Piece>),
    List(Vec<Value>),
    /// Keys as they are written.
    Object(Vec<(String, Value)>),
}

/// A part of a template string.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    Text(String),
    /// An expression, without `${` and `}`.
    Code(String),
}

impl Item {
    /// A text of one or more lines.
    pub fn comment(text: &str) -> Item {
        Item::Comment(text.to_owned())
    }

    /// A block with its labels.
    pub fn block(kind: &str, labels: &[&str], body: Vec<Item>) -> Item {
        Item::Block { kind: kind.to_owned(), labels: labels.iter().map(|l| (*l).to_owned()).collect(), body }
    }

    /// `name = value`.
    pub fn attribute(name: &str, value: Value) -> Item {
        Item::Attribute(name.to_owned(), value)
    }

    /// The labels of a block or of the block of a group; nothing for what has none.
    pub fn labels(&self) -> &[String] {
        match self {
            Item::Block { labels, .. } => labels,
            Item::Group(items) => items.last().map(Item::labels).unwrap_or_default(),
            _ => &[],
        }
    }
}

impl Value {
    /// A text without expressions.
    pub fn literal(text: &str) -> Value {
        Value::Template(vec![Piece::Text(text.to_owned())])
    }

    fn is_single_line(&self) -> bool {
        match self {
            Value::Code(_) | Value::Template(_) => true,
            Value::List(items) => items.iter().all(Value::is_single_line),
            Value::Object(members) => members.is_empty(),
        }
    }
}

/// The text of a file, as `fmt` has it.
pub fn print(items: &[Item]) -> String {
    let mut out = String::new();
    body(&mut out, items);
    format(&out)
}

fn body(out: &mut String, items: &[Item]) {
    for item in items {
        match item {
            Item::Attribute(name, value) => {
                let _ = write!(out, "{name} = ");
                print_value(out, value);
                out.push('\n');
            }
            Item::Block { kind, labels, body: inner } => {
                out.push_str(kind);
                for label in labels {
                    let _ = write!(out, " {}", quote(&[Piece::Text(label.clone())]));
                }
                out.push_str(" {\n");
                body(out, inner);
                out.push_str("}\n");
            }
            Item::Comment(text) => {
                for line in text.lines() {
                    let line: String = line.chars().filter(|c| !c.is_control()).collect();
                    let _ = writeln!(out, "{}", format!("# {line}").trim_end());
                }
            }
            Item::Blank => out.push('\n'),
            Item::Line(line) => {
                let _ = writeln!(out, "{line}");
            }
            Item::Group(inner) => body(out, inner),
        }
    }
}

fn print_value(out: &mut String, value: &Value) {
    match value {
        Value::Code(code) => out.push_str(code),
        Value::Template(pieces) => out.push_str(&quote(pieces)),
        Value::Object(members) if members.is_empty() => out.push_str("{}"),
        Value::Object(members) => {
            let items: Vec<Item> = members.iter().map(|(k, v)| Item::attribute(k, v.clone())).collect();
            out.push_str("{\n");
            body(out, &items);
            out.push('}');
        }
        Value::List(items) => {
            // What fits in a line stands in one.
            let (open, between, close) =
                if value.is_single_line() { ("[", ", ", "]") } else { ("[\n", ",\n", ",\n]") };
            out.push_str(open);
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { between } else { "" });
                print_value(out, item);
            }
            out.push_str(close);
        }
    }
}

/// A template string in its quotes.
pub fn quote(pieces: &[Piece]) -> String {
    let mut out = String::from("\"");
    for (i, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Code(code) => {
                let _ = write!(out, "${{{code}}}");
            }
            Piece::Text(text) => {
                let before_code = matches!(pieces.get(i + 1), Some(Piece::Code(_)));
                escape(&mut out, text, before_code);
            }
        }
    }
    out.push('"');
    out
}

/// Two signs mean themselves where a single one would begin an expression. Where one more of the same sign stands
/// before them the pairs would be read differently, so that one is written as an expression.
fn escape(out: &mut String, text: &str, before_code: bool) {
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '$' | '%' if rest.peek() == Some(&'{') => out.extend([c, c]),
            '$' | '%' => {
                let mut ahead = rest.clone();
                while ahead.next_if_eq(&c).is_some() {}
                let opens = match ahead.next() {
                    Some(next) => next == '{',
                    None => before_code && c == '$',
                };
                match opens {
                    true => out.push_str(&format!("${{\"{c}\"}}")),
                    false => out.push(c),
                }
            }
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control()
                || (c.is_whitespace() && c != ' ')
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}') =>
            {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

/// The text as a name of HCL2, every other sign an underscore.
pub fn identifier(text: &str) -> String {
    let mut out: String =
        text.trim().chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).collect();
    if !is_identifier(&out) {
        out.insert(0, '_');
    }
    out
}
