//! Bodies with the names that are known in them: `dynamic` blocks expanded, attributes evaluated, nested blocks turned
//! into objects, as components get them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{check_arguments, unknown_block};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::hcl::functions::Host;
use crate::hcl::syntax::{Block, Body, Expr, ExprKind, Label, ObjectKey};
use crate::hcl::{Allow, Scope, Type, Val, convert, evaluate};
use crate::secret::Secret;
use crate::source::Span;
use crate::value::{Member, Node, Text, Value};

/// A block and the iterators that it was made with.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) kind: String,
    pub(super) kind_span: Span,
    pub(super) header: Span,
    pub(super) labels: Vec<Label>,
    /// Shared by all builds that the block belongs to.
    pub(super) body: Arc<Body>,
    pub(super) names: BTreeMap<String, Val>,
}

impl Bound {
    pub(super) fn new(block: &Block) -> Self {
        Self {
            kind: block.kind.clone(),
            kind_span: block.kind_span.clone(),
            header: block.header(),
            labels: block.labels.clone(),
            body: Arc::new(block.body.clone()),
            names: BTreeMap::new(),
        }
    }
}

/// Blocks that one build or one configuration may make of `dynamic` ones.
const MAX_BLOCKS: usize = 10_000;
/// Values that one configuration may hold, by [`Val::weight`].
const MAX_VALUES: usize = 1 << 18;

/// What may still be made: `dynamic` blocks in `dynamic` blocks multiply.
pub(super) struct Budget {
    blocks: usize,
    values: usize,
    told: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self { blocks: MAX_BLOCKS, values: MAX_VALUES, told: false }
    }
}

impl Budget {
    /// False, and told once, if there would be too many.
    fn take(&mut self, blocks: usize, values: usize, span: &Span, found: &mut Diagnostics) -> bool {
        let left = self.blocks.checked_sub(blocks).zip(self.values.checked_sub(values));
        if let Some((blocks, values)) = left.filter(|_| !self.told) {
            (self.blocks, self.values) = (blocks, values);
            return true;
        }
        if !std::mem::replace(&mut self.told, true) {
            let limit = match self.blocks < blocks {
                true => format!("{MAX_BLOCKS} blocks"),
                false => format!("{MAX_VALUES} values"),
            };
            found.push(
                Diagnostic::error("template/dynamic", format!("this makes more than {limit}"))
                    .at(span)
                    .help("go through a shorter list, or give the list to one block as an argument"),
            );
        }
        false
    }
}

/// The blocks of a body, `dynamic` ones expanded. None where it is not known yet how many there are.
pub(super) fn blocks(
    body: &Body,
    scope: &Scope<'_>,
    host: &dyn Host,
    found: &mut Diagnostics,
    budget: &mut Budget,
) -> Vec<Bound> {
    let mut out = Vec::new();
    for block in &body.blocks {
        if block.kind == "dynamic" {
            dynamic(block, scope, host, found, budget, &mut out);
        } else {
            out.push(Bound::new(block));
        }
    }
    out
}

fn eval(expr: &Expr, scope: &Scope<'_>, host: &dyn Host, found: &mut Diagnostics) -> Val {
    let (value, more) = evaluate(expr, scope, Allow::ALL, host);
    found.extend(more);
    value
}

fn dynamic(
    block: &Block,
    scope: &Scope<'_>,
    host: &dyn Host,
    found: &mut Diagnostics,
    budget: &mut Budget,
    out: &mut Vec<Bound>,
) {
    if !super::check_labels(block, &["type"], found) {
        return;
    }
    let label = &block.labels[0];
    check_arguments(&block.body, &["for_each", "iterator", "labels"], "a \"dynamic\" block", found);
    for inner in block.body.blocks.iter().filter(|b| b.kind != "content") {
        found.push(unknown_block(inner, ["content"], "a \"dynamic\" block"));
    }
    let content = block.body.blocks.iter().find(|b| b.kind == "content");
    let (Some(each), Some(content)) = (block.body.attribute("for_each"), content) else {
        found.push(
            Diagnostic::error(
                "template/dynamic",
                "a dynamic block needs \"for_each\" and a \"content\" block",
            )
            .at(&block.header())
            .help("write for_each = […] and content { … }"),
        );
        return;
    };
    let iterator = match block.body.attribute("iterator") {
        None => label.text.clone(),
        Some(attribute) => match attribute.expr.keyword() {
            Some(name) => name.to_owned(),
            None => {
                found.push(
                    Diagnostic::error("template/dynamic", "the iterator is a name without quotes")
                        .at(&attribute.expr.span)
                        .help("write for instance iterator = disk, and disk.value in the content"),
                );
                return;
            }
        },
    };
    let value = eval(&each.expr, scope, host, found);
    let entries = match value.entries() {
        Some(entries) => entries,
        None => {
            if value.is_known() {
                found.push(
                    Diagnostic::error("template/dynamic", "for_each takes a list, a set, a map or an object")
                        .at(&each.expr.span)
                        .help(match value.is_null() {
                            true => "write [] where no block is wanted",
                            false => "write a list such as [\"a\", \"b\"], or make one of a text with split",
                        }),
                );
            }
            return;
        }
    };
    if !budget.take(entries.len(), value.weight(), &each.expr.span, found) {
        return;
    }
    let body = Arc::new(content.body.clone());
    for (key, value) in entries {
        let names = BTreeMap::from([(iterator.clone(), Val::object([("key", key), ("value", value)]))]);
        let mut labels = Vec::new();
        if let Some(attribute) = block.body.attribute("labels") {
            let list = eval(&attribute.expr, &Scope::over(&names, scope), host, found);
            let list = convert(list, &Type::list(Type::String)).unwrap_or(Val::DYNAMIC);
            match list.items() {
                Some(items) => labels.extend(items.iter().filter_map(Val::as_str)),
                None => found.push(
                    Diagnostic::error("template/dynamic", "the labels are a list of texts")
                        .at(&attribute.expr.span),
                ),
            }
        }
        out.push(Bound {
            kind: label.text.clone(),
            kind_span: block.header(),
            header: block.header(),
            labels: labels.into_iter().map(|text| Label { text, span: block.header() }).collect(),
            body: body.clone(),
            names,
        });
    }
}

