//! Real templates and case tables with the answers of Packer 1.16, read from `../shared/corpus` beside the checkout.
//! `corpus_exceptions.json` lists the cases where we differ, each with its reason; a listed case that holds fails too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fornax_core::builder::BuildData;
use fornax_core::interpolate::{self, BuildFacts, Scope};
use fornax_core::template::{self, PlanOptions};
use fornax_core::{SourceFile, Text};
use serde_json::Value as Json;

fn corpus(test: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    if !path.is_dir() {
        eprintln!("SKIPPED: {test}: ../shared/corpus is not beside this checkout");
        return None;
    }
    Some(path)
}

fn lines(path: &Path) -> Vec<Json> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines()
        .filter(|l| !l.trim().is_empty())
        .map(|l| serde_json::from_str(l).expect("a line of JSON"))
        .collect()
}

/// Compares failures with the listed exceptions.
fn judge(table: &str, failures: BTreeMap<String, String>) {
    let listed: Json =
        serde_json::from_str(include_str!("corpus_exceptions.json")).expect("the exceptions are JSON");
    let listed = listed[table].as_object().cloned().unwrap_or_default();
    let unexpected: Vec<String> = failures
        .iter()
        .filter(|(id, _)| !listed.contains_key(*id))
        .map(|(id, why)| format!("{id}: {why}"))
        .collect();
    assert!(unexpected.is_empty(), "{} cases differ:\n{}", unexpected.len(), unexpected.join("\n"));
    let stale: Vec<&String> = listed.keys().filter(|id| !failures.contains_key(*id)).collect();
    assert!(stale.is_empty(), "listed as exceptions, but they hold: {stale:?}");
}

#[test]
fn interpolation() {
    let Some(corpus) = corpus("interpolation") else { return };
    let shared: Json = serde_json::from_str(
        &std::fs::read_to_string(corpus.join("cases/interpolate_shared.json")).expect("shared"),
    )
    .expect("JSON");
    let env = |name: &str| Some(shared["env"][name].as_str().unwrap_or_default().to_owned());
    let scope_of = |user: &dyn Fn(&str) -> Option<Text>, template: &str, allow_env: bool, context: &Json| {
        let data: BuildData = context["data"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(k, v)| (k.clone(), Text::plain(v.as_str().unwrap_or_default())))
            .collect();
        let scope = Scope {
            user,
            strict_user: false,
            env: allow_env.then_some(&env),
            build: BuildFacts::Known(&data),
            build_name: context["build_name"].as_str(),
            build_type: context["build_type"].as_str(),
            template_dir: "/templates",
            working_dir: "/work",
            start_time: jiff::Timestamp::now(),
            dot: None,
        };
        interpolate::render(template, &scope)
    };
    // The variables of the shared context refer to each other.
    let user = |name: &str| {
        let raw = shared["user_raw"][name].as_str()?;
        let inner = |name: &str| shared["user_raw"][name].as_str().map(Text::plain);
        scope_of(&inner, raw, true, &Json::Null).ok()
    };
    let mut failures = BTreeMap::new();
    for case in lines(&corpus.join("cases/interpolate.jsonl")) {
        let template = case["template"].as_str().expect("a template");
        let result = scope_of(&user, template, false, &case["context"]);
        let expect = &case["expect"];
        let holds = match &result {
            Err(_) => expect["error"] == true,
            Ok(text) => match (expect["value"].as_str(), expect["regex"].as_str()) {
                (Some(value), _) => text.expose() == value,
                (_, Some(regex)) => regex::Regex::new(regex).expect("a regex").is_match(&text.expose()),
                _ => false,
            },
        };
        if !holds {
            failures.insert(
                case["id"].as_str().unwrap_or_default().to_owned(),
                format!("{template:?} gives {result:?}, expected {expect}"),
            );
        }
    }
    judge("interpolate", failures);
}

