//! Packer's HCL2 templates: a folder of files is one template. [`parse`] reads the root blocks and declares the
//! variables (what it accepts passes `validate -syntax-only`), [`settle`] gives variables, locals and data sources
//! their values, [`plan`] makes builds of it. The language itself is in [`crate::hcl`].

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::hcl::parse::parse_file;
use crate::hcl::syntax::{Attribute, Block, Body, Expr};
use crate::source::{SourceFile, Span};

mod bodies;
mod builds;
mod config;
mod graph;
mod inspect;
mod json;
mod plan;
mod required;
mod settle;
#[cfg(test)]
mod tests;
mod variables;

#[cfg(test)]
pub(super) use builds::{POST_PROCESSOR_COMMON, PROVISIONER_COMMON};
pub use inspect::{inspect, list_values};
pub use plan::{HclPlanOptions, plan};
pub use required::{InstalledPlugin, Needed, RequiredPlugin, check_required, required_plugins};
pub use settle::{DataSources, SettleOptions, Settled, settle};
pub use variables::{Undeclared, VariableInputs};

/// The root blocks of a template, in the order of files and lines.
#[derive(Debug, Default)]
pub struct HclTemplate {
    pub files: Vec<Arc<SourceFile>>,
    pub variables: Vec<variables::Variable>,
    locals: Vec<Local>,
    sources: Vec<SourceBlock>,
    data: Vec<DataBlock>,
    builds: Vec<Block>,
    registries: Vec<Block>,
    required: Vec<RequiredPlugin>,
    /// Where in its list what has this name stands.
    places: HashMap<(Namespace, String), usize>,
    /// Told when a plan is made: Packer takes such a template as correct until then.
    twice: Vec<Diagnostic>,
}

/// A name stands for one thing in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Namespace {
    Variable,
    Local,
    Source,
    Data,
}

#[derive(Debug)]
struct Local {
    name: String,
    name_span: Span,
    expr: Expr,
    sensitive: bool,
}

#[derive(Debug)]
struct SourceBlock {
    type_name: String,
    name: String,
    type_span: Span,
    block: Block,
}

#[derive(Debug)]
struct DataBlock {
    type_name: String,
    name: String,
    block: Block,
}

/// Block types of the root and how many labels they have.
const ROOT_BLOCKS: [(&str, &[&str]); 9] = [
    ("packer", &[]),
    ("variable", &["name"]),
    ("variables", &[]),
    ("locals", &[]),
    ("local", &["name"]),
    ("source", &["type", "name"]),
    ("data", &["type", "name"]),
    ("build", &[]),
    ("hcp_packer_registry", &[]),
];

/// Reads the files of a template. The template is as good as can be said where there are errors.
pub fn parse(files: &[Arc<SourceFile>]) -> (HclTemplate, Diagnostics) {
    let mut template = HclTemplate { files: files.to_vec(), ..HclTemplate::default() };
    let mut found = Diagnostics::new();
    for file in files {
        let (body, more) = if file.name().ends_with(".json") { json::body(file) } else { parse_file(file) };
        found.extend(more);
        template.add(body, &mut found);
    }
    (template, found.sorted())
}

impl HclTemplate {
    fn add(&mut self, body: Body, found: &mut Diagnostics) {
        for attribute in &body.attributes {
            found.push(unknown_argument(attribute, &[], "the root of a template"));
        }
        for block in body.blocks {
            let Some((_, labels)) = ROOT_BLOCKS.iter().find(|(kind, _)| *kind == block.kind) else {
                found.push(unknown_block(
                    &block,
                    ROOT_BLOCKS.iter().map(|(kind, _)| *kind),
                    "the root of a template",
                ));
                continue;
            };
            if check_labels(&block, labels, found) {
                self.block(block, found);
            }
        }
    }

