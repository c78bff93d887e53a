//! The case table of the corpus for the provisioner `file`. It lies beside the workspace; without it the test says so.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use fornax_plugin_file::check::check;
use fornax_plugin_file::paths::{Download, content_target, download, join, upload_target};
use fornax_plugin_file::{Config, File};
use fornax_plugin_sdk::prelude::*;
use fornax_plugin_sdk::{FileState, types::ValidateContext};
use fornax_tests::cases;

fn look(path: &str) -> FileState {
    match path {
        path if path.starts_with("<dir") => FileState::Directory,
        path if path.starts_with('<') => FileState::File,
        _ => FileState::Missing,
    }
}

fn accepts(config: &Value) -> (bool, Vec<(String, String)>) {
    let description = File::describe();
    let schema = description.config_schema();
    let keys: Vec<_> = config.as_object().unwrap().keys().collect();
    let known = keys.iter().all(|key| !schema["properties"][key.as_str()].is_null());
    let complete =
        schema["required"].as_array().unwrap().iter().all(|key| !config[key.as_str().unwrap()].is_null());
    let mut checked = Check::of(config.clone());
    check(&mut checked, &look);
    let found =
        checked.findings().iter().map(|finding| (finding.code.clone(), finding.path.clone())).collect();
    (known && complete && !checked.failed() && Config::deserialize(config).is_ok(), found)
}

#[test]
fn configurations_and_targets() {
    for case in cases("file_provisioner.jsonl") {
        let (expect, id) = (&case["expect"], &case["id"]);
        let (ok, found) = accepts(&case["config"]);
        assert_eq!(ok, expect["ok"].as_bool().unwrap(), "{id}: {found:?}");
        if !ok {
            continue;
        }
        let config = Config::deserialize(&case["config"]).unwrap();
        for upload in expect["uploads"].as_array().into_iter().flatten() {
            assert_eq!(content_target(&config.destination), upload["to"].as_str().unwrap(), "{id}");
            assert_eq!(config.content(), upload["data"].as_str(), "{id}");
        }
        if let Some(destination) = expect["prints_destination_twice"].as_str() {
            assert_eq!(config.destination, destination, "{id}");
            let targets: Vec<_> =
                config.all_sources().iter().map(|s| upload_target(s, false, &config.destination)).collect();
            assert_eq!(targets, ["something/<file a>", "something/<file b>"], "{id}");
        }
        if let Some(sources) = expect["prints"].as_array() {
            assert_eq!(
                config.all_sources(),
                sources.iter().map(|s| s.as_str().unwrap()).collect::<Vec<_>>(),
                "{id}"
            );
        }
        if let Some(folder) = expect["creates_dir"].as_str() {
            let Download::One { to, .. } = download("/x", &config.destination) else { panic!("{id}") };
            assert_eq!(to, join(folder, "something"), "{id}");
        }
    }
}

#[test]
fn every_mistake_has_its_code_and_place() {
    for (config, code, pointer) in [
        (json!({"destination": "/x"}), "file/no-source", ""),
        (json!({"destination": "/x", "sources": []}), "file/no-source", ""),
        (json!({"destination": "", "source": "<file>"}), "file/no-destination", "/destination"),
        (json!({"destination": "/x", "source": "gone"}), "file/bad-source", "/source"),
        (json!({"destination": "/x", "sources": ["<file>", "gone"]}), "file/bad-source", "/sources/1"),
        (
            json!({"destination": "/x", "source": "<file>", "content": "c"}),
            "file/content-and-source",
            "/content",
        ),
        (
            json!({"destination": "/x", "content": "c", "direction": "download"}),
            "file/content-download",
            "/content",
        ),
        (json!({"destination": "/x/", "content": "c"}), "file/content-without-name", "/destination"),
    ] {
        let (_, found) = accepts(&config);
        assert!(found.contains(&(code.to_owned(), pointer.to_owned())), "{config}: {found:?}");
    }
}

#[test]
fn unknown_values_are_not_mistakes() {
    let context = ValidateContext { unknown: vec!["/source".into()], sealed: Vec::new(), offline: true };
    let mut checked = Check::new(json!({"destination": "/x", "source": null}), context);
    check(&mut checked, &look);
    assert!(checked.findings().is_empty(), "{:?}", checked.findings());
}
