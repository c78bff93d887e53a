//! Evaluation of expressions. A mistake gives a finding and a value that is not known, so that evaluation goes on and
//! no finding follows from another. Values that are not known yet pass through every operation; sensitivity does too.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::convert::{convert, text, unify};
use super::functions::Host;
use super::number::Number;
use super::scope::Scope;
use super::syntax::{Binary, Expr, ExprKind, For, ObjectKey, TemplatePart, Unary};
use super::types::Type;
use super::value::{Val, equal, normal};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::source::Span;
use crate::value::Text;

mod access;
mod call;
#[cfg(test)]
mod tests;

/// Text that one evaluation may make, in bytes: directives that nest loops could fill any memory.
const MAX_TEXT: usize = 64 << 20;
/// Items that one evaluation may make.
const MAX_ITEMS: usize = 1 << 20;

/// What one evaluation may copy of values that it refers to, by [`Val::weight`]: locals made of locals double with each.
const MAX_COPIED: usize = 1 << 23;

/// Findings of one evaluation after which its loops end: what is wrong with each of a million items is known by then.
const MAX_FINDINGS: usize = 100;

/// What an expression may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allow {
    /// Refer to variables at all; a place that has none says so.
    pub variables: bool,
    pub functions: bool,
    /// Read the environment with `env`.
    pub env: bool,
    pub template_files: bool,
}

impl Allow {
    pub const ALL: Allow = Allow { variables: true, functions: true, env: false, template_files: true };
    /// Literals only, as in variable files.
    pub const NOTHING: Allow =
        Allow { variables: false, functions: false, env: false, template_files: false };
    /// Functions and the environment, but no variables, as in the defaults of variables.
    pub const DEFAULTS: Allow = Allow { variables: false, functions: true, env: true, template_files: true };
}

/// Evaluates an expression.
pub fn evaluate(expr: &Expr, scope: &Scope<'_>, allow: Allow, host: &dyn Host) -> (Val, Diagnostics) {
    let mut evaluator = Evaluator::new(allow, host);
    let value = evaluator.eval(expr, scope);
    (value, evaluator.found)
}

struct Evaluator<'h> {
    allow: Allow,
    host: &'h dyn Host,
    found: Diagnostics,
    items: usize,
    copied: usize,
}

impl<'h> Evaluator<'h> {
    fn new(allow: Allow, host: &'h dyn Host) -> Self {
        Self { allow, host, found: Diagnostics::new(), items: 0, copied: 0 }
    }

    /// Told, and not known.
    fn wrong(&mut self, finding: Diagnostic) -> Val {
        self.found.push(finding);
        Val::DYNAMIC
    }

    /// Counts what is made; false once it is too much.
    fn count(&mut self, items: usize, span: &Span) -> bool {
        self.items += items;
        self.items <= MAX_ITEMS || self.too_large(span, format!("this makes more than {MAX_ITEMS} values"))
    }

    /// Told once; false.
    fn too_large(&mut self, span: &Span, summary: String) -> bool {
        if !self.found.iter().any(|d| d.code == "hcl/too-large") {
            self.wrong(
                Diagnostic::error("hcl/too-large", summary)
                    .at(span)
                    .help("look for a list that contains another one again and again"),
            );
        }
        false
    }

    /// Whether a loop goes on to its next item.
    fn goes_on(&self) -> bool {
        self.found.len() < MAX_FINDINGS
    }

    /// A value of its own, within what may be copied.
    fn copy(&mut self, value: &Val, span: &Span) -> Val {
        self.copied += value.weight();
        let fits = self.copied <= MAX_COPIED
            || self.too_large(span, format!("this copies more than {MAX_COPIED} values"));
        if fits { value.clone() } else { Val::DYNAMIC }
    }

