//! Settles user variables: defaults, then variable files, then `-var`; references among them are followed until
//! nothing is left to render.

use std::collections::HashSet;

use indexmap::IndexMap;

use super::{PlanOptions, Template};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::interpolate::{self, BuildFacts, Problem, Scope};
use crate::secret::Secret;
use crate::source::Span;
use crate::value::{Part, Text};

/// A sensitive value shorter than this is masked only where it stands alone.
const SHORT: usize = 4;

struct Raw {
    value: Option<String>,
    /// Where the value was written; none for the command line.
    span: Option<Span>,
}

/// The variables by name, and all values that must be masked.
pub(super) fn settle(
    template: &Template,
    options: &PlanOptions,
    found: &mut Diagnostics,
) -> (IndexMap<String, Text>, Vec<Secret>) {
    let mut raw: IndexMap<String, Raw> = IndexMap::new();
    for variable in &template.variables {
        raw.insert(
            variable.name.clone(),
            Raw { value: variable.default.clone(), span: Some(variable.value_span.clone()) },
        );
    }
    for file in &options.var_files {
        let (values, problems) = super::parse_variable_file(file);
        found.extend(problems);
        for (name, value, span) in values {
            raw.insert(name, Raw { value: Some(value), span: Some(span) });
        }
    }
    for (name, value) in &options.vars {
        raw.insert(name.clone(), Raw { value: Some(value.clone()), span: None });
    }
    for variable in &template.variables {
        if raw[&variable.name].value.is_none() {
            found.push(
                Diagnostic::error(
                    "template/required-variable",
                    format!("the variable \"{}\" has no value", variable.name),
                )
                .at(&variable.span)
                .detail("its default is null, so it has to be given")
                .help(format!("give it with -var '{}=...' or in a -var-file", variable.name)),
            );
        }
    }
    let sensitive: HashSet<&str> = template.sensitive.iter().map(|(name, _)| name.as_str()).collect();
    let settled = resolve(&raw, &sensitive, options, found);

    let mut secrets = Vec::new();
    for (name, text) in &settled {
        for part in text.parts() {
            let Part::Secret(secret) = part else { continue };
            let length = secret.expose().chars().count();
            if sensitive.contains(name.as_str()) && (1..SHORT).contains(&length) {
                let place = template.sensitive.iter().find(|(n, _)| n == name);
                let mut finding = Diagnostic::warning(
                    "template/short-secret",
                    format!("the sensitive variable \"{name}\" has a value of fewer than {SHORT} characters"),
                )
                .detail("so short a value is masked only where it stands alone, because it occurs in ordinary words")
                .help("use a longer value");
                if let Some((_, span)) = place {
                    finding = finding.at(span);
                }
                found.push(finding);
            }
            if length > 0 {
                secrets.push(secret.clone());
            }
        }
    }
    (settled, secrets)
}

fn resolve(
    raw: &IndexMap<String, Raw>,
    sensitive: &HashSet<&str>,
    options: &PlanOptions,
    found: &mut Diagnostics,
) -> IndexMap<String, Text> {
    let mut settled: IndexMap<String, Text> = IndexMap::new();
    let mut broken: HashSet<&str> =
        raw.iter().filter(|(_, r)| r.value.is_none()).map(|(n, _)| n.as_str()).collect();
    let mut pending: Vec<&str> = raw.keys().map(String::as_str).filter(|n| !broken.contains(n)).collect();
    loop {
        let before = pending.len();
        let mut waiting = Vec::new();
        for name in pending {
            let Raw { value: Some(value), span } = &raw[name] else { continue };
            match render(value, &settled, options) {
                Ok(text) => {
                    let secret = sensitive.contains(name) && !text.is_empty();
                    let text = if secret { Text::secret(Secret::new(text.expose())) } else { text };
                    settled.insert(name.to_owned(), text);
                }
                Err(Problem::NoVariable { name: missing, .. }) if broken.contains(missing.as_str()) => {
                    // Its own problem has been reported.
                    broken.insert(name);
                }
                Err(Problem::NoVariable { name: missing, .. }) if raw.contains_key(&missing) => {
                    waiting.push((name, missing))
                }
                Err(problem) => {
                    broken.insert(name);
                    found.push(report(name, &problem, span.as_ref(), raw));
                }
            }
        }
        if waiting.is_empty() {
            break;
        }
        if waiting.len() == before {
            for (name, other) in &waiting {
                let mut finding = Diagnostic::error(
                    "template/variable-cycle",
                    format!("the variable \"{name}\" refers to itself"),
                )
                .detail(format!(
                    "it needs \"{other}\", which needs \"{name}\" again, directly or through others"
                ))
                .help("give one of them a value of its own");
                if let Some(span) = &raw[*name].span {
                    finding = finding.at(span);
                }
                found.push(finding);
            }
            break;
        }
        pending = waiting.into_iter().map(|(name, _)| name).collect();
    }
    // In the order in which they were declared.
    raw.keys().filter_map(|name| settled.shift_remove(name).map(|text| (name.clone(), text))).collect()
}

fn report(name: &str, problem: &Problem, span: Option<&Span>, raw: &IndexMap<String, Raw>) -> Diagnostic {
    let mut finding = match problem {
        Problem::NoVariable { name: missing, .. } => {
            let near = nearest(missing, raw.keys().map(String::as_str).filter(|k| *k != name));
            let help =
                near.map_or("declare it in \"variables\"".to_owned(), |n| format!("did you mean \"{n}\"?"));
            Diagnostic::error(
                "template/unknown-variable",
                format!("the variable \"{name}\" refers to \"{missing}\", which does not exist"),
            )
            .help(help)
        }
        Problem::Wrong { message, .. } => Diagnostic::error(
            "template/interpolation",
            format!("the variable \"{name}\" can't be rendered: {message}"),
        ),
        Problem::Unknown => Diagnostic::error(
            "template/interpolation",
            format!("the variable \"{name}\" can't depend on the running build"),
        ),
    };
    if let Some(span) = span {
        finding = finding.at(span);
    }
    finding
}

/// `{{ .X }}` is not for variables: it is kept as it stands for whoever renders the text later.
fn render(value: &str, settled: &IndexMap<String, Text>, options: &PlanOptions) -> Result<Text, Problem> {
    let user = |name: &str| settled.get(name).cloned();
    let env = options.env.clone();
    let read_env = move |name: &str| env(name);
    let dirs = options.dirs();
    let scope = Scope {
        user: &user,
        strict_user: true,
        env: Some(&read_env),
        build: BuildFacts::None,
        build_name: None,
        build_type: None,
        template_dir: &dirs.0,
        working_dir: &dirs.1,
        start_time: options.start_time,
        dot: None,
    };
    let mut out = Text::default();
    let mut rest = value;
    while let Some((before, field, after)) = next_field(rest) {
        // Pieces between protected fields are rendered one by one; an action never spans a field.
        out.push_text(&interpolate::render(before, &scope)?);
        out.push_str(field);
        rest = after;
    }
    out.push_text(&interpolate::render(rest, &scope)?);
    Ok(out)
}

fn next_field(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(open) = text[from..].find("{{").map(|i| from + i) {
        let close = open + text[open..].find("}}")? + 2;
        let inner = text[open + 2..close - 2].trim();
        let is_field = inner
            .strip_prefix('.')
            .is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.'));
        if is_field {
            return Some((&text[..open], &text[open..close], &text[close..]));
        }
        from = close;
    }
    None
}
