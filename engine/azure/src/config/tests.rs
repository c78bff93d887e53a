use std::path::PathBuf;

use fornax_core::value::Member;
use fornax_core::{SourceFile, Span, Text, Value};

use super::*;

/// A node whose values all have the place of the whole text.
pub(crate) fn node(json: &serde_json::Value) -> Node {
    let file = SourceFile::new("t.json", json.to_string());
    let span = Span::new(&file, 0..file.text().len());
    convert(json, &span)
}

fn convert(json: &serde_json::Value, span: &Span) -> Node {
    let value = match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(b) => Value::Bool(*b),
        serde_json::Value::Number(n) => Value::Number(n.clone()),
        serde_json::Value::String(s) => Value::String(Text::plain(s)),
        serde_json::Value::Array(items) => Value::Array(items.iter().map(|i| convert(i, span)).collect()),
        serde_json::Value::Object(map) => Value::Object(
            map.iter()
                .map(|(k, v)| Member { key: k.clone(), key_span: span.clone(), value: convert(v, span) })
                .collect(),
        ),
    };
    Node::new(value, span.clone())
}

pub(crate) fn base() -> serde_json::Value {
    serde_json::json!({
        "type": "azure-arm", "client_id": "c", "client_secret": "s3cr3t-value", "tenant_id": "t", "subscription_id": "sub",
        "os_type": "Linux", "image_publisher": "Canonical", "image_offer": "ubuntu", "image_sku": "server",
        "location": "West Europe", "managed_image_name": "img1", "managed_image_resource_group_name": "rg1"
    })
}

fn read(json: &serde_json::Value) -> (Option<Config>, Diagnostics) {
    let dir = std::env::temp_dir();
    let around = Surroundings { working_dir: &dir, env: &|_| None, target_is_given: false };
    Config::read(&node(json), &around)
}

fn with(extra: serde_json::Value) -> serde_json::Value {
    let mut json = base();
    for (key, value) in extra.as_object().unwrap() {
        if value.is_null() {
            json.as_object_mut().unwrap().remove(key);
        } else {
            json[key] = value.clone();
        }
    }
    json
}

#[test]
fn a_mistake_is_told_once() {
    for (extra, expected) in [
        (serde_json::json!({"location": null, "locaton": "x"}), vec!["azure-arm has no option \"locaton\""]),
        (
            serde_json::json!({"subscription_id": null, "subscription": "x"}),
            vec!["azure-arm has no option \"subscription\""],
        ),
        (
            serde_json::json!({"image_publisher": null, "image_offer": null, "image_sku": null}),
            vec!["nothing says which image the machine starts from"],
        ),
        (
            serde_json::json!({"plan_info": {"plan_name": "a", "plan_product": "b", "plan_publischer": "c"}}),
            vec!["plan_info has no option \"plan_publischer\""],
        ),
    ] {
        let (_, found) = read(&with(extra));
        let told: Vec<&str> = found.iter().map(|d| d.summary.as_str()).collect();
        assert_eq!(told, expected);
    }
}

#[test]
fn what_is_not_there_is_told_at_the_first_character_of_the_builder() {
    let (_, found) = read(&with(serde_json::json!({"location": null})));
    let ends: Vec<usize> = found.iter().filter_map(|d| d.span.as_ref()).map(|s| s.range().end).collect();
    assert_eq!(ends, [1]);
}

#[test]
fn an_ordinary_configuration_has_packers_defaults() {
    let (config, found) = read(&base());
    assert!(found.is_empty(), "{found:?}");
    let config = config.unwrap();
    assert_eq!(config.vm_size, "Standard_A1");
    assert_eq!(config.operation_limit, Duration::from_secs(900));
    assert_eq!(
        (config.caching.as_str(), config.storage_account_type.as_str()),
        ("ReadWrite", "Standard_LRS")
    );
    assert_eq!(config.network, Network::Own { allowed: vec![], sku: "Standard".into() });
    let ssh = config.ssh.unwrap();
    assert_eq!((ssh.username.as_str(), ssh.timeout), ("packer", Duration::from_secs(1200)));
    assert!(!format!("{:?}", config.credentials).contains("s3cr3t"));
}

#[test]
fn weak_types_are_converted() {
    let (config, found) = read(&with(serde_json::json!({
        "OS_Disk_Size_GB": "64", "async_resourcegroup_delete": "true", "disk_additional_size": "32",
        "allowed_inbound_ip_addresses": "1.2.3.4,10.0.0.0/8", "azure_tags": [{"a": 1}], "azure_tag": {"name": "b", "value": "c"},
        "polling_duration_timeout": "1h", "managed_image_name": 12345, "keep_os_disk": "false", "custom_data": "#cloud-config",
        "user_data": "eA=="
    })));
    let config = config.unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!(config.os_disk_size_gb, Some(64));
    assert!(config.async_group_delete);
    assert_eq!(config.data_disks, [(32, None)]);
    assert_eq!(
        config.network,
        Network::Own { allowed: vec!["1.2.3.4".into(), "10.0.0.0/8".into()], sku: "Standard".into() }
    );
    assert_eq!(config.tags, Tags::from([("a".into(), "1".into()), ("b".into(), "c".into())]));
    assert_eq!(config.operation_limit, Duration::from_secs(3600));
    assert_eq!(config.image.unwrap().name, "12345");
    assert_eq!(config.custom_data.unwrap().expose(), "I2Nsb3VkLWNvbmZpZw==");
    assert_eq!(config.user_data.unwrap().expose(), "eA==");
}

