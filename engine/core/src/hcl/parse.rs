//! Tokens to the tree: bodies, attributes, blocks. A mistake costs the item that it stands in, no more: parsing goes on
//! after it, so that one run tells all that is wrong.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::lex::{Kind, Token, lex, lex_template};
use super::syntax::{Attribute, Block, Body, Expr, ExprKind, Label};
use super::value::normal;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{SourceFile, Span};

mod expr;
mod template;
#[cfg(test)]
mod tests;

/// Nesting beyond this is a mistake or an attack; the stack holds it easily.
const MAX_DEPTH: usize = 100;
/// How deep the tree of one expression may be: chains of operators and attributes lean to the left, so that parentheses
/// around chains could make a small text deeper than any stack.
const MAX_HEIGHT: usize = 300;
/// After so many errors of syntax the rest says nothing new.
const MAX_ERRORS: usize = 500;
const LINE_BREAK_IN_TEXT: &str = "hcl/line-break-in-text";

/// Parses a file. The body is as good as can be said where there are errors.
pub fn parse_file(file: &Arc<SourceFile>) -> (Body, Diagnostics) {
    let mut parser = Parser { whole_file: true, ..Parser::new(file, lex(file.text())) };
    let body = parser.body(Kind::End);
    parser.tell_line_breaks();
    (body, parser.found.sorted())
}

/// Parses one expression that is the whole text.
pub fn parse_expression(file: &Arc<SourceFile>) -> (Expr, Diagnostics) {
    let mut parser = Parser::new(file, lex(file.text()));
    parser.newlines.push(false);
    let expr = parser.expression();
    let next = parser.peek();
    if next.kind != Kind::End && !parser.found.has_errors() {
        let span = parser.span(next);
        parser
            .error("hcl/extra-characters", "there is more text after the expression", &span)
            .help("give one expression only; put a text that is meant as it is in double quotes");
    }
    (expr, parser.found.sorted())
}

/// Parses a text as a template: literal text with interpolations and directives.
pub fn parse_template(file: &Arc<SourceFile>) -> (Expr, Diagnostics) {
    let mut parser = Parser::new(file, lex_template(file.text()));
    let span = Span::new(file, 0..file.text().len());
    let expr = parser.template(Kind::End, span, false);
    (expr, parser.found.sorted())
}

/// Collects further facts about an error that is in the list already.
struct Told<'a>(&'a mut Diagnostics);

impl Told<'_> {
    fn help(self, help: impl Into<String>) -> Self {
        self.0.amend_last(|d| d.help = Some(help.into()));
        self
    }

    fn detail(self, detail: impl Into<String>) -> Self {
        self.0.amend_last(|d| d.detail = detail.into());
        self
    }
}

struct Parser<'a> {
    file: &'a Arc<SourceFile>,
    tokens: Vec<Token>,
    at: usize,
    /// Whether line breaks mean something, innermost last.
    newlines: Vec<bool>,
    depth: usize,
    /// At least how deep the tree is that was read last at this level.
    height: usize,
    /// The token at which the value of the current argument begins.
    value_at: usize,
    /// In a block on one line, its brace may end an argument.
    one_line: bool,
    line_break_told: bool,
    whole_file: bool,
    /// The rest was not read, so nothing is said of what is missing in it.
    gave_up: bool,
    found: Diagnostics,
    /// Takes the errors beyond the limit.
    beyond: Diagnostics,
}

impl<'a> Parser<'a> {
    fn new(file: &'a Arc<SourceFile>, tokens: Vec<Token>) -> Self {
        Self {
            file,
            tokens,
            at: 0,
            newlines: vec![true],
            depth: 0,
            height: 0,
            value_at: 0,
            one_line: false,
            line_break_told: false,
            whole_file: false,
            gave_up: false,
            found: Diagnostics::new(),
            beyond: Diagnostics::new(),
        }
    }

    fn span(&self, token: Token) -> Span {
        Span::new(self.file, token.range())
    }