    fn block(&mut self, block: Block, found: &mut Diagnostics) {
        match block.kind.as_str() {
            "packer" => required::packer_block(&block, &mut self.required, found),
            "variable" => {
                let variable = variables::variable_block(&block, found);
                self.declare(variable, found);
            }
            "variables" => {
                for block in &block.body.blocks {
                    found.push(unknown_block(block, [], "a \"variables\" block"));
                }
                for attribute in block.body.attributes {
                    self.declare(variables::short_form(attribute), found);
                }
            }
            "locals" => {
                for block in &block.body.blocks {
                    found.push(unknown_block(block, [], "a \"locals\" block"));
                }
                for Attribute { name, name_span, expr } in block.body.attributes {
                    self.local(Local { name, name_span, expr, sensitive: false }, found);
                }
            }
            "local" => self.local_block(&block, found),
            "source" => {
                let (kind, name) = (&block.labels[0], &block.labels[1]);
                let full = full_name(&kind.text, &name.text);
                if let Some(first) = self.claim(Namespace::Source, &full, self.sources.len()) {
                    self.twice.push(twice("source", &full, &block, &self.sources[first].block));
                    return;
                }
                self.sources.push(SourceBlock {
                    type_name: kind.text.clone(),
                    name: name.text.clone(),
                    type_span: kind.span.clone(),
                    block,
                });
            }
            "data" => {
                let (kind, name) = (&block.labels[0], &block.labels[1]);
                let full = full_name(&kind.text, &name.text);
                if let Some(first) = self.claim(Namespace::Data, &full, self.data.len()) {
                    self.twice.push(twice("data", &full, &block, &self.data[first].block));
                    return;
                }
                self.data.push(DataBlock { type_name: kind.text.clone(), name: name.text.clone(), block });
            }
            "build" => self.builds.push(block),
            _ => self.registries.push(block),
        }
    }

    /// Takes a name for what will stand at `at`. If it is taken: where the one stands that has it.
    fn claim(&mut self, namespace: Namespace, name: &str, at: usize) -> Option<usize> {
        match self.places.entry((namespace, name.to_owned())) {
            Entry::Occupied(first) => Some(*first.get()),
            Entry::Vacant(free) => {
                free.insert(at);
                None
            }
        }
    }

    fn source(&self, type_name: &str, name: &str) -> Option<&SourceBlock> {
        let at = self.places.get(&(Namespace::Source, full_name(type_name, name)));
        at.map(|at| &self.sources[*at])
    }

    fn declare(&mut self, variable: variables::Variable, found: &mut Diagnostics) {
        if let Some(first) = self.claim(Namespace::Variable, &variable.name, self.variables.len()) {
            let first = &self.variables[first];
            found.push(
                Diagnostic::error(
                    "template/duplicate-variable",
                    format!("the variable \"{}\" is declared twice", variable.name),
                )
                .at(&variable.span)
                .related(&first.span, "first declared here")
                .help("remove one of the two, or give it another name"),
            );
            return;
        }
        self.variables.push(variable);
    }

    fn local(&mut self, local: Local, found: &mut Diagnostics) {
        if let Some(first) = self.claim(Namespace::Local, &local.name, self.locals.len()) {
            let first = &self.locals[first];
            // The value is of interest too: it says whether the two are the same.
            found.push(Diagnostic::echo(
                "template/duplicate-local",
                "this local is defined twice",
                &local.expr.span,
            ));
            found.push(
                Diagnostic::error(
                    "template/duplicate-local",
                    format!("the local \"{}\" is defined twice", local.name),
                )
                .at(&local.name_span)
                .related(&first.name_span, "first defined here")
                .help("remove one of the two, or give it another name"),
            );
            return;
        }
        self.locals.push(local);
    }

    fn local_block(&mut self, block: &Block, found: &mut Diagnostics) {
        let label = &block.labels[0];
        check_arguments(&block.body, &["expression", "sensitive"], "a \"local\" block", found);
        for inner in &block.body.blocks {
            found.push(unknown_block(inner, [], "a \"local\" block"));
        }
        let Some(expression) = block.body.attribute("expression") else {
            found.push(
                Diagnostic::error("template/missing-argument", "a local needs an \"expression\"")
                    .at(&block.header())
                    .help("write expression = …"),
            );
            return;
        };
        let sensitive = block.body.attribute("sensitive").is_some_and(|a| literal_bool(a, found));
        let local = Local {
            name: label.text.clone(),
            name_span: block.header(),
            expr: expression.expr.clone(),
            sensitive,
        };
        self.local(local, found);
    }
}

