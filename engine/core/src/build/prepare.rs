//! Checks a build: its builder, and the configuration of each provisioner and post-processor by schema and by the
//! component itself. Finds every problem of every component at once and creates nothing.

use std::sync::Arc;

use super::{PostProcessor, PreparedBuild, Provisioner};
use crate::builder::{BuilderFactory, PrepareContext};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, nearest};
use crate::plan::{BuildPlan, ConfigSource, ProvisionerPlan};
use crate::plugin::{Extension, ExtensionKind, Finding, PluginCatalog, PluginError};
use crate::schema;
use crate::source::Span;
use crate::value::Node;

/// Checks everything about a build that can be checked without a cloud. None if there are errors.
pub async fn prepare_build(
    plan: &BuildPlan,
    factories: &[Arc<dyn BuilderFactory>],
    catalog: &dyn PluginCatalog,
    context: &PrepareContext,
) -> (Option<PreparedBuild>, Diagnostics) {
    let mut found = Diagnostics::new();
    let builder = match factories.iter().find(|factory| factory.type_name() == plan.builder_type) {
        Some(factory) => {
            let (config, problems) = plan.config.resolve(None, &[]);
            let resolved = !problems.has_errors();
            found.extend(plan.config.explain(problems.clone()));
            found.extend(plan.check_build_keys(factory.build_data_keys()));
            let (builder, more) = factory.prepare(&config, context);
            found.extend(plan.config.explain(news(more, plan.config.as_ref(), &problems)));
            builder.filter(|_| resolved)
        }
        None => {
            let known: Vec<&str> = factories.iter().map(|factory| factory.type_name()).collect();
            found.push(unknown_type("builder", &plan.builder_type, &plan.type_span, known));
            if let Some(span) = &plan.build_span {
                found.push(Diagnostic::echo(
                    "build/unknown-builder",
                    "the type of a source is not known",
                    span,
                ));
            }
            None
        }
    };
    let mut provisioners = Vec::new();
    for provisioner in &plan.provisioners {
        provisioners.extend(self::provisioner(provisioner, catalog, &mut found).await);
    }
    let error_cleanup = match &plan.error_cleanup {
        Some(provisioner) => self::provisioner(provisioner, catalog, &mut found).await,
        None => None,
    };
    let mut post_processors = Vec::new();
    for sequence in &plan.post_processors {
        let mut prepared = Vec::new();
        for plan in sequence {
            let kind = ExtensionKind::PostProcessor;
            let extension = find(catalog, kind, &plan.type_name, &plan.type_span, &mut found);
            if let Some(extension) = extension {
                check(extension.as_ref(), plan.config.as_ref(), &plan.type_span, &mut found).await;
                prepared.push(PostProcessor { plan: plan.clone(), extension });
            }
        }
        post_processors.push(prepared);
    }
    let prepared = builder.filter(|_| !found.has_errors()).map(|builder| PreparedBuild {
        name: plan.name.clone(),
        short_name: plan.short_name.clone(),
        builder_type: plan.builder_type.clone(),
        context: context.clone(),
        builder,
        provisioners,
        error_cleanup,
        post_processors,
    });
    (prepared, found)
}

/// The findings of a builder, but for those about values that could not be evaluated: that has been told, or nobody was
/// asked for them yet.
fn news(findings: Diagnostics, config: &dyn ConfigSource, problems: &Diagnostics) -> Diagnostics {
    if findings.is_empty() {
        return findings;
    }
    let mut told = config.not_known();
    for problem in problems.iter().filter(|problem| problem.severity == Severity::Error) {
        told.extend(problem.span.iter().chain(problem.related.iter().map(|(span, _)| span)).cloned());
    }
    let is_new = |finding: &Diagnostic| {
        !finding.span.as_ref().is_some_and(|span| told.iter().any(|t| t.overlaps(span)))
    };
    findings.into_iter().filter(is_new).collect()
}

