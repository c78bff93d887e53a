//! The tree of HCL: bodies of attributes and blocks, and expressions. Every node knows where it stands. What could not
//! be parsed stays in the tree as [`ExprKind::Invalid`], so that the rest can be checked.

use super::value::Val;
use crate::source::Span;

/// Attributes and blocks of a file or a block, in the order in which they stand.
#[derive(Clone, Debug)]
pub struct Body {
    pub attributes: Vec<Attribute>,
    pub blocks: Vec<Block>,
    pub span: Span,
}

impl Body {
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|a| a.name == name)
    }
}

#[derive(Clone, Debug)]
pub struct Attribute {
    pub name: String,
    pub name_span: Span,
    pub expr: Expr,
}

impl Attribute {
    pub fn span(&self) -> Span {
        self.name_span.to(&self.expr.span)
    }
}

#[derive(Clone, Debug)]
pub struct Block {
    pub kind: String,
    pub kind_span: Span,
    pub labels: Vec<Label>,
    pub body: Body,
}

impl Block {
    /// From the type to the last label: where findings about the block as a whole point.
    pub fn header(&self) -> Span {
        self.labels.last().map_or_else(|| self.kind_span.clone(), |label| self.kind_span.to(&label.span))
    }
}

#[derive(Clone, Debug)]
pub struct Label {
    pub text: String,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A number, a text without interpolations, a boolean, or null.
    Literal(Val),
    Template(Vec<TemplatePart>),
    /// `"${x}"`: the value itself, not its text.
    TemplateWrap(Box<Expr>),
    Variable(String),
    Attribute {
        of: Box<Expr>,
        name: String,
        name_span: Span,
    },
    Index {
        of: Box<Expr>,
        key: Box<Expr>,
    },
    Splat {
        of: Box<Expr>,
        /// Applied to each item; [`ExprKind::SplatItem`] stands for it.
        each: Box<Expr>,
    },
    SplatItem,
    Call {
        name: String,
        name_span: Span,
        args: Vec<Expr>,
        /// The last argument is a list whose items are the further arguments.
        expand: bool,
    },
    Tuple(Vec<Expr>),
    Object(Vec<(ObjectKey, Expr)>),
    For(Box<For>),
    Unary(Unary, Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    Conditional(Box<Expr>, Box<Expr>, Box<Expr>),
    Paren(Box<Expr>),
    /// Told when it was parsed.
    Invalid,
}

#[derive(Clone, Debug)]
pub enum ObjectKey {
    /// A bare word.
    Name(String, Span),
    Expr(Expr),
}

impl ObjectKey {
    pub fn span(&self) -> &Span {
        match self {
            ObjectKey::Name(_, span) => span,
            ObjectKey::Expr(expr) => &expr.span,
        }
    }
}

#[derive(Clone, Debug)]
pub struct For {
    pub key: Option<String>,
    pub value: String,
    pub collection: Expr,
    /// Of an object only.
    pub result_key: Option<Expr>,
    pub result: Expr,
    /// `...`: values of equal keys are gathered in lists.
    pub group: bool,
    pub condition: Option<Expr>,
}

#[derive(Clone, Debug)]
pub enum TemplatePart {
    Literal(String),
    Interpolation(Expr),
    If { condition: Expr, then: Vec<TemplatePart>, otherwise: Vec<TemplatePart> },
    For { key: Option<String>, value: String, collection: Expr, body: Vec<TemplatePart> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    Not,
    Negate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl Binary {
    pub fn sign(self) -> &'static str {
        match self {
            Binary::Or => "||",
            Binary::And => "&&",
            Binary::Equal => "==",
            Binary::NotEqual => "!=",
            Binary::Less => "<",
            Binary::LessEqual => "<=",
            Binary::Greater => ">",
            Binary::GreaterEqual => ">=",
            Binary::Add => "+",
            Binary::Subtract => "-",
            Binary::Multiply => "*",
            Binary::Divide => "/",
            Binary::Modulo => "%",
        }
    }
}

/// A reference such as `data.http.x.body`: its root and the names after it, up to the first part that is no name.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    pub root: String,
    pub names: Vec<String>,
    pub span: Span,
}

impl Expr {
    /// The text of a literal without interpolations.
    pub fn literal_text(&self) -> Option<String> {
        match &self.kind {
            ExprKind::Literal(value) => value.as_str(),
            ExprKind::Paren(inner) => inner.literal_text(),
            _ => None,
        }
    }

    /// The bare word that the expression is.
    pub fn keyword(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Variable(name) => Some(name),
            _ => None,
        }
    }

