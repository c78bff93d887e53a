//! Text to tokens. Nothing is lost: white space between tokens apart, the tokens cover the whole text, so that the
//! formatter can print them back. Never fails: what makes no token becomes one of kind [`Kind::Invalid`], and the
//! parser says what is wrong with it.

use std::ops::Range;

use unicode_ident::{is_xid_continue, is_xid_start};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    OpenBrace,
    CloseBrace,
    OpenBracket,
    CloseBracket,
    OpenParen,
    CloseParen,
    Ident,
    Number,
    /// `"` that opens, and `"` that closes.
    OpenQuote,
    CloseQuote,
    /// A piece of text between quotes, escapes not resolved.
    QuotedLit,
    /// A line break between quotes, where none may be.
    QuotedNewline,
    /// `<<EOF` or `<<-EOF` with the line break.
    OpenHeredoc,
    /// The line of the marker, without its line break.
    CloseHeredoc,
    /// A piece of text of a heredoc or of a template file; at most one line, with its line break.
    StringLit,
    /// `${` or `${~`.
    Interpolation,
    /// `%{` or `%{~`.
    Directive,
    /// `}` or `~}` that ends an interpolation or a directive.
    SequenceEnd,
    /// `#` and `//` comments include their line break.
    Comment,
    Newline,
    Star,
    Slash,
    Plus,
    Minus,
    Percent,
    Equal,
    EqualEqual,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
    Not,
    Question,
    Colon,
    DoubleColon,
    Comma,
    Dot,
    Ellipsis,
    Arrow,
    Invalid,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    start: u32,
    end: u32,
}

impl Token {
    pub fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    pub fn text<'a>(&self, source: &'a str) -> &'a str {
        &source[self.range()]
    }
}

/// The tokens of a file or an expression; the last one is [`Kind::End`]. A byte order mark at the start is skipped.
pub fn lex(source: &str) -> Vec<Token> {
    let mut lexer = Lexer::new(source, vec![Mode::Normal { braces: 0, in_template: false }]);
    if source.starts_with('\u{feff}') {
        lexer.at = '\u{feff}'.len_utf8();
    }
    lexer.run();
    lexer.tokens
}

/// The tokens of a bare template, such as a file of `templatefile`.
pub fn lex_template(source: &str) -> Vec<Token> {
    let mut lexer = Lexer::new(source, vec![Mode::Bare]);
    lexer.run();
    lexer.tokens
}

#[derive(Clone, Debug)]
enum Mode {
    Normal {
        braces: usize,
        in_template: bool,
    },
    Quoted,
    Heredoc {
        marker: Range<usize>,
        /// Whether the next literal begins a line, where alone the marker counts.
        line_start: bool,
    },
    Bare,
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    modes: Vec<Mode>,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn new(source: &'a str, modes: Vec<Mode>) -> Self {
        Self { source, at: 0, modes, tokens: Vec::with_capacity(source.len() / 4) }
    }

    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn push(&mut self, kind: Kind, length: usize) {
        let start = self.at;
        self.at += length;
        self.tokens.push(Token { kind, start: start as u32, end: self.at as u32 });
    }

    fn run(&mut self) {
        while self.at < self.source.len() {
            match self.modes.last().cloned().unwrap_or(Mode::Bare) {
                Mode::Normal { braces, in_template } => self.normal(braces, in_template),
                Mode::Quoted => self.quoted(),
                Mode::Heredoc { marker, line_start } => self.heredoc(marker, line_start),
                Mode::Bare => self.bare(),
            }
        }
        self.push(Kind::End, 0);
    }

    fn set_braces(&mut self, value: usize) {
        if let Some(Mode::Normal { braces, .. }) = self.modes.last_mut() {
            *braces = value;
        }
    }

