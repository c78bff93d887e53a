//! The blocks of a build: its sources, and its provisioners and post-processors with the arguments that mean the same
//! in each of them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::bodies::{self, Bound, Budget};
use super::settle::Settled;
use super::{check_arguments, unknown_block};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::duration::parse_duration;
use crate::hcl::syntax::{Attribute, Block, Body, Expr, ExprKind};
use crate::hcl::{Allow, Scope, Type, Val, convert, evaluate};
use crate::source::Span;
use crate::template::Selection;

/// Arguments of a provisioner that are the engine's.
pub(in crate::template) const PROVISIONER_COMMON: &[&str] =
    &["name", "only", "except", "pause_before", "timeout", "max_retries", "override", "continue_on_error"];
pub(in crate::template) const POST_PROCESSOR_COMMON: &[&str] =
    &["name", "only", "except", "keep_input_artifact"];
const BUILD_BLOCKS: [&str; 6] = [
    "source",
    "provisioner",
    "error-cleanup-provisioner",
    "post-processor",
    "post-processors",
    "hcp_packer_registry",
];

/// One build block.
#[derive(Default)]
pub(super) struct Build {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) header: Option<Span>,
    pub(super) sources: Vec<SourceUse>,
    /// Why there are none, or fewer than written, has been told, or is not known.
    pub(super) sources_told: bool,
    pub(super) provisioners: Vec<Step>,
    pub(super) error_cleanup: Option<Step>,
    pub(super) post_processors: Vec<Vec<Step>>,
}

/// A source that is built, with what the build adds to it.
pub(super) struct SourceUse {
    pub(super) type_name: String,
    pub(super) name: String,
    /// What the build calls it.
    pub(super) alias: Option<String>,
    pub(super) span: Span,
    pub(super) added: Option<Bound>,
}

/// A provisioner or post-processor.
pub(super) struct Step {
    pub(super) type_name: String,
    pub(super) type_span: Span,
    pub(super) header: Span,
    /// Empty without one.
    pub(super) name: String,
    pub(super) selection: Selection,
    pub(super) pause_before: Duration,
    pub(super) timeout: Option<Duration>,
    pub(super) max_retries: u32,
    pub(super) continue_on_error: bool,
    pub(super) keep_input_artifact: Option<bool>,
    pub(super) overrides: Option<Expr>,
    pub(super) bound: Bound,
}

pub(super) struct Reader<'a> {
    pub(super) settled: &'a Settled,
    pub(super) found: &'a mut Diagnostics,
    budget: Budget,
}

impl<'a> Reader<'a> {
    pub(super) fn new(settled: &'a Settled, found: &'a mut Diagnostics) -> Self {
        Self { settled, found, budget: Budget::default() }
    }

    fn eval(&mut self, expr: &Expr, names: &BTreeMap<String, Val>) -> Val {
        let base = Scope::new(&self.settled.names);
        let (value, more) =
            evaluate(expr, &Scope::over(names, &base), Allow::ALL, self.settled.host.as_ref());
        self.found.extend(more);
        value
    }

    /// A value of a type; none if it is null, not known, or wrong (told).
    fn typed(&mut self, attribute: &Attribute, ty: &Type, names: &BTreeMap<String, Val>) -> Option<Val> {
        let value = self.eval(&attribute.expr, names);
        match convert(value, ty) {
            Ok(Val::Null(_) | Val::Unknown(_)) => None,
            Ok(value) => Some(value),
            Err(error) => {
                self.found.push(
                    Diagnostic::error(
                        "template/wrong-type",
                        format!("\"{}\" can't have this value: {error}", attribute.name),
                    )
                    .at(&attribute.expr.span),
                );
                None
            }
        }
    }

    fn text(&mut self, attribute: Option<&Attribute>, names: &BTreeMap<String, Val>) -> String {
        let value = attribute.and_then(|a| self.typed(a, &Type::String, names));
        // Names are printed on every line: a secret has no business in them.
        value.and_then(|v| v.as_text().map(crate::value::Text::masked)).unwrap_or_default()
    }

