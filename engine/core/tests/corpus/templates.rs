//! Whole templates: verdicts, facts, plans, and what `inspect` shows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fornax_core::plan::BuildPlan;
use fornax_core::template::{self, PlanOptions, Template};
use fornax_core::{SourceFile, Text};
use serde_json::{Value as Json, json};

use crate::{corpus, judge, lines};

pub fn options(vars: &Json, dir: &Path) -> PlanOptions {
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

/// What parsing found, in the table's form; empty if it is the same.
fn differing_facts(template: &Template, facts: &Json) -> String {
    let names =
        |list: &[(String, fornax_core::Span)]| list.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
    let provisioners: Vec<Json> = template
        .provisioners
        .iter()
        .map(|p| {
            let overrides: Json =
                p.overrides.iter().map(|m| (m.key.clone(), m.value.expose_json())).collect::<serde_json::Map<_, _>>().into();
            json!({
                "type": p.type_name, "timeout_s": p.timeout.map(|t| t.as_secs()), "only": names(&p.selection.only),
                "except": names(&p.selection.except), "override": overrides, "config": p.config.expose_json(),
            })
        })
        .collect();
    let post_processors: Vec<Json> = template
        .post_processors
        .iter()
        .map(|sequence| {
            let one = |p: &template::PostProcessorBlock| {
                json!({
                    "name": p.name, "type": p.type_name, "only": names(&p.selection.only),
                    "except": names(&p.selection.except), "config": p.config.expose_json(),
                })
            };
            sequence.iter().map(one).collect()
        })
        .collect();
    let got = json!({
        "provisioners": provisioners, "post_processors": post_processors, "description": template.description,
        "min_packer_version": template.min_version.as_ref().map(|(v, _)| v),
    });
    if contains(&got, facts) { String::new() } else { format!("facts are {got}; ") }
}

/// Whether everything in `part` is in `whole`; lists have the same length.
fn contains(whole: &Json, part: &Json) -> bool {
    match (whole, part) {
        (_, Json::Null) => true,
        (Json::Object(whole), Json::Object(part)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|w| contains(w, value)))
        }
        (Json::Array(whole), Json::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(w, p)| contains(w, p))
        }
        (whole, part) => whole == part,
    }
}

fn differing_build(build: &BuildPlan, expect: &Json) -> String {
    let mut why = String::new();
    if let Some(wanted) = expect["build_display_name"].as_str().filter(|w| *w != build.display_name()) {
        why = format!("it is shown as {}, not {wanted}; ", build.display_name());
    }
    if let Some(runs) =
        expect["provisioner_runs"].as_bool().filter(|runs| *runs == build.provisioners.is_empty())
    {
        why.push_str(&format!("a provisioner should run: {runs}; "));
    }
    if expect["provisioner_config_has"].is_object() {
        let (config, _) = build.provisioners[0].config.resolve(None, &[]);
        if !contains(&config.expose_json(), &expect["provisioner_config_has"]) {
            why.push_str(&format!("the provisioner has {}; ", config.expose_json()));
        }
    }
    why
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
        if let Some(template) = &template {
            why = differing_facts(template, &expect["facts"]);
        }
        if let (Some(template), true) = (&template, case["op"] != "parse") {
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
            if let Some(wanted) = expect["build_lookup"].as_str() {
                match plan.builds.iter().find(|b| b.name == wanted) {
                    Some(build) => why.push_str(&differing_build(build, expect)),
                    None => why = format!("no build {wanted}"),
                }
            }
            for (key, wanted) in expect["builder_config"].as_object().into_iter().flatten() {
                let (config, _) = plan.builds[0].config.resolve(None, &[]);
                let got = config.get(key).map(fornax_core::Node::expose_json);
                let folder = Json::from(options.template_dir.display().to_string());
                let wanted = if *wanted == "<absolute folder of the template>" { &folder } else { wanted };
                if got.as_ref() != Some(wanted) {
                    why = format!("the builder's {key} is {got:?}");
                }
            }
            if expect["retries"].is_string() {
                let retries: Vec<u32> = plan.builds[0].provisioners.iter().map(|p| p.max_retries).collect();
                if retries != [1, 1] {
                    why = format!("retries are {retries:?}");
                }
            }
        }
        let errors: Vec<&str> = found
            .iter()
            .filter(|d| d.severity == fornax_core::Severity::Error)
            .map(|d| d.code.as_str())
            .collect();
        if errors.is_empty() != (expect["ok"] == true) {
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
        let (template, found) = template::parse(&SourceFile::new(name, String::from_utf8_lossy(&bytes)));
        let expected = unit["syntax_only"]["rc"] == 0;
        if found.has_errors() == expected {
            let first = found.iter().next().map(fornax_core::Diagnostic::render).unwrap_or_default();
            failures.insert(name.to_owned(), format!("expected ok={expected}: {first}"));
        }
        let shown = template.map(|t| template::inspect(&t).text());
        if shown.as_deref() != unit["inspect"]["stdout"].as_str() {
            let wanted = unit["inspect"]["stdout"].as_str().unwrap_or_default();
            failures.insert(
                name.to_owned(),
                format!("inspect shows\n{}\nnot\n{wanted}", shown.unwrap_or_default()),
            );
        }
    }
    assert_eq!(count, 125, "the number of JSON templates in the corpus");
    judge("templates", failures);
}

#[test]
fn the_template_the_product_was_asked_for_with_is_planned() {
    let Some(corpus) = corpus("the seed's template") else { return };
    let path = corpus.join("../seed/template.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let (template, found) = template::parse(&SourceFile::new("template.json", text));
    assert!(found.is_empty(), "{found:?}");
    let mut options = options(&Json::Null, Path::new("/work"));
    options.env = Arc::new(|name| Some(format!("value-of-{name}")));
    let (plan, found) = template::plan(&template.expect("it is a template"), &options);
    assert!(found.is_empty(), "{found:?}");
    let build = &plan.builds[0];
    assert_eq!((build.name.as_str(), build.provisioners.len(), plan.secrets.len()), ("azure-arm", 1, 4));
    let (config, found) = build.config.resolve(None, &[]);
    assert!(found.is_empty(), "{found:?}");
    let secret = config.get("client_secret").and_then(fornax_core::Node::as_text).expect("it is a text");
    assert!(secret.is_sensitive());
    assert_eq!(secret.expose(), "value-of-ARM_CLIENT_SECRET");
    assert_eq!(
        config.get("managed_image_name").map(fornax_core::Node::expose_json),
        Some(json!("myPackerImage value-of-ID"))
    );
    let (step, _) = build.provisioners[0].config.resolve(None, &["execute_command".to_owned()]);
    let command = step.get("execute_command").and_then(fornax_core::Node::as_text).expect("it is a text");
    assert!(command.expose().contains("{{ .Path }}"), "{command:?}");
}
