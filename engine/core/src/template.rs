//! Packer's JSON templates: the blocks as they were written, with their places. [`parse`] checks the structure, [`plan`]
//! settles variables, names, `only` and `except`; both report all problems at once.

use std::sync::Arc;
use std::time::Duration;

use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::duration::parse_duration;
use crate::source::{SourceFile, Span};
use crate::value::{Member, Node, Value};

mod inspect;
mod json;
mod plan;
mod variables;

pub use inspect::{Inspection, inspect};
pub use plan::{PlanOptions, plan};

/// A template. Configurations are as they were written: nothing is rendered.
#[derive(Clone, Debug)]
pub struct Template {
    pub file: Arc<SourceFile>,
    pub description: Option<String>,
    pub min_version: Option<String>,
    pub variables: Vec<Variable>,
    /// Names and where they are listed.
    pub sensitive: Vec<(String, Span)>,
    pub builders: Vec<BuilderBlock>,
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

const ROOT_KEYS: &[&str] = &[
    "builders",
    "provisioners",
    "post-processors",
    "variables",
    "sensitive-variables",
    "min_packer_version",
    "description",
    "error-cleanup-provisioner",
    "push",
];

/// Reads a template and checks its structure. None if nothing can be said about it.
pub fn parse(file: &Arc<SourceFile>) -> (Option<Template>, Diagnostics) {
    let (node, found) = json::parse(file);
    let Some(node) = node else { return (None, found) };
    let mut reader = Reader { found };
    let template = reader.template(file, &node);
    if let Some(template) = &template {
        check_names(template, &mut reader.found);
    }
    (template, reader.found.sorted())
}

/// Reads a variable file: a JSON object of scalars.
fn parse_variable_file(file: &Arc<SourceFile>) -> (Vec<(String, String, Span)>, Diagnostics) {
    let (node, found) = json::parse(file);
    let mut reader = Reader { found };
    let mut out = Vec::new();
    if let Some(node) = node {
        if !matches!(node.value, Value::Object(_)) {
            reader.wrong(
                &node,
                "variables/not-an-object",
                "a variable file is an object of names and values",
            );
        }
        for member in node.members() {
            if let Some(value) = reader.scalar(&member.value, &member.key) {
                out.push((member.key.clone(), value, member.value.span.clone()));
            }
        }
    }
    (out, reader.found)
}

struct Reader {
    found: Diagnostics,
}

impl Reader {
    fn wrong(&mut self, node: &Node, code: &str, summary: impl Into<String>) {
        self.found
            .push(Diagnostic::error(code, summary).at(&node.span).detail(format!("here is {}", node.kind())));
    }

    fn template(&mut self, file: &Arc<SourceFile>, node: &Node) -> Option<Template> {
        if !matches!(node.value, Value::Object(_)) {
            self.wrong(node, "template/not-an-object", "a template is an object with \"builders\" and more");
            return None;
        }
        let mut template = Template {
            file: file.clone(),
            description: None,
            min_version: None,
            variables: Vec::new(),
            sensitive: Vec::new(),
            builders: Vec::new(),
            provisioners: Vec::new(),
            error_cleanup: None,
            post_processors: Vec::new(),
        };
        for Member { key, key_span, value } in node.members() {
            match key.as_str() {
                "builders" => {
                    template.builders = self.list(value, key).iter().filter_map(|n| self.builder(n)).collect()
                }
                "provisioners" => {
                    template.provisioners =
                        self.list(value, key).iter().filter_map(|n| self.provisioner(n)).collect();
                }
                "error-cleanup-provisioner" => template.error_cleanup = self.provisioner(value),
                "post-processors" => {
                    template.post_processors =
                        self.list(value, key).iter().map(|n| self.sequence(n)).collect();
                }
                "variables" => self.variables(value, &mut template.variables),
                "sensitive-variables" => template.sensitive = self.names(value, key),
                "description" => template.description = self.scalar(value, key),
                "min_packer_version" => {
                    template.min_version = self.scalar(value, key);
                    self.min_version(value, template.min_version.as_deref());
                }
                "push" => {}
                key if key.starts_with('_') => {
                    if value.as_text().is_none() {
                        self.wrong(value, "template/comment", "a root level key that begins with an underscore is a comment: its value must be a string");
                    }
                }
                key => {
                    let near = nearest(key, ROOT_KEYS.iter().copied());
                    let help = match near {
                        Some(near) => format!("did you mean \"{near}\"?"),
                        None => format!(
                            "known are {}, and comments that begin with an underscore",
                            ROOT_KEYS.join(", ")
                        ),
                    };
                    self.found.push(
                        Diagnostic::error(
                            "template/unknown-key",
                            format!("unknown root level key \"{key}\""),
                        )
                        .at(key_span)
                        .help(help),
                    );
                }
            }
        }
        if node.get("builders").is_none() || (template.builders.is_empty() && !self.found.has_errors()) {
            self.found.push(
                Diagnostic::error("template/no-builders", "at least one builder must be defined")
                    .at(&node.get("builders").map_or_else(|| first_char(node), |n| n.span.clone()))
                    .help("add \"builders\": [{\"type\": \"azure-arm\", ...}]"),
            );
        }
        Some(template)
    }

