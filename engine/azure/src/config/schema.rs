//! What the builder says of itself: each option with type, default, allowed values and what it is for. Tests prove that
//! schema and reader agree.

use std::sync::LazyLock;

use fornax_core::builder::Description;
use fornax_core::communicator::options;
use serde_json::{Map, Value as Json, json};

use super::options::{LATER, WINRM};
use super::ssh;

mod build;
mod image;

/// All options by name, those that do not work yet included.
pub fn properties() -> &'static Map<String, Json> {
    static PROPERTIES: LazyLock<Map<String, Json>> = LazyLock::new(|| {
        let mut all = Map::new();
        for part in [
            build::login(),
            image::source(),
            image::destination(),
            build::machine(),
            build::network(),
            build::names(),
        ] {
            if let Json::Object(part) = part {
                all.extend(part);
            }
        }
        all.extend(options::properties(&ssh::defaults()));
        // Azure takes no others.
        all["temporary_key_pair_type"]["enum"] = json!(["ed25519", "rsa"]);
        for name in WINRM {
            let why = "It is for WinRM; with SSH it has no effect.";
            all.insert((*name).to_owned(), json!({"x-no-effect": true, "description": why}));
        }
        for (name, instead) in LATER {
            all.insert((*name).to_owned(), json!({"x-not-supported": true, "description": instead}));
        }
        all
    });
    &PROPERTIES
}

/// The builder in its own words.
pub fn describe() -> Description {
    Description {
        summary: "Makes a managed image in Azure out of a marketplace image or another managed image",
        docs: include_str!("../../README.md"),
        schema: json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": properties(),
            "required": ["os_type"],
            "anyOf": [{"required": ["location"]}, {"required": ["build_resource_group_name"]}],
            "additionalProperties": false,
        }),
        examples: examples(),
    }
}

fn examples() -> Vec<Json> {
    let login = json!({
        "subscription_id": "{{user `subscription_id`}}", "tenant_id": "{{user `tenant_id`}}",
        "client_id": "{{user `client_id`}}", "client_secret": "{{user `client_secret`}}"
    });
    let with_login = |rest: Json| {
        let mut all = login.clone();
        if let (Json::Object(all), Json::Object(rest)) = (&mut all, rest) {
            all.extend(rest);
        }
        all
    };
    vec![
        with_login(json!({
            "os_type": "Linux", "location": "westeurope", "vm_size": "Standard_B2s",
            "image_publisher": "Canonical", "image_offer": "ubuntu-24_04-lts", "image_sku": "server",
            "managed_image_name": "web-{{timestamp}}", "managed_image_resource_group_name": "images",
            "azure_tags": {"team": "platform"}
        })),
        with_login(json!({
            "os_type": "Linux", "build_resource_group_name": "builds",
            "custom_managed_image_name": "base", "custom_managed_image_resource_group_name": "images",
            "managed_image_name": "app", "managed_image_resource_group_name": "images",
            "virtual_network_name": "internal", "virtual_network_subnet_name": "builds",
            "virtual_network_resource_group_name": "network"
        })),
    ]
}

#[cfg(test)]
pub(crate) mod tests;