    fn normal(&mut self, braces: usize, in_template: bool) {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let second = bytes.get(1).copied();
        let (kind, length) = match bytes[0] {
            b' ' | b'\t' => {
                self.at += bytes.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
                return;
            }
            b'\n' => (Kind::Newline, 1),
            b'\r' if second == Some(b'\n') => (Kind::Newline, 2),
            b'#' => (Kind::Comment, line_length(rest)),
            b'/' if second == Some(b'/') => (Kind::Comment, line_length(rest)),
            b'/' if second == Some(b'*') => match rest[2..].find("*/") {
                Some(end) => (Kind::Comment, end + 4),
                None => (Kind::Invalid, rest.len()),
            },
            b'{' => {
                self.set_braces(braces + 1);
                (Kind::OpenBrace, 1)
            }
            b'}' if in_template && braces == 0 => {
                self.modes.pop();
                (Kind::SequenceEnd, 1)
            }
            b'~' if in_template && braces == 0 && second == Some(b'}') => {
                self.modes.pop();
                (Kind::SequenceEnd, 2)
            }
            b'}' => {
                self.set_braces(braces.saturating_sub(1));
                (Kind::CloseBrace, 1)
            }
            b'[' => (Kind::OpenBracket, 1),
            b']' => (Kind::CloseBracket, 1),
            b'(' => (Kind::OpenParen, 1),
            b')' => (Kind::CloseParen, 1),
            b'"' => {
                self.modes.push(Mode::Quoted);
                (Kind::OpenQuote, 1)
            }
            b'<' if second == Some(b'<') && heredoc_length(rest).is_some() => {
                let (length, marker) = heredoc_length(rest).unwrap_or_default();
                let marker = self.at + marker.start..self.at + marker.end;
                self.modes.push(Mode::Heredoc { marker, line_start: true });
                (Kind::OpenHeredoc, length)
            }
            b'*' => (Kind::Star, 1),
            b'/' => (Kind::Slash, 1),
            b'+' => (Kind::Plus, 1),
            b'-' => (Kind::Minus, 1),
            b'%' => (Kind::Percent, 1),
            b'=' if second == Some(b'=') => (Kind::EqualEqual, 2),
            b'=' if second == Some(b'>') => (Kind::Arrow, 2),
            b'=' => (Kind::Equal, 1),
            b'!' if second == Some(b'=') => (Kind::NotEqual, 2),
            b'!' => (Kind::Not, 1),
            b'<' if second == Some(b'=') => (Kind::LessEqual, 2),
            b'<' => (Kind::Less, 1),
            b'>' if second == Some(b'=') => (Kind::GreaterEqual, 2),
            b'>' => (Kind::Greater, 1),
            b'&' if second == Some(b'&') => (Kind::And, 2),
            b'|' if second == Some(b'|') => (Kind::Or, 2),
            b'?' => (Kind::Question, 1),
            b':' if second == Some(b':') => (Kind::DoubleColon, 2),
            b':' => (Kind::Colon, 1),
            b',' => (Kind::Comma, 1),
            b'.' if rest.starts_with("...") => (Kind::Ellipsis, 3),
            b'.' => (Kind::Dot, 1),
            b'0'..=b'9' => (Kind::Number, number_length(bytes)),
            _ => match ident_length(rest) {
                0 => (Kind::Invalid, rest.chars().next().map_or(1, char::len_utf8)),
                length => (Kind::Ident, length),
            },
        };
        self.push(kind, length);
    }

    /// `${` or `%{` at the start of the rest, with the `~` that may follow.
    fn sequence_start(&mut self) -> bool {
        let rest = self.rest();
        let kind = match rest.as_bytes() {
            [b'$', b'{', ..] => Kind::Interpolation,
            [b'%', b'{', ..] => Kind::Directive,
            _ => return false,
        };
        let length = if rest[2..].starts_with('~') { 3 } else { 2 };
        self.push(kind, length);
        self.modes.push(Mode::Normal { braces: 0, in_template: true });
        true
    }

    fn quoted(&mut self) {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        match bytes[0] {
            b'"' => {
                self.modes.pop();
                return self.push(Kind::CloseQuote, 1);
            }
            b'\n' => return self.push(Kind::QuotedNewline, 1),
            b'\r' if bytes.get(1) == Some(&b'\n') => return self.push(Kind::QuotedNewline, 2),
            b'\r' => return self.push(Kind::QuotedNewline, 1),
            _ => {}
        }
        if self.sequence_start() {
            return;
        }
        let mut i = 0;
        while i < bytes.len() {
            match bytes[i] {
                b'"' | b'\n' | b'\r' => break,
                b'\\' if !matches!(bytes.get(i + 1), None | Some(b'\n' | b'\r')) => {
                    i += 1 + rest[i + 1..].chars().next().map_or(0, char::len_utf8);
                }
                b'$' | b'%' if bytes.get(i + 1) == Some(&b'{') => break,
                b'$' | b'%' if bytes.get(i + 1) == Some(&bytes[i]) && bytes.get(i + 2) == Some(&b'{') => {
                    i += 3
                }
                _ => i += 1,
            }
        }
        self.push(Kind::QuotedLit, i);
    }