    fn text(&self, token: Token) -> &'a str {
        token.text(self.file.text())
    }

    fn error(&mut self, code: &str, summary: impl Into<String>, span: &Span) -> Told<'_> {
        let found = if self.found.len() < MAX_ERRORS { &mut self.found } else { &mut self.beyond };
        if found.len() >= MAX_ERRORS {
            *found = Diagnostics::new();
        }
        found.push(Diagnostic::error(code, summary).at(span));
        Told(found)
    }

    /// One quotation mark too few turns the rest of the file inside out. A person is told where that begins; programs
    /// are told each line that is in a text now.
    fn tell_line_breaks(&mut self) {
        let tokens = std::mem::take(&mut self.tokens);
        let in_text = |d: &&Diagnostic| d.code == LINE_BREAK_IN_TEXT;
        let told: HashSet<usize> = self
            .found
            .iter()
            .filter(in_text)
            .filter_map(|d| d.span.as_ref())
            .map(|s| s.range().start)
            .collect();
        for token in tokens.iter().filter(|t| t.kind == Kind::QuotedNewline) {
            if !told.contains(&token.range().start) {
                let span = self.span(*token);
                self.found.push(Diagnostic::echo(LINE_BREAK_IN_TEXT, "this line ends within a text", &span));
            }
        }
    }

    /// The index of the next token that means something here. A line comment stands for its line break.
    fn find(&self, mut at: usize) -> usize {
        let newlines = self.newlines.last().copied().unwrap_or(true);
        while let Some(token) = self.tokens.get(at) {
            match token.kind {
                Kind::Newline if !newlines => {}
                Kind::Comment if !(newlines && self.text(*token).ends_with('\n')) => {}
                _ => return at,
            }
            at += 1;
        }
        self.tokens.len() - 1
    }

    fn token(&self, at: usize) -> Token {
        let mut token = self.tokens[at];
        if token.kind == Kind::Comment {
            token.kind = Kind::Newline;
        }
        token
    }

    fn peek(&self) -> Token {
        self.token(self.find(self.at))
    }

    /// The token after the next one.
    fn peek_second(&self) -> Token {
        self.token(self.find(self.find(self.at) + 1))
    }

    fn next(&mut self) -> Token {
        let at = self.find(self.at);
        self.at = (at + 1).min(self.tokens.len());
        if self.at == self.tokens.len() {
            self.at -= 1;
        }
        self.token(at)
    }

    fn take(&mut self, kind: Kind) -> Option<Token> {
        (self.peek().kind == kind).then(|| self.next())
    }

    /// The end of what was read last.
    fn last_span(&self) -> Span {
        let token = self.tokens[self.at.saturating_sub(1).min(self.tokens.len() - 1)];
        self.span(token)
    }

    fn with_newlines<T>(&mut self, newlines: bool, f: impl FnOnce(&mut Self) -> T) -> T {
        self.newlines.push(newlines);
        let result = f(self);
        self.newlines.pop();
        result
    }

    /// What a token is, for messages.
    fn describe(&self, token: Token) -> String {
        match token.kind {
            Kind::End if self.whole_file => "the end of the file".to_owned(),
            Kind::End => "the end of the text".to_owned(),
            Kind::Newline | Kind::QuotedNewline => "the end of the line".to_owned(),
            Kind::OpenQuote | Kind::CloseQuote => "a quotation mark".to_owned(),
            Kind::OpenHeredoc => "a heredoc".to_owned(),
            _ => format!("`{}`", self.text(token).trim().chars().take(20).collect::<String>()),
        }
    }

    fn body(&mut self, end: Kind) -> Body {
        let start = self.peek();
        let mut attributes: Vec<Attribute> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut blocks = Vec::new();
        loop {
            let next = self.peek();
            self.value_at = self.at;
            match next.kind {
                Kind::Newline => {
                    self.next();
                }
                Kind::Ident => match self.item() {
                    Some(Item::Attribute(attribute)) => {
                        match places.get(&attribute.name).map(|at| &attributes[*at]) {
                            Some(first) => {
                                self.found.push(
                                    Diagnostic::error(
                                        "hcl/duplicate-argument",
                                        format!("the argument \"{}\" is set twice", attribute.name),
                                    )
                                    .at(&attribute.name_span)
                                    .related(&first.name_span, "first set here")
                                    .help("remove one of the two"),
                                );
                            }
                            None => {
                                places.insert(attribute.name.clone(), attributes.len());
                                attributes.push(attribute);
                            }
                        }
                    }
                    Some(Item::Block(block)) => blocks.push(block),
                    None => self.recover(),
                },
                kind if kind == end || kind == Kind::End => break,
                _ => {
                    self.unexpected_item(next);
                    self.next();
                    self.recover();
                }
            }
        }
        let span = self.span(start).to(&self.span(self.peek()));
        Body { attributes, blocks, span }
    }

    fn unexpected_item(&mut self, token: Token) {
        let span = self.span(token);
        match token.kind {
            Kind::OpenQuote => {
                self.error("hcl/quoted-name", "the name of an argument must not be in quotes", &span)
                    .help("write it without the quotation marks");
            }
            Kind::CloseBrace => {
                self.error("hcl/extra-brace", "this brace closes nothing", &span)
                    .help("remove it, or look for a block above that is closed too early");
            }
            Kind::Invalid => self.invalid_token(token),
            _ => {
                let what = self.describe(token);
                self.error("hcl/item-expected", "an argument or a block is expected here", &span)
                    .detail(format!("here is {what}"))
                    .help("write `name = value`, or `type \"label\" { … }`");
            }
        }
    }

    fn invalid_token(&mut self, token: Token) {
        let span = self.span(token);
        let text = self.text(token);
        match text.chars().next() {
            Some('\'') => self
                .error("hcl/single-quote", "single quotes don't mark a text", &span)
                .help("use double quotes: \"…\""),
            Some('/') if text.starts_with("/*") => {
                self.error("hcl/open-comment", "this comment has no end", &span).help("close it with */")
            }
            Some('`') => self
                .error("hcl/backquote", "backquotes mean nothing here", &span)
                .help("use double quotes, or <<EOF … EOF for a text of several lines"),
            Some(';') => self
                .error("hcl/semicolon", "there are no semicolons in HCL", &span)
                .help("put each argument on a line of its own"),
            Some(c) => {
                let summary = match c {
                    '“' | '”' | '„' => "typographic quotation marks don't mark a text".to_owned(),
                    '&' | '|' => format!("`{c}` alone is no operator"),
                    c => format!("the character {c:?} means nothing here"),
                };
                let help = match c {
                    '“' | '”' | '„' => "use plain double quotes: \"…\"".to_owned(),
                    '&' | '|' => format!("write `{c}{c}`"),
                    _ => "remove it, or put the text in double quotes".to_owned(),
                };
                self.error("hcl/invalid-character", summary, &span).help(help)
            }
            None => self.error("hcl/invalid-character", "this means nothing here", &span),
        };
    }

    /// Goes to the end: what is left can't be told apart.
    fn give_up(&mut self) {
        self.gave_up = true;
        self.at = self.tokens.len() - 1;
    }

    /// Brackets that the current value opened on this line and that are open still.
    fn open_on_line(&self) -> usize {
        let mut open = 0_usize;
        for token in self.tokens.get(self.value_at..self.at).unwrap_or_default() {
            match token.kind {
                Kind::Newline | Kind::Comment => open = 0,
                Kind::OpenBrace | Kind::OpenBracket | Kind::OpenParen => open += 1,
                Kind::CloseBrace | Kind::CloseBracket | Kind::CloseParen => open = open.saturating_sub(1),
                _ => {}
            }
        }
        open
    }

    /// Skips the rest of a broken item: to the line break that is outside of all brackets it opened.
    fn recover(&mut self) {
        let mut before = self.open_on_line();
        let mut open = 0_usize;
        self.newlines.truncate(1);
        let last = self.tokens.get(self.at.saturating_sub(1)).map(|t| t.kind);
        if self.at > 0 && matches!(last, Some(Kind::Newline)) {
            return;
        }
        loop {
            let token = self.peek();
            match token.kind {
                Kind::End => return,
                Kind::Newline if open == 0 => {
                    self.next();
                    return;
                }
                Kind::OpenBrace
                | Kind::OpenBracket
                | Kind::OpenParen
                | Kind::Interpolation
                | Kind::Directive
                | Kind::OpenHeredoc => open += 1,
                Kind::CloseBrace | Kind::CloseBracket | Kind::CloseParen if open == 0 && before > 0 => {
                    before -= 1;
                }
                Kind::CloseBrace if open == 0 => return,
                Kind::CloseBrace
                | Kind::CloseBracket
                | Kind::CloseParen
                | Kind::SequenceEnd
                | Kind::CloseHeredoc => open = open.saturating_sub(1),
                _ => {}
            }
            self.next();
        }
    }

    fn item(&mut self) -> Option<Item> {
        let name = self.next();
        let next = self.peek();
        match next.kind {
            Kind::Equal => self.attribute(name).map(Item::Attribute),
            Kind::OpenQuote | Kind::OpenBrace | Kind::Ident => self.block(name).map(Item::Block),
            Kind::Newline if self.peek_second().kind == Kind::OpenBrace => self.block(name).map(Item::Block),
            _ => {
                let span = self.span(name).to(&self.span(next));
                let (word, what) = (self.text(name), self.describe(next));
                self.error(
                    "hcl/item-incomplete",
                    format!("\"{word}\" is neither an argument nor a block"),
                    &span,
                )
                .detail(format!("after it comes {what}"))
                .help(format!("write `{word} = value`, or `{word} {{ … }}`"));
                None
            }
        }
    }

    fn attribute(&mut self, name: Token) -> Option<Attribute> {
        self.next();
        self.value_at = self.at;
        let before = self.found.len();
        let expr = self.expression();
        let attribute = Attribute { name: self.text(name).to_owned(), name_span: self.span(name), expr };
        if self.found.len() > before && matches!(attribute.expr.kind, ExprKind::Invalid) {
            self.recover();
            return Some(attribute);
        }
        self.end_of_item("an argument", attribute)
    }

    /// An item ends with its line; one-line blocks look at their only argument themselves.
    fn end_of_item<T>(&mut self, what: &str, item: T) -> Option<T> {
        let next = self.peek();
        match next.kind {
            Kind::Newline => {
                self.next();
                Some(item)
            }
            Kind::End => Some(item),
            Kind::CloseBrace if self.one_line => Some(item),
            _ => {
                if next.kind == Kind::Invalid {
                    self.invalid_token(next);
                } else {
                    let (span, found) = (self.span(next), self.describe(next));
                    self.error("hcl/line-break-expected", format!("{what} must end with its line"), &span)
                        .detail(format!("here is {found}"))
                        .help("put what follows on a line of its own; a list needs brackets and commas");
                }
                self.recover();
                Some(item)
            }
        }
    }

    fn block(&mut self, kind: Token) -> Option<Block> {
        let kind_span = self.span(kind);
        let word = self.text(kind).to_owned();
        let mut labels = Vec::new();
        loop {
            let next = self.peek();
            match next.kind {
                Kind::OpenBrace => break,
                Kind::Ident => {
                    self.next();
                    labels.push(Label { text: self.text(next).to_owned(), span: self.span(next) });
                }
                Kind::OpenQuote => labels.push(self.label()?),
                Kind::Equal => {
                    let span = self.span(next);
                    self.error("hcl/block-with-equals", "a block has no equals sign", &span)
                        .help(format!("write `{word} … {{` without it"));
                    return None;
                }
                Kind::Newline if self.peek_second().kind == Kind::OpenBrace => {
                    self.next();
                    let span = self.span(self.peek());
                    self.error(
                        "hcl/block-expected",
                        format!("the brace of the block \"{word}\" must stand on the line of its type"),
                        &span,
                    )
                    .help("move it to the end of the line above");
                }
                _ => {
                    let (span, found) = (self.span(next), self.describe(next));
                    self.error(
                        "hcl/block-expected",
                        format!("the block \"{word}\" has no opening brace"),
                        &span,
                    )
                    .detail(format!("here is {found}"))
                    .help(format!(
                        "write `{word} = …` if an argument is meant, else add the brace on this line"
                    ));
                    return None;
                }
            }
        }
        let open = self.next();
        if self.depth >= MAX_DEPTH {
            self.error(
                "hcl/too-deep",
                format!("blocks are nested more than {MAX_DEPTH} levels deep"),
                &kind_span,
            )
            .help("no template needs that; look for braces that are not closed");
            self.give_up();
            return None;
        }
        self.depth += 1;
        let body = self.block_body(open);
        self.depth -= 1;
        let block = Block { kind: word, kind_span, labels, body };
        if self.gave_up {
            return Some(block);
        }
        if self.peek().kind != Kind::CloseBrace {
            let span = block.header();
            // A text or an expression without an end took the brace away, and that has been told.
            let told = |d: &Diagnostic| d.code == "hcl/unclosed-text" || d.code == "hcl/too-deep";
            if self.line_break_told || self.found.iter().any(told) {
                let summary = format!("the block \"{}\" is not closed", block.kind);
                self.found.push(Diagnostic::echo("hcl/unclosed-block", &summary, &span));
                return Some(block);
            }
            self.error("hcl/unclosed-block", format!("the block \"{}\" is not closed", block.kind), &span)
                .detail("the file ends before its closing brace")
                .help("add the missing }, or look for a brace too few in a block inside of it");
            return Some(block);
        }
        self.next();
        self.end_of_item("a block", block)
    }

    /// What stands between the braces: lines, or one argument on the same line.
    fn block_body(&mut self, open: Token) -> Body {
        let on_line = self.peek();
        if matches!(on_line.kind, Kind::Newline | Kind::End | Kind::CloseBrace) {
            let mut body = self.body(Kind::CloseBrace);
            body.span = self.span(open).to(&body.span);
            return body;
        }
        let start = self.span(open);
        let mut body = Body { attributes: Vec::new(), blocks: Vec::new(), span: start.clone() };
        if on_line.kind != Kind::Ident {
            self.unexpected_item(on_line);
        } else if self.peek_second().kind == Kind::Equal {
            let name = self.next();
            self.next();
            let expr = self.expression();
            body.attributes.push(Attribute {
                name: self.text(name).to_owned(),
                name_span: self.span(name),
                expr,
            });
            if self.peek().kind == Kind::CloseBrace {
                body.span = start.to(&self.span(self.peek()));
                return body;
            }
        }
        let next = self.peek();
        let span = self.span(next);
        if on_line.kind == Kind::Ident {
            self.error("hcl/single-line-block", "a block on one line holds one argument and no block", &span)
                .help("write each argument on a line of its own");
        }
        // The rest is read as if it stood on lines, to find its end.
        let outer = std::mem::replace(&mut self.one_line, true);
        let rest = self.body(Kind::CloseBrace);
        self.one_line = outer;
        body.attributes.extend(rest.attributes);
        body.blocks.extend(rest.blocks);
        body.span = start.to(&rest.span);
        body
    }

    /// A label in quotes: a text without interpolations.
    fn label(&mut self) -> Option<Label> {
        let open = self.next();
        let mut text = String::new();
        loop {
            let token = self.next();
            match token.kind {
                Kind::CloseQuote => {
                    let span = self.span(open).to(&self.span(token));
                    return Some(Label { text: normal(&text), span });
                }
                Kind::QuotedLit => text.push_str(&self.unescape(token)),
                Kind::Interpolation | Kind::Directive => {
                    let span = self.span(token);
                    self.error("hcl/label-interpolation", "the labels of a block can't be computed", &span)
                        .help("write the label as it is; ${ is written $${");
                    return None;
                }
                _ => {
                    let span = self.span(open);
                    self.error("hcl/unclosed-text", "this label has no closing quotation mark", &span)
                        .help("close it on the same line");
                    return None;
                }
            }
        }
    }
}

enum Item {
    Attribute(Attribute),
    Block(Block),
}