    fn min_version(&mut self, node: &Node, version: Option<&str>) {
        let Some(version) = version else { return };
        match (version_numbers(version), version_numbers(crate::interpolate::PACKER_VERSION)) {
            (Some(wanted), Some(have)) if wanted > have => self.found.push(
                Diagnostic::error(
                    "template/min-version",
                    format!("this template requires Packer version {version} or higher"),
                )
                .at(&node.span)
                .detail(format!(
                    "Fornax understands templates of Packer up to {}",
                    crate::interpolate::PACKER_VERSION
                ))
                .help("lower min_packer_version if the template needs nothing newer"),
            ),
            (None, _) => self.found.push(
                Diagnostic::error(
                    "template/min-version",
                    format!("min_packer_version {version:?} is not a version"),
                )
                .at(&node.span)
                .help("write it like \"1.7.0\""),
            ),
            _ => {}
        }
    }

    fn list<'a>(&mut self, node: &'a Node, key: &str) -> &'a [Node] {
        if !matches!(node.value, Value::Array(_) | Value::Null) {
            self.wrong(node, "template/wrong-type", format!("\"{key}\" must be a list"));
        }
        node.items()
    }

    fn names(&mut self, node: &Node, key: &str) -> Vec<(String, Span)> {
        // Packer takes one name in place of a list of one.
        let items = if node.as_text().is_some() { std::slice::from_ref(node) } else { self.list(node, key) };
        items.iter().filter_map(|n| self.scalar(n, key).map(|name| (name, n.span.clone()))).collect()
    }

    fn scalar(&mut self, node: &Node, key: &str) -> Option<String> {
        match &node.value {
            Value::String(text) => Some(text.expose()),
            Value::Bool(b) => Some(if *b { "1" } else { "0" }.to_owned()),
            Value::Number(n) => Some(n.to_string()),
            _ => {
                self.wrong(node, "template/wrong-type", format!("\"{key}\" must be a string"));
                None
            }
        }
    }

    fn variables(&mut self, node: &Node, out: &mut Vec<Variable>) {
        if !matches!(node.value, Value::Object(_)) {
            self.wrong(node, "template/wrong-type", "\"variables\" must be an object of names and values");
        }
        for member in node.members() {
            let default = match &member.value.value {
                Value::Null => None,
                // Packer joins a list of strings by commas.
                Value::Array(items) if items.iter().all(|i| i.as_text().is_some()) => Some(
                    items.iter().filter_map(Node::as_text).map(|t| t.expose()).collect::<Vec<_>>().join(","),
                ),
                Value::Array(_) | Value::Object(_) => {
                    self.found.push(
                        Diagnostic::error(
                            "template/variable-type",
                            format!("the variable \"{}\" must be a string", member.key),
                        )
                        .at(&member.value.span)
                        .detail(format!("here is {}", member.value.kind()))
                        .help("write a string, or null if the user has to give it"),
                    );
                    continue;
                }
                _ => self.scalar(&member.value, &member.key),
            };
            out.push(Variable {
                name: member.key.clone(),
                span: member.key_span.clone(),
                default,
                value_span: member.value.span.clone(),
            });
        }
    }

    /// Takes the common keys out of a block; the rest is the component's configuration.
    fn block(&mut self, node: &Node, what: &str, common: &[&str]) -> Option<(Vec<Member>, Node)> {
        let Value::Object(members) = &node.value else {
            self.wrong(node, "template/wrong-type", format!("a {what} must be an object"));
            return None;
        };
        let is_common = |m: &Member| common.contains(&m.key.as_str());
        let taken = members.iter().filter(|m| is_common(m)).cloned().collect();
        let rest = members.iter().filter(|m| !is_common(m)).cloned().collect();
        Some((taken, Node::new(Value::Object(rest), node.span.clone())))
    }

    fn type_of(&mut self, node: &Node, common: &[Member], what: &str) -> Option<(String, Span)> {
        match common.iter().find(|m| m.key == "type") {
            Some(member) => self.scalar(&member.value, "type").map(|t| (t, member.value.span.clone())),
            None => {
                self.found.push(
                    Diagnostic::error("template/missing-type", format!("this {what} has no \"type\""))
                        .at(&first_char(node))
                        .help("say which one it is, for instance \"type\": \"shell\""),
                );
                None
            }
        }
    }

    fn builder(&mut self, node: &Node) -> Option<BuilderBlock> {
        let (common, config) = self.block(node, "builder", &["type", "name"])?;
        let (type_name, type_span) = self.type_of(node, &common, "builder")?;
        let name = common.iter().find(|m| m.key == "name");
        let raw_name = name.and_then(|m| self.scalar(&m.value, "name")).filter(|n| !n.is_empty());
        Some(BuilderBlock {
            raw_name: raw_name.unwrap_or_else(|| type_name.clone()),
            name_span: name.map_or_else(|| type_span.clone(), |m| m.value.span.clone()),
            type_name,
            type_span,
            config,
        })
    }

    fn selection(&mut self, common: &[Member]) -> Selection {
        let mut selection = Selection::default();
        for member in common {
            match member.key.as_str() {
                "only" => selection.only = self.names(&member.value, "only"),
                "except" => selection.except = self.names(&member.value, "except"),
                _ => {}
            }
        }
        if let (Some((_, first)), false) = (selection.only.first(), selection.except.is_empty()) {
            self.found.push(
                Diagnostic::error(
                    "template/only-and-except",
                    "only one of \"only\" and \"except\" may be given",
                )
                .at(first)
                .help("remove one of the two"),
            );
        }
        selection
    }

    fn duration(&mut self, common: &[Member], key: &str) -> Option<Duration> {
        let member = common.iter().find(|m| m.key == key)?;
        let text = self.scalar(&member.value, key)?;
        parse_duration(&text)
            .map_err(|why| {
                self.found.push(
                    Diagnostic::error("template/duration", format!("\"{key}\": {why}"))
                        .at(&member.value.span),
                )
            })
            .ok()
    }

    fn provisioner(&mut self, node: &Node) -> Option<ProvisionerBlock> {
        const COMMON: &[&str] =
            &["type", "only", "except", "override", "pause_before", "timeout", "max_retries"];
        let (common, config) = self.block(node, "provisioner", COMMON)?;
        let (type_name, type_span) = self.type_of(node, &common, "provisioner")?;
        let overrides = common.iter().find(|m| m.key == "override");
        if let Some(member) = overrides {
            for inner in std::iter::once(&member.value).chain(member.value.members().iter().map(|m| &m.value))
            {
                if !matches!(inner.value, Value::Object(_)) {
                    self.wrong(
                        inner,
                        "template/override",
                        "\"override\" is an object of build names with an object of options each",
                    );
                }
            }
        }
        Some(ProvisionerBlock {
            type_name,
            type_span,
            selection: self.selection(&common),
            overrides: overrides.map(|m| m.value.members().to_vec()).unwrap_or_default(),
            pause_before: self.duration(&common, "pause_before").unwrap_or_default(),
            timeout: self.duration(&common, "timeout").filter(|d| !d.is_zero()),
            max_retries: common.iter().find(|m| m.key == "max_retries").map(|m| m.value.clone()),
            config,
        })
    }

    fn sequence(&mut self, node: &Node) -> Vec<PostProcessorBlock> {
        match &node.value {
            Value::Array(items) => items
                .iter()
                .filter_map(|item| {
                    if matches!(item.value, Value::Array(_)) {
                        self.wrong(
                            item,
                            "template/nested-sequence",
                            "a sequence of post-processors can't contain another sequence",
                        );
                        return None;
                    }
                    self.post_processor(item)
                })
                .collect(),
            _ => self.post_processor(node).into_iter().collect(),
        }
    }

    fn post_processor(&mut self, node: &Node) -> Option<PostProcessorBlock> {
        const COMMON: &[&str] = &["type", "name", "only", "except", "keep_input_artifact"];
        if let Some(text) = node.as_text() {
            let type_name = text.expose();
            return Some(PostProcessorBlock {
                name: type_name.clone(),
                type_name,
                type_span: node.span.clone(),
                selection: Selection::default(),
                keep_input_artifact: None,
                config: Node::new(Value::Object(Vec::new()), node.span.clone()),
            });
        }
        let (common, config) = self.block(node, "post-processor", COMMON)?;
        let (type_name, type_span) = self.type_of(node, &common, "post-processor")?;
        let name = common.iter().find(|m| m.key == "name").and_then(|m| self.scalar(&m.value, "name"));
        let keep = common.iter().find(|m| m.key == "keep_input_artifact");
        let keep_input_artifact = keep.and_then(|m| match &m.value.value {
            Value::Bool(b) => Some(*b),
            Value::String(text) if text.expose() == "true" => Some(true),
            Value::String(text) if text.expose() == "false" => Some(false),
            Value::Null => None,
            _ => {
                self.wrong(&m.value, "template/wrong-type", "\"keep_input_artifact\" must be true or false");
                None
            }
        });
        Some(PostProcessorBlock {
            name: name.unwrap_or_else(|| type_name.clone()),
            type_name,
            type_span,
            selection: self.selection(&common),
            keep_input_artifact,
            config,
        })
    }
}