#[test]
fn all_mistakes_are_reported_at_once_each_with_its_code() {
    let (config, found) = read(&with(serde_json::json!({
        "vm_sise": "x", "location": null, "os_type": "BSD", "disk_caching_type": "Nope", "spot": {"eviction_policy": "Delete"},
        "os_disk_size_gb": "big", "managed_image_name": "my image", "plan_info": {"plan_name": "p"}, "client_secret": "",
        "azure_tags": {"fornax-build-id": "x"}, "virtual_network_subnet_name": "s", "disk_additional_luns": [0],
        "cloud_environment_name": "Mars"
    })));
    assert!(config.is_none());
    let mut codes: Vec<_> = found.iter().map(|d| d.code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(
        codes,
        [
            "azure/conflict",
            "azure/invalid-name",
            "azure/invalid-tag",
            "azure/invalid-value",
            "azure/missing-option",
            "azure/not-supported-yet",
            "azure/unknown-cloud",
            "azure/unknown-option",
            "azure/wrong-type"
        ]
    );
    let unknown = found.iter().find(|d| d.code == "azure/unknown-option").unwrap();
    assert_eq!(unknown.help.as_deref(), Some("did you mean \"vm_size\"?"));
    assert!(found.iter().any(|d| d.code == "azure/not-supported-yet" && d.summary.contains("\"spot\"")));
}

#[test]
fn a_given_target_needs_no_credentials() {
    let json = with(
        serde_json::json!({"client_id": "", "client_secret": "", "subscription_id": "", "tenant_id": ""}),
    );
    let around = Surroundings { working_dir: &PathBuf::from("."), env: &|_| None, target_is_given: true };
    assert!(Config::read(&node(&json), &around).0.is_some());
    assert!(read(&json).0.is_none());
}

#[test]
fn the_metadata_host_of_the_template_wins_over_the_environment() {
    let env = |name: &str| (name == "ARM_METADATA_URL").then(|| "https://env.example".to_owned());
    let around = Surroundings { working_dir: &PathBuf::from("."), env: &env, target_is_given: false };
    let cloud = |json| Config::read(&node(&json), &around).0.unwrap().cloud;
    assert_eq!(cloud(base()), CloudChoice::Metadata("https://env.example".into()));
    let own =
        with(serde_json::json!({"metadata_host": "https://own.example", "cloud_environment_name": "Mars"}));
    assert_eq!(cloud(own), CloudChoice::Metadata("https://own.example".into()));
}

#[test]
fn presuppositions_name_what_the_build_does_not_make() {
    let json = with(serde_json::json!({
        "image_publisher": null, "image_offer": null, "image_sku": null, "custom_managed_image_name": "base",
        "custom_managed_image_resource_group_name": "RG1", "virtual_network_name": "net",
        "virtual_network_resource_group_name": "netgroup",
        "plan_info": {"plan_name": "n", "plan_product": "o", "plan_publisher": "p"}
    }));
    let needs = read(&json).0.unwrap().presupposes();
    let location = Some("westeurope".to_owned());
    assert_eq!(needs[0], Presupposition::Group { name: "rg1".into(), location: location.clone() });
    assert_eq!(needs[1], Presupposition::Group { name: "netgroup".into(), location: location.clone() });
    assert!(matches!(&needs[2], Presupposition::Image { name, plan: Some(_), .. } if name == "base"));
    assert!(matches!(&needs[3], Presupposition::Network { name, .. } if name == "net"));
    assert_eq!(needs.len(), 5);
}

/// Cases of the corpus that are known to differ: `id<TAB>reason`.
const EXCEPTIONS: &str = include_str!("exceptions.tsv");

#[test]
fn the_corpus_gets_packers_verdicts() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/cases");
    if !corpus.is_dir() {
        eprintln!("SKIPPED: the corpus is not at {}", corpus.display());
        return;
    }
    let folder = std::env::temp_dir().join(format!("fornax-azure-corpus-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("existing.txt"), "x").unwrap();
    let exceptions: Vec<&str> =
        EXCEPTIONS.lines().filter_map(|l| l.split_once('\t')).map(|(id, _)| id).collect();
    let (mut good, mut all, mut wrong) = (0, 0, Vec::new());
    for file in ["azure_config.jsonl", "modern_azure.jsonl"] {
        for line in std::fs::read_to_string(corpus.join(file)).unwrap().lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let Some(builder) = case.get("builder") else { continue };
            let expect =
                ["expect_modern", "expect", "expect_1_6_6"].iter().find_map(|k| case.get(k)).unwrap();
            let text = builder.to_string().replace("<existing file>", "existing.txt");
            let builder = serde_json::from_str(&text).unwrap();
            let around = Surroundings { working_dir: &folder, env: &|_| None, target_is_given: false };
            let (config, found) = Config::read(&node(&builder), &around);
            all += 1;
            let id = case["id"].as_str().unwrap();
            let holds = config.is_some() == (expect["ok"] == true);
            good += usize::from(holds);
            if holds == exceptions.contains(&id) {
                let messages: Vec<_> = found.iter().map(|d| d.summary.as_str()).collect();
                wrong.push(format!("{id} {} (expected ok: {}): {messages:?}", case["name"], expect["ok"]));
            }
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
    println!("{good} of {all} verdicts are Packer's, {} exceptions", exceptions.len());
    assert!(wrong.is_empty(), "cases that differ, or are excepted without need:\n{}", wrong.join("\n"));
}
