//! From build blocks to builds: each source of each build block is one, `-only` and `-except` applied.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use super::bodies::Bound;
use super::builds::{Build, POST_PROCESSOR_COMMON, PROVISIONER_COMMON, Reader, SourceUse, Step};
use super::config::{HclConfig, Owner};
use super::graph::references_of;
use super::settle::Settled;
use super::{HclTemplate, SourceBlock};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::hcl::print::print;
use crate::hcl::syntax::Reference;
use crate::hcl::{Val, convert};
use crate::pattern::Glob;
use crate::plan::{BuildPlan, Plan, PostProcessorPlan, ProvisionerPlan};
use crate::secret::Secret;
use crate::template::check::builds_are;
use crate::template::config::Context;
use crate::value::Text;

/// What comes from outside of the template.
#[derive(Clone)]
pub struct HclPlanOptions {
    pub only: Vec<String>,
    pub except: Vec<String>,
    /// Absolute.
    pub template_dir: PathBuf,
    /// Absolute.
    pub working_dir: PathBuf,
    pub start_time: jiff::Timestamp,
}

/// Makes the plan. It is as good as can be said where there are errors.
pub fn plan(template: &HclTemplate, settled: &Settled, options: &HclPlanOptions) -> (Plan, Diagnostics) {
    let mut found = Diagnostics::new();
    let (only, except) = (
        Patterns::new("-only", &options.only, &mut found),
        Patterns::new("-except", &options.except, &mut found),
    );
    template.twice.iter().for_each(|finding| found.push(finding.clone()));
    if template.builds.is_empty() {
        found.push(
            Diagnostic::error("template/no-build", "this template builds nothing: it has no \"build\" block")
                .help("add build { sources = [\"source.TYPE.NAME\"] }, or name the folder that has it"),
        );
    }
    let mut builds: Vec<BuildPlan> = Vec::new();
    let mut taken = HashSet::new();
    let mut names = Vec::new();
    let mut in_blocks = Diagnostics::new();
    let mut reader = Reader::new(settled, &mut in_blocks);
    template.registries.iter().for_each(|block| reader.root_registry(block));
    let blocks: Vec<Build> = template.builds.iter().map(|block| reader.build(block)).collect();
    if !in_blocks.is_empty() {
        let references: Vec<Reference> =
            template.builds.iter().flat_map(|block| references_of(&block.body)).collect();
        found.extend(settled.explain(in_blocks, &references));
    }
    let mut used = Used { only, except };
    for build in &blocks {
        if build.sources.is_empty()
            && !build.sources_told
            && let Some(header) = &build.header
        {
            found.push(
                Diagnostic::error("template/no-source", "this build has no source")
                    .at(header)
                    .help("name at least one: sources = [\"source.TYPE.NAME\"]"),
            );
        }
        for source in &build.sources {
            let Some(block) = find_source(template, source, build, &mut found) else { continue };
            let name = source.alias.as_deref().unwrap_or(&source.name);
            let short = format!("{}.{name}", source.type_name);
            let full = if build.name.is_empty() { short.clone() } else { format!("{}.{short}", build.name) };
            names.push(full.clone());
            if !used.wants(&full) {
                continue;
            }
            if !taken.insert(full.clone()) {
                found.push(
                    Diagnostic::error("template/duplicate-build", format!("two builds have the name \"{full}\""))
                        .at(&source.span)
                        .help("give the build block a \"name\", or the source one: source \"TYPE.NAME\" { name = \"…\" }"),
                );
                continue;
            }
            let owner = Owner {
                settled: settled.clone(),
                context: Arc::new(Context {
                    variables: Arc::default(),
                    broken: Arc::default(),
                    origins: Arc::default(),
                    template_dir: options.template_dir.display().to_string(),
                    working_dir: options.working_dir.display().to_string(),
                    start_time: options.start_time,
                    build_name: name.to_owned(),
                    build_type: source.type_name.clone(),
                    variables_are: "variables are written ${var.NAME} in HCL",
                }),
                source_type: source.type_name.clone(),
                source_name: name.to_owned(),
                build_name: build.name.clone(),
            };
            builds.push(build_plan(build, source, block, full, &short, owner, &mut used));
        }
    }
    used.tell(&names, !builds.is_empty() || found.has_errors() || names.is_empty(), &mut found);
    let mut secrets: IndexSet<Secret> = settled.secrets.iter().cloned().collect();
    for build in &builds {
        build.configs().for_each(|config| {
            crate::template::plan::made_secrets(&config.resolve(None, &[]).0, &mut secrets);
        });
    }
    let secrets = secrets.into_iter().collect();
    (Plan { builds, variables: variables(settled), secrets }, found.sorted())
}

/// Variables by name, and locals with their prefix, as texts.
fn variables(settled: &Settled) -> IndexMap<String, Text> {
    let mut out = IndexMap::new();
    for (root, prefix) in [("var", ""), ("local", "local.")] {
        for (name, value) in settled.names.get(root).and_then(Val::fields).into_iter().flatten() {
            if value.is_known() && !value.is_null() {
                out.insert(format!("{prefix}{name}"), as_text(value));
            }
        }
    }
    out
}

fn as_text(value: &Val) -> Text {
    match convert(value.clone(), &crate::hcl::Type::String) {
        Ok(Val::String(text)) => text,
        // A list or an object in the form of the console; its secrets are masked in it.
        _ => Text::plain(print(value)),
    }
}

