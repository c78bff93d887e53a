//! Virtual networks, public addresses, interfaces, security groups: their rules, and who uses whom.

use std::time::Duration;

use serde_json::{Value, json};

use super::call::Call;
use super::effect::Effect;
use super::operation::{Begin, Class, Finally, Reply};
use super::reply::{Answer, ArmError, Outcome, err, gateway, invalid};
use super::resource::{Provisioning, Resource};
use super::state::{State, id_of, object, same};
use super::versions::{Kind, NIC, NSG, PUBLIC_IP, VNET};
use super::{group, interface, names, virtual_network};
use crate::fault::Polling;

pub(crate) fn missing(kind: &Kind, name: &str, group: &str) -> ArmError {
    gateway(
        404,
        "ResourceNotFound",
        format!(
            "The Resource '{}/{name}' under resource group '{group}' was not found. For more details please go to \
         https://aka.ms/ARMResourceNotFoundFix",
            kind.name
        ),
    )
}

/// Id of what uses a resource and so keeps it from being deleted.
pub(crate) fn user(state: &State, resource: &Resource) -> Option<String> {
    let kind = resource.kind;
    if std::ptr::eq(kind, &NIC) {
        return state.vm_of_nic(&resource.id).map(|vm| vm.id.clone());
    }
    if std::ptr::eq(kind, &PUBLIC_IP) {
        return state.nics_referring("publicIPAddress", &resource.id).next().map(|(_, config)| config);
    }
    if std::ptr::eq(kind, &VNET) {
        let subnets = resource.properties.get("subnets").and_then(Value::as_array);
        return subnets.into_iter().flatten().find_map(|subnet| {
            state.nics_referring("subnet", id_of(subnet)).next().map(|(_, config)| config)
        });
    }
    if std::ptr::eq(kind, &NSG) {
        let refers = |value: Option<&Value>| value.is_some_and(|v| same(id_of(v), &resource.id));
        let nic = state
            .of_kind(&NIC)
            .find(|n| refers(n.properties.get("networkSecurityGroup")))
            .map(|n| n.id.clone());
        return nic.or_else(|| {
            state.of_kind(&VNET).find_map(|network| {
                let subnets = network.properties.get("subnets")?.as_array()?;
                let user = subnets.iter().find(|s| refers(s["properties"].get("networkSecurityGroup")))?;
                Some(id_of(user).to_owned())
            })
        });
    }
    None
}

fn in_use(resource: &Resource, user: &str) -> ArmError {
    let id = &resource.id;
    let (code, text) = if std::ptr::eq(resource.kind, &NIC) {
        (
            "NicInUse",
            format!(
                "Network Interface {id} is used by existing resource {user}. In order to delete the network interface, it must be dissociated from the resource."
            ),
        )
    } else if std::ptr::eq(resource.kind, &PUBLIC_IP) {
        (
            "PublicIPAddressCannotBeDeleted",
            format!(
                "Public IP address {id} can not be deleted since it is still allocated to resource {user}."
            ),
        )
    } else if std::ptr::eq(resource.kind, &NSG) {
        (
            "InUseNetworkSecurityGroupCannotBeDeleted",
            format!(
                "Network security group {id} cannot be deleted because it is in use by the following resources: {user}."
            ),
        )
    } else {
        return virtual_network::subnet_in_use(id, user);
    };
    err(400, code, text)
}

pub(crate) fn handle(state: &mut State, call: &Call, kind: &'static Kind) -> Outcome<Reply> {
    call.check_version(kind)?;
    let name = call.segment(7);
    if std::ptr::eq(kind, &VNET) && call.segments.len() > 8 {
        return virtual_network::subnets(state, call);
    }
    let group_id = group::require(state, call)?;
    let short = kind.name.rsplit('/').next().unwrap_or_default();
    let id = state.canonical(format!("{group_id}/providers/Microsoft.Network/{short}/{name}"));
    super::conditional::check(call, state.get(&id))?;
    match call.method.as_str() {
        "GET" => {
            let resource = state.get(&id).ok_or_else(|| missing(kind, name, call.segment(3)))?;
            Ok(Answer::json(200, super::view::resource(state, resource, None)).into())
        }
        "PUT" => put(state, call, kind, &id, name),
        "PATCH" => group::patch_tags(state, call, kind, &id),
        "DELETE" => delete(state, &id),
        _ => Err(call.method_not_allowed()),
    }
}

