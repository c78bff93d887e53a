//! HCL's JSON form (`*.pkr.json`): an object whose keys are the types of blocks. Texts are templates of HCL. Places are
//! those of the whole JSON value, because its text is escaped.

use std::collections::HashSet;
use std::sync::Arc;

use super::ROOT_BLOCKS;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::hcl::parse::{parse_expression, parse_template};
use crate::hcl::syntax::{Attribute, Block, Body, Expr, ExprKind, Label, ObjectKey};
use crate::hcl::{Number, Val};
use crate::source::{SourceFile, Span};
use crate::value::{Node, Value};

/// Blocks of a build and how many labels they have.
const BUILD_BLOCKS: [(&str, usize); 6] = [
    ("source", 1),
    ("provisioner", 1),
    ("error-cleanup-provisioner", 1),
    ("post-processor", 1),
    ("post-processors", 0),
    ("hcp_packer_registry", 0),
];

pub(super) fn body(file: &Arc<SourceFile>) -> (Body, Diagnostics) {
    let (node, mut found) = crate::template::json::parse_repeated(file);
    let empty = || Body { attributes: Vec::new(), blocks: Vec::new(), span: Span::new(file, 0..0) };
    let Some(node) = node else { return (empty(), found) };
    let mut reader = Reader { found: Diagnostics::new() };
    let body = reader.body(&node, Parent { kind: "", makes: "" });
    found.extend(reader.found);
    (body, found)
}

/// A value of a JSON variable file: texts are literal.
pub(super) fn literal(node: &Node) -> Val {
    match &node.value {
        Value::Null | Value::Unknown => Val::NULL,
        Value::Bool(value) => Val::bool(*value),
        Value::Number(number) => Val::number(Number::parse(&number.to_string()).unwrap_or_else(Number::zero)),
        Value::String(text) => Val::string(text.expose()),
        Value::Array(items) => Val::Tuple(items.iter().map(literal).collect()),
        Value::Object(members) => Val::object(members.iter().map(|m| (m.key.clone(), literal(&m.value)))),
    }
}

/// The block that a body belongs to.
#[derive(Clone, Copy)]
struct Parent<'a> {
    kind: &'a str,
    /// What a `dynamic` block makes; else empty.
    makes: &'a str,
}

/// Bodies in which `dynamic` is an argument like any other, because Packer expands nothing there.
const NOT_EXPANDED: [&str; 7] =
    ["", "packer", "required_plugins", "variable", "variables", "locals", "local"];

const OBJECT: &str = "an object of arguments and blocks is expected here";

struct Reader {
    found: Diagnostics,
}

impl Reader {
    /// How many labels a key has as a block in a block of the given type; none: it is an argument.
    fn labels(parent: Parent<'_>, key: &str) -> Option<usize> {
        match parent.kind {
            "dynamic" => (key == "content").then_some(0),
            kind if key == "dynamic" && !NOT_EXPANDED.contains(&kind) => Some(1),
            "" => ROOT_BLOCKS.iter().find(|(kind, _)| *kind == key).map(|(_, labels)| labels.len()),
            "build" => BUILD_BLOCKS.iter().find(|(kind, _)| *kind == key).map(|(_, labels)| *labels),
            "post-processors" => (key == "post-processor").then_some(1),
            "packer" => (key == "required_plugins").then_some(0),
            "variable" => (key == "validation").then_some(0),
            _ => None,
        }
    }

    fn body(&mut self, node: &Node, parent: Parent<'_>) -> Body {
        let mut body = Body { attributes: Vec::new(), blocks: Vec::new(), span: node.span.clone() };
        let mut seen = HashSet::new();
        match &node.value {
            Value::Object(_) => self.members(node, parent, &mut body, &mut seen),
            // A list of bodies is one body.
            Value::Array(items) => {
                items.iter().for_each(|item| self.members(item, parent, &mut body, &mut seen));
            }
            _ => self.wrong(node, OBJECT, "write {\"argument\": value}"),
        }
        body
    }

    fn wrong(&mut self, node: &Node, summary: &str, help: &str) {
        if !matches!(node.value, Value::Unknown) {
            self.found.push(
                Diagnostic::error("hcl/json", summary)
                    .at(&node.span)
                    .detail(format!("here is {}", node.kind()))
                    .help(help),
            );
        }
    }