    fn eval(&mut self, expr: &Expr, scope: &Scope<'_>) -> Val {
        match &expr.kind {
            ExprKind::Literal(value) => value.clone(),
            ExprKind::Template(parts) => self.template(parts, scope, &expr.span),
            ExprKind::TemplateWrap(inner) | ExprKind::Paren(inner) => self.eval(inner, scope),
            ExprKind::Variable(_)
            | ExprKind::Attribute { .. }
            | ExprKind::Index { .. }
            | ExprKind::SplatItem => match self.reach(expr, scope) {
                Cow::Borrowed(value) => self.copy(value, &expr.span),
                Cow::Owned(value) => value,
            },
            ExprKind::Splat { of, each } => self.splat(of, each, scope),
            ExprKind::Call { name, name_span, args, expand } => {
                self.call(name, name_span, args, *expand, scope, &expr.span)
            }
            ExprKind::Tuple(items) => {
                if !self.count(items.len(), &expr.span) {
                    return Val::DYNAMIC;
                }
                Val::Tuple(items.iter().map(|item| self.eval(item, scope)).collect())
            }
            ExprKind::Object(items) => self.object(items, scope),
            ExprKind::For(f) => self.for_expression(f, scope, &expr.span),
            ExprKind::Unary(operator, operand) => self.unary(*operator, operand, scope),
            ExprKind::Binary(operator, a, b) => self.binary(*operator, a, b, scope, &expr.span),
            ExprKind::Conditional(condition, then, otherwise) => {
                self.conditional(condition, then, otherwise, scope, &expr.span)
            }
            ExprKind::Invalid => Val::DYNAMIC,
        }
    }

    fn template(&mut self, parts: &[TemplatePart], scope: &Scope<'_>, span: &Span) -> Val {
        let mut out = Text::default();
        let mut length = 0;
        let known = self.parts(parts, scope, &mut out, &mut length, span);
        if !known {
            return Val::Unknown(Type::String);
        }
        match out.is_sensitive() {
            true => Val::String(out),
            false => Val::string(out.expose()),
        }
    }

    /// Appends the text of the parts; false if some of it is not known.
    fn parts(
        &mut self,
        parts: &[TemplatePart],
        scope: &Scope<'_>,
        out: &mut Text,
        length: &mut usize,
        span: &Span,
    ) -> bool {
        let mut known = true;
        for part in parts {
            match part {
                TemplatePart::Literal(literal) => {
                    out.push_str(literal);
                    *length += literal.len();
                }
                TemplatePart::Interpolation(expr) => {
                    let value = self.eval(expr, scope);
                    match self.piece(&value, &expr.span) {
                        Some(piece) => {
                            *length += piece.expose().len();
                            out.push_text(&piece);
                        }
                        None => known = false,
                    }
                }
                TemplatePart::If { condition, then, otherwise } => match self.condition(condition, scope) {
                    Some((value, _)) => {
                        let chosen = if value { then } else { otherwise };
                        known &= self.parts(chosen, scope, out, length, span);
                    }
                    None => known = false,
                },
                TemplatePart::For { key, value, collection, body } => {
                    let Some(entries) = self.entries(collection, scope) else {
                        known = false;
                        continue;
                    };
                    if !self.count(entries.len(), &collection.span) {
                        return false;
                    }
                    for (k, v) in entries {
                        if !self.goes_on() {
                            return false;
                        }
                        let names = bind(key.as_deref(), value, k, v);
                        known &= self.parts(body, &Scope::over(&names, scope), out, length, span);
                    }
                }
            }
            if *length > MAX_TEXT {
                self.wrong(Diagnostic::error("hcl/too-large", "this text is larger than 64 MiB").at(span));
                return false;
            }
        }
        known
    }