    pub(super) fn build(&mut self, block: &Block) -> Build {
        let none = BTreeMap::new();
        let body = &block.body;
        let mut build = Build { header: Some(block.header()), ..Build::default() };
        check_arguments(body, &["name", "description", "sources"], "a \"build\" block", self.found);
        build.name = self.text(body.attribute("name"), &none);
        build.description = self.text(body.attribute("description"), &none);
        if let Some(attribute) = body.attribute("sources") {
            self.sources(attribute, &mut build);
        }
        let base = Scope::new(&self.settled.names);
        let host = self.settled.host.as_ref();
        let blocks = bodies::blocks(body, &base, host, self.found, &mut self.budget);
        let mut registries = 0;
        for bound in blocks {
            match bound.kind.as_str() {
                "source" => self.source(bound, &mut build),
                "provisioner" => build.provisioners.extend(self.step(bound, PROVISIONER_COMMON)),
                "error-cleanup-provisioner" => {
                    if let Some(first) = &build.error_cleanup {
                        self.found.push(
                            Diagnostic::error(
                                "template/two-error-cleanups",
                                "a build has one error-cleanup-provisioner",
                            )
                            .at(&bound.header)
                            .related(&first.header, "the first one"),
                        );
                        continue;
                    }
                    build.error_cleanup = self.step(bound, PROVISIONER_COMMON);
                }
                "post-processor" => {
                    let step = self.step(bound, POST_PROCESSOR_COMMON);
                    build.post_processors.extend(step.map(|step| vec![step]));
                }
                "post-processors" => {
                    check_arguments(&bound.body, &[], "a \"post-processors\" block", self.found);
                    let outer = Scope::over(&bound.names, &base);
                    let mut sequence = Vec::new();
                    let steps = bodies::blocks(&bound.body, &outer, host, self.found, &mut self.budget);
                    for mut inner in steps {
                        if inner.kind != "post-processor" {
                            self.found.push(unknown_bound(
                                &inner,
                                &["post-processor"],
                                "a \"post-processors\" block",
                            ));
                            continue;
                        }
                        for (name, value) in &bound.names {
                            inner.names.entry(name.clone()).or_insert_with(|| value.clone());
                        }
                        sequence.extend(self.step(inner, POST_PROCESSOR_COMMON));
                    }
                    if !sequence.is_empty() {
                        build.post_processors.push(sequence);
                    }
                }
                "hcp_packer_registry" => {
                    registries += 1;
                    if registries > 1 {
                        self.found.push(
                            Diagnostic::error(
                                "template/two-registries",
                                "a build has one hcp_packer_registry block",
                            )
                            .at(&bound.header),
                        );
                    }
                    self.registry(&bound);
                }
                _ => self.found.push(unknown_bound(&bound, &BUILD_BLOCKS, "a \"build\" block")),
            }
        }
        build
    }

    fn sources(&mut self, attribute: &Attribute, build: &mut Build) {
        let none = BTreeMap::new();
        let Some(list) = self.typed(attribute, &Type::list(Type::String), &none) else {
            let is_null = matches!(&attribute.expr.kind, ExprKind::Literal(Val::Null(_)));
            build.sources_told |= !is_null;
            return;
        };
        let items = match &attribute.expr.kind {
            ExprKind::Tuple(items) => items.as_slice(),
            _ => &[],
        };
        for (i, value) in list.items().unwrap_or_default().iter().enumerate() {
            let span = items.get(i).map_or(&attribute.expr.span, |e| &e.span).clone();
            let Some(text) = value.as_text().map(crate::value::Text::masked) else { continue };
            match self.reference(&text, &span, build) {
                Some((type_name, name)) => {
                    build.sources.push(SourceUse { type_name, name, alias: None, span, added: None });
                }
                None => build.sources_told = true,
            }
        }
    }

    /// `source.TYPE.NAME` or `TYPE.NAME`.
    fn reference(&mut self, text: &str, span: &Span, build: &Build) -> Option<(String, String)> {
        let parts: Vec<&str> = text.split('.').collect();
        let (kind, name) = match parts.as_slice() {
            [kind, name] | [_, kind, name] => (*kind, *name),
            _ => ("", ""),
        };
        if [kind, name].iter().all(|p| crate::hcl::lex::is_identifier(p)) {
            return Some((kind.to_owned(), name.to_owned()));
        }
        self.found.push(
            Diagnostic::error("template/source-reference", format!("{text:?} does not refer to a source"))
                .at(span)
                .help("write \"source.TYPE.NAME\", for instance \"source.azure-arm.web\""),
        );
        if let Some(header) = &build.header {
            self.found.push(Diagnostic::echo(
                "template/source-reference",
                "a source of this build is not one",
                header,
            ));
        }
        None
    }

    fn source(&mut self, bound: Bound, build: &mut Build) {
        let Some(label) = bound.labels.first().filter(|_| bound.labels.len() == 1).cloned() else {
            self.found.push(
                Diagnostic::error("template/missing-label", "a source in a build has one label")
                    .at(&bound.header)
                    .help("write source \"source.TYPE.NAME\" { … }"),
            );
            return;
        };
        let Some((type_name, name)) = self.reference(&label.text, &label.span, build) else { return };
        let alias = self.text(bound.body.attribute("name"), &bound.names);
        build.sources.push(SourceUse {
            type_name,
            name,
            alias: Some(alias).filter(|a| !a.is_empty()),
            span: bound.header.clone(),
            added: Some(bound),
        });
    }

