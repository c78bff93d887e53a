//! From a template to a plan: variables settled, build names drawn, `only` and `except` applied, each component's
//! configuration bound to its build.

use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;

use super::{BuilderBlock, PostProcessorBlock, ProvisionerBlock, Template, variables};
use crate::builder::BuildData;
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::interpolate::{self, BuildFacts, Problem, Scope};
use crate::plan::{BuildPlan, ConfigSource, Plan, PostProcessorPlan, ProvisionerPlan};
use crate::plugin::Renderer;
use crate::source::{SourceFile, Span};
use crate::value::{Member, Node, Text, Value};

/// What comes from outside of the template.
#[derive(Clone)]
pub struct PlanOptions {
    pub vars: Vec<(String, String)>,
    pub var_files: Vec<Arc<SourceFile>>,
    pub only: Vec<String>,
    pub except: Vec<String>,
    /// Reads an environment variable.
    pub env: Arc<dyn Fn(&str) -> Option<String> + Send + Sync>,
    /// Absolute.
    pub template_dir: PathBuf,
    /// Absolute.
    pub working_dir: PathBuf,
    pub start_time: jiff::Timestamp,
}

impl PlanOptions {
    pub(super) fn dirs(&self) -> (String, String) {
        (self.template_dir.display().to_string(), self.working_dir.display().to_string())
    }
}

/// What all configurations of a build share.
struct Context {
    variables: Arc<IndexMap<String, Text>>,
    template_dir: String,
    working_dir: String,
    start_time: jiff::Timestamp,
    build_name: String,
    build_type: String,
}

impl Context {
    fn render(
        &self,
        text: &str,
        build: BuildFacts<'_>,
        dot: Option<&IndexMap<String, Text>>,
    ) -> Result<Text, Problem> {
        let user = |name: &str| self.variables.get(name).cloned();
        let scope = Scope {
            user: &user,
            strict_user: false,
            env: None,
            build,
            build_name: Some(&self.build_name),
            build_type: Some(&self.build_type),
            template_dir: &self.template_dir,
            working_dir: &self.working_dir,
            start_time: self.start_time,
            dot,
        };
        interpolate::render(text, &scope)
    }
}

/// Settles a template. The plan is as good as can be said where there are errors.
pub fn plan(template: &Template, options: &PlanOptions) -> (Plan, Diagnostics) {
    let mut found = Diagnostics::new();
    let (settled, secrets) = variables::settle(template, options, &mut found);
    let settled = Arc::new(settled);
    let (template_dir, working_dir) = options.dirs();
    let context = |builder: &BuilderBlock, name: &str| {
        Arc::new(Context {
            variables: settled.clone(),
            template_dir: template_dir.clone(),
            working_dir: working_dir.clone(),
            start_time: options.start_time,
            build_name: name.to_owned(),
            build_type: builder.type_name.clone(),
        })
    };

    let mut builds: Vec<BuildPlan> = Vec::new();
    let mut all_names = Vec::new();
    for builder in &template.builders {
        let name = match context(builder, &builder.raw_name).render(&builder.raw_name, BuildFacts::None, None)
        {
            Ok(name) => name,
            Err(problem) => {
                found.push(finding("a builder's name", &problem, &builder.name_span));
                continue;
            }
        };
        // A secret has no business in a name that is printed on every line.
        let name = name.masked();
        all_names.push(name.clone());
        let wanted = options.only.iter().filter(|o| !o.is_empty()).collect::<Vec<_>>();
        if (!wanted.is_empty() && !wanted.contains(&&name)) || options.except.contains(&name) {
            continue;
        }
        if builds.iter().any(|b| b.name == name) {
            found.push(
                Diagnostic::error(
                    "template/duplicate-builder",
                    format!("two builders have the name \"{name}\""),
                )
                .at(&builder.name_span)
                .help("give one of them another \"name\""),
            );
            continue;
        }
        let context = context(builder, &name);
        let raw = builder.raw_name.as_str();
        let mut provisioner = |block: &ProvisionerBlock| provisioner_plan(block, raw, &context, &mut found);
        let provisioners = template
            .provisioners
            .iter()
            .filter(|p| p.selection.includes(raw))
            .map(&mut provisioner)
            .collect();
        let error_cleanup =
            template.error_cleanup.iter().filter(|p| p.selection.includes(raw)).map(&mut provisioner).next();
        let post_processors = template
            .post_processors
            .iter()
            .map(|sequence| sequence_plan(sequence, raw, &options.except, &context))
            .filter(|sequence| !sequence.is_empty())
            .collect();
        builds.push(BuildPlan {
            name,
            builder_type: builder.type_name.clone(),
            type_span: builder.type_span.clone(),
            config: source(builder.config.clone(), &context),
            provisioners,
            error_cleanup,
            post_processors,
        });
    }
    check_selection(template, options, &all_names, &builds, &mut found);
    builds.sort_by(|a, b| a.name.cmp(&b.name));
    let plan = Plan { builds, variables: (*settled).clone(), secrets };
    (plan, found.sorted())
}