fn put(state: &mut State, call: &Call, kind: &'static Kind, id: &str, name: &str) -> Outcome<Reply> {
    let body = call.object()?;
    names::check(kind, name)?;
    let tags = names::tags(&body)?;
    let location = group::required_location(&body)?;
    let mut properties = object(body["properties"].clone());
    let existing = state.get(id).map(|r| (r.created_by.clone(), r.created_at, r.properties.clone()));
    if let Some(resource) = state.get(id) {
        group::same_location(resource, &location)?;
        group::idle(resource)?;
    }
    let before = existing.as_ref().map(|(_, _, p)| p.clone()).unwrap_or_default();
    if std::ptr::eq(kind, &VNET) {
        virtual_network::check(state, id, &location, &mut properties, &before)?;
    } else if std::ptr::eq(kind, &PUBLIC_IP) {
        let standard = body["sku"]["name"].as_str().is_some_and(|s| s.eq_ignore_ascii_case("Standard"));
        let fixed = properties
            .get("publicIPAllocationMethod")
            .and_then(Value::as_str)
            .is_some_and(|m| m.eq_ignore_ascii_case("Static"));
        if standard && !fixed {
            return Err(err(
                400,
                "PublicIPAllocationMethodNotAllowed",
                "Standard sku publicIp must have AllocationMethod set to Static.",
            ));
        }
        if let Some(label) =
            properties.get("dnsSettings").and_then(|d| d["domainNameLabel"].as_str()).map(str::to_owned)
        {
            names::check_dns_label(&label)?;
            let fqdn = format!("{label}.{location}.cloudapp.azure.com");
            let taken = state.of_kind(&PUBLIC_IP).any(|ip| {
                let other = ip.properties.get("dnsSettings").and_then(|d| d["fqdn"].as_str());
                other == Some(fqdn.as_str()) && !same(&ip.id, id)
            });
            if taken {
                return Err(err(
                    400,
                    "DnsRecordInUse",
                    format!("DNS record {fqdn} is already used by another public IP."),
                ));
            }
            properties["dnsSettings"]["fqdn"] = json!(fqdn);
        }
        let limit = state.market.limit("PublicIPAddresses", &location);
        if existing.is_none() && super::catalogue::count(state, &PUBLIC_IP, &location) >= limit {
            return Err(err(
                400,
                "PublicIPCountLimitReached",
                format!(
                    "Cannot create more than {limit} public IP addresses for this subscription in this region."
                ),
            ));
        }
        match before.get("ipAddress") {
            Some(address) => {
                properties.insert("ipAddress".into(), address.clone());
            }
            // A dynamic address comes with the machine that uses it.
            None if fixed => {
                let address = state.free_public_address().ok_or_else(|| {
                    err(409, "PublicIPCountLimitReached", "Cannot create more public IP addresses.")
                })?;
                properties.insert("ipAddress".into(), json!(address));
            }
            None => {}
        }
    } else if std::ptr::eq(kind, &NIC) {
        interface::check(state, id, &location, &mut properties, &before)?;
        let mac = before.get("macAddress").cloned().unwrap_or_else(|| json!(state.new_mac()));
        properties.insert("macAddress".into(), mac);
    } else if let Some(rules) = properties.get_mut("securityRules").and_then(Value::as_array_mut) {
        let mut priorities = Vec::new();
        for rule in rules {
            let rule_name = rule["name"].as_str().unwrap_or_default().to_owned();
            rule["id"] = json!(format!("{id}/securityRules/{rule_name}"));
            let priority = rule["properties"]["priority"].as_u64().unwrap_or_default();
            let direction = rule["properties"]["direction"].as_str().unwrap_or_default().to_lowercase();
            if !(100..=4096).contains(&priority) {
                return Err(err(
                    400,
                    "SecurityRuleInvalidPriority",
                    format!(
                        "Security rule has invalid Priority. Value provided: {priority} Allowed range 100-4096."
                    ),
                ));
            }
            if priorities.contains(&(priority, direction.clone())) {
                return Err(err(
                    400,
                    "SecurityRuleConflict",
                    format!(
                        "Security rule {rule_name} conflicts with another rule. Rules cannot have the same Priority and Direction."
                    ),
                ));
            }
            priorities.push((priority, direction));
        }
    }
    let created = existing.is_none();
    let mut extra = serde_json::Map::new();
    for key in ["sku", "zones"] {
        if let Some(value) = body.get(key) {
            extra.insert(key.to_owned(), value.clone());
        }
    }
    let (creator, at) =
        existing.map_or_else(|| (call.client.clone(), call.now), |(creator, at, _)| (creator, at));
    let mut resource = state.fresh(id, kind, &location, &creator, at);
    resource.tags = tags;
    resource.extra = extra;
    resource.properties = properties;
    resource.state = if created { Provisioning::Creating } else { Provisioning::Updating };
    let answer = super::view::resource(state, &resource, None);
    state.insert(resource);
    Ok(Begin {
        status: if created { 201 } else { 200 },
        body: Some(answer),
        class: Class::Network,
        polling: Polling::Async,
        subject: id.to_owned(),
        location,
        duration: Duration::from_secs(3),
        effect: Effect::Settle,
        finally: Finally::Resource,
        after: Vec::new(),
    }
    .into())
}

