//! Settles user variables: defaults, then variable files, then `-var`; references among them are followed until
//! nothing is left to render.

use std::collections::{HashMap, HashSet, VecDeque};

use indexmap::IndexMap;

use super::config::{finding, place};
use super::origins::Origins;
use super::{PlanOptions, Template};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::interpolate::{self, BuildFacts, Problem, Scope};
use crate::secret::Secret;
use crate::source::{SourceFile, Span};
use crate::value::{Part, Text};

/// A sensitive value shorter than this is masked only where it stands alone.
const SHORT: usize = 4;

/// Of a circle so many variables are shown.
const SHOWN: usize = 8;

struct Raw {
    value: Option<String>,
    /// Where the value was written.
    span: Span,
}

pub(super) struct Settled {
    /// By name.
    pub values: IndexMap<String, Text>,
    /// The variables that have no value because of a mistake that has been told.
    pub broken: HashSet<String>,
    pub origins: Origins,
    /// All values that must be masked.
    pub secrets: Vec<Secret>,
}

pub(super) fn settle(template: &Template, options: &PlanOptions, found: &mut Diagnostics) -> Settled {
    let raw = collect(template, options, found);
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
    for (name, span) in &template.sensitive {
        if !raw.contains_key(name) {
            let help = match nearest(name, raw.keys().map(String::as_str)) {
                Some(near) => format!("nothing is masked by it; did you mean \"{near}\"?"),
                None => "nothing is masked by it; remove the name, or declare the variable".to_owned(),
            };
            let summary = format!("\"sensitive-variables\" names \"{name}\", which is no variable");
            found.push(Diagnostic::warning("template/unknown-sensitive", summary).at(span).help(help));
        }
    }
    let settled = resolve(&raw, &sensitive, options, found);

    let mut secrets = Vec::new();
    for (name, span) in &template.sensitive {
        let length = settled.get(name).map_or(0, |text| text.expose().chars().count());
        if (1..SHORT).contains(&length) {
            found.push(
                Diagnostic::warning(
                    "template/short-secret",
                    format!("the sensitive variable \"{name}\" has a value of fewer than {SHORT} characters"),
                )
                .at(span)
                .detail("so short a value is masked only where it stands alone, because it occurs in ordinary words")
                .help("use a longer value"),
            );
        }
        // A value that could not be rendered is shown with its finding, so it has to be masked as it was written.
        if let (None, Some(Raw { value: Some(value), .. })) = (settled.get(name), raw.get(name)) {
            secrets.push(Secret::new(value.clone()));
        }
    }
    for text in settled.values() {
        secrets.extend(text.parts().iter().filter_map(|part| match part {
            Part::Secret(secret) if !secret.expose().is_empty() => Some(secret.clone()),
            _ => None,
        }));
    }
    let origins = origins(template, &raw, &sensitive);
    let broken = raw.keys().filter(|name| !settled.contains_key(*name)).cloned().collect();
    Settled { values: settled, broken, origins, secrets }
}

fn origins(template: &Template, raw: &IndexMap<String, Raw>, sensitive: &HashSet<&str>) -> Origins {
    let mut origins = Origins::default();
    let places: HashMap<&str, &Span> =
        template.variables.iter().map(|v| (v.name.as_str(), &v.span)).collect();
    for (name, Raw { value, span }) in raw {
        let made_of = interpolate::user_names(value.as_deref().unwrap_or_default()).collect();
        let declared = places.get(name.as_str());
        match declared.filter(|_| sensitive.contains(name.as_str())) {
            Some(place) => {
                origins.add(name, place, format!("the variable \"{name}\" is declared here"), made_of);
            }
            None => origins.add(name, span, format!("the variable \"{name}\" is given here"), made_of),
        }
    }
    origins
}