fn check_selection(
    template: &Template,
    options: &PlanOptions,
    names: &[String],
    builds: &[BuildPlan],
    found: &mut Diagnostics,
) {
    let post_processors: Vec<&str> =
        template.post_processors.iter().flatten().map(|p| p.name.as_str()).collect();
    let unknown = |wanted: &str, also: &[&str]| {
        let known = || names.iter().map(String::as_str).chain(also.iter().copied());
        (!wanted.is_empty() && !known().any(|k| k == wanted)).then(|| {
            let help = match nearest(wanted, known()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("the builds are {}", names.join(", ")),
            };
            (wanted.to_owned(), help)
        })
    };
    for (name, help) in options.only.iter().filter_map(|n| unknown(n, &[])) {
        found.push(
            Diagnostic::warning(
                "template/only-unknown",
                format!("-only names \"{name}\", which is no build"),
            )
            .help(help),
        );
    }
    for (name, help) in options.except.iter().filter_map(|n| unknown(n, &post_processors)) {
        found.push(
            Diagnostic::warning(
                "template/except-unknown",
                format!("-except names \"{name}\", which is neither a build nor a post-processor"),
            )
            .help(help),
        );
    }
    if builds.is_empty() && !names.is_empty() && !found.has_errors() {
        found.push(
            Diagnostic::error("template/nothing-to-build", "no builds to run")
                .detail("-only and -except leave nothing over")
                .help(format!("the builds are {}", names.join(", "))),
        );
    }
}

fn source(config: Node, context: &Arc<Context>) -> Arc<dyn ConfigSource> {
    Arc::new(JsonConfig { config, context: context.clone() })
}

fn provisioner_plan(
    block: &ProvisionerBlock,
    raw_build: &str,
    context: &Arc<Context>,
    found: &mut Diagnostics,
) -> ProvisionerPlan {
    let mut config = block.config.clone();
    if let (Some(over), Value::Object(members)) =
        (block.overrides.iter().find(|m| m.key == raw_build), &mut config.value)
    {
        for member in over.value.members() {
            members.retain(|m| m.key != member.key);
            members.push(member.clone());
        }
    }
    let max_retries = block.max_retries.as_ref().map_or(0, |node| {
        let text = match &node.value {
            Value::Number(n) => n.to_string(),
            Value::String(text) => match context.render(&text.expose(), BuildFacts::None, None) {
                Ok(text) => text.expose(),
                Err(problem) => {
                    found.push(finding("\"max_retries\"", &problem, &node.span));
                    return 0;
                }
            },
            _ => String::new(),
        };
        text.trim().parse().unwrap_or_else(|_| {
            found.push(
                Diagnostic::error(
                    "template/max-retries",
                    "\"max_retries\" must be a whole number, 0 or more",
                )
                .at(&node.span)
                .help("write for instance \"max_retries\": 3"),
            );
            0
        })
    });
    ProvisionerPlan {
        type_name: block.type_name.clone(),
        type_span: block.type_span.clone(),
        name: block.type_name.clone(),
        config: source(config, context),
        pause_before: block.pause_before,
        timeout: block.timeout,
        max_retries,
        continue_on_error: false,
    }
}

/// A post-processor that `-except` names ends its sequence.
fn sequence_plan(
    sequence: &[PostProcessorBlock],
    raw_build: &str,
    except: &[String],
    context: &Arc<Context>,
) -> Vec<PostProcessorPlan> {
    sequence
        .iter()
        .take_while(|p| !except.contains(&p.name))
        .filter(|p| p.selection.includes(raw_build))
        .map(|p| PostProcessorPlan {
            type_name: p.type_name.clone(),
            type_span: p.type_span.clone(),
            name: p.name.clone(),
            config: source(p.config.clone(), context),
            keep_input_artifact: p.keep_input_artifact,
        })
        .collect()
}