/// A reference to a resource that must exist, in the same place.
pub(crate) fn require<'a>(
    state: &'a State,
    reference: &Value,
    kind: &'static Kind,
    location: &str,
) -> Outcome<&'a Resource> {
    let id = id_of(reference);
    match state.get(id) {
        Some(resource) if !std::ptr::eq(resource.kind, kind) => {
            Err(invalid("id", format!("The reference '{id}' is not of the type {}.", kind.name)))
        }
        Some(resource) if resource.location != location => Err(err(
            400,
            "InvalidResourceReference",
            format!("Resource {id} referenced is in another location than the resource that refers to it."),
        )),
        Some(resource) if resource.state == Provisioning::Deleting => Err(err(
            409,
            "ReferencedResourceNotProvisioned",
            format!("Cannot proceed with operation because resource {id} is being deleted."),
        )),
        Some(resource) if !resource.state.is_final() => Err(err(
            429,
            "ReferencedResourceNotProvisioned",
            format!(
                "Cannot proceed with operation because resource {id} used by this resource is not in Succeeded state. Resource is in {} state and the last operation that updated/is updating the resource is PutOperation.",
                resource.state.word()
            ),
        )),
        Some(resource) => Ok(resource),
        None => Err(err(
            400,
            "InvalidResourceReference",
            format!(
                "Resource {id} referenced by this resource was not found. Please make sure that the referenced resource exists, \
             and that both resources are in the same region."
            ),
        )),
    }
}

fn delete(state: &mut State, id: &str) -> Outcome<Reply> {
    let Some(resource) = state.get(id) else { return Ok(Answer::empty(204).into()) };
    if let Some(user) = user(state, resource) {
        return Err(in_use(resource, &user));
    }
    let (subject, location) = (resource.id.clone(), resource.location.clone());
    let after = state.end_operation(id);
    if let Some(resource) = state.get_mut(id) {
        resource.state = Provisioning::Deleting;
    }
    Ok(Begin {
        status: 202,
        body: None,
        class: Class::Network,
        polling: Polling::Both,
        effect: Effect::Delete { id: subject.clone() },
        subject,
        location,
        duration: Duration::from_secs(4),
        finally: Finally::NoContent,
        after,
    }
    .into())
}