/// Names that occur twice, and references to builds that are not there.
fn check_names(template: &Template, found: &mut Diagnostics) {
    for (i, builder) in template.builders.iter().enumerate() {
        if let Some(first) = template.builders[..i].iter().find(|b| b.raw_name == builder.raw_name) {
            found.push(
                Diagnostic::error(
                    "template/duplicate-builder",
                    format!("two builders have the name \"{}\"", builder.raw_name),
                )
                .at(&builder.name_span)
                .related(&first.name_span, "first here")
                .help("give one of them another \"name\""),
            );
        }
    }
    let known: Vec<&str> = template.builders.iter().map(|b| b.raw_name.as_str()).collect();
    let mut check = |name: &str, span: &Span, what: &str| {
        // Without builders every name would be wrong, and the missing builders have been told.
        if known.is_empty() || known.contains(&name) {
            return;
        }
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("the builds are {}", known.join(", ")),
        };
        found.push(
            Diagnostic::error(
                "template/unknown-build",
                format!("\"{what}\" names \"{name}\", which is no build"),
            )
            .at(span)
            .help(help),
        );
    };
    let provisioners = template.provisioners.iter().chain(&template.error_cleanup);
    let post_processors = template.post_processors.iter().flatten();
    let selections = provisioners.clone().map(|p| &p.selection).chain(post_processors.map(|p| &p.selection));
    for selection in selections {
        selection.only.iter().for_each(|(name, span)| check(name, span, "only"));
        selection.except.iter().for_each(|(name, span)| check(name, span, "except"));
    }
    for member in provisioners.flat_map(|p| &p.overrides) {
        check(&member.key, &member.key_span, "override");
    }
    let declared: Vec<&str> = template.variables.iter().map(|v| v.name.as_str()).collect();
    for (name, span) in &template.sensitive {
        if !declared.contains(&name.as_str()) {
            let near = nearest(name, declared.iter().copied())
                .map(|n| format!("; did you mean \"{n}\"?"))
                .unwrap_or_default();
            found.push(
                Diagnostic::warning(
                    "template/unknown-sensitive",
                    format!(
                        "\"sensitive-variables\" names \"{name}\", which is no variable of this template"
                    ),
                )
                .at(span)
                .help(format!("nothing is masked by it{near}")),
            );
        }
    }
}

fn first_char(node: &Node) -> Span {
    let start = node.span.range().start;
    Span::new(node.span.file(), start..start + 1)
}

/// The numbers of a version; what follows a dash does not count.
fn version_numbers(version: &str) -> Option<[u64; 3]> {
    let core = version.trim().trim_start_matches('v').split(['-', '+', ' ']).next()?;
    let mut out = [0; 3];
    let mut count = 0;
    for (i, part) in core.split('.').enumerate() {
        *out.get_mut(i)? = part.parse().ok()?;
        count += 1;
    }
    (count > 0).then_some(out)
}