fn find_source<'t>(
    template: &'t HclTemplate,
    source: &SourceUse,
    build: &Build,
    found: &mut Diagnostics,
) -> Option<&'t SourceBlock> {
    let block = template.source(&source.type_name, &source.name);
    if block.is_none() {
        let known: Vec<String> =
            template.sources.iter().map(|s| format!("{}.{}", s.type_name, s.name)).collect();
        let wanted = format!("{}.{}", source.type_name, source.name);
        let help = match nearest(&wanted, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean \"source.{near}\"?"),
            None if known.is_empty() => "there is no source block at all".to_owned(),
            None => format!("there are {}", known.join(", ")),
        };
        found.push(
            Diagnostic::error("template/unknown-source", format!("there is no source \"{wanted}\""))
                .at(&source.span)
                .help(help),
        );
        if let Some(header) = &build.header {
            found.push(Diagnostic::echo(
                "template/unknown-source",
                "a source of this build is not there",
                header,
            ));
        }
    }
    block
}

fn build_plan(
    build: &Build,
    source: &SourceUse,
    block: &SourceBlock,
    name: String,
    short: &str,
    owner: Owner,
    used: &mut Used,
) -> BuildPlan {
    let parts: Vec<Bound> = std::iter::once(Bound::new(&block.block)).chain(source.added.clone()).collect();
    let span = block.block.header();
    let config = HclConfig {
        owner: owner.clone(),
        parts,
        skip: if source.added.is_some() { &["name"] } else { &[] },
        is_builder: true,
        overrides: None,
        span,
    };
    let chosen = |step: &&Step| step.selection.includes(short);
    let provisioner = |step: &Step| ProvisionerPlan {
        type_name: step.type_name.clone(),
        type_span: step.type_span.clone(),
        name: if step.name.is_empty() { step.type_name.clone() } else { step.name.clone() },
        config: step_config(step, &owner, PROVISIONER_COMMON),
        pause_before: step.pause_before,
        timeout: step.timeout,
        max_retries: step.max_retries,
        continue_on_error: step.continue_on_error,
    };
    let mut post_processors = Vec::new();
    for sequence in &build.post_processors {
        let mut steps = Vec::new();
        for step in sequence.iter().filter(chosen) {
            let name = if step.name.is_empty() { &step.type_name } else { &step.name };
            // One that -except names ends its sequence.
            if used.except.matches(name) {
                break;
            }
            steps.push(PostProcessorPlan {
                type_name: step.type_name.clone(),
                type_span: step.type_span.clone(),
                name: name.clone(),
                config: step_config(step, &owner, POST_PROCESSOR_COMMON),
                keep_input_artifact: step.keep_input_artifact,
            });
        }
        if !steps.is_empty() {
            post_processors.push(steps);
        }
    }
    BuildPlan {
        name,
        short_name: owner.source_name.clone(),
        builder_type: source.type_name.clone(),
        type_span: block.type_span.clone(),
        build_span: build.header.clone(),
        config: Arc::new(config),
        provisioners: build.provisioners.iter().filter(chosen).map(provisioner).collect(),
        error_cleanup: build.error_cleanup.iter().filter(chosen).map(provisioner).next(),
        post_processors,
    }
}

fn step_config(step: &Step, owner: &Owner, skip: &'static [&'static str]) -> Arc<HclConfig> {
    Arc::new(HclConfig {
        owner: owner.clone(),
        parts: vec![step.bound.clone()],
        skip,
        is_builder: false,
        overrides: step.overrides.clone().map(|expr| (expr, step.bound.names.clone())),
        span: step.header.clone(),
    })
}

/// The patterns of a flag, and which of them matched something.
struct Patterns {
    flag: &'static str,
    globs: Vec<(String, Glob, bool)>,
    given: bool,
}

impl Patterns {
    fn new(flag: &'static str, patterns: &[String], found: &mut Diagnostics) -> Self {
        let mut globs = Vec::new();
        for pattern in patterns.iter().filter(|p| !p.is_empty()) {
            match Glob::new(pattern) {
                Ok(glob) => globs.push((pattern.clone(), glob, false)),
                Err(reason) => found.push(
                    Diagnostic::error(
                        "template/pattern",
                        format!("{flag} {pattern:?} is no pattern: {reason}"),
                    )
                    .help("* stands for any characters, ? for one, [ab] for one of them, {a,b} for a choice"),
                ),
            }
        }
        Self { flag, given: patterns.iter().any(|p| !p.is_empty()), globs }
    }

    fn matches(&mut self, name: &str) -> bool {
        let mut any = false;
        for (_, glob, used) in &mut self.globs {
            if glob.matches(name) {
                *used = true;
                any = true;
            }
        }
        any
    }
}

struct Used {
    only: Patterns,
    except: Patterns,
}

impl Used {
    fn wants(&mut self, name: &str) -> bool {
        (!self.only.given || self.only.matches(name)) && !self.except.matches(name)
    }

    fn tell(&self, names: &[String], fine: bool, found: &mut Diagnostics) {
        for patterns in [&self.only, &self.except] {
            for (pattern, _, _) in patterns.globs.iter().filter(|(_, _, used)| !used) {
                let help = match nearest(pattern, names.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => builds_are(names),
                };
                found.push(
                    Diagnostic::warning(
                        "template/no-match",
                        format!("{} {pattern:?} matches nothing", patterns.flag),
                    )
                    .help(help),
                );
            }
        }
        if !fine {
            found.push(
                Diagnostic::error("template/nothing-to-build", "no builds to run")
                    .detail("-only and -except leave nothing over")
                    .help(builds_are(names)),
            );
        }
    }
}
