//! Which locals and data sources need which others, and the order that follows from it. Circles and names that do not
//! exist are told here.

use std::collections::BTreeMap;

use super::HclTemplate;
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::hcl::syntax::{Body, Reference};
use crate::source::Span;

/// One that others depend on.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Item {
    Local(usize),
    Data(usize),
}

/// Which locals and data sources need which others.
pub(super) struct Graph {
    /// Locals first, then data sources.
    needs: Vec<Vec<usize>>,
    broken: Vec<bool>,
    locals: usize,
}

impl Graph {
    pub(super) fn new(template: &HclTemplate, found: &mut Diagnostics) -> Self {
        let locals: BTreeMap<&str, usize> =
            template.locals.iter().enumerate().map(|(i, l)| (l.name.as_str(), i)).collect();
        let count = template.locals.len();
        let data: BTreeMap<(&str, &str), usize> = template
            .data
            .iter()
            .enumerate()
            .map(|(i, d)| ((d.type_name.as_str(), d.name.as_str()), count + i))
            .collect();
        let mut needs = Vec::new();
        let mut broken = Vec::new();
        let sets = template
            .locals
            .iter()
            .map(|l| l.expr.references())
            .chain(template.data.iter().map(|d| references_of(&d.block.body)));
        for references in sets {
            let mut mine = Vec::new();
            let mut is_broken = false;
            for reference in references {
                let name = |i: usize| reference.names.get(i).map(String::as_str);
                match (reference.root.as_str(), name(0), name(1)) {
                    ("local", Some(local), _) => match locals.get(local) {
                        Some(at) => mine.push(*at),
                        None => {
                            is_broken = true;
                            found.push(undeclared("local", local, &reference.span, locals.keys().copied()));
                        }
                    },
                    // The whole object: everything that it holds.
                    ("local", None, _) => mine.extend(0..count),
                    ("data", Some(kind), Some(data_name)) => match data.get(&(kind, data_name)) {
                        Some(at) => mine.push(*at),
                        None => {
                            is_broken = true;
                            let known: Vec<String> = data.keys().map(|(k, n)| format!("{k}.{n}")).collect();
                            let full = format!("{kind}.{data_name}");
                            found.push(undeclared(
                                "data",
                                &full,
                                &reference.span,
                                known.iter().map(String::as_str),
                            ));
                        }
                    },
                    ("data", _, _) => mine.extend(count..count + template.data.len()),
                    _ => {}
                }
            }
            let own = needs.len();
            mine.sort_unstable();
            mine.dedup();
            // The whole object of locals holds the one that asks for it; only by name is that a circle.
            if mine.len() == count && count > 1 {
                mine.retain(|at| *at != own);
            }
            needs.push(mine);
            broken.push(is_broken);
        }
        Self { needs, broken, locals: count }
    }

    fn item(&self, at: usize) -> Item {
        if at < self.locals { Item::Local(at) } else { Item::Data(at - self.locals) }
    }

    pub(super) fn broken(&self, item: Item) -> bool {
        self.broken[match item {
            Item::Local(at) => at,
            Item::Data(at) => self.locals + at,
        }]
    }

    /// Each after what it needs. Circles are told, and are broken.
    pub(super) fn order(&mut self, template: &HclTemplate, found: &mut Diagnostics) -> Vec<Item> {
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            New,
            Open,
            Done,
        }
        let mut state = vec![State::New; self.needs.len()];
        let mut order = Vec::new();
        for start in 0..self.needs.len() {
            // A stack of our own: a chain of ten thousand locals is no reason to overflow the real one.
            let mut stack = vec![(start, 0)];
            while let Some((at, next)) = stack.pop() {
                if next == 0 {
                    if state[at] != State::New {
                        continue;
                    }
                    state[at] = State::Open;
                }
                match self.needs[at].get(next).copied() {
                    Some(need) => {
                        stack.push((at, next + 1));
                        match state[need] {
                            State::New => stack.push((need, 0)),
                            State::Open => {
                                let from = stack.iter().position(|(n, _)| *n == need).unwrap_or(0);
                                let circle: Vec<usize> = stack[from..].iter().map(|(n, _)| *n).collect();
                                found.push(circle_finding(template, self, &circle));
                                circle.iter().for_each(|n| self.broken[*n] = true);
                            }
                            State::Done => {}
                        }
                    }
                    None => {
                        state[at] = State::Done;
                        order.push(self.item(at));
                    }
                }
            }
        }
        order
    }
}

fn place(template: &HclTemplate, item: Item) -> (String, Span) {
    match item {
        Item::Local(at) => {
            (format!("local.{}", template.locals[at].name), template.locals[at].name_span.clone())
        }
        Item::Data(at) => {
            let data = &template.data[at];
            (format!("data.{}.{}", data.type_name, data.name), data.block.header())
        }
    }
}

/// Of a circle so many members are shown.
const SHOWN: usize = 8;

fn circle_finding(template: &HclTemplate, graph: &Graph, circle: &[usize]) -> Diagnostic {
    let places: Vec<(String, Span)> = circle.iter().map(|at| place(template, graph.item(*at))).collect();
    let mut names: Vec<&str> = places.iter().map(|(name, _)| name.as_str()).take(SHOWN).collect();
    let others = format!("{} others", places.len().saturating_sub(SHOWN));
    if places.len() > SHOWN {
        names.push(&others);
    }
    names.push(names[0]);
    let (summary, help) = match names.as_slice() {
        [one, _] => (format!("{one} refers to itself"), "give it a value of its own"),
        names => (
            format!("these depend on each other: {}", names.join(" → ")),
            "at least one of them must not refer to the others",
        ),
    };
    let mut finding = Diagnostic::error("template/circle", summary).at(&places[0].1).help(help);
    for (name, span) in places.iter().skip(1).take(4) {
        finding = finding.related(span, name.clone());
    }
    finding
}

fn undeclared<'a>(root: &str, name: &str, span: &Span, known: impl Iterator<Item = &'a str>) -> Diagnostic {
    let finding = Diagnostic::error("hcl/unknown-attribute", format!("there is no {root}.{name}")).at(span);
    match nearest(name, known) {
        Some(near) => finding.help(format!("did you mean {root}.{near}?")),
        None => finding.help("define it, or look for a slip of the pen"),
    }
}

/// The references in all expressions of a body and its blocks.
pub(super) fn references_of(body: &Body) -> Vec<Reference> {
    let mut out: Vec<Reference> = body.attributes.iter().flat_map(|a| a.expr.references()).collect();
    out.extend(body.blocks.iter().flat_map(|b| references_of(&b.body)));
    out
}
