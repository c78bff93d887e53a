//! Splits a text into plain text and `{{ … }}` actions, and actions into tokens, as Go's text/template does.

use super::parse::{SyntaxError, error};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Open,
    Close,
    Pipe,
    Comma,
    Assign,
    Declare,
    Word(String),
    Field(String),
    Variable(String),
    Str(String),
    Char(i64),
    Number(String),
}

pub(super) enum Piece {
    Text(String),
    Action { at: usize, tokens: Vec<Lexed> },
}

/// A token, its place, and whether a blank stands before it.
pub(super) type Lexed = (Token, usize, bool);

pub(super) fn split(source: &str) -> Result<Vec<Piece>, SyntaxError> {
    let mut pieces = Vec::new();
    let mut at = 0;
    let mut trim_next = false;
    while at < source.len() {
        let rest = &source[at..];
        let (text, open) = match rest.find("{{") {
            Some(open) => (&rest[..open], Some(at + open)),
            None => (rest, None),
        };
        let text = if trim_next { text.trim_start() } else { text };
        let Some(open) = open else {
            pieces.push(Piece::Text(text.to_owned()));
            break;
        };
        let mut inner = open + 2;
        let trims =
            source[inner..].starts_with('-') && source[inner + 1..].starts_with([' ', '\t', '\n', '\r']);
        let text = if trims { text.trim_end() } else { text };
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        inner += usize::from(trims);
        if source[inner..].trim_start().starts_with("/*") {
            let close = source[inner..].find("*/").ok_or_else(|| error(open, "unclosed comment"))?;
            let after = inner + close + 2;
            let tail = source[after..].trim_start_matches([' ', '\t']);
            let start = source.len() - tail.len();
            trim_next = tail.starts_with("-}}");
            if !(tail.starts_with("}}") || trim_next) {
                return Err(error(open, "comment ends before closing delimiter"));
            }
            at = start + if trim_next { 3 } else { 2 };
            continue;
        }
        let (tokens, end, trim) = tokens(source, inner, open)?;
        pieces.push(Piece::Action { at: open, tokens });
        trim_next = trim;
        at = end;
    }
    Ok(pieces)
}

/// Tokens up to the closing delimiter, where it ends, and whether it trims.
type Tokens = (Vec<Lexed>, usize, bool);

fn tokens(source: &str, mut at: usize, open: usize) -> Result<Tokens, SyntaxError> {
    let mut out = Vec::new();
    let mut blank = true;
    loop {
        let rest = &source[at..];
        if rest.starts_with("}}") {
            return Ok((out, at + 2, false));
        }
        if blank && rest.starts_with("-}}") {
            return Ok((out, at + 3, true));
        }
        let Some(c) = rest.chars().next() else { return Err(error(open, "unclosed action: }} is missing")) };
        let start = at;
        let word_end = |from: usize| {
            source[from..]
                .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .map_or(source.len(), |e| from + e)
        };
        let token = match c {
            ' ' | '\t' | '\r' | '\n' => {
                at += 1;
                blank = true;
                continue;
            }
            '(' => Token::Open,
            ')' => Token::Close,
            '|' => Token::Pipe,
            ',' => Token::Comma,
            '=' => Token::Assign,
            ':' if rest.starts_with(":=") => Token::Declare,
            '"' => {
                let (text, end) = quoted(source, at, '"')?;
                at = end;
                out.push((Token::Str(text), start, blank));
                blank = false;
                continue;
            }
            '\'' => {
                let (text, end) = quoted(source, at, '\'')?;
                at = end;
                let mut chars = text.chars();
                let (Some(c), None) = (chars.next(), chars.next()) else {
                    return Err(error(
                        start,
                        "malformed character constant: a text stands in double quotes or backquotes",
                    ));
                };
                out.push((Token::Char(i64::from(u32::from(c))), start, blank));
                blank = false;
                continue;
            }
            '`' => {
                let close = source[at + 1..]
                    .find('`')
                    .ok_or_else(|| error(start, "unterminated raw quoted string"))?;
                let text = source[at + 1..at + 1 + close].to_owned();
                at += close + 2;
                out.push((Token::Str(text), start, blank));
                blank = false;
                continue;
            }
            '.' => {
                let end = word_end(at + 1);
                if source[at + 1..end].starts_with(|c: char| c.is_ascii_digit()) {
                    return Err(error(start, "bad number syntax"));
                }
                at = end;
                out.push((Token::Field(source[start + 1..end].to_owned()), start, blank));
                blank = false;
                continue;
            }
            '$' => {
                let end = word_end(at + 1);
                at = end;
                out.push((Token::Variable(source[start + 1..end].to_owned()), start, blank));
                blank = false;
                continue;
            }
            c if c.is_ascii_digit()
                || ((c == '-' || c == '+') && rest[1..].starts_with(|d: char| d.is_ascii_digit())) =>
            {
                let end = source[at + 1..]
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_'))
                    .map_or(source.len(), |e| at + 1 + e);
                at = end;
                out.push((Token::Number(source[start..end].replace('_', "")), start, blank));
                blank = false;
                continue;
            }
            c if c.is_alphabetic() || c == '_' => {
                let end = word_end(at);
                at = end;
                out.push((Token::Word(source[start..end].to_owned()), start, blank));
                blank = false;
                continue;
            }
            c => return Err(error(start, format!("unexpected {c:?} in a template action"))),
        };
        at += if matches!(token, Token::Declare) { 2 } else { 1 };
        out.push((token, start, blank));
        blank = false;
    }
}

fn quoted(source: &str, start: usize, quote: char) -> Result<(String, usize), SyntaxError> {
    let mut out = String::new();
    let mut chars = source[start + 1..].char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((out, start + 1 + i + 1)),
            '\n' => break,
            '\\' => {
                let Some((_, e)) = chars.next() else { break };
                let digits = match e {
                    'n' => {
                        out.push('\n');
                        0
                    }
                    't' => {
                        out.push('\t');
                        0
                    }
                    'r' => {
                        out.push('\r');
                        0
                    }
                    'a' => {
                        out.push('\u{7}');
                        0
                    }
                    'b' => {
                        out.push('\u{8}');
                        0
                    }
                    'f' => {
                        out.push('\u{c}');
                        0
                    }
                    'v' => {
                        out.push('\u{b}');
                        0
                    }
                    '\\' | '"' | '\'' => {
                        out.push(e);
                        0
                    }
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => return Err(error(start + 1 + i, format!("unknown escape \\{e} in a string"))),
                };
                if digits > 0 {
                    let hex: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                    let code = u32::from_str_radix(&hex, 16).ok().filter(|_| hex.len() == digits);
                    let c = code
                        .and_then(char::from_u32)
                        .ok_or_else(|| error(start + 1 + i, "bad escape in a string"))?;
                    out.push(c);
                }
            }
            c => out.push(c),
        }
    }
    Err(error(start, "unterminated quoted string"))
}
