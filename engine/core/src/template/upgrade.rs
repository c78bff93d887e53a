//! Rewrites a JSON template as HCL2. Variables that are more than a text become locals, builders become `source`
//! blocks, the rest one `build` block; calls of the template engine become expressions where HCL2 has one, and stay as
//! they are where the engine still renders them. What the user has to look at is told at its place in the JSON template. The result is formatted as `fmt` formats it, and its order is that of Packer's own conversion.

use std::collections::BTreeMap;

use indexmap::IndexSet;

use super::{Selection, Template, json};
use crate::diagnostic::Diagnostics;
use crate::hcl::write::{self, Item, Value};
use crate::source::Span;

mod blocks;
mod body;
mod calls;
mod headers;
mod names;
#[cfg(test)]
mod tests;
mod text;

use names::Names;

/// The template in HCL2.
pub struct Upgrade {
    pub text: String,
    /// Warnings about what can't be said in HCL2, and notes about what was left as it was.
    pub findings: Diagnostics,
}

/// Converts a template that parsed without errors. With `annotations`, comments explain each kind of block.
pub fn upgrade(template: &Template, annotations: bool) -> Upgrade {
    let mut writer = Writer {
        names: Names::new(template),
        findings: Diagnostics::new(),
        secrets: Vec::new(),
        images: Vec::new(),
        environment: BTreeMap::new(),
        timestamp: false,
        legacy_time: false,
        problems: Vec::new(),
    };
    // The blocks in the order in which their calls number the data sources, not in that of the result.
    let packer = blocks::packer(template, &mut writer.findings);
    let mut variables = writer.variables(template);
    let locals = writer.locals(template);
    let sources = writer.sources(template);
    let build = writer.build(template);
    variables.extend(writer.environment_variables());
    variables.sort_by(|a, b| a.labels().cmp(b.labels()));

    let mut out = Output { items: comments(template), annotations };
    if annotations {
        out.items.insert(0, Item::comment(headers::FILE));
    }
    out.section(headers::PACKER, packer.into_iter().collect());
    out.section(headers::VARIABLES, variables);
    out.section(headers::SECRETS, writer.secret_sources());
    out.section(headers::IMAGES, std::mem::take(&mut writer.images));
    if writer.timestamp {
        out.section(
            headers::TIMESTAMP,
            vec![Item::Line(
                r#"locals { timestamp = regex_replace(timestamp(), "[- TZ:]", "") }"#.to_owned(),
            )],
        );
    }
    if writer.legacy_time && annotations {
        out.items.extend([Item::Blank, Item::comment(headers::LEGACY_TIME)]);
    }
    out.section(headers::LOCALS, locals);
    out.section(headers::SOURCES, sources);
    out.section(headers::BUILD, build.into_iter().collect());
    Upgrade { text: write::print(&out.items), findings: writer.findings.sorted() }
}

/// The template's own comments: root level keys that begin with an underscore.
fn comments(template: &Template) -> Vec<Item> {
    let (node, _) = json::parse(&template.file);
    let members = node.as_ref().map(|n| n.members()).unwrap_or_default();
    let comments = members.iter().filter(|m| m.key.starts_with('_'));
    comments.filter_map(|m| m.value.as_text()).map(|text| Item::comment(&text.expose())).collect()
}

struct Output {
    items: Vec<Item>,
    annotations: bool,
}

impl Output {
    /// Blocks with a blank line before each, and what they are for before the first.
    fn section(&mut self, header: &str, blocks: Vec<Item>) {
        for (i, block) in blocks.into_iter().enumerate() {
            if !self.items.is_empty() {
                self.items.push(Item::Blank);
            }
            if i == 0 && self.annotations {
                self.items.push(Item::comment(header));
            }
            match block {
                Item::Group(items) => self.items.extend(items),
                block => self.items.push(block),
            }
        }
    }
}

/// Where a text stands: it decides what the text can refer to, and what is rendered once more while the build runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The default of a variable.
    Variable,
    Local,
    /// A `source` or `data` block.
    Source,
    /// A provisioner or post-processor.
    Step,
}

/// What is written so far, and what the blocks share.
struct Writer {
    names: Names,
    findings: Diagnostics,
    /// `amazon-secretsmanager` data sources: name and key of the secret.
    secrets: Vec<(String, Option<String>)>,
    /// `amazon-ami` data sources.
    images: Vec<Item>,
    /// Variables that carry environment variables into locals, by name in HCL2; and whether they are sensitive.
    environment: BTreeMap<String, (String, bool)>,
    timestamp: bool,
    legacy_time: bool,
    /// What the current block leaves to the user; each becomes a comment line.
    problems: Vec<String>,
}

impl Writer {
    /// Builds are named `TYPE.NAME` in HCL2.
    fn build_names(&self, list: &[(String, Span)]) -> Vec<String> {
        list.iter().map(|(name, _)| self.names.build(name).to_owned()).collect()
    }

    fn selection(&self, selection: &Selection) -> Vec<(&'static str, Value)> {
        let mut out = Vec::new();
        for (key, list) in [("except", &selection.except), ("only", &selection.only)] {
            if !list.is_empty() {
                let names = self.build_names(list);
                out.push((key, Value::List(names.iter().map(|n| Value::literal(n)).collect())));
            }
        }
        out
    }

    /// A block with the problems that its texts had before it.
    fn with_problems(&mut self, block: Item) -> Item {
        if self.problems.is_empty() {
            return block;
        }
        let problems: IndexSet<String> = std::mem::take(&mut self.problems).into_iter().collect();
        let lines: Vec<String> = problems.into_iter().collect();
        Item::Group(vec![Item::comment(&lines.join("\n")), block])
    }
}