fn full_name(type_name: &str, name: &str) -> String {
    format!("{type_name}.{name}")
}

fn twice(what: &str, name: &str, block: &Block, first: &Block) -> Diagnostic {
    let code = if what == "data" { "template/duplicate-data" } else { "template/duplicate-source" };
    Diagnostic::error(code, format!("there are two {what} blocks \"{name}\""))
        .at(&block.header())
        .related(&first.header(), "first defined here")
        .help("give one of them another name")
}

/// Whether a block has the labels that its type wants.
fn check_labels(block: &Block, wanted: &[&str], found: &mut Diagnostics) -> bool {
    let forms: String = wanted.iter().map(|label| format!(" \"{}\"", label.to_uppercase())).collect();
    let form = match block.kind.as_str() {
        "build" => "write build { … }; its name is an argument: name = \"…\"".to_owned(),
        kind => format!("write {kind}{forms} {{ … }}"),
    };
    if block.labels.len() < wanted.len() {
        found.push(
            Diagnostic::error(
                "template/missing-label",
                format!("a \"{}\" block needs a {}", block.kind, wanted[block.labels.len()]),
            )
            .at(&block.header())
            .help(form),
        );
        return false;
    }
    if let Some(label) = block.labels.get(wanted.len()) {
        found.push(
            Diagnostic::error(
                "template/extra-label",
                match wanted.len() {
                    0 => format!("a \"{}\" block has no label", block.kind),
                    1 => format!("a \"{}\" block has 1 label", block.kind),
                    n => format!("a \"{}\" block has {n} labels", block.kind),
                },
            )
            .at(&label.span)
            .help(form),
        );
        return false;
    }
    true
}

fn unknown_argument(attribute: &Attribute, known: &[&str], place: &str) -> Diagnostic {
    let finding = Diagnostic::error(
        "template/unknown-argument",
        format!("{place} has no argument \"{}\"", attribute.name),
    )
    .at(&attribute.name_span);
    match nearest(&attribute.name, known.iter().copied()) {
        Some(near) => finding.help(format!("did you mean \"{near}\"?")),
        None if known.is_empty() => finding.help("remove it, or move it into the block that it is meant for"),
        None => finding.help(format!("known are {}", known.join(", "))),
    }
}

fn check_arguments(body: &Body, known: &[&str], place: &str, found: &mut Diagnostics) {
    for attribute in body.attributes.iter().filter(|a| !known.contains(&a.name.as_str())) {
        found.push(unknown_argument(attribute, known, place));
    }
}

fn unknown_block<'a>(block: &Block, known: impl IntoIterator<Item = &'a str>, place: &str) -> Diagnostic {
    let known: Vec<&str> = known.into_iter().collect();
    let finding = Diagnostic::error(
        "template/unknown-block",
        format!("{place} has no blocks of type \"{}\"", block.kind),
    )
    .at(&block.header());
    match nearest(&block.kind, known.iter().copied()) {
        Some(near) => finding.help(format!("did you mean \"{near}\"?")),
        None if known.is_empty() => finding.help("remove it, or write it as an argument: name = { … }"),
        None if known.len() == 1 => finding.help(format!("only \"{}\" blocks can stand here", known[0])),
        None => finding.help(format!("known are {}", known.join(", "))),
    }
}

/// An argument that has to be `true` or `false`, written as it is.
fn literal_bool(attribute: &Attribute, found: &mut Diagnostics) -> bool {
    if let crate::hcl::syntax::ExprKind::Literal(value) = &attribute.expr.kind
        && let Ok(value) = crate::hcl::convert(value.clone(), &crate::hcl::Type::Bool)
        && let Some(value) = value.as_bool()
    {
        return value;
    }
    found.push(
        Diagnostic::error("template/not-a-literal", format!("\"{}\" must be true or false", attribute.name))
            .at(&attribute.expr.span)
            .help("it is needed before any variable has a value, so it can't be computed"),
    );
    false
}
