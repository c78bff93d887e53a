//! Packer's JSON templates: the blocks as they were written, with their places. [`parse`] checks the form of each
//! block, [`plan`] what the blocks say of each other, and settles variables, names, `only` and `except`; both report
//! all problems at once. The division is Packer's: what `parse` accepts passes `validate -syntax-only`.

use std::sync::Arc;
use std::time::Duration;

use crate::diagnostic::Diagnostics;
use crate::source::{SourceFile, Span};
use crate::value::{Member, Node};

mod check;
mod config;
pub mod fix;
pub mod hcl;
mod inspect;
mod json;
mod origins;
mod plan;
mod reader;
#[cfg(test)]
mod tests;
mod upgrade;
mod variables;

pub use inspect::{Inspection, inspect};
pub use plan::{Env, PlanOptions, plan};
pub use upgrade::{Upgrade, upgrade};

/// A template. Configurations are as they were written: nothing is rendered.
#[derive(Clone, Debug)]
pub struct Template {
    pub file: Arc<SourceFile>,
    /// Where findings about the template as a whole point: its first character.
    pub root: Span,
    pub description: Option<String>,
    /// With its place.
    pub min_version: Option<(String, Span)>,
    pub variables: Vec<Variable>,
    /// Names and where they are listed.
    pub sensitive: Vec<(String, Span)>,
    pub builders: Vec<BuilderBlock>,
    /// Why there is no builder has been told.
    builders_told: bool,
    pub provisioners: Vec<ProvisionerBlock>,
    pub error_cleanup: Option<ProvisionerBlock>,
    pub post_processors: Vec<Vec<PostProcessorBlock>>,
}

#[derive(Clone, Debug)]
pub struct Variable {
    pub name: String,
    pub span: Span,
    /// None: the user has to give a value.
    pub default: Option<String>,
    pub value_span: Span,
}

#[derive(Clone, Debug)]
pub struct BuilderBlock {
    /// As written; `only`, `except` and `override` refer to this.
    pub raw_name: String,
    pub name_span: Span,
    pub type_name: String,
    pub type_span: Span,
    pub config: Node,
}

/// Which builds a block is for.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub only: Vec<(String, Span)>,
    pub except: Vec<(String, Span)>,
}

impl Selection {
    pub fn includes(&self, name: &str) -> bool {
        let has = |list: &[(String, Span)]| list.iter().any(|(n, _)| n == name);
        if self.only.is_empty() { !has(&self.except) } else { has(&self.only) }
    }
}

#[derive(Clone, Debug)]
pub struct ProvisionerBlock {
    pub type_name: String,
    pub type_span: Span,
    pub selection: Selection,
    /// Configurations that are laid over this one, by raw build name.
    pub overrides: Vec<Member>,
    pub pause_before: Duration,
    pub timeout: Option<Duration>,
    /// A number, or a text to render.
    pub max_retries: Option<Node>,
    pub config: Node,
}

#[derive(Clone, Debug)]
pub struct PostProcessorBlock {
    pub name: String,
    pub type_name: String,
    pub type_span: Span,
    pub selection: Selection,
    pub keep_input_artifact: Option<bool>,
    pub config: Node,
}

/// Reads a template and checks the form of its blocks. None if nothing can be said about it.
pub fn parse(file: &Arc<SourceFile>) -> (Option<Template>, Diagnostics) {
    let (node, mut found) = json::parse(file);
    let Some(node) = node else { return (None, found.sorted()) };
    let (template, more) = reader::template(file, &node);
    if let Some(template) = &template {
        check::duplicates(template, &mut found);
    }
    found.extend(more);
    (template, found.sorted())
}

/// The options that the readers of this module take out of a block, to hold against what is said of them.
#[cfg(test)]
pub(crate) fn common_keys(
    kind: crate::schema::common::BlockKind,
    language: crate::schema::common::Language,
) -> &'static [&'static str] {
    use crate::schema::common::{BlockKind, Language};
    match (kind, language) {
        (BlockKind::Builder, Language::Json) => reader::blocks::BUILDER_COMMON,
        (BlockKind::Builder, Language::Hcl2) => &["name"],
        (BlockKind::Provisioner, Language::Json) => reader::blocks::PROVISIONER_COMMON,
        (BlockKind::Provisioner, Language::Hcl2) => hcl::PROVISIONER_COMMON,
        (BlockKind::PostProcessor, Language::Json) => reader::blocks::POST_PROCESSOR_COMMON,
        (BlockKind::PostProcessor, Language::Hcl2) => hcl::POST_PROCESSOR_COMMON,
        (BlockKind::DataSource, _) => &[],
    }
}

fn first_char(node: &Node) -> Span {
    let start = node.span.range().start;
    Span::new(node.span.file(), start..start + 1)
}
