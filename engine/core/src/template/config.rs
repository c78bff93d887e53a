//! Configurations of JSON templates bound to a build: their texts are rendered when they are asked for, because some
//! facts are known only while the build runs.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use indexmap::IndexMap;

use super::json;
use super::origins::{Origins, Use};
use crate::builder::BuildData;
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::interpolate::{self, BuildFacts, Problem, Scope};
use crate::plan::ConfigSource;
use crate::plugin::Renderer;
use crate::source::Span;
use crate::value::{Member, Node, Part, Text, Value};

/// What all configurations of a build share.
pub(super) struct Context {
    pub(super) variables: Arc<IndexMap<String, Text>>,
    /// Variables without a value because of a mistake that has been told: what is made of them is not known.
    pub(super) broken: Arc<HashSet<String>>,
    pub(super) origins: Arc<Origins>,
    pub(super) template_dir: String,
    pub(super) working_dir: String,
    pub(super) start_time: jiff::Timestamp,
    pub(super) build_name: String,
    pub(super) build_type: String,
    /// What a person who writes `{{user}}` should know; empty where that is how variables are written.
    pub(super) variables_are: &'static str,
}

impl Context {
    pub(super) fn render(
        &self,
        text: &str,
        build: BuildFacts<'_>,
        dot: Option<&IndexMap<String, Text>>,
    ) -> Result<Text, Problem> {
        self.render_with(text, build, dot, &|name| self.variables.get(name).cloned())
    }