async fn provisioner(
    plan: &ProvisionerPlan,
    catalog: &dyn PluginCatalog,
    found: &mut Diagnostics,
) -> Option<Provisioner> {
    let extension = find(catalog, ExtensionKind::Provisioner, &plan.type_name, &plan.type_span, found)?;
    check(extension.as_ref(), plan.config.as_ref(), &plan.type_span, found).await;
    Some(Provisioner { plan: plan.clone(), extension })
}

fn find(
    catalog: &dyn PluginCatalog,
    kind: ExtensionKind,
    name: &str,
    span: &Span,
    found: &mut Diagnostics,
) -> Option<Arc<dyn Extension>> {
    let extension = catalog.find(kind, name);
    if extension.is_none() {
        let known = catalog.names(kind);
        let known = known.iter().map(String::as_str).collect();
        found.push(unknown_type(kind.as_str(), name, span, known));
    }
    extension
}

fn unknown_type(what: &str, name: &str, span: &Span, mut known: Vec<&str>) -> Diagnostic {
    known.sort_unstable();
    known.dedup();
    let there = match known.as_slice() {
        [] => format!("no {what}s are loaded"),
        known => format!("there are: {}", known.join(", ")),
    };
    let code = match what {
        "builder" => "build/unknown-builder",
        "provisioner" => "build/unknown-provisioner",
        _ => "build/unknown-post-processor",
    };
    let finding = Diagnostic::error(code, format!("unknown {what} type \"{name}\"")).at(span).detail(there);
    match (nearest(name, known.iter().copied()), what) {
        (Some(near), _) => finding.help(format!("did you mean \"{near}\"?")),
        (None, "builder") => {
            finding.help("choose the builds that can run with -only; builders do not come as plugins")
        }
        (None, _) => {
            finding.help(format!("if a plugin provides this {what}, name its folder with --plugin-dir"))
        }
    }
}

/// The configuration by its schema and by the component's own word.
async fn check(
    extension: &dyn Extension,
    source: &dyn ConfigSource,
    type_span: &Span,
    found: &mut Diagnostics,
) {
    let info = extension.info();
    let (config, problems) = source.resolve(None, &schema::deferred(&info.schema));
    let (config, more) = schema::check(&config, &info.schema, source.typing());
    let sound = !problems.has_errors() && !more.has_errors();
    found.extend(source.explain(problems));
    found.extend(source.explain(more));
    // A component may rely on its schema, so it never sees a configuration that violates it.
    if !sound {
        if source.typing() == schema::Typing::Typed {
            found.push(Diagnostic::echo(
                "build/rejected",
                &format!("this {} can't be used", info.kind.as_str()),
                source.span(),
            ));
        }
        return;
    }
    match extension.prepare(&config).await {
        Ok(prepared) => {
            let findings = prepared.findings.into_iter().map(|finding| from_finding(&config, finding));
            found.extend(source.explain(findings.collect()));
        }
        Err(PluginError::Cancelled) => {}
        Err(PluginError::Denied { reason, help }) => {
            found.push(Diagnostic::error("plugin/right-denied", reason).at(type_span).help(help));
        }
        Err(error) => found.push(
            Diagnostic::error(
                "plugin/check-failed",
                format!(
                    "the {} \"{}\" could not check its configuration: {error}",
                    info.kind.as_str(),
                    info.name
                ),
            )
            .at(type_span)
            .detail(format!("plugin {} {} ({})", info.plugin_name, info.plugin_version, info.origin)),
        ),
    }
}

fn from_finding(config: &Node, finding: Finding) -> Diagnostic {
    let code = if finding.code.is_empty() { "plugin/configuration".to_owned() } else { finding.code };
    let place = config.nearest_at(&finding.path).head();
    let new = match finding.severity {
        Severity::Error => Diagnostic::error,
        Severity::Warning => Diagnostic::warning,
        Severity::Note => Diagnostic::note,
    };
    let new = new(code, finding.summary).at(&place);
    if finding.help.is_empty() { new } else { new.help(finding.help) }
}
