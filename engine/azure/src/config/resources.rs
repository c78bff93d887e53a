//! Where the build's resources are, how they are connected, and which tags they carry.

use fornax_core::Diagnostic;

use super::checks::{conflict, missing, one_of};
use super::reader::{Entry, Reader};
use super::{Network, Place, naming};
use crate::client::{Plan, Tags};
use crate::lro::{BUILD_TAG, PROCESS_TAG};

/// Azure takes so many tags on a resource.
const MAX_TAGS: usize = 50;

pub fn place(r: &mut Reader) -> Option<Place> {
    let location = r.string("location");
    let temporary = r.word("temp_resource_group_name");
    let temporary_given = temporary.is_some();
    let temporary = naming::RESOURCE_GROUP.check(temporary, r.found);
    let existing = r.word("build_resource_group_name");
    if existing.is_some() && temporary_given {
        let summary = "temp_resource_group_name and build_resource_group_name exclude each other";
        conflict(r, "temp_resource_group_name", summary, "keep one of them");
    }
    match (location, existing) {
        (Some(location), None) => Some(Place::Temporary { group: temporary, location }),
        (None, Some(group)) => {
            naming::RESOURCE_GROUP.check(Some(group), r.found).map(|group| Place::Existing { group })
        }
        (Some(_), Some(_)) => {
            let summary = "location and build_resource_group_name exclude each other";
            conflict(r, "location", summary, "remove location: the machine is built where the group is");
            None
        }
        (None, None) => {
            let help =
                "give the location to make a temporary group in, or an existing build_resource_group_name";
            missing(r, "location", "nothing says where to build", help);
            None
        }
    }
}

pub fn network(r: &mut Reader) -> Network {
    let name = r.string("virtual_network_name");
    let subnet = r.string("virtual_network_subnet_name");
    let group = r.string("virtual_network_resource_group_name");
    let public_ip = r.flag("private_virtual_network_with_public_ip");
    let mut allowed = Vec::new();
    for word in r.words("allowed_inbound_ip_addresses") {
        if is_address(&word.value) {
            allowed.push(word.value);
        } else {
            let summary = format!(
                "\"allowed_inbound_ip_addresses\" has \"{}\", which is no IP address or CIDR block",
                word.shown
            );
            r.push(
                word.error("azure/invalid-value", summary)
                    .help("write for instance \"203.0.113.7\" or \"10.0.0.0/8\""),
            );
        }
    }
    let sku = one_of(r, "public_ip_sku", &["Standard", "Basic"]);
    match name {
        Some(name) => {
            for key in ["allowed_inbound_ip_addresses", "public_ip_sku"] {
                if r.is_set(key) {
                    let summary = format!("\"{key}\" and virtual_network_name exclude each other");
                    conflict(
                        r,
                        key,
                        summary,
                        "the rules of the existing network apply; remove one of the two",
                    );
                }
            }
            Network::Existing { name, group, subnet, public_ip }
        }
        None => {
            for key in ["virtual_network_subnet_name", "virtual_network_resource_group_name"] {
                if r.is_set(key) {
                    conflict(
                        r,
                        key,
                        format!("\"{key}\" is given without virtual_network_name"),
                        "name the network too",
                    );
                }
            }
            Network::Own { allowed, sku: sku.unwrap_or_else(|| "Standard".into()) }
        }
    }
}

/// An IP address, or one with the length of a prefix.
fn is_address(text: &str) -> bool {
    use std::net::IpAddr;
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    length.is_none_or(|l| l.parse::<u8>().is_ok_and(|l| l <= longest))
}

pub fn tags(r: &mut Reader, plan: Option<&Plan>) -> Tags {
    let mut tags = Tags::new();
    let mut entries = r.entries("azure_tags");
    for block in r.objects("azure_tag") {
        let mut within = r.within("azure_tag", block);
        let (name, value) = (within.word("name"), within.string("value").unwrap_or_default());
        match name {
            Some(name) => entries.push(Entry {
                key: name.value,
                key_span: name.span,
                value,
                span: within.value_span("value"),
            }),
            None => missing(&mut within, "name", "a tag has a name", "write {\"name\": …, \"value\": …}"),
        }
    }
    for Entry { key: name, key_span, value, span } in entries {
        let length = name.chars().count();
        let own = [BUILD_TAG, PROCESS_TAG].into_iter().find(|tag| name.eq_ignore_ascii_case(tag));
        let problem = if let Some(tag) = own {
            Some((key_span, format!("the tag \"{tag}\" is the engine's own"), "choose another name"))
        } else if length > 512 {
            let summary = format!("the name of a tag has {length} characters; at most 512 are allowed");
            Some((key_span, summary, "shorten it"))
        } else if name.is_empty() {
            Some((key_span, "the name of a tag is empty".to_owned(), "give it a name"))
        } else if let Some(c) = name.chars().find(|c| "<>%&\\?/".contains(*c)) {
            let summary = format!("the name of the tag \"{name}\" contains \"{c}\"");
            Some((key_span, summary, "Azure takes no < > % & \\ ? / in the names of tags"))
        } else {
            let length = value.chars().count();
            (length > 256).then(|| {
                let summary = format!(
                    "the value of the tag \"{name}\" has {length} characters; at most 256 are allowed"
                );
                (span, summary, "shorten it")
            })
        };
        match problem {
            Some((place, summary, help)) => {
                r.push(Diagnostic::error("azure/invalid-tag", summary).at(&place).help(help));
            }
            None => {
                tags.insert(name, value);
            }
        }
    }
    let own = 2 + if plan.is_some() { 4 } else { 0 };
    if tags.len() + own > MAX_TAGS {
        let summary = format!(
            "{} tags are too many: Azure takes {MAX_TAGS}, of which the engine needs {own}",
            tags.len()
        );
        r.push(Diagnostic::error("azure/invalid-tag", summary).at(&r.key_span("azure_tags")));
    }
    tags
}
