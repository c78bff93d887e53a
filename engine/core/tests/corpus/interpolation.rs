//! Texts with `{{ … }}`.

use std::collections::BTreeMap;

use fornax_core::Text;
use fornax_core::builder::BuildData;
use fornax_core::interpolate::{self, BuildFacts, Scope};
use serde_json::Value as Json;

use crate::{corpus, judge, lines};

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
