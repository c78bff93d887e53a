//! Texts between quotes, heredocs and template files: literals, interpolations, and `%{ if }` and `%{ for }`.

use super::{LINE_BREAK_IN_TEXT, Parser};
use crate::diagnostic::Diagnostic;
use crate::hcl::lex::{Kind, Token};
use crate::hcl::syntax::{Expr, ExprKind, TemplatePart};
use crate::hcl::value::Val;
use crate::source::Span;

/// A part before directives are put together.
enum Piece {
    Literal(String),
    Interpolation(Expr),
    If(Expr, Span),
    Else(Span),
    EndIf(Span),
    For(Option<String>, String, Expr, Span),
    EndFor(Span),
}

impl Parser<'_> {
    /// The rest of a template whose opening, at `open`, is read.
    pub(super) fn template(&mut self, end: Kind, open: Span, flush: bool) -> Expr {
        let (mut pieces, closed) = self.with_newlines(true, |p| p.pieces(end, &open));
        if !closed {
            return Expr { kind: ExprKind::Invalid, span: open };
        }
        if flush {
            flush_indentation(&mut pieces);
        }
        let span = if end == Kind::End { open } else { open.to(&self.last_span()) };
        let mut pieces = pieces.into_iter().peekable();
        let mut parts = Vec::new();
        while pieces.peek().is_some() {
            match self.part(&mut pieces) {
                Some(part) => push(&mut parts, part),
                None => return Expr { kind: ExprKind::Invalid, span },
            }
        }
        let kind = match parts.as_mut_slice() {
            [] => ExprKind::Literal(Val::string("")),
            [TemplatePart::Literal(text)] => ExprKind::Literal(Val::string(text)),
            [TemplatePart::Interpolation(_)] => match parts.pop() {
                Some(TemplatePart::Interpolation(expr)) => ExprKind::TemplateWrap(Box::new(expr)),
                _ => ExprKind::Invalid,
            },
            _ => ExprKind::Template(parts),
        };
        Expr { kind, span }
    }

    /// The pieces up to the end, and whether there is an end.
    fn pieces(&mut self, end: Kind, open: &Span) -> (Vec<Piece>, bool) {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut trim_next = false;
        let mut broken = false;
        loop {
            // Comments and line breaks are text in here.
            let token = self.tokens[self.at.min(self.tokens.len() - 1)];
            if token.kind != Kind::End {
                self.at += 1;
            }
            let trim = std::mem::take(&mut trim_next);
            match token.kind {
                kind if kind == end => return (pieces, !broken),
                // What tore it open has been told.
                Kind::End if broken => {
                    self.found.push(Diagnostic::echo("hcl/unclosed-text", "this text has no end", open));
                    return (pieces, false);
                }
                Kind::End => {
                    let (at, help) = match end {
                        Kind::CloseHeredoc => (
                            self.span(token),
                            "end it with its marker on a line of its own, without anything after it"
                                .to_owned(),
                        ),
                        _ => (open.clone(), "add the closing quotation mark".to_owned()),
                    };
                    let told = self.error("hcl/unclosed-text", "this text has no end", &at).help(help);
                    if end == Kind::CloseHeredoc {
                        told.0.amend_last(|d| d.related.push((open.clone(), "it begins here".to_owned())));
                    }
                    return (pieces, false);
                }
                Kind::QuotedLit | Kind::StringLit => {
                    let text = if token.kind == Kind::QuotedLit {
                        self.unescape(token)
                    } else {
                        doubled(self.text(token))
                    };
                    let text = if trim { text.trim_start().to_owned() } else { text };
                    pieces.push(Piece::Literal(text));
                }
                Kind::QuotedNewline => {
                    broken = true;
                    if !std::mem::replace(&mut self.line_break_told, true) {
                        let span = self.span(token);
                        let summary = "a text in quotes ends on the line on which it begins";
                        self.error(LINE_BREAK_IN_TEXT, summary, &span)
                            .detail("a closing quotation mark is missing, or a line break is meant")
                            .help("close the text, write \\n for a line break, or use <<EOF … EOF");
                    }
                }
                Kind::Interpolation | Kind::Directive => {
                    if self.text(token).ends_with('~')
                        && let Some(Piece::Literal(text)) = pieces.last_mut()
                    {
                        text.truncate(text.trim_end().len());
                    }
                    let before = self.found.len();
                    let piece = self.with_newlines(false, |p| {
                        if token.kind == Kind::Directive {
                            p.directive(token)
                        } else {
                            let expr = p.expression();
                            (!matches!(expr.kind, ExprKind::Invalid)).then_some(Piece::Interpolation(expr))
                        }
                    });
                    let close = self.with_newlines(false, |p| p.peek());
                    if close.kind == Kind::SequenceEnd && piece.is_some() {
                        self.with_newlines(false, |p| p.next());
                        trim_next = self.text(close).starts_with('~');
                    } else {
                        if self.found.len() == before {
                            let (span, found) = (self.span(close), self.describe(close));
                            self.error(
                                "hcl/unclosed-interpolation",
                                "this interpolation is not closed",
                                &span,
                            )
                            .detail(format!("here is {found}"))
                            .help(
                                "close it with }; a literal ${ is written $${, a literal %{ is written %%{",
                            );
                        }
                        broken = true;
                        self.skip_sequence();
                    }
                    pieces.extend(piece);
                }
                _ => {
                    broken = true;
                }
            }
        }
    }

    /// To the end of a broken interpolation, or of the text that it stands in.
    fn skip_sequence(&mut self) {
        let mut open = 0_usize;
        while let Some(token) = self.tokens.get(self.at).copied() {
            match token.kind {
                Kind::End => return,
                Kind::CloseQuote | Kind::CloseHeredoc if open == 0 => return,
                Kind::Interpolation | Kind::Directive | Kind::OpenQuote | Kind::OpenHeredoc => open += 1,
                Kind::SequenceEnd if open == 0 => {
                    self.at += 1;
                    return;
                }
                Kind::SequenceEnd | Kind::CloseQuote | Kind::CloseHeredoc => open -= 1,
                _ => {}
            }
            self.at += 1;
        }
    }

    fn directive(&mut self, token: Token) -> Option<Piece> {
        let word = self.peek();
        let span = self.span(token).to(&self.span(word));
        let name = if word.kind == Kind::Ident { self.text(word) } else { "" };
        match name {
            "if" => {
                self.next();
                let condition = self.expression();
                (!matches!(condition.kind, ExprKind::Invalid)).then_some(Piece::If(condition, span))
            }
            "else" => {
                self.next();
                Some(Piece::Else(span))
            }
            "endif" => {
                self.next();
                Some(Piece::EndIf(span))
            }
            "for" => {
                self.next();
                let (key, value, collection) = self.for_intro()?;
                Some(Piece::For(key, value, collection, span))
            }
            "endfor" => {
                self.next();
                Some(Piece::EndFor(span))
            }
            _ => {
                let found = self.describe(word);
                self.error("hcl/directive", "after %{ comes if, else, endif, for or endfor", &span)
                    .detail(format!("here is {found}"))
                    .help("a literal %{ is written %%{");
                None
            }
        }
    }

    fn part(&mut self, pieces: &mut std::iter::Peekable<std::vec::IntoIter<Piece>>) -> Option<TemplatePart> {
        match pieces.next()? {
            Piece::Literal(text) => Some(TemplatePart::Literal(text)),
            Piece::Interpolation(expr) => Some(TemplatePart::Interpolation(expr)),
            Piece::If(condition, span) => {
                let mut then = Vec::new();
                let mut otherwise = Vec::new();
                let mut in_else = false;
                loop {
                    match pieces.peek() {
                        Some(Piece::EndIf(_)) => {
                            pieces.next();
                            return Some(TemplatePart::If { condition, then, otherwise });
                        }
                        Some(Piece::Else(_)) if !in_else => {
                            pieces.next();
                            in_else = true;
                        }
                        Some(_) => {
                            let part = self.nested(pieces)?;
                            push(if in_else { &mut otherwise } else { &mut then }, part);
                        }
                        None => return self.unended("if", &span),
                    }
                }
            }
            Piece::For(key, value, collection, span) => {
                let mut body = Vec::new();
                loop {
                    match pieces.peek() {
                        Some(Piece::EndFor(_)) => {
                            pieces.next();
                            return Some(TemplatePart::For { key, value, collection, body });
                        }
                        Some(_) => {
                            let part = self.nested(pieces)?;
                            push(&mut body, part);
                        }
                        None => return self.unended("for", &span),
                    }
                }
            }
            Piece::Else(span) => self.stray("else", "if", &span),
            Piece::EndIf(span) => self.stray("endif", "if", &span),
            Piece::EndFor(span) => self.stray("endfor", "for", &span),
        }
    }

    fn nested(
        &mut self,
        pieces: &mut std::iter::Peekable<std::vec::IntoIter<Piece>>,
    ) -> Option<TemplatePart> {
        if self.depth >= super::MAX_DEPTH {
            let span = self.last_span();
            self.error("hcl/too-deep", "directives are nested too deeply", &span);
            return None;
        }
        self.depth += 1;
        let part = self.part(pieces);
        self.depth -= 1;
        part
    }

    fn unended(&mut self, word: &str, span: &Span) -> Option<TemplatePart> {
        self.error("hcl/directive", format!("this %{{ {word} }} has no end"), span)
            .help(format!("add %{{ end{word} }} in the same text"));
        None
    }

    fn stray(&mut self, word: &str, begins: &str, span: &Span) -> Option<TemplatePart> {
        self.error("hcl/directive", format!("there is no %{{ {begins} }} that this {word} belongs to"), span)
            .help("remove it; a literal %{ is written %%{");
        None
    }

    /// The text of a piece between quotes, with escapes resolved.
    pub(super) fn unescape(&mut self, token: Token) -> String {
        let raw = self.text(token);
        let mut out = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(at) = rest.find(['\\', '$', '%']) {
            out.push_str(&rest[..at]);
            let offset = token.range().start + raw.len() - rest.len() + at;
            rest = &rest[at..];
            if !rest.starts_with('\\') {
                let (text, length) = doubled_sign(rest);
                out.push_str(text);
                rest = &rest[length..];
                continue;
            }
            let selector = rest[1..].chars().next();
            let digits = match selector {
                Some('u') => 4,
                Some('U') => 8,
                _ => 0,
            };
            let mut length = 1 + selector.map_or(0, char::len_utf8);
            let resolved = match selector {
                Some('n') => Some('\n'),
                Some('r') => Some('\r'),
                Some('t') => Some('\t'),
                Some('"') => Some('"'),
                Some('\\') => Some('\\'),
                Some('u' | 'U') => {
                    let code = rest.get(2..2 + digits).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                    let c = code.and_then(|d| u32::from_str_radix(d, 16).ok()).and_then(char::from_u32);
                    if c.is_some() {
                        length += digits;
                    }
                    c
                }
                _ => None,
            };
            match resolved {
                Some(c) => out.push(c),
                None => {
                    let span = Span::new(self.file, offset..offset + length);
                    let (summary, help) = match digits {
                        0 => {
                            let shown = rest[1..].chars().next().map(String::from).unwrap_or_default();
                            (
                                format!("\\{shown} is no escape sequence"),
                                "write \\\\ for a backslash; known are \\n, \\r, \\t, \\\", \\\\, \\uNNNN and \\UNNNNNNNN",
                            )
                        }
                        n => (
                            format!(
                                "this escape sequence needs {n} hexadecimal digits of a Unicode character"
                            ),
                            "write for instance \\u00e9",
                        ),
                    };
                    self.error("hcl/escape", summary, &span).help(help);
                }
            }
            rest = &rest[length..];
        }
        out.push_str(rest);
        out
    }
}