    /// Gives the expression and all of its parts another place.
    pub(crate) fn move_to(&mut self, span: &Span) {
        self.span = span.clone();
        match &mut self.kind {
            ExprKind::Literal(_) | ExprKind::Variable(_) | ExprKind::SplatItem | ExprKind::Invalid => {}
            ExprKind::Template(parts) => move_parts(parts, span),
            ExprKind::TemplateWrap(inner) | ExprKind::Paren(inner) | ExprKind::Unary(_, inner) => {
                inner.move_to(span);
            }
            ExprKind::Attribute { of, name_span, .. } => {
                *name_span = span.clone();
                of.move_to(span);
            }
            ExprKind::Index { of, key } => {
                of.move_to(span);
                key.move_to(span);
            }
            ExprKind::Splat { of, each } => {
                of.move_to(span);
                each.move_to(span);
            }
            ExprKind::Call { name_span, args, .. } => {
                *name_span = span.clone();
                args.iter_mut().for_each(|a| a.move_to(span));
            }
            ExprKind::Tuple(items) => items.iter_mut().for_each(|i| i.move_to(span)),
            ExprKind::Object(items) => {
                for (key, value) in items {
                    match key {
                        ObjectKey::Name(_, at) => *at = span.clone(),
                        ObjectKey::Expr(expr) => expr.move_to(span),
                    }
                    value.move_to(span);
                }
            }
            ExprKind::For(f) => {
                f.collection.move_to(span);
                f.result_key.iter_mut().chain(&mut f.condition).for_each(|e| e.move_to(span));
                f.result.move_to(span);
            }
            ExprKind::Binary(_, a, b) => {
                a.move_to(span);
                b.move_to(span);
            }
            ExprKind::Conditional(a, b, c) => [a, b, c].into_iter().for_each(|e| e.move_to(span)),
        }
    }

    /// The references in the expression, iterators of `for` left out.
    pub fn references(&self) -> Vec<Reference> {
        let mut out = Vec::new();
        self.walk(&mut Vec::new(), &mut out);
        out
    }

    fn path(&self) -> Option<Reference> {
        match &self.kind {
            ExprKind::Variable(root) => {
                Some(Reference { root: root.clone(), names: Vec::new(), span: self.span.clone() })
            }
            ExprKind::Attribute { of, name, .. } => {
                let mut path = of.path()?;
                path.names.push(name.clone());
                path.span = self.span.clone();
                Some(path)
            }
            ExprKind::Index { of, key } => {
                let mut path = of.path()?;
                if let Some(name) = key.literal_text() {
                    path.names.push(name);
                    path.span = self.span.clone();
                }
                Some(path)
            }
            _ => None,
        }
    }

    fn walk(&self, bound: &mut Vec<String>, out: &mut Vec<Reference>) {
        if let Some(path) = self.path()
            && !bound.contains(&path.root)
        {
            out.push(path);
        }
        match &self.kind {
            ExprKind::Literal(_) | ExprKind::Variable(_) | ExprKind::SplatItem | ExprKind::Invalid => {}
            ExprKind::Template(parts) => walk_parts(parts, bound, out),
            ExprKind::TemplateWrap(inner) | ExprKind::Paren(inner) | ExprKind::Unary(_, inner) => {
                inner.walk(bound, out);
            }
            // A path has been told as a whole.
            ExprKind::Attribute { of, .. } => {
                if of.path().is_none() {
                    of.walk(bound, out);
                }
            }
            ExprKind::Index { of, key } => {
                if of.path().is_none() {
                    of.walk(bound, out);
                }
                key.walk(bound, out);
            }
            ExprKind::Splat { of, each } => {
                of.walk(bound, out);
                each.walk(bound, out);
            }
            ExprKind::Call { args, .. } | ExprKind::Tuple(args) => {
                args.iter().for_each(|a| a.walk(bound, out))
            }
            ExprKind::Object(items) => {
                for (key, value) in items {
                    if let ObjectKey::Expr(key) = key {
                        key.walk(bound, out);
                    }
                    value.walk(bound, out);
                }
            }
            ExprKind::For(f) => {
                f.collection.walk(bound, out);
                let depth = bound.len();
                bound.extend(f.key.iter().cloned());
                bound.push(f.value.clone());
                f.result_key.iter().chain([&f.result]).chain(&f.condition).for_each(|e| e.walk(bound, out));
                bound.truncate(depth);
            }
            ExprKind::Binary(_, a, b) => {
                a.walk(bound, out);
                b.walk(bound, out);
            }
            ExprKind::Conditional(a, b, c) => [a, b, c].into_iter().for_each(|e| e.walk(bound, out)),
        }
    }
}

fn move_parts(parts: &mut [TemplatePart], span: &Span) {
    for part in parts {
        match part {
            TemplatePart::Literal(_) => {}
            TemplatePart::Interpolation(expr) => expr.move_to(span),
            TemplatePart::If { condition, then, otherwise } => {
                condition.move_to(span);
                move_parts(then, span);
                move_parts(otherwise, span);
            }
            TemplatePart::For { collection, body, .. } => {
                collection.move_to(span);
                move_parts(body, span);
            }
        }
    }
}

fn walk_parts(parts: &[TemplatePart], bound: &mut Vec<String>, out: &mut Vec<Reference>) {
    for part in parts {
        match part {
            TemplatePart::Literal(_) => {}
            TemplatePart::Interpolation(expr) => expr.walk(bound, out),
            TemplatePart::If { condition, then, otherwise } => {
                condition.walk(bound, out);
                walk_parts(then, bound, out);
                walk_parts(otherwise, bound, out);
            }
            TemplatePart::For { key, value, collection, body } => {
                collection.walk(bound, out);
                let depth = bound.len();
                bound.extend(key.iter().cloned());
                bound.push(value.clone());
                walk_parts(body, bound, out);
                bound.truncate(depth);
            }
        }
    }
}