    /// One line, or what stands before a sequence on it.
    fn literal_length(&self) -> usize {
        let bytes = self.rest().as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            match bytes[i] {
                b'\n' => return i + 1,
                b'$' | b'%' if bytes.get(i + 1) == Some(&b'{') => break,
                b'$' | b'%' if bytes.get(i + 1) == Some(&bytes[i]) && bytes.get(i + 2) == Some(&b'{') => {
                    i += 3
                }
                _ => i += 1,
            }
        }
        i
    }

    fn heredoc(&mut self, marker: Range<usize>, line_start: bool) {
        if line_start {
            // A marker that the text ends behind closes nothing: Packer wants the line break.
            let line = self.rest().split_once('\n').map(|(line, _)| line.strip_suffix('\r').unwrap_or(line));
            if let Some(line) = line.filter(|line| line.trim() == &self.source[marker]) {
                self.modes.pop();
                return self.push(Kind::CloseHeredoc, line.len());
            }
        }
        let at_sequence = matches!(self.rest().as_bytes(), [b'$' | b'%', b'{', ..]);
        if let Some(Mode::Heredoc { line_start, .. }) = self.modes.last_mut() {
            *line_start = false;
        }
        if at_sequence {
            self.sequence_start();
            return;
        }
        let length = self.literal_length();
        let ends_line = self.rest().as_bytes()[length - 1] == b'\n';
        if let Some(Mode::Heredoc { line_start, .. }) = self.modes.last_mut() {
            *line_start = ends_line;
        }
        self.push(Kind::StringLit, length);
    }

    fn bare(&mut self) {
        if !self.sequence_start() {
            let length = self.literal_length();
            self.push(Kind::StringLit, length);
        }
    }
}

/// The length of a line with its line break.
fn line_length(rest: &str) -> usize {
    rest.find('\n').map_or(rest.len(), |i| i + 1)
}

fn number_length(bytes: &[u8]) -> usize {
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut i = digits(0);
    if bytes.get(i) == Some(&b'.') && digits(i + 1) > 0 {
        i += 1 + digits(i + 1);
    }
    if matches!(bytes.get(i), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(i + 1), Some(b'+' | b'-')));
        if bytes.len() > i + 1 + sign && digits(i + 1 + sign) > 0 {
            i += 1 + sign + digits(i + 1 + sign);
        }
    }
    i
}

/// A letter or underscore, then letters, digits, underscores, hyphens and what else Unicode counts to identifiers.
fn ident_length(rest: &str) -> usize {
    let mut length = 0;
    for (i, c) in rest.char_indices() {
        let fits = if i == 0 { is_xid_start(c) || c == '_' } else { is_xid_continue(c) || c == '-' };
        if !fits {
            break;
        }
        length = i + c.len_utf8();
    }
    length
}

/// Whether a whole text is an identifier.
pub fn is_identifier(text: &str) -> bool {
    !text.is_empty() && ident_length(text) == text.len()
}

/// The length of `<<EOF` with its line break, and where the marker stands in it.
fn heredoc_length(rest: &str) -> Option<(usize, Range<usize>)> {
    let start = if rest[2..].starts_with('-') { 3 } else { 2 };
    let marker = ident_length(&rest[start..]);
    if marker == 0 {
        return None;
    }
    let end = start + marker;
    let after = &rest[end..];
    let newline = if after.starts_with("\r\n") { 2 } else { usize::from(after.starts_with('\n')) };
    (newline > 0).then_some((end + newline, start..end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Kind::*;

    fn kinds(source: &str) -> Vec<Kind> {
        lex(source).iter().map(|t| t.kind).collect()
    }

    #[test]
    fn templates_nest() {
        assert_eq!(
            kinds(r#"a = "x${ {b="}"}["b"] ~}y""#),
            [
                Ident,
                Equal,
                OpenQuote,
                QuotedLit,
                Interpolation,
                OpenBrace,
                Ident,
                Equal,
                OpenQuote,
                QuotedLit,
                CloseQuote,
                CloseBrace,
                OpenBracket,
                OpenQuote,
                QuotedLit,
                CloseQuote,
                CloseBracket,
                SequenceEnd,
                QuotedLit,
                CloseQuote,
                End
            ]
        );
    }

    #[test]
    fn heredocs_end_at_their_marker_only() {
        let source = "a = <<-EOF\n  EOF x\n  ${b}EOF\n  EOF\nc = 1\n";
        assert_eq!(
            kinds(source),
            [
                Ident,
                Equal,
                OpenHeredoc,
                StringLit,
                StringLit,
                Interpolation,
                Ident,
                SequenceEnd,
                StringLit,
                CloseHeredoc,
                Newline,
                Ident,
                Equal,
                Number,
                Newline,
                End
            ]
        );
    }

    #[test]
    fn doubled_signs_are_literal() {
        assert_eq!(kinds(r#""$${a} %%{b} $a 5%""#), [OpenQuote, QuotedLit, CloseQuote, End]);
    }

    #[test]
    fn nothing_but_blanks_is_lost() {
        for source in [
            "\u{feff}a = 1 # x\n",
            "x { y = \"unclosed\n z\" }",
            "a = <<E\nno end",
            "/* open",
            "'é' ` ; @",
            "$ ~} }",
        ] {
            let mut at = 0;
            for token in lex(source) {
                let gap = &source[at..token.range().start];
                assert!(gap.chars().all(|c| matches!(c, ' ' | '\t' | '\u{feff}')), "{source:?}: {gap:?}");
                at = token.range().end;
            }
            assert_eq!(at, source.len(), "{source:?}");
        }
    }
}