    fn registry(&mut self, bound: &Bound) {
        let known = ["bucket_name", "description", "bucket_labels", "build_labels", "labels", "channels"];
        check_arguments(&bound.body, &known, "a \"hcp_packer_registry\" block", self.found);
        let name = self.text(bound.body.attribute("bucket_name"), &bound.names);
        let fits =
            (3..=36).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !name.is_empty() && !fits {
            self.found.push(
                Diagnostic::error(
                    "template/registry",
                    "a bucket_name has 3 to 36 ASCII letters, digits and hyphens",
                )
                .at(&bound.header),
            );
        }
        let description = self.text(bound.body.attribute("description"), &bound.names);
        if description.chars().count() > 255 {
            self.found.push(
                Diagnostic::error(
                    "template/registry",
                    "the description of a registry has at most 255 characters",
                )
                .at(&bound.header),
            );
        }
        self.found.push(
            Diagnostic::note(
                "template/registry-unused",
                "hcp_packer_registry is not used: this engine publishes to no registry",
            )
            .at(&bound.header),
        );
    }

    pub(super) fn root_registry(&mut self, block: &Block) {
        self.registry(&Bound::new(block));
    }

    fn step(&mut self, bound: Bound, common: &[&str]) -> Option<Step> {
        if bound.labels.len() != 1 {
            let extra = bound.labels.get(1);
            let code = if extra.is_some() { "template/extra-label" } else { "template/missing-label" };
            self.found.push(
                Diagnostic::error(code, format!("a \"{}\" block has one label, its type", bound.kind))
                    .at(extra.map_or(&bound.header, |l| &l.span))
                    .help(format!("write {} \"TYPE\" {{ … }}", bound.kind)),
            );
            return None;
        }
        let label = bound.labels[0].clone();
        // These arguments may refer to the source by name, which differs from build to build: only its type is asked.
        let mut names = bound.names.clone();
        let later = || Val::Unknown(Type::String);
        names
            .entry("source".to_owned())
            .or_insert_with(|| Val::object([("type", later()), ("name", later())]));
        names.entry("build".to_owned()).or_insert(Val::DYNAMIC);
        let take = |name: &str| common.contains(&name).then(|| bound.body.attribute(name).cloned()).flatten();
        let mut step = Step {
            name: self.text(take("name").as_ref(), &names),
            selection: Selection::default(),
            pause_before: Duration::ZERO,
            timeout: None,
            max_retries: 0,
            continue_on_error: false,
            keep_input_artifact: None,
            overrides: take("override").map(|a| a.expr),
            type_name: label.text,
            type_span: label.span,
            header: bound.header.clone(),
            bound: bound.clone(),
        };
        for (name, list) in [("only", &mut step.selection.only), ("except", &mut step.selection.except)] {
            if let Some(attribute) = take(name)
                && let Some(value) = self.typed(&attribute, &Type::list(Type::String), &names)
            {
                for item in value.items().unwrap_or_default() {
                    list.extend(item.as_str().map(|text| (text, attribute.expr.span.clone())));
                }
            }
        }
        if !step.selection.only.is_empty() && !step.selection.except.is_empty() {
            self.found.push(
                Diagnostic::error(
                    "template/only-and-except",
                    "only one of \"only\" and \"except\" may be given",
                )
                .at(&step.header)
                .help("remove one of the two"),
            );
        }
        if let Some(pause) = take("pause_before").and_then(|a| self.duration(&a, &names, &step)) {
            step.pause_before = pause;
        }
        step.timeout = take("timeout").and_then(|a| self.duration(&a, &names, &step));
        if let Some(attribute) = take("max_retries")
            && let Some(value) = self.typed(&attribute, &Type::Number, &names)
        {
            match value.as_number().and_then(crate::hcl::Number::to_i64).and_then(|n| u32::try_from(n).ok()) {
                Some(retries) => step.max_retries = retries,
                None => self.found.push(
                    Diagnostic::error(
                        "template/max-retries",
                        "\"max_retries\" must be a whole number, 0 or more",
                    )
                    .at(&attribute.expr.span)
                    .help("write for instance max_retries = 3"),
                ),
            }
        }
        let mut flag = |name: &str| {
            let attribute = take(name)?;
            self.typed(&attribute, &Type::Bool, &names).and_then(|v| v.as_bool())
        };
        step.continue_on_error = flag("continue_on_error").unwrap_or(false);
        step.keep_input_artifact = flag("keep_input_artifact");
        Some(step)
    }

    fn duration(
        &mut self,
        attribute: &Attribute,
        names: &BTreeMap<String, Val>,
        step: &Step,
    ) -> Option<Duration> {
        let value = self.typed(attribute, &Type::String, names)?;
        match parse_duration(&value.as_str()?) {
            Ok(duration) => Some(duration),
            Err(message) => {
                let summary = format!("\"{}\": {message}", attribute.name);
                self.found.push(Diagnostic::error("template/duration", summary).at(&attribute.expr.span));
                self.found.push(Diagnostic::echo(
                    "template/duration",
                    &format!("this {} can't be used", step.bound.kind),
                    &step.header,
                ));
                None
            }
        }
    }
}

fn unknown_bound(bound: &Bound, known: &[&str], place: &str) -> Diagnostic {
    let block = Block {
        kind: bound.kind.clone(),
        kind_span: bound.kind_span.clone(),
        labels: bound.labels.clone(),
        body: Body::clone(&bound.body),
    };
    unknown_block(&block, known.iter().copied(), place)
}