/// The values as they were written: defaults, then variable files, then the command line.
fn collect(template: &Template, options: &PlanOptions, found: &mut Diagnostics) -> IndexMap<String, Raw> {
    let mut raw: IndexMap<String, Raw> = IndexMap::new();
    for variable in &template.variables {
        let (value, span) = (variable.default.clone(), variable.value_span.clone());
        raw.insert(variable.name.clone(), Raw { value, span });
    }
    for file in &options.var_files {
        let (values, problems) = super::reader::variable_file(file);
        found.extend(problems);
        for (name, value, span) in values {
            raw.insert(name, Raw { value: Some(value), span });
        }
    }
    for (name, value) in &options.vars {
        let source = SourceFile::new("<-var>", format!("{name}={value}"));
        let span = Span::new(&source, name.len() + 1..source.text().len());
        raw.insert(name.clone(), Raw { value: Some(value.clone()), span });
    }
    raw
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
    let mut ready: VecDeque<&str> = raw.keys().map(String::as_str).filter(|n| !broken.contains(n)).collect();
    // Who waits for whom, and the other way round: a chain of variables takes one step a variable in whatever order.
    let mut waiting: IndexMap<&str, String> = IndexMap::new();
    let mut waiters: HashMap<String, Vec<&str>> = HashMap::new();
    while let Some(name) = ready.pop_front() {
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
                waiters.entry(missing.clone()).or_default().push(name);
                waiting.insert(name, missing);
                continue;
            }
            Err(problem) => {
                broken.insert(name);
                found.push(report(name, &problem, value, span, raw));
            }
        }
        for waiter in waiters.remove(name).into_iter().flatten() {
            waiting.swap_remove(waiter);
            ready.push_back(waiter);
        }
    }
    report_cycles(&waiting, raw, found);
    // In the order in which they were declared.
    raw.keys().filter_map(|name| settled.swap_remove(name).map(|text| (name.clone(), text))).collect()
}

/// Every variable waits for another one: following them from each ends in a circle, which is told once.
fn report_cycles(waiting: &IndexMap<&str, String>, raw: &IndexMap<String, Raw>, found: &mut Diagnostics) {
    let mut seen: HashSet<&str> = HashSet::new();
    for start in raw.keys().map(String::as_str).filter(|name| waiting.contains_key(name)) {
        let mut path: Vec<&str> = Vec::new();
        let mut name = start;
        while seen.insert(name) {
            path.push(name);
            let Some(next) = waiting.get(name) else { break };
            name = next;
        }
        let Some(first) = path.iter().position(|n| *n == name) else { continue };
        let circle = &path[first..];
        let mut shown: Vec<String> = circle.iter().take(SHOWN).map(|n| format!("\"{n}\"")).collect();
        if circle.len() > SHOWN {
            shown.push(format!("{} others", circle.len() - SHOWN));
        }
        shown.push(format!("\"{}\"", circle[0]));
        let mut finding = Diagnostic::error(
            "template/variable-cycle",
            format!("the variable \"{}\" refers to itself", circle[0]),
        )
        .at(&raw[circle[0]].span)
        .help("give one of them a value of its own");
        if circle.len() > 1 {
            finding = finding.detail(format!("through others: {}", shown.join(" needs ")));
        }
        for other in circle.iter().take(SHOWN).skip(1) {
            finding = finding.related(&raw[*other].span, format!("\"{other}\""));
        }
        found.push(finding);
    }
}

fn report(
    name: &str,
    problem: &Problem,
    value: &str,
    span: &Span,
    raw: &IndexMap<String, Raw>,
) -> Diagnostic {
    match problem {
        Problem::NoVariable { name: missing, at } => {
            let near = nearest(missing, raw.keys().map(String::as_str).filter(|k| *k != name));
            let help =
                near.map_or("declare it in \"variables\"".to_owned(), |n| format!("did you mean \"{n}\"?"));
            Diagnostic::error(
                "template/unknown-variable",
                format!("the variable \"{name}\" refers to \"{missing}\", which does not exist"),
            )
            .at(&place(span, value, *at))
            .help(help)
        }
        Problem::Wrong { .. } | Problem::NoFunction { .. } => {
            finding(&format!("the variable \"{name}\""), problem, value, span)
        }
        Problem::Unknown => Diagnostic::error(
            "template/interpolation",
            format!("the variable \"{name}\" can't depend on the running build"),
        )
        .at(span)
        .help("use {{build}} in the builder, a provisioner or a post-processor"),
    }
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
    loop {
        // Pieces between protected fields are rendered one by one; an action never spans a field.
        let (before, field, after) = next_field(rest).unwrap_or((rest, "", ""));
        let offset = value.len() - rest.len();
        out.push_text(&interpolate::render(before, &scope).map_err(|problem| problem.moved(offset))?);
        out.push_str(field);
        if field.is_empty() {
            return Ok(out);
        }
        rest = after;
    }
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