#[test]
fn references_to_user_variables() {
    let Some(corpus) = corpus("references to user variables") else { return };
    let mut failures = BTreeMap::new();
    for case in lines(&corpus.join("cases/user_ref_scan.jsonl")) {
        let found = interpolate::refers_to_user(case["text"].as_str().expect("a text"));
        if case["expect"]["has_user_reference"] != found {
            failures.insert(
                case["id"].as_str().unwrap_or_default().to_owned(),
                format!("{} gives {found}", case["text"]),
            );
        }
    }
    judge("user_ref_scan", failures);
}

fn options(vars: &Json, dir: &Path) -> PlanOptions {
    PlanOptions {
        vars: vars
            .as_object()
            .into_iter()
            .flatten()
            .map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned()))
            .collect(),
        var_files: Vec::new(),
        only: Vec::new(),
        except: Vec::new(),
        env: Arc::new(|_| None),
        template_dir: dir.to_owned(),
        working_dir: dir.to_owned(),
        start_time: jiff::Timestamp::now(),
    }
}

#[test]
fn json_templates() {
    let Some(corpus) = corpus("json templates") else { return };
    let mut failures = BTreeMap::new();
    for case in lines(&corpus.join("cases/json_template.jsonl")) {
        let path = corpus.join(case["fixture"].as_str().expect("a fixture"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (template, mut found) = template::parse(&SourceFile::new("t.json", text));
        let expect = &case["expect"];
        let mut why = String::new();
        if let (Some(template), true) = (&template, case["op"] == "core") {
            let mut options = options(&case["vars"], path.parent().expect("a folder"));
            let env = expect["env"].clone();
            options.env = Arc::new(move |name| env[name].as_str().map(str::to_owned));
            let (plan, more) = template::plan(template, &options);
            found.extend(more);
            for (name, value) in expect["variables"].as_object().into_iter().flatten() {
                let got = plan.variables.get(name).map(Text::expose);
                if got.as_deref() != value.as_str() {
                    why = format!("variable {name} is {got:?}, expected {value}");
                }
            }
            let names: Vec<&str> = plan.builds.iter().map(|b| b.name.as_str()).collect();
            if let Some(wanted) = expect["build_names"].as_array() {
                let wanted: Vec<&str> = wanted.iter().filter_map(Json::as_str).collect();
                if wanted != names {
                    why = format!("builds are {names:?}");
                }
            }
            if let Some(wanted) = expect["build_lookup"].as_str().filter(|w| !names.contains(w)) {
                why = format!("no build {wanted}");
            }
        }
        // Structure is checked with what parsing finds; "parse" itself does not ask for builders.
        let errors: Vec<&str> = found
            .iter()
            .filter(|d| d.severity == fornax_core::Severity::Error)
            .map(|d| d.code.as_str())
            .collect();
        let counted =
            errors.iter().filter(|code| case["op"] != "parse" || **code != "template/no-builders").count();
        if (counted == 0) != (expect["ok"] == true) {
            why = format!("findings are {errors:?}");
        }
        if !why.is_empty() {
            failures.insert(
                case["id"].as_str().unwrap_or_default().to_owned(),
                format!("{}: {why}", case["fixture"]),
            );
        }
    }
    judge("json_template", failures);
}

#[test]
fn real_templates_get_packers_verdict() {
    let Some(corpus) = corpus("real templates") else { return };
    let mut failures = BTreeMap::new();
    let mut count = 0;
    let oracle = lines(&corpus.join("oracle/modern.jsonl"));
    for unit in oracle.iter().filter(|u| u["kind"] == "json") {
        let name = unit["template"].as_str().expect("a path");
        let bytes =
            std::fs::read(corpus.join("templates").join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        count += 1;
        let (_, found) = template::parse(&SourceFile::new(name, String::from_utf8_lossy(&bytes)));
        let expected = unit["syntax_only"]["rc"] == 0;
        if found.has_errors() == expected {
            let first = found.iter().next().map(fornax_core::Diagnostic::render).unwrap_or_default();
            failures.insert(name.to_owned(), format!("expected ok={expected}: {first}"));
        }
    }
    assert_eq!(count, 125, "the number of JSON templates in the corpus");
    judge("templates", failures);
}
