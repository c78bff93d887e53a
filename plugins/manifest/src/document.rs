//! The manifest as text: order of keys, indentation and all.

use fornax_plugin_sdk::prelude::{Value, json};

use crate::Config;

/// The file without the option `output`.
pub const DEFAULT_OUTPUT: &str = "packer-manifest.json";

/// The entry of one artifact.
#[allow(clippy::too_many_arguments)] // one argument a key of the entry, used once
pub fn entry(
    config: &Config,
    name: &str,
    builder_type: &str,
    time: u64,
    files: &[(String, u64)],
    id: &str,
    run_id: &str,
    simulated: bool,
) -> Value {
    let mut entry = json!({ "name": name, "builder_type": builder_type });
    if !config.strip_time {
        entry["build_time"] = json!(time);
    }
    let shown = |name: &str| {
        if config.strip_path { name.rsplit('/').next().unwrap_or(name).to_owned() } else { name.to_owned() }
    };
    entry["files"] = match files {
        [] => Value::Null,
        files => files.iter().map(|(name, size)| json!({ "name": shown(name), "size": size })).collect(),
    };
    entry["artifact_id"] = json!(id);
    entry["packer_run_uuid"] = json!(run_id);
    // Go writes maps in the order of their keys.
    entry["custom_data"] = match &config.custom_data {
        Some(data) if !data.is_empty() => {
            let mut pairs: Vec<_> = data.iter().collect();
            pairs.sort_by_key(|(key, _)| (*key).clone());
            Value::Object(pairs.into_iter().map(|(k, v)| (k.clone(), v.clone())).collect())
        }
        _ => Value::Null,
    };
    if simulated {
        entry["simulated"] = json!(true);
    }
    entry
}

/// The whole file with one more entry. With `force`, entries of other runs are dropped.
pub fn append(existing: Option<&str>, entry: Value, run_id: &str, force: bool) -> Result<String, String> {
    let mut builds = Vec::new();
    if let Some(text) = existing.filter(|t| !t.trim().is_empty()) {
        let old: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let list = old["builds"].as_array().ok_or("it has no list \"builds\"")?;
        if !(force && old["last_run_uuid"] != run_id) {
            builds.clone_from(list);
        }
    }
    builds.push(entry);
    serde_json::to_string_pretty(&json!({ "builds": builds, "last_run_uuid": run_id }))
        .map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_packers() {
        let one = entry(
            &Config::default(),
            "img",
            "azure-arm",
            1_795_489_907,
            &[],
            "/subscriptions/x",
            "run-1",
            false,
        );
        let text = append(None, one, "run-1", false).expect("a text");
        let expected = "{\n  \"builds\": [\n    {\n      \"name\": \"img\",\n      \"builder_type\": \"azure-arm\",\n      \"build_time\": 1795489907,\n      \"files\": null,\n      \"artifact_id\": \"/subscriptions/x\",\n      \"packer_run_uuid\": \"run-1\",\n      \"custom_data\": null\n    }\n  ],\n  \"last_run_uuid\": \"run-1\"\n}";
        assert_eq!(text, expected);
    }

    #[test]
    fn entries_are_appended_and_force_drops_older_runs() {
        let config = Config { strip_path: true, strip_time: true, ..Config::default() };
        let make = || entry(&config, "img", "file", 1, &[("a/b.txt".into(), 3)], "File", "run-1", true);
        let first = append(None, make(), "run-1", false).expect("a text");
        assert!(
            first.contains("\"name\": \"b.txt\"")
                && !first.contains("build_time")
                && first.contains("\"simulated\": true")
        );
        let count = |text: &str| text.matches("artifact_id").count();
        assert_eq!(count(&append(Some(&first), make(), "run-2", false).expect("a text")), 2);
        assert_eq!(count(&append(Some(&first), make(), "run-2", true).expect("a text")), 1);
        assert_eq!(count(&append(Some(&first), make(), "run-1", true).expect("a text")), 2);
        assert!(append(Some("no json"), make(), "run-1", false).is_err());
    }
}
