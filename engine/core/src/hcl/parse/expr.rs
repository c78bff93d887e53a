//! Expressions: operators by precedence, terms, and what may follow a term.

use super::{MAX_DEPTH, MAX_HEIGHT, Parser};
use crate::hcl::lex::{Kind, Token};
use crate::hcl::number::Number;
use crate::hcl::syntax::{Binary, Expr, ExprKind, For, ObjectKey, Unary};
use crate::hcl::value::Val;
use crate::source::Span;

/// Operators in a row.
const MAX_CHAIN: usize = 250;

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Expr {
        self.deeper(Self::conditional)
    }

    fn deeper(&mut self, parse: impl FnOnce(&mut Self) -> Expr) -> Expr {
        if self.depth >= MAX_DEPTH {
            return self.too_deep();
        }
        self.depth += 1;
        let around = std::mem::take(&mut self.height);
        let expr = parse(self);
        self.height = around.max(self.height + 1);
        self.depth -= 1;
        expr
    }

    /// Counts a node above what was read last at this level; false once the tree is too deep.
    fn grow(&mut self) -> bool {
        self.height += 1;
        self.height <= MAX_HEIGHT
    }

    fn too_deep(&mut self) -> Expr {
        let span = self.span(self.peek());
        self.error("hcl/too-deep", "this expression is nested too deeply", &span)
            .detail(format!("possible are {MAX_DEPTH} levels of brackets, or {MAX_CHAIN} operators in a row"))
            .help("split the expression into locals");
        self.give_up();
        Expr { kind: ExprKind::Invalid, span }
    }

    fn conditional(&mut self) -> Expr {
        let condition = self.binary(0);
        if self.take(Kind::Question).is_none() {
            return condition;
        }
        let then = self.expression();
        if self.take(Kind::Colon).is_none() {
            let next = self.peek();
            let (span, found) = (self.span(next), self.describe(next));
            if !matches!(then.kind, ExprKind::Invalid) {
                self.error("hcl/colon-expected", "a conditional needs a value for the other case", &span)
                    .detail(format!("here is {found}"))
                    .help("write `condition ? value : other`");
            }
            return Expr { span: condition.span.to(&then.span), kind: ExprKind::Invalid };
        }
        let otherwise = self.expression();
        let span = condition.span.to(&otherwise.span);
        Expr { kind: ExprKind::Conditional(Box::new(condition), Box::new(then), Box::new(otherwise)), span }
    }

    fn binary(&mut self, level: usize) -> Expr {
        let mut left = self.unary();
        // A chain leans to the left: it is as deep as it is long.
        let mut length = 0;
        while let Some((operator, binds)) = operator(self.peek().kind).filter(|(_, binds)| *binds >= level) {
            self.next();
            length += 1;
            let right = self.deeper(|p| p.binary(binds + 1));
            if length > MAX_CHAIN || !self.grow() {
                return self.too_deep();
            }
            let span = left.span.to(&right.span);
            left = Expr { kind: ExprKind::Binary(operator, Box::new(left), Box::new(right)), span };
        }
        left
    }

    fn unary(&mut self) -> Expr {
        let token = self.peek();
        let operator = match token.kind {
            Kind::Minus => Unary::Negate,
            Kind::Not => Unary::Not,
            _ => return self.postfix(),
        };
        self.next();
        let operand = self.deeper(Self::unary);
        let span = self.span(token).to(&operand.span);
        Expr { kind: ExprKind::Unary(operator, Box::new(operand)), span }
    }

    fn postfix(&mut self) -> Expr {
        let mut expr = self.term();
        // A chain of a thousand attributes would overflow whoever walks it.
        let mut length = 0;
        loop {
            let next = self.peek();
            if !matches!(next.kind, Kind::Dot | Kind::OpenBracket) || matches!(expr.kind, ExprKind::Invalid) {
                return expr;
            }
            length += 1;
            if length > MAX_DEPTH || !self.grow() {
                return self.too_deep();
            }
            expr = match next.kind {
                Kind::Dot if self.peek_second().kind == Kind::Star => {
                    self.next();
                    self.next();
                    self.splat(expr, false)
                }
                Kind::OpenBracket if self.peek_second().kind == Kind::Star => {
                    self.next();
                    self.with_newlines(false, |p| {
                        let star = p.next();
                        if p.take(Kind::CloseBracket).is_none() {
                            let span = p.span(star);
                            p.error("hcl/splat-unclosed", "a splat ends with a bracket", &span)
                                .help("write [*]");
                        }
                    });
                    self.splat(expr, true)
                }
                Kind::Dot => self.attribute_of(expr),
                _ => self.index_of(expr),
            };
        }
    }

    /// What follows `.*` (attributes) or `[*]` (attributes and indices) is applied to each item.
    fn splat(&mut self, of: Expr, full: bool) -> Expr {
        let mut each = Expr { kind: ExprKind::SplatItem, span: of.span.clone() };
        let mut length = 0;
        loop {
            let next = self.peek();
            let splat_follows = self.peek_second().kind == Kind::Star;
            length += 1;
            let fits = length < MAX_DEPTH && self.height < MAX_HEIGHT;
            each = match next.kind {
                Kind::Dot if !splat_follows && fits => self.attribute_of(each),
                Kind::OpenBracket if full && !splat_follows && fits => self.index_of(each),
                _ => break,
            };
            self.grow();
            if matches!(each.kind, ExprKind::Invalid) {
                break;
            }
        }
        let span = of.span.to(&self.last_span());
        Expr { kind: ExprKind::Splat { of: Box::new(of), each: Box::new(each) }, span }
    }

    fn attribute_of(&mut self, of: Expr) -> Expr {
        let dot = self.next();
        let name = self.peek();
        match name.kind {
            Kind::Ident => {
                self.next();
                let span = of.span.to(&self.span(name));
                let (text, name_span) = (self.text(name).to_owned(), self.span(name));
                Expr { kind: ExprKind::Attribute { of: Box::new(of), name: text, name_span }, span }
            }
            // `list.0`, and `list.0.1`, which the lexer takes for a fraction.
            Kind::Number if self.text(name).bytes().all(|b| b.is_ascii_digit() || b == b'.') => {
                self.next();
                let name_span = self.span(name);
                let mut expr = of;
                for part in self.text(name).split('.') {
                    let value = Number::parse(part).unwrap_or_else(Number::zero);
                    let key = Expr { kind: ExprKind::Literal(Val::number(value)), span: name_span.clone() };
                    let span = expr.span.to(&name_span);
                    expr = Expr { kind: ExprKind::Index { of: Box::new(expr), key: Box::new(key) }, span };
                }
                expr
            }
            _ => {
                let (span, found) = (self.span(dot), self.describe(name));
                self.error(
                    "hcl/attribute-expected",
                    "the name of an attribute is missing after this dot",
                    &span,
                )
                .detail(format!("here is {found}"))
                .help("write for instance `.name`, or `[\"name with blanks\"]`");
                Expr { kind: ExprKind::Invalid, span }
            }
        }
    }

    fn index_of(&mut self, of: Expr) -> Expr {
        let open = self.next();
        let (key, close) = self.with_newlines(false, |p| (p.expression(), p.take(Kind::CloseBracket)));
        match close {
            Some(close) => {
                let span = of.span.to(&self.span(close));
                Expr { kind: ExprKind::Index { of: Box::new(of), key: Box::new(key) }, span }
            }
            None => self.unclosed(open, "the index", key),
        }
    }

    fn unclosed(&mut self, open: Token, what: &str, inner: Expr) -> Expr {
        let span = self.span(open);
        if !matches!(inner.kind, ExprKind::Invalid) {
            let next = self.peek();
            let found = self.describe(next);
            // An end far away says nothing: the place of interest is where it began.
            let (at, help) = match next.kind {
                Kind::End => (span.clone(), "close it"),
                _ => (self.span(next), "a comma or the closing bracket may be missing before it"),
            };
            self.error("hcl/unclosed-bracket", format!("{what} is not closed"), &at)
                .detail(format!("here is {found}"))
                .help(help);
            if next.kind == Kind::Invalid {
                self.invalid_token(next);
            }
        }
        Expr { kind: ExprKind::Invalid, span }
    }

    fn term(&mut self) -> Expr {
        let token = self.peek();
        let span = self.span(token);
        let literal = |value: Val| Expr { kind: ExprKind::Literal(value), span: span.clone() };
        match token.kind {
            Kind::Number => {
                self.next();
                match Number::parse(self.text(token)) {
                    Some(number) => literal(Val::number(number)),
                    None => {
                        self.error("hcl/number", "this number is too large or too small", &span)
                            .detail("powers of ten from -10000 to 10000 are possible");
                        Expr { kind: ExprKind::Invalid, span }
                    }
                }
            }
            Kind::Ident => {
                self.next();
                let name = self.text(token);
                if self.peek().kind == Kind::OpenParen {
                    return self.call(token);
                }
                match name {
                    "true" => literal(Val::bool(true)),
                    "false" => literal(Val::bool(false)),
                    "null" => literal(Val::NULL),
                    name => Expr { kind: ExprKind::Variable(name.to_owned()), span },
                }
            }
            Kind::OpenParen => {
                let open = self.next();
                let (inner, close) =
                    self.with_newlines(false, |p| (p.expression(), p.take(Kind::CloseParen)));
                match close {
                    Some(close) => {
                        Expr { span: span.to(&self.span(close)), kind: ExprKind::Paren(Box::new(inner)) }
                    }
                    None => self.unclosed(open, "the parenthesis", inner),
                }
            }
            Kind::OpenQuote => {
                self.next();
                self.template(Kind::CloseQuote, span, false)
            }
            Kind::OpenHeredoc => {
                self.next();
                let flush = self.text(token).starts_with("<<-");
                self.template(Kind::CloseHeredoc, span, flush)
            }
            Kind::OpenBracket => {
                self.next();
                self.with_newlines(false, |p| p.tuple(token))
            }
            Kind::OpenBrace => {
                self.next();
                self.object(token)
            }
            _ => {
                if token.kind == Kind::Invalid {
                    self.invalid_token(token);
                } else {
                    let found = self.describe(token);
                    self.error("hcl/expression-expected", "a value is missing here", &span)
                        .detail(format!("here is {found}"))
                        .help("write a value, for instance \"text\", 1, true, [\"a\", \"b\"] or var.name");
                }
                Expr { kind: ExprKind::Invalid, span }
            }
        }
    }

    fn call(&mut self, name: Token) -> Expr {
        let open = self.next();
        self.with_newlines(false, |p| {
            let mut args = Vec::new();
            let mut expand = false;
            loop {
                if let Some(close) = p.take(Kind::CloseParen) {
                    let span = p.span(name).to(&p.span(close));
                    let (text, name_span) = (p.text(name).to_owned(), p.span(name));
                    return Expr { kind: ExprKind::Call { name: text, name_span, args, expand }, span };
                }
                let arg = p.expression();
                if matches!(arg.kind, ExprKind::Invalid) {
                    return arg;
                }
                args.push(arg);
                if let Some(dots) = p.take(Kind::Ellipsis) {
                    expand = true;
                    p.take(Kind::Comma);
                    if p.peek().kind != Kind::CloseParen {
                        let span = p.span(dots);
                        p.error("hcl/expand", "only the last argument can be expanded with `...`", &span);
                        return Expr { kind: ExprKind::Invalid, span };
                    }
                } else if p.take(Kind::Comma).is_none() && p.peek().kind != Kind::CloseParen {
                    let inner = Expr { kind: ExprKind::SplatItem, span: p.span(open) };
                    return p.unclosed(open, "the list of arguments", inner);
                }
            }
        })
    }

    fn tuple(&mut self, open: Token) -> Expr {
        if self.starts_for() {
            return self.for_expression(open, Kind::CloseBracket);
        }
        let mut items = Vec::new();
        loop {
            if let Some(close) = self.take(Kind::CloseBracket) {
                return Expr { kind: ExprKind::Tuple(items), span: self.span(open).to(&self.span(close)) };
            }
            let item = self.expression();
            if matches!(item.kind, ExprKind::Invalid) {
                return item;
            }
            items.push(item);
            if self.take(Kind::Comma).is_none() && self.peek().kind != Kind::CloseBracket {
                let inner = Expr { kind: ExprKind::SplatItem, span: self.span(open) };
                return self.unclosed(open, "the list", inner);
            }
        }
    }

    fn starts_for(&self) -> bool {
        let token = self.peek();
        let second = self.peek_second().kind;
        token.kind == Kind::Ident
            && self.text(token) == "for"
            && matches!(second, Kind::Ident | Kind::OpenQuote)
    }

    fn object(&mut self, open: Token) -> Expr {
        let is_for = self.with_newlines(false, |p| p.starts_for());
        if is_for {
            return self.with_newlines(false, |p| p.for_expression(open, Kind::CloseBrace));
        }
        self.with_newlines(true, |p| {
            let mut items = Vec::new();
            loop {
                while p.take(Kind::Newline).is_some() {}
                if let Some(close) = p.take(Kind::CloseBrace) {
                    return Expr { kind: ExprKind::Object(items), span: p.span(open).to(&p.span(close)) };
                }
                let token = p.peek();
                let key = if token.kind == Kind::Ident
                    && matches!(p.peek_second().kind, Kind::Equal | Kind::Colon)
                {
                    p.next();
                    ObjectKey::Name(p.text(token).to_owned(), p.span(token))
                } else {
                    let expr = p.expression();
                    if matches!(expr.kind, ExprKind::Invalid) {
                        return expr;
                    }
                    ObjectKey::Expr(expr)
                };
                if p.take(Kind::Equal).is_none() && p.take(Kind::Colon).is_none() {
                    let next = p.peek();
                    let (span, found) = (p.span(next), p.describe(next));
                    p.error("hcl/object-item", "the value of this item is missing", &span)
                        .detail(format!("here is {found}"))
                        .help("the items of an object are written `key = value`");
                    return Expr { kind: ExprKind::Invalid, span };
                }
                let value = p.expression();
                if matches!(value.kind, ExprKind::Invalid) {
                    return value;
                }
                items.push((key, value));
                let next = p.peek();
                match next.kind {
                    Kind::Comma | Kind::Newline => {
                        p.next();
                    }
                    Kind::CloseBrace => {}
                    _ => {
                        let inner = Expr { kind: ExprKind::SplatItem, span: p.span(open) };
                        return p.unclosed(open, "the object", inner);
                    }
                }
            }
        })
    }

    /// Names and collection of `for k, v in c`, after the word itself.
    pub(super) fn for_intro(&mut self) -> Option<(Option<String>, String, Expr)> {
        let first = self.for_name()?;
        let (key, value) = match self.take(Kind::Comma) {
            Some(_) => (Some(first), self.for_name()?),
            None => (None, first),
        };
        let word = self.peek();
        if word.kind != Kind::Ident || self.text(word) != "in" {
            let (span, found) = (self.span(word), self.describe(word));
            self.error("hcl/for", "the word `in` is missing here", &span)
                .detail(format!("here is {found}"))
                .help("write `for value in list` or `for key, value in map`");
            return None;
        }
        self.next();
        let collection = self.expression();
        (!matches!(collection.kind, ExprKind::Invalid)).then_some((key, value, collection))
    }

    fn for_name(&mut self) -> Option<String> {
        let token = self.peek();
        if token.kind == Kind::Ident {
            self.next();
            return Some(self.text(token).to_owned());
        }
        let (span, found) = (self.span(token), self.describe(token));
        self.error("hcl/for", "a name is missing after `for`", &span)
            .detail(format!("here is {found}"))
            .help("write `for value in list` or `for key, value in map`");
        None
    }

    fn for_expression(&mut self, open: Token, end: Kind) -> Expr {
        self.next();
        let start: Span = self.span(open);
        let invalid = |span: Span| Expr { kind: ExprKind::Invalid, span };
        let Some((key, value, collection)) = self.for_intro() else { return invalid(start) };
        if self.take(Kind::Colon).is_none() {
            let next = self.peek();
            let (span, found) = (self.span(next), self.describe(next));
            self.error("hcl/for", "the colon before the result is missing", &span)
                .detail(format!("here is {found}"))
                .help("write `[for value in list : result]` or `{for k, v in map : key => value}`");
            return invalid(span);
        }
        let first = self.expression();
        if matches!(first.kind, ExprKind::Invalid) {
            return first;
        }
        let (mut result_key, mut result) = (None, first);
        if end == Kind::CloseBrace {
            if self.take(Kind::Arrow).is_none() {
                let span = self.span(self.peek());
                self.error("hcl/for", "a `for` in braces makes an object: its results need a key", &span)
                    .help("write `key => value`, or use brackets to make a list");
                return invalid(span);
            }
            let value = self.expression();
            if matches!(value.kind, ExprKind::Invalid) {
                return value;
            }
            result_key = Some(std::mem::replace(&mut result, value));
        } else if let Some(arrow) = self.take(Kind::Arrow) {
            let span = self.span(arrow);
            self.error("hcl/for", "a `for` in brackets makes a list: its results have no key", &span)
                .help("use braces to make an object");
            return invalid(span);
        }
        let group = match self.take(Kind::Ellipsis) {
            Some(dots) if end == Kind::CloseBracket => {
                let span = self.span(dots);
                self.error("hcl/for", "`...` gathers values by key and makes sense in an object only", &span);
                return invalid(span);
            }
            dots => dots.is_some(),
        };
        let word = self.peek();
        let condition = if word.kind == Kind::Ident && self.text(word) == "if" {
            self.next();
            Some(self.expression())
        } else {
            None
        };
        if let Some(condition) = condition.as_ref().filter(|c| matches!(c.kind, ExprKind::Invalid)) {
            return condition.clone();
        }
        match self.take(end) {
            Some(close) => {
                let span = start.to(&self.span(close));
                let inner = For { key, value, collection, result_key, result, group, condition };
                Expr { kind: ExprKind::For(Box::new(inner)), span }
            }
            None => self.unclosed(open, "the `for`", result),
        }
    }
}

/// Operators and how tightly they bind.
fn operator(kind: Kind) -> Option<(Binary, usize)> {
    Some(match kind {
        Kind::Or => (Binary::Or, 0),
        Kind::And => (Binary::And, 1),
        Kind::EqualEqual => (Binary::Equal, 2),
        Kind::NotEqual => (Binary::NotEqual, 2),
        Kind::Less => (Binary::Less, 3),
        Kind::LessEqual => (Binary::LessEqual, 3),
        Kind::Greater => (Binary::Greater, 3),
        Kind::GreaterEqual => (Binary::GreaterEqual, 3),
        Kind::Plus => (Binary::Add, 4),
        Kind::Minus => (Binary::Subtract, 4),
        Kind::Star => (Binary::Multiply, 5),
        Kind::Slash => (Binary::Divide, 5),
        Kind::Percent => (Binary::Modulo, 5),
        _ => return None,
    })
}