/// `$${` stands for `${`, `%%{` for `%{`; another sign for itself. The text and how much of the source it takes.
fn doubled_sign(rest: &str) -> (&str, usize) {
    if rest.starts_with("$${") || rest.starts_with("%%{") { (&rest[1..3], 3) } else { (&rest[..1], 1) }
}

fn doubled(text: &str) -> String {
    text.replace("$${", "${").replace("%%{", "%{")
}

/// Neighbouring literals become one.
fn push(parts: &mut Vec<TemplatePart>, part: TemplatePart) {
    match (parts.last_mut(), part) {
        (_, TemplatePart::Literal(text)) if text.is_empty() => {}
        (Some(TemplatePart::Literal(last)), TemplatePart::Literal(text)) => last.push_str(&text),
        (_, part) => parts.push(part),
    }
}

/// Takes away the indentation that all lines have in common.
fn flush_indentation(pieces: &mut [Piece]) {
    let indentation = |text: &str| text.chars().take_while(|c| c.is_whitespace() && *c != '\n').count();
    let mut least = usize::MAX;
    let mut line_start = true;
    let mut starts = Vec::new();
    for (i, piece) in pieces.iter().enumerate() {
        let text = if let Piece::Literal(text) = piece { text.as_str() } else { "" };
        if line_start {
            line_start = false;
            let blank_line = text.ends_with('\n') && text.trim().is_empty();
            if !blank_line {
                least = least.min(indentation(text));
                starts.push(i);
            }
        }
        line_start |= text.ends_with('\n');
    }
    for i in starts {
        if let Piece::Literal(text) = &mut pieces[i] {
            let cut = text.char_indices().nth(least).map_or(text.len(), |(at, _)| at);
            text.drain(..cut);
        }
    }
}