    fn piece(&mut self, value: &Val, span: &Span) -> Option<Text> {
        if let Some(piece) = text(value) {
            return Some(piece);
        }
        match value {
            Val::Unknown(ty) if *ty == Type::Dynamic || ty.is_primitive() => {}
            Val::Null(_) => {
                self.wrong(
                    Diagnostic::error("hcl/null-in-text", "null can't be part of a text")
                        .at(span)
                        .help("give the value a default, for instance with coalesce(…, \"\")"),
                );
            }
            other => {
                self.wrong(
                    Diagnostic::error(
                        "hcl/not-a-text",
                        "only texts, numbers and booleans can be part of a text",
                    )
                    .at(span)
                    .detail(format!("this is of type {}", other.ty().friendly()))
                    .help("turn it into a text, for instance with join or jsonencode"),
                );
            }
        }
        None
    }

    fn object(&mut self, items: &[(ObjectKey, Expr)], scope: &Scope<'_>) -> Val {
        let mut fields = BTreeMap::new();
        let mut known = true;
        if let Some((key, _)) = items.first()
            && !self.count(items.len(), key.span())
        {
            return Val::DYNAMIC;
        }
        for (key, value) in items {
            let value = self.eval(value, scope);
            match key {
                ObjectKey::Name(name, _) => {
                    fields.insert(normal(name), value);
                }
                ObjectKey::Expr(expr) => {
                    let key = self.eval(expr, scope);
                    match self.key(&key, &expr.span) {
                        Some(key) => {
                            fields.insert(key, value);
                        }
                        None => known = false,
                    }
                }
            }
        }
        if known { Val::Object(fields) } else { Val::DYNAMIC }
    }

    /// The key of an object as a text; none, and told where it is a mistake.
    fn key(&mut self, key: &Val, span: &Span) -> Option<String> {
        match text(key) {
            Some(text) if text.is_sensitive() => {
                self.wrong(
                    Diagnostic::error("template/secret-key", "a sensitive value can't be a key")
                        .at(span)
                        .detail("keys are shown in messages and can't be masked there")
                        .help("use a value that is not sensitive as the key"),
                );
                None
            }
            Some(text) => Some(text.expose()),
            None => {
                if key.is_known() {
                    self.wrong(
                        Diagnostic::error("hcl/object-key", "the key of an object must be a text")
                            .at(span)
                            .detail(format!("this is {}", describe(key))),
                    );
                }
                None
            }
        }
    }

    fn entries(&mut self, collection: &Expr, scope: &Scope<'_>) -> Option<Vec<(Val, Val)>> {
        let value = self.eval(collection, scope);
        if let Some(entries) = value.entries() {
            return Some(entries);
        }
        match &value {
            Val::Unknown(ty) if *ty == Type::Dynamic || !ty.is_primitive() => {}
            other => {
                self.wrong(
                    Diagnostic::error("hcl/not-iterable", "this can't be gone through item by item")
                        .at(&collection.span)
                        .detail(format!("here is {}", describe(other)))
                        .help("give a list, a set, a map or an object"),
                );
            }
        }
        None
    }

    fn for_expression(&mut self, f: &For, scope: &Scope<'_>, span: &Span) -> Val {
        let Some(entries) = self.entries(&f.collection, scope) else { return Val::DYNAMIC };
        if !self.count(entries.len(), span) {
            return Val::DYNAMIC;
        }
        let mut list = Vec::new();
        let mut fields: BTreeMap<String, Val> = BTreeMap::new();
        let mut groups: BTreeMap<String, Vec<Val>> = BTreeMap::new();
        let mut known = true;
        for (k, v) in entries {
            if !self.goes_on() {
                return Val::DYNAMIC;
            }
            let names = bind(f.key.as_deref(), &f.value, k, v);
            let inner = Scope::over(&names, scope);
            if let Some(condition) = &f.condition {
                match self.condition(condition, &inner) {
                    Some((true, _)) => {}
                    Some((false, _)) => continue,
                    None => {
                        known = false;
                        continue;
                    }
                }
            }
            let Some(result_key) = &f.result_key else {
                list.push(self.eval(&f.result, &inner));
                continue;
            };
            let key = self.eval(result_key, &inner);
            let value = self.eval(&f.result, &inner);
            let Some(key) = self.key(&key, &result_key.span) else {
                known = false;
                continue;
            };
            if f.group {
                groups.entry(key).or_default().push(value);
                continue;
            }
            match fields.entry(key) {
                Entry::Vacant(free) => {
                    free.insert(value);
                }
                Entry::Occupied(taken) => {
                    known = false;
                    let sensitive = names.values().any(Val::is_sensitive);
                    let shown = if sensitive { String::new() } else { format!(" {:?}", taken.key()) };
                    self.wrong(
                        Diagnostic::error("hcl/duplicate-key", format!("two items have the same key{shown}"))
                            .at(&result_key.span)
                            .help("make the keys different, or write `...` after the value to gather the values of equal keys in lists"),
                    );
                }
            }
        }
        if !known {
            return Val::DYNAMIC;
        }
        match (f.result_key.is_some(), f.group) {
            (true, true) => Val::Object(groups.into_iter().map(|(k, v)| (k, Val::Tuple(v))).collect()),
            (true, false) => Val::Object(fields),
            _ => Val::Tuple(list),
        }
    }