/// Arguments and blocks of a body as an object. Arguments that are null count as not given.
pub(super) fn members(
    bound: &Bound,
    skip: &[&str],
    scope: &Scope<'_>,
    host: &dyn Host,
    found: &mut Diagnostics,
    budget: &mut Budget,
    depth: usize,
) -> Vec<Member> {
    let scope = &Scope::over(&bound.names, scope);
    let mut out: Vec<Member> = Vec::new();
    for attribute in bound.body.attributes.iter().filter(|a| !skip.contains(&a.name.as_str())) {
        let value = eval(&attribute.expr, scope, host, found);
        if !value.is_null() && budget.take(0, value.weight(), &attribute.expr.span, found) {
            out.push(Member {
                key: attribute.name.clone(),
                key_span: attribute.name_span.clone(),
                value: node(&value, Some(&attribute.expr), &attribute.expr.span),
            });
        }
    }
    // The parser bounds the depth of blocks; content of dynamic ones counts again.
    if depth > 100 {
        return out;
    }
    for inner in blocks(&bound.body, scope, host, found, budget) {
        let value = Node::new(
            Value::Object(members(&inner, &[], scope, host, found, budget, depth + 1)),
            inner.header.clone(),
        );
        match out.iter_mut().find(|m| m.key == inner.kind) {
            // A block that stands more than once is a list.
            Some(Member { value: Node { value: Value::Array(items), .. }, .. }) => items.push(value),
            Some(member) => {
                let first =
                    std::mem::replace(&mut member.value, Node::new(Value::Null, inner.header.clone()));
                member.value = Node::new(Value::Array(vec![first, value]), inner.header.clone());
            }
            None => out.push(Member { key: inner.kind, key_span: inner.kind_span, value }),
        }
    }
    out
}

/// A value as a component gets it. Its parts know their places as far as they are written in the expression.
pub(super) fn node(value: &Val, expr: Option<&Expr>, span: &Span) -> Node {
    let expr = expr.map(|mut e| {
        while let ExprKind::Paren(inner) = &e.kind {
            e = inner;
        }
        e
    });
    let items = match expr.map(|e| &e.kind) {
        Some(ExprKind::Tuple(items)) => items.as_slice(),
        _ => &[],
    };
    let pairs = match expr.map(|e| &e.kind) {
        Some(ExprKind::Object(pairs)) => pairs.as_slice(),
        _ => &[],
    };
    // Of keys that are written twice the last one counts.
    let written: BTreeMap<String, usize> = pairs
        .iter()
        .enumerate()
        .filter_map(|(at, (key, _))| match key {
            ObjectKey::Name(name, _) => Some((name.clone(), at)),
            ObjectKey::Expr(expr) => expr.literal_text().map(|text| (text, at)),
        })
        .collect();
    let place = |e: Option<&Expr>| e.map_or_else(|| span.clone(), |e| e.span.clone());
    let value = match value {
        Val::Null(_) => Value::Null,
        Val::Unknown(_) => Value::Unknown,
        // A number has no place for a mark: as a text it has, and components take both.
        Val::Bool { value, sensitive: true } => secret(&value.to_string()),
        Val::Number { value, sensitive: true } => secret(&value.to_string()),
        Val::Bool { value, .. } => Value::Bool(*value),
        Val::Number { value, .. } => match value.to_i64() {
            Some(whole) => Value::Number(whole.into()),
            None => match serde_json::Number::from_f64(value.to_f64()) {
                Some(number) => Value::Number(number),
                None => Value::String(Text::plain(value.to_string())),
            },
        },
        Val::String(text) => Value::String(text.clone()),
        Val::List(_, list) | Val::Set(_, list) | Val::Tuple(list) => Value::Array(
            list.iter()
                .enumerate()
                .map(|(i, item)| {
                    let expr = items.get(i).filter(|_| items.len() == list.len());
                    node(item, expr, &place(expr))
                })
                .collect(),
        ),
        Val::Map(_, fields) | Val::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(key, item)| {
                    let pair = written.get(key).map(|at| &pairs[*at]);
                    let expr = pair.map(|(_, value)| value);
                    Member {
                        key: key.clone(),
                        key_span: pair.map_or_else(|| span.clone(), |(key, _)| key.span().clone()),
                        value: node(item, expr, &place(expr)),
                    }
                })
                .collect(),
        ),
    };
    Node::new(value, place(expr))
}

fn secret(text: &str) -> Value {
    Value::String(Text::secret(Secret::new(text)))
}
