//! The case table of the corpus for the post-processor `manifest`, and the exact bytes of the file. The table lies beside
//! the workspace; without it the test says so.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use fornax_tests::cases;
use std::collections::BTreeMap;

use fornax_plugin_manifest::document::{Entry, File, append};
use fornax_plugin_manifest::{Config, unusable};
use serde::Deserialize;
use serde_json::{Value, json};

fn entry(run: &str) -> Entry {
    Entry {
        name: "img".into(),
        builder_type: "azure-arm".into(),
        build_time: Some(1_795_489_907),
        files: None,
        artifact_id: "/subscriptions/x".into(),
        packer_run_uuid: run.into(),
        custom_data: None,
        simulated: false,
    }
}

fn count(text: &str) -> usize {
    serde_json::from_str::<Value>(text).unwrap()["builds"].as_array().unwrap().len()
}

fn keys(value: &Value) -> Value {
    value.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn the_table() {
    for case in cases("manifest.jsonl") {
        let (expect, id) = (&case["expect"], &case["id"]);
        let mut value = case["config"].clone();
        let mut special = BTreeMap::new();
        if let Some(config) = value.as_object_mut() {
            config.retain(|key, value| match key.strip_prefix('_') {
                Some(name) => special.insert(name.to_owned(), value.clone()).is_some_and(|_| false),
                None => true,
            });
        }
        let config = Config::deserialize(&value).unwrap_or_default();
        if let Some(output) = expect["output"].as_str() {
            assert_eq!(config.output(), output, "{id}");
        }
        if let Some(name) = expect["file_name"].as_str() {
            let given = special["artifact_files"][0].as_str().unwrap();
            assert_eq!(File::new(given, 1, config.strip_path == Some(true)).name, name, "{id}");
        }
        if let Some(builds) = expect["builds"].as_u64() {
            let force = special.get("force") == Some(&json!(true));
            let second = if special.get("uuid_differs") == Some(&json!(true)) { "run-2" } else { "run-1" };
            let first = append("", &entry("run-1"), force).unwrap();
            let text = append(&first, &entry(second), force).unwrap();
            assert_eq!(count(&text) as u64, builds, "{id}");
        }
        if let Some(part) = expect["message_contains"].as_str() {
            let why = append(special["existing"].as_str().unwrap(), &entry("r"), false).unwrap_err();
            assert!(unusable("m.json", &why).message.contains(part), "{id}");
        }
        if let Some(top_keys) = expect.get("top_keys") {
            let mut entry = entry("r");
            let bare: Value = serde_json::from_str(&append("", &entry, false).unwrap()).unwrap();
            assert_eq!(bare["builds"][0]["files"], expect["files_when_none"], "{id}");
            assert_eq!(bare["builds"][0]["custom_data"], expect["custom_data_when_none"], "{id}");
            entry.files = Some(vec![File::new("a", 1, false)]);
            let text = append("", &entry, false).unwrap();
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(&keys(&value), top_keys, "{id}");
            assert_eq!(keys(&value["builds"][0]), expect["build_keys"], "{id}");
            assert_eq!(keys(&value["builds"][0]["files"][0]), expect["file_keys"], "{id}");
            assert!(text.starts_with("{\n  \"") && text.ends_with('}'), "{id}");
        }
    }
}

#[test]
fn exact_bytes() {
    let mut entry = entry("run-1");
    entry.files = Some(vec![File::new("out/a<b>&.vhd", 3, true)]);
    entry.custom_data =
        Some(BTreeMap::from([("z".into(), "\u{2028}".into()), ("a".into(), "q\"\u{fc}".into())]));
    entry.simulated = true;
    let expected = r#"{
  "builds": [
    {
      "name": "img",
      "builder_type": "azure-arm",
      "build_time": 1795489907,
      "files": [
        {
          "name": "a\u003cb\u003e\u0026.vhd",
          "size": 3
        }
      ],
      "artifact_id": "/subscriptions/x",
      "packer_run_uuid": "run-1",
      "custom_data": {
        "a": "q\"ü",
        "z": "\u2028"
      },
      "simulated": true
    }
  ],
  "last_run_uuid": "run-1"
}"#;
    assert_eq!(append("", &entry, false).unwrap(), expected);
    assert!(append(expected, &entry, false).unwrap().starts_with(&expected[..expected.len() - 35]));
}

#[test]
fn force_drops_other_runs_and_nothing_is_lost_by_accident() {
    let first = append("", &entry("run-1"), false).unwrap();
    assert_eq!(count(&append(&first, &entry("run-2"), true).unwrap()), 1);
    assert_eq!(count(&append(&first, &entry("run-2"), false).unwrap()), 2);
    let foreign = r#"{"builds": [{"name": "x", "mine": [1]}], "last_run_uuid": "r"}"#;
    assert!(append(foreign, &entry("r"), false).unwrap().contains("\"mine\""));
    for broken in ["not json", "[]", "{}", r#"{"builds": 3}"#, "{\"builds\": ["] {
        assert!(append(broken, &entry("r"), true).is_err(), "{broken}");
    }
    assert_eq!(count(&append(r#"{"builds": null}"#, &entry("r"), false).unwrap()), 1);
}

#[test]
fn strip_time_leaves_the_key_out() {
    let text = append("", &Entry { build_time: None, ..entry("r") }, false).unwrap();
    assert!(!text.contains("build_time"));
}
