//! Configurations of components: which texts are rendered, weak typing, `-only` and `-except`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use fornax_core::duration::parse_duration;
use fornax_core::plan::Plan;
use fornax_core::{Diagnostics, Node, SourceFile, schema, template};
use serde_json::{Value as Json, json};

use crate::templates::options;
use crate::{corpus, judge, lines};

/// Plans a template of one builder and renders its configuration.
fn rendered(builder: &Json, deferred: &[String]) -> (Node, Diagnostics) {
    let text = json!({"builders": [builder]}).to_string();
    let (template, found) = template::parse(&SourceFile::new("t.json", text));
    assert!(found.is_empty(), "{found:?}");
    let (plan, found) =
        template::plan(&template.expect("a template"), &options(&Json::Null, Path::new("/work")));
    assert!(found.is_empty(), "{found:?}");
    plan.builds[0].config.resolve(None, deferred)
}

#[test]
fn texts_of_maps() {
    let Some(corpus) = corpus("texts of maps") else { return };
    let mut failures = BTreeMap::new();
    for case in lines(&corpus.join("cases/interpolate_map.jsonl")) {
        let mut builder = case["input"].clone();
        builder["type"] = "any".into();
        let keys = case["input"].as_object().expect("a map").keys();
        let included: Option<Vec<&str>> =
            case["include_filter"].as_array().map(|f| f.iter().filter_map(Json::as_str).collect());
        let deferred: Vec<String> = keys
            .filter(|k| included.as_ref().is_some_and(|i| !i.iter().any(|f| f.eq_ignore_ascii_case(k))))
            .cloned()
            .collect();
        let (node, found) = rendered(&builder, &deferred);
        if node.expose_json() != case["expect"]["value"] || !found.is_empty() {
            failures
                .insert(case["id"].as_str().unwrap_or_default().to_owned(), format!("{node:?} {found:?}"));
        }
    }
    judge("interpolate_map", failures);
}

#[test]
fn decoding() {
    let Some(corpus) = corpus("decoding") else { return };
    let schema = json!({"type": "object", "additionalProperties": false, "properties": {
        "name": {"type": "string"}, "time": {"type": "string", "x-duration": true},
        "trilean": {"type": ["boolean", "null"]}}});
    let mut failures = BTreeMap::new();
    for case in lines(&corpus.join("cases/decode.jsonl")) {
        let input = &case["input"];
        // The name of the build is not an option, so the option of that name goes by another one here.
        let mut builder = json!({"type": input["_build_type"].as_str().unwrap_or("any")});
        if let Some(name) = input["_build_name"].as_str() {
            builder["name"] = name.into();
        }
        for (key, value) in input.as_object().into_iter().flatten().filter(|(k, _)| !k.starts_with('_')) {
            builder[if key == "name" { "option_name" } else { key }] = value.clone();
        }
        let (mut node, mut found) = rendered(&builder, &[]);
        if let fornax_core::Value::Object(members) = &mut node.value {
            members.iter_mut().filter(|m| m.key == "option_name").for_each(|m| m.key = "name".to_owned());
        }
        let (node, more) = schema::check(&node, &schema, schema::Typing::Weak);
        found.extend(more);
        let expect = &case["expect"];
        let text = |key: &str| node.get(key).and_then(Node::as_text).map(|t| t.expose());
        let holds = if expect["error_contains"].is_string() {
            found.iter().any(|d| d.code == "config/unknown-option")
        } else {
            let time = text("time").and_then(|t| parse_duration(&t).ok());
            found.is_empty()
                && expect["time_seconds"].as_u64().map(Duration::from_secs) == time
                && (expect["trilean"].is_null()
                    || node.get("trilean").map(Node::expose_json) == Some(Json::Null))
                && (expect["name"].is_null() || text("name").as_deref() == expect["name"].as_str())
        };
        if !holds {
            failures
                .insert(case["id"].as_str().unwrap_or_default().to_owned(), format!("{node:?} {found:?}"));
        }
    }
    judge("decode", failures);
}

/// The files that the builds of the tables' templates would make: the `file` builder's target, and what the commands
/// of post-processors write.
fn files(plan: &Plan) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for build in plan.builds.iter().filter(|b| b.builder_type == "file") {
        let (config, _) = build.config.resolve(None, &[]);
        out.extend(config.get("target").and_then(Node::as_text).map(|t| t.expose()));
        for step in build.post_processors.iter().flatten() {
            let (config, _) = step.config.resolve(None, &[]);
            let commands = config.get("inline").map(Node::items).unwrap_or_default();
            let writes = |n: &Node| n.as_text()?.expose().split_once("> ").map(|(_, file)| file.to_owned());
            out.extend(commands.iter().filter_map(writes));
        }
    }
    out
}

#[test]
fn only_and_except() {
    let Some(corpus) = corpus("only and except") else { return };
    let mut failures = BTreeMap::new();
    let mut count = 0;
    for case in lines(&corpus.join("cases/only_except.jsonl")) {
        let target = case["target"].as_str().expect("a target");
        if !target.ends_with(".json") || target.ends_with(".pkr.json") {
            continue;
        }
        count += 1;
        let path = corpus.join(case["fixture"].as_str().expect("a folder")).join(target);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (template, found) = template::parse(&SourceFile::new(target, text));
        assert!(!found.has_errors(), "{found:?}");
        let mut options = options(&Json::Null, Path::new("/work"));
        for arg in case["args"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            let names = |list: &str| list.split(',').map(str::to_owned).collect::<Vec<_>>();
            match arg.split_once('=') {
                Some(("-only", list)) => options.only.extend(names(list)),
                Some(("-except", list)) => options.except.extend(names(list)),
                _ => {}
            }
        }
        let (plan, found) = template::plan(&template.expect("a template"), &options);
        let made = files(&plan);
        let listed = |key: &str| {
            let list = case["expect"][key].as_array().cloned().unwrap_or_default();
            list.into_iter().filter_map(|f| f.as_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        let holds = listed("files").iter().all(|f| made.contains(f))
            && !listed("absent").iter().any(|f| made.contains(f))
            && !found.has_errors();
        if !holds {
            failures
                .insert(case["id"].as_str().unwrap_or_default().to_owned(), format!("{made:?} {found:?}"));
        }
    }
    assert!(count >= 5, "only {count} cases are of JSON templates");
    judge("only_except", failures);
}
