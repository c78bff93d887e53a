//! From a template to a plan: variables settled, build names drawn, `only` and `except` applied, each component's
//! configuration bound to its build.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexSet;

use super::config::{Context, finding, source, uses};
use super::{BuilderBlock, PostProcessorBlock, ProvisionerBlock, Template, check, variables};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::interpolate::{self, BuildFacts};
use crate::plan::{BuildPlan, Plan, PostProcessorPlan, ProvisionerPlan};
use crate::secret::Secret;
use crate::source::SourceFile;
use crate::value::{Node, Part, Text, Value};

/// Reads an environment variable; only the composition root touches the real environment.
pub type Env = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What comes from outside of the template.
#[derive(Clone)]
pub struct PlanOptions {
    pub vars: Vec<(String, String)>,
    pub var_files: Vec<Arc<SourceFile>>,
    pub only: Vec<String>,
    pub except: Vec<String>,
    /// Reads an environment variable.
    pub env: Env,
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

/// Settles a template. The plan is as good as can be said where there are errors.
pub fn plan(template: &Template, options: &PlanOptions) -> (Plan, Diagnostics) {
    let mut found = Diagnostics::new();
    check::check(template, &mut found);
    let variables::Settled { values: settled, broken, origins, secrets } =
        variables::settle(template, options, &mut found);
    let (settled, broken, origins) = (Arc::new(settled), Arc::new(broken), Arc::new(origins));
    let (template_dir, working_dir) = options.dirs();
    let context = |builder: &BuilderBlock, name: &str| {
        Arc::new(Context {
            variables: settled.clone(),
            broken: broken.clone(),
            origins: origins.clone(),
            template_dir: template_dir.clone(),
            working_dir: working_dir.clone(),
            start_time: options.start_time,
            build_name: name.to_owned(),
            build_type: builder.type_name.clone(),
            variables_are: "",
        })
    };

    let mut builds: Vec<BuildPlan> = Vec::new();
    let mut taken = HashSet::new();
    let mut all_names = Vec::new();
    for builder in &template.builders {
        let is_known = !interpolate::user_names(&builder.raw_name).any(|name| broken.contains(&name));
        let name = match context(builder, &builder.raw_name).render(&builder.raw_name, BuildFacts::None, None)
        {
            Ok(_) if !is_known => Text::plain(&builder.raw_name),
            Ok(name) => name,
            Err(problem) => {
                found.push(finding("a builder's name", &problem, &builder.raw_name, &builder.name_span));
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
        if !taken.insert(name.clone()) {
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
            short_name: name.clone(),
            name,
            build_span: None,
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
    let mut secrets: IndexSet<Secret> = secrets.into_iter().collect();
    if settled.values().any(Text::is_sensitive) {
        for build in &builds {
            build.configs().for_each(|config| made_secrets(&config.resolve(None, &[]).0, &mut secrets));
        }
    }
    let plan = Plan { builds, variables: (*settled).clone(), secrets: secrets.into_iter().collect() };
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
                None => check::builds_are(names),
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
                .help(check::builds_are(names)),
        );
    }
}

/// What functions made of secrets has to be masked too.
pub(super) fn made_secrets(node: &Node, secrets: &mut IndexSet<Secret>) {
    match &node.value {
        Value::String(text) => {
            for part in text.parts() {
                if let Part::Secret(secret) = part
                    && !secret.expose().is_empty()
                {
                    secrets.insert(secret.clone());
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|n| made_secrets(n, secrets)),
        Value::Object(members) => members.iter().for_each(|m| made_secrets(&m.value, secrets)),
        _ => {}
    }
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
            members.retain(|m| !m.key.eq_ignore_ascii_case(&member.key));
            members.push(member.clone());
        }
    }
    let max_retries = block.max_retries.as_ref().map_or(0, |node| {
        let text = match &node.value {
            Value::Number(n) => n.to_string(),
            Value::String(text) => match context.render(&text.expose(), BuildFacts::None, None) {
                Ok(text) => text.expose(),
                Err(problem) => {
                    found.push(finding("\"max_retries\"", &problem, &text.expose(), &node.span));
                    return 0;
                }
            },
            _ => String::new(),
        };
        text.trim().parse().unwrap_or_else(|_| {
            let finding = Diagnostic::error(
                "template/max-retries",
                "\"max_retries\" must be a whole number, 0 or more",
            )
            .at(&node.span)
            .help("write for instance \"max_retries\": 3");
            let mut names = Vec::new();
            uses(node, &mut names);
            found.extend(context.origins.explain(finding.into(), &names));
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
        .filter(|p| p.selection.includes(raw_build))
        .take_while(|p| !except.contains(&p.name))
        .map(|p| PostProcessorPlan {
            type_name: p.type_name.clone(),
            type_span: p.type_span.clone(),
            name: p.name.clone(),
            config: source(p.config.clone(), context),
            keep_input_artifact: p.keep_input_artifact,
        })
        .collect()
}