    /// A condition's value and whether it is sensitive; none if it is not known, or no condition (told).
    fn condition(&mut self, expr: &Expr, scope: &Scope<'_>) -> Option<(bool, bool)> {
        let value = self.eval(expr, scope);
        let value = self.operand(value, &Type::Bool, &expr.span, "a condition")?;
        value.as_bool().map(|b| (b, value.is_sensitive()))
    }

    /// The value as one of a primitive type; none if it is not known, or not of that type (told).
    fn operand(&mut self, value: Val, ty: &Type, span: &Span, what: &str) -> Option<Val> {
        if value.is_null() {
            self.wrong(Diagnostic::error("hcl/null-operand", format!("{what} can't be null")).at(span));
            return None;
        }
        let here = describe(&value);
        match convert(value, ty) {
            Ok(Val::Unknown(_)) => None,
            Ok(value) => Some(value),
            Err(_) => {
                self.wrong(
                    Diagnostic::error("hcl/operand", format!("{what} must be a {}", ty.friendly()))
                        .at(span)
                        .detail(format!("here is {here}")),
                );
                None
            }
        }
    }

    fn unary(&mut self, operator: Unary, operand: &Expr, scope: &Scope<'_>) -> Val {
        let value = self.eval(operand, scope);
        let ty = if operator == Unary::Not { Type::Bool } else { Type::Number };
        match self.operand(value, &ty, &operand.span, "the operand") {
            Some(Val::Bool { value, sensitive }) => Val::Bool { value: !value, sensitive },
            Some(Val::Number { value, sensitive }) => Val::Number { value: value.negate(), sensitive },
            _ => Val::Unknown(ty),
        }
    }

