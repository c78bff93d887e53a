use std::cell::RefCell;
use std::collections::BTreeSet;

use fornax_core::Diagnostics;

use super::*;
use crate::config::tests::{base, node};
use crate::config::{Config, Surroundings};

thread_local! {
    /// The options that readers asked for.
    pub(crate) static ASKED: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// Findings about values of a wrong type.
const OF_TYPE: [&str; 3] = ["azure/wrong-type", "ssh/wrong-type", "ssh/duration"];

fn read_all(json: &Json) -> (Option<Config>, Diagnostics) {
    let dir = std::env::temp_dir();
    let around = Surroundings { working_dir: &dir, env: &|_| None, target_is_given: false };
    Config::read(&node(json), &around)
}

/// What a configuration becomes; none if it is refused.
fn read(json: &Json) -> Option<String> {
    read_all(json).0.map(|config| format!("{config:?}"))
}

fn codes(json: &Json) -> Vec<String> {
    read_all(json).1.iter().map(|finding| finding.code.clone()).collect()
}

fn with(base: &Json, key: &str, value: &Json) -> Json {
    let mut json = base.clone();
    json[key] = value.clone();
    json
}

/// Configurations that lead to everything which is read.
fn ways() -> Vec<Json> {
    let changed = |json: &Json, extra: Json| {
        let mut json = json.clone();
        for (key, value) in extra.as_object().unwrap() {
            json[key] = value.clone();
        }
        json
    };
    let public = base();
    let plan = changed(
        &public,
        json!({
            "plan_info": {"plan_name": "n", "plan_product": "o", "plan_publisher": "p"}, "azure_tag": [{"name": "a"}],
        }),
    );
    let group = changed(&public, json!({"location": null, "build_resource_group_name": "builds"}));
    let private = changed(&public, json!({"virtual_network_name": "net"}));
    let managed = changed(
        &public,
        json!({
            "image_publisher": null, "image_offer": null, "image_sku": null,
            "custom_managed_image_name": "a", "custom_managed_image_resource_group_name": "b",
        }),
    );
    let bastion = changed(&public, json!({"ssh_bastion_host": "b", "ssh_bastion_password": "p"}));
    let proxy = changed(&public, json!({"ssh_proxy_host": "p"}));
    vec![public, plan, group, private, managed, bastion, proxy]
}

#[test]
fn schema_and_reader_know_the_same_options() {
    ASKED.take();
    for way in ways() {
        assert!(read(&way).is_some(), "{way}");
    }
    let asked = ASKED.take();
    let ssh = options::properties(&ssh::defaults());
    let properties = properties();
    for key in asked.iter().filter(|key| !key.contains('.')) {
        assert!(properties.contains_key(key), "the reader knows {key} and the schema does not");
    }
    // The communicator's options have a reader of their own, with such a test beside it.
    let own = properties.iter().filter(|(name, p)| !ssh.contains_key(*name) && p["x-no-effect"] != true);
    for (name, property) in own {
        assert!(
            property["x-not-supported"] == true || asked.contains(name),
            "the schema knows {name} and the reader does not"
        );
        let block = if property["items"]["properties"].is_object() { &property["items"] } else { property };
        let inner = block["properties"].as_object().into_iter().flatten();
        let inner: BTreeSet<String> = inner.map(|(key, _)| format!("{name}.{key}")).collect();
        let read: BTreeSet<String> =
            asked.iter().filter(|key| key.starts_with(&format!("{name}."))).cloned().collect();
        assert_eq!(inner, read, "options of the block {name}");
    }
}

#[test]
fn defaults_and_limits_of_the_schema_are_those_of_the_reader() {
    let ways = ways();
    for (key, property) in properties() {
        let reads = |way: &Json, value: &Json| read(&with(way, key, value));
        if let Some(default) = property.get("default") {
            let other = match default {
                Json::Bool(b) => (!b).into(),
                Json::Number(_) => 77.into(),
                _ if property["x-duration"] == true => "77m".into(),
                // Words beside the default can mean the same.
                _ => property["enum"]
                    .as_array()
                    .and_then(|a| a.iter().rfind(|word| *word != default))
                    .cloned()
                    .unwrap_or("other".into()),
            };
            // What excludes another option differs in some ways; it may be given where the reader looks at it.
            let fitting: Vec<&Json> = ways.iter().filter(|way| reads(way, default).is_some()).collect();
            assert!(!fitting.is_empty(), "{key} can't be {default}");
            for way in &fitting {
                assert_eq!(reads(way, default), read(way), "{key}: {default} is not the default");
            }
            assert!(
                fitting.iter().any(|way| reads(way, &other) != read(way)),
                "{key}: {other} changes nothing"
            );
        }
        let between = |good: Json, bad: Json| {
            ways.iter().any(|way| reads(way, &good).is_some() && reads(way, &bad).is_none())
        };
        let taken = |value: Json| ways.iter().any(|way| reads(way, &value).is_some());
        for word in property["enum"].as_array().into_iter().flatten() {
            assert!(taken(word.clone()), "{key} can't be {word}");
            assert!(!taken("nonsense".into()), "{key} may be anything");
            if property["x-ignore-case"] == true {
                assert!(
                    taken(word.as_str().unwrap().to_uppercase().into()),
                    "{key} minds the case of {word}"
                );
            }
        }
        let wrong: Option<Json> = match property["type"].as_str() {
            Some("boolean") => Some("perhaps".into()),
            Some("integer") => Some("many".into()),
            Some("object") => Some("text".into()),
            Some("array") if property["items"]["type"] == "object" => Some("text".into()),
            Some("array") => Some(json!([{"strange": []}])),
            Some("string") if property["x-duration"] == true => Some("soon".into()),
            Some("string") => Some(json!(["a"])),
            _ => None,
        };
        if let Some(wrong) = wrong.filter(|_| property["x-no-effect"] != true) {
            let refused =
                |way: &Json| codes(&with(way, key, &wrong)).iter().any(|c| OF_TYPE.contains(&c.as_str()));
            assert!(ways.iter().any(refused), "{key} may be {wrong}");
        }
        if let Some(most) = property["maxLength"].as_u64() {
            let long = |n: u64| Json::from("a".repeat(usize::try_from(n).unwrap()));
            assert!(between(long(most), long(most + 1)), "{key}: {most} characters are not the most");
        }
        if let Some(most) = property["maximum"].as_u64() {
            assert!(between(most.into(), (most + 1).into()), "{key}: {most} is not the most");
        }
    }
    let disk = |size: i64, lun: i64| {
        let json = with(&base(), "disk_additional_size", &json!([size]));
        read(&with(&json, "disk_additional_luns", &json!([lun]))).is_some()
    };
    let sizes = &properties()["disk_additional_size"]["items"];
    let luns = &properties()["disk_additional_luns"]["items"];
    for (size, lun, fits) in [(0, 0, true), (-1, 0, false), (0, -1, false)] {
        let low = |schema: &Json, by: i64| schema["minimum"].as_i64().unwrap() + by;
        let high = |schema: &Json, by: i64| schema["maximum"].as_i64().unwrap() - by;
        assert_eq!(disk(low(sizes, size), low(luns, lun)), fits);
        assert_eq!(disk(high(sizes, size), high(luns, lun)), fits);
    }
}

#[test]
fn what_is_refused_says_what_to_do_instead() {
    for (key, property) in properties().iter().filter(|(_, p)| p["x-not-supported"] == true) {
        assert!(property["description"].as_str().is_some_and(|d| !d.is_empty()), "{key}");
        assert!(read(&with(&base(), key, &json!(["x"]))).is_none(), "{key} is accepted");
    }
}

#[test]
fn examples_and_required_options_hold() {
    let description = describe();
    for example in &description.examples {
        // The engine has rendered texts before the builder sees them.
        let example = serde_json::from_str(&example.to_string().replace("{{timestamp}}", "1")).unwrap();
        assert!(read(&example).is_some(), "{example}");
        for required in description.schema["required"].as_array().unwrap() {
            assert!(read(&with(&example, required.as_str().unwrap(), &Json::Null)).is_none(), "{required}");
        }
    }
}