    fn render_with(
        &self,
        text: &str,
        build: BuildFacts<'_>,
        dot: Option<&IndexMap<String, Text>>,
        user: &dyn Fn(&str) -> Option<Text>,
    ) -> Result<Text, Problem> {
        let scope = Scope {
            user,
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

pub(super) fn source(config: Node, context: &Arc<Context>) -> Arc<dyn ConfigSource> {
    Arc::new(JsonConfig { config, context: context.clone() })
}

pub(super) fn finding(what: &str, problem: &Problem, text: &str, span: &Span) -> Diagnostic {
    let finding = Diagnostic::error("template/interpolation", format!("{what} can't be rendered: {problem}"))
        .at(&place(span, text, problem.at()));
    // Who meant no action at all learns how to write the braces.
    match problem {
        Problem::NoFunction { near: Some(_), .. } => finding,
        Problem::NoFunction { near: None, .. } => finding.help(BRACES),
        _ if interpolate::check_syntax(text).is_err() => finding.help(BRACES),
        _ => finding,
    }
}

const BRACES: &str = "if {{ is meant as it stands, write {{`{{`}}";

/// The place in the source of the action, or the part of it, that begins at a byte of a text.
pub(super) fn place(span: &Span, text: &str, at: usize) -> Span {
    let rest = text.get(at..).unwrap_or_default();
    let length = match rest.find("}}").filter(|_| rest.starts_with("{{")) {
        Some(end) => end + 2,
        None if rest.starts_with("{{") => rest.len(),
        None => rest.chars().next().map_or(0, char::len_utf8),
    };
    json::inside(span, text, at..at + length)
}

/// The variables that the texts below a node name.
pub(super) fn uses(node: &Node, out: &mut Vec<Use>) {
    match &node.value {
        Value::String(text) => {
            out.extend(interpolate::user_names(&text.expose()).map(|name| (name, node.span.clone())));
        }
        Value::Array(items) => items.iter().for_each(|n| uses(n, out)),
        Value::Object(members) => members.iter().for_each(|m| uses(&m.value, out)),
        _ => {}
    }
}

struct JsonConfig {
    config: Node,
    context: Arc<Context>,
}

impl JsonConfig {
    fn node(&self, node: &Node, build: BuildFacts<'_>, depth: usize, found: &mut Diagnostics) -> Node {
        let value = match &node.value {
            Value::String(text) => match self.parts(text, &node.span, build, found) {
                Some(text) => Value::String(text),
                None => Value::Unknown,
            },
            Value::Array(items) => {
                Value::Array(items.iter().map(|n| self.node(n, build, depth + 1, found)).collect())
            }
            Value::Object(members) => Value::Object(
                members
                    .iter()
                    .filter_map(|m| {
                        // Keys of the top level are option names; deeper ones are the user's own and are rendered.
                        let key =
                            if depth == 0 { None } else { self.text(&m.key, &m.key_span, build, found) };
                        if key.as_ref().is_some_and(Text::is_sensitive) {
                            found.push(
                                Diagnostic::error("template/secret-key", "a sensitive value can't be a key")
                                    .at(&m.key_span)
                                    .detail("keys are shown in messages and can't be masked there")
                                    .help("use a variable that is not sensitive"),
                            );
                            return None;
                        }
                        Some(Member {
                            key: key.map_or_else(|| m.key.clone(), |k| k.masked()),
                            key_span: m.key_span.clone(),
                            value: self.node(&m.value, build, depth + 1, found),
                        })
                    })
                    .collect(),
            ),
            other => other.clone(),
        };
        Node::new(value, node.span.clone())
    }

    /// A text with secrets in it comes from an expression; its actions are in what is plain.
    fn parts(
        &self,
        text: &Text,
        span: &Span,
        build: BuildFacts<'_>,
        found: &mut Diagnostics,
    ) -> Option<Text> {
        if !text.is_sensitive() {
            return self.text(&text.expose(), span, build, found);
        }
        let mut out = Text::default();
        for part in text.parts() {
            match part {
                Part::Plain(plain) => out.push_text(&self.text(plain, span, build, found)?),
                Part::Secret(secret) => out.push_text(&Text::secret(secret.clone())),
            }
        }
        Some(out)
    }

    /// None: known only during the build, or wrong (told).
    fn text(&self, text: &str, span: &Span, build: BuildFacts<'_>, found: &mut Diagnostics) -> Option<Text> {
        let unknown = RefCell::new(Vec::new());
        let user = |name: &str| {
            let value = self.context.variables.get(name).cloned();
            if value.is_none() {
                unknown.borrow_mut().push(name.to_owned());
            }
            value
        };
        let rendered = self.context.render_with(text, build, None, &user);
        let unknown = unknown.into_inner();
        if unknown.iter().any(|name| self.context.broken.contains(name)) {
            return None;
        }
        // Told once, when the configuration is checked, and not again when the build runs.
        if matches!(build, BuildFacts::Pending) {
            for name in unknown {
                found.push(self.empty_variable(&name, text, span));
            }
        }
        match rendered {
            Ok(text) => Some(text),
            Err(Problem::Unknown) => None,
            Err(problem) => {
                let finding = finding("this text", &problem, text, span);
                found.push(match &problem {
                    Problem::NoFunction { name, .. } if self.context.variables.contains_key(name) => {
                        finding.help(format!("a variable is written {{{{user `{name}`}}}}"))
                    }
                    _ => finding,
                });
                None
            }
        }
    }

    /// As in Packer, an unknown variable renders empty; it is hardly ever meant.
    fn empty_variable(&self, name: &str, text: &str, span: &Span) -> Diagnostic {
        if !self.context.variables_are.is_empty() {
            return Diagnostic::error(
                "template/user-in-hcl",
                format!("{{{{user `{name}`}}}} has no meaning here"),
            )
            .at(span)
            .help(self.context.variables_are);
        }
        let help = match nearest(name, self.context.variables.keys().map(String::as_str)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "declare it in \"variables\", or give it with -var".to_owned(),
        };
        let range = text.find(name).map_or(0..text.len(), |at| at..at + name.len());
        Diagnostic::warning(
            "template/unknown-variable",
            format!("there is no variable \"{name}\"; an empty text stands in its place"),
        )
        .at(&json::inside(span, text, range))
        .help(help)
    }

    /// Adds the keys of `{{build}}` that the texts below a node name.
    fn collect_build_keys(node: &Node, out: &mut Vec<(String, Span)>) {
        match &node.value {
            Value::String(text) => {
                let text = text.expose();
                for (key, at) in interpolate::build_keys(&text) {
                    out.push((key, place(&node.span, &text, at)));
                }
            }
            Value::Array(items) => items.iter().for_each(|n| Self::collect_build_keys(n, out)),
            Value::Object(members) => members.iter().for_each(|m| Self::collect_build_keys(&m.value, out)),
            _ => {}
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

    fn explain(&self, found: Diagnostics) -> Diagnostics {
        if found.is_empty() {
            return found;
        }
        let mut names = Vec::new();
        uses(&self.config, &mut names);
        self.context.origins.explain(found, &names)
    }

    fn not_known(&self) -> Vec<Span> {
        let mut names = Vec::new();
        if !self.context.broken.is_empty() {
            uses(&self.config, &mut names);
        }
        names
            .into_iter()
            .filter(|(name, _)| self.context.broken.contains(name))
            .map(|(_, span)| span)
            .collect()
    }

    fn build_keys(&self) -> Vec<(String, Span)> {
        let mut out = Vec::new();
        Self::collect_build_keys(&self.config, &mut out);
        out
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
            Err(problem) => Err(problem.to_string()),
        }
    }
}