    fn binary(&mut self, operator: Binary, a: &Expr, b: &Expr, scope: &Scope<'_>, span: &Span) -> Val {
        let left = self.eval(a, scope);
        match operator {
            Binary::Or | Binary::And => {
                let left = self.operand(left, &Type::Bool, &a.span, "the left operand");
                let decides = operator == Binary::Or;
                // The right side is not asked where the left one decides: `x == null || x.y`.
                if let Some(Val::Bool { value, sensitive }) = &left
                    && *value == decides
                {
                    return Val::Bool { value: decides, sensitive: *sensitive };
                }
                let right = self.eval(b, scope);
                let right = self.operand(right, &Type::Bool, &b.span, "the right operand");
                match (left, right) {
                    (Some(left), Some(right)) => {
                        right.clone().mark_if(left.is_sensitive() || right.is_sensitive())
                    }
                    (None, Some(Val::Bool { value, sensitive })) if value == decides => {
                        Val::Bool { value, sensitive }
                    }
                    _ => Val::Unknown(Type::Bool),
                }
            }
            Binary::Equal | Binary::NotEqual => {
                let right = self.eval(b, scope);
                let sensitive = left.is_sensitive() || right.is_sensitive();
                match equal(&left, &right) {
                    Some(same) => Val::bool(same == (operator == Binary::Equal)).mark_if(sensitive),
                    None => Val::Unknown(Type::Bool),
                }
            }
            _ => {
                let right = self.eval(b, scope);
                let left = self.operand(left, &Type::Number, &a.span, "the left operand");
                let right = self.operand(right, &Type::Number, &b.span, "the right operand");
                let compares = matches!(
                    operator,
                    Binary::Less | Binary::LessEqual | Binary::Greater | Binary::GreaterEqual
                );
                let (Some(left), Some(right)) = (left, right) else {
                    return Val::Unknown(if compares { Type::Bool } else { Type::Number });
                };
                let sensitive = left.is_sensitive() || right.is_sensitive();
                let (Some(x), Some(y)) = (left.as_number(), right.as_number()) else { return Val::DYNAMIC };
                match arithmetic(operator, x, y) {
                    Some(value) => value.mark_if(sensitive),
                    None => self.wrong(
                        Diagnostic::error(
                            "hcl/arithmetic",
                            format!("`{}` has no result here", operator.sign()),
                        )
                        .at(span)
                        .help("look for a division by zero"),
                    ),
                }
            }
        }
    }

    fn conditional(
        &mut self,
        condition: &Expr,
        then: &Expr,
        otherwise: &Expr,
        scope: &Scope<'_>,
        span: &Span,
    ) -> Val {
        let chosen = self.condition(condition, scope);
        // Both sides are evaluated, because the type is the one they have in common; only the chosen one may fail.
        let side = |this: &mut Self, expr: &Expr, matters: bool| {
            let before = std::mem::take(&mut this.found);
            let value = this.eval(expr, scope);
            let mine = std::mem::replace(&mut this.found, before);
            if matters {
                this.found.extend(mine);
            }
            value
        };
        let yes = side(self, then, chosen.is_none_or(|(c, _)| c));
        let no = side(self, otherwise, chosen.is_none_or(|(c, _)| !c));
        let Some(ty) = unify(&[yes.ty(), no.ty()]) else {
            return self.wrong(
                Diagnostic::error(
                    "hcl/conditional-types",
                    "the two results of this conditional are of different types",
                )
                .at(span)
                .detail(format!("one is {}, the other {}", yes.ty().friendly(), no.ty().friendly()))
                .help("make both of one type, for instance by quoting a number"),
            );
        };
        match chosen {
            Some((c, sensitive)) => {
                let value = if c { yes } else { no };
                convert(value.clone(), &ty).unwrap_or(value).mark_if(sensitive)
            }
            None => Val::Unknown(ty),
        }
    }
}

/// The names that one round of a loop sees.
fn bind(key: Option<&str>, value: &str, k: Val, v: Val) -> BTreeMap<String, Val> {
    let mut names = BTreeMap::from([(value.to_owned(), v)]);
    if let Some(key) = key {
        names.insert(key.to_owned(), k);
    }
    names
}

/// None where there is no result.
fn arithmetic(operator: Binary, x: &Number, y: &Number) -> Option<Val> {
    Some(match operator {
        Binary::Add => Val::number(x.add(y)?),
        Binary::Subtract => Val::number(x.subtract(y)?),
        Binary::Multiply => Val::number(x.multiply(y)?),
        Binary::Divide => Val::number(x.divide(y)?),
        Binary::Modulo => Val::number(x.remainder(y)?),
        Binary::Less => Val::bool(x < y),
        Binary::LessEqual => Val::bool(x <= y),
        Binary::Greater => Val::bool(x > y),
        Binary::GreaterEqual => Val::bool(x >= y),
        _ => return None,
    })
}

/// A value's type with an article, for messages.
fn describe(value: &Val) -> String {
    match value {
        Val::Null(_) => "null".to_owned(),
        other => format!("a {}", other.ty().friendly()),
    }
}