fn finding(what: &str, problem: &Problem, span: &Span) -> Diagnostic {
    let (at, message) = match problem {
        Problem::Wrong { at, message } => (*at, message.clone()),
        Problem::NoVariable { at, name } => (*at, format!("there is no variable \"{name}\"")),
        Problem::Unknown => (0, "it can't depend on the running build".to_owned()),
    };
    Diagnostic::error("template/interpolation", format!("{what} can't be rendered: {message}"))
        .at(&inside(span, at))
}

/// The place of an action inside of a string, where the string has no escapes before it; else the whole string.
fn inside(span: &Span, at: usize) -> Span {
    let range = span.range();
    let text = &span.file().text()[range.clone()];
    let start = at + 1;
    let plain = text.starts_with('"') && text.get(..start).is_some_and(|t| !t.contains('\\'));
    match text.get(start..).filter(|rest| plain && rest.starts_with("{{")) {
        Some(rest) => {
            let length = rest.find("}}").map_or(2, |end| end + 2);
            Span::new(span.file(), range.start + start..range.start + start + length)
        }
        None => span.clone(),
    }
}

struct JsonConfig {
    config: Node,
    context: Arc<Context>,
}

impl JsonConfig {
    fn node(&self, node: &Node, build: BuildFacts<'_>, depth: usize, found: &mut Diagnostics) -> Node {
        let value = match &node.value {
            Value::String(text) => match self.text(&text.expose(), &node.span, build, found) {
                Some(text) => Value::String(text),
                None => Value::Unknown,
            },
            Value::Array(items) => {
                Value::Array(items.iter().map(|n| self.node(n, build, depth + 1, found)).collect())
            }
            Value::Object(members) => Value::Object(
                members
                    .iter()
                    .map(|m| {
                        // Keys of the top level are option names; deeper ones are the user's own and are rendered.
                        let key =
                            if depth == 0 { None } else { self.text(&m.key, &m.key_span, build, found) };
                        Member {
                            key: key.map_or_else(|| m.key.clone(), |k| k.masked()),
                            key_span: m.key_span.clone(),
                            value: self.node(&m.value, build, depth + 1, found),
                        }
                    })
                    .collect(),
            ),
            other => other.clone(),
        };
        Node::new(value, node.span.clone())
    }

    /// None: known only during the build.
    fn text(&self, text: &str, span: &Span, build: BuildFacts<'_>, found: &mut Diagnostics) -> Option<Text> {
        match self.context.render(text, build, None) {
            Ok(text) => Some(text),
            Err(Problem::Unknown) => None,
            Err(problem) => {
                found.push(finding("this text", &problem, span));
                Some(Text::default())
            }
        }
    }
}

impl ConfigSource for JsonConfig {
    fn resolve(&self, data: Option<&BuildData>, deferred: &[String]) -> (Node, Diagnostics) {
        let build = data.map_or(BuildFacts::Pending, BuildFacts::Known);
        let mut found = Diagnostics::new();
        let members = self.config.members().iter().map(|m| {
            let is_deferred = deferred.iter().any(|d| d.eq_ignore_ascii_case(&m.key));
            let value = if is_deferred { m.value.clone() } else { self.node(&m.value, build, 1, &mut found) };
            Member { key: m.key.clone(), key_span: m.key_span.clone(), value }
        });
        let value = Value::Object(members.collect());
        (Node::new(value, self.config.span.clone()), found)
    }

    fn renderer(&self, data: &BuildData) -> Arc<dyn Renderer> {
        Arc::new(JsonRenderer { context: self.context.clone(), data: data.clone() })
    }

    fn span(&self) -> &Span {
        &self.config.span
    }
}

struct JsonRenderer {
    context: Arc<Context>,
    data: BuildData,
}

impl Renderer for JsonRenderer {
    fn render(&self, template: &Text, values: &IndexMap<String, Text>) -> Result<Text, String> {
        // A template with a secret in it can only come from a plugin that glued it together; its actions are not ours.
        let source = template.expose();
        let rendered = self.context.render(&source, BuildFacts::Known(&self.data), Some(values));
        match rendered {
            Ok(text) if template.is_sensitive() => Ok(text.map(str::to_owned)),
            Ok(text) => Ok(text),
            Err(Problem::Wrong { message, .. }) => Err(message),
            Err(Problem::NoVariable { name, .. }) => Err(format!("there is no variable \"{name}\"")),
            Err(Problem::Unknown) => Err("it depends on a value that is not known yet".to_owned()),
        }
    }
}