    fn members(&mut self, node: &Node, parent: Parent<'_>, body: &mut Body, seen: &mut HashSet<String>) {
        if !matches!(node.value, Value::Object(_)) {
            return self.wrong(node, OBJECT, "write {\"argument\": value}");
        }
        for member in node.members().iter().filter(|m| m.key != "//") {
            match Self::labels(parent, &member.key) {
                Some(count) => {
                    let kind = (member.key.as_str(), &member.key_span);
                    self.blocks(kind, parent, &mut Vec::new(), count, &member.value, body);
                }
                None if !seen.insert(member.key.clone()) => {
                    let finding = Diagnostic::error(
                        "hcl/duplicate-argument",
                        format!("the argument \"{}\" is set twice", member.key),
                    )
                    .at(&member.key_span)
                    .help("remove one of the two");
                    self.found.push(match body.attribute(&member.key) {
                        Some(first) => finding.related(&first.name_span, "first set here"),
                        None => finding,
                    });
                }
                None => body.attributes.push(Attribute {
                    name: member.key.clone(),
                    name_span: member.key_span.clone(),
                    expr: match member.value.as_text() {
                        // Types and names of iterators are no texts, but JSON has no other form for them.
                        Some(text)
                            if matches!(
                                (parent.kind, member.key.as_str()),
                                ("variable", "type") | ("dynamic", "iterator")
                            ) =>
                        {
                            self.bare(&text.expose(), &member.value.span)
                        }
                        _ => self.expr(&member.value),
                    },
                }),
            }
        }
    }

    fn blocks(
        &mut self,
        kind: (&str, &Span),
        parent: Parent<'_>,
        labels: &mut Vec<Label>,
        left: usize,
        node: &Node,
        body: &mut Body,
    ) {
        if let Value::Array(items) = &node.value {
            return items.iter().for_each(|item| self.blocks(kind, parent, labels, left, item, body));
        }
        if left > 0 {
            if !matches!(node.value, Value::Object(_)) {
                let summary = format!("a label of the \"{}\" block is expected here, as a key", kind.0);
                let help = format!("write \"{}\": {{\"LABEL\": {{ … }}}}", kind.0);
                return self.wrong(node, &summary, &help);
            }
            for member in node.members().iter().filter(|m| m.key != "//") {
                labels.push(Label { text: member.key.clone(), span: member.key_span.clone() });
                self.blocks(kind, parent, labels, left - 1, &member.value, body);
                labels.pop();
            }
            return;
        }
        let inner = match (parent.kind, kind.0) {
            ("dynamic", _) => Parent { kind: parent.makes, makes: "" },
            (_, "dynamic") => {
                Parent { kind: "dynamic", makes: labels.last().map_or("", |l| l.text.as_str()) }
            }
            (_, kind) => Parent { kind, makes: "" },
        };
        let inner = self.body(node, inner);
        body.blocks.push(Block {
            kind: kind.0.to_owned(),
            kind_span: kind.1.clone(),
            labels: labels.clone(),
            body: inner,
        });
    }

    fn expr(&mut self, node: &Node) -> Expr {
        let span = node.span.clone();
        let kind = match &node.value {
            Value::Array(items) => ExprKind::Tuple(items.iter().map(|item| self.expr(item)).collect()),
            Value::Object(members) => ExprKind::Object(
                members
                    .iter()
                    .map(|m| {
                        let key = self.text(&m.key, &m.key_span);
                        (ObjectKey::Expr(key), self.expr(&m.value))
                    })
                    .collect(),
            ),
            Value::String(text) => return self.text(&text.expose(), &span),
            _ => ExprKind::Literal(literal(node)),
        };
        Expr { kind, span }
    }

    /// A text as an expression.
    fn bare(&mut self, text: &str, span: &Span) -> Expr {
        let file = SourceFile::new(span.file().name(), text);
        let (expr, found) = parse_expression(&file);
        self.moved(expr, found, span)
    }

    fn moved(&mut self, mut expr: Expr, found: Diagnostics, span: &Span) -> Expr {
        for mut finding in found {
            finding.span = Some(span.clone());
            finding.related.clear();
            self.found.push(finding);
        }
        expr.move_to(span);
        expr
    }

    /// A text as a template; what can't be read is told at the place of the text.
    fn text(&mut self, text: &str, span: &Span) -> Expr {
        if !text.contains("${") && !text.contains("%{") {
            return Expr { kind: ExprKind::Literal(Val::string(text)), span: span.clone() };
        }
        let file = SourceFile::new(span.file().name(), text);
        let (expr, found) = parse_template(&file);
        self.moved(expr, found, span)
    }
}
