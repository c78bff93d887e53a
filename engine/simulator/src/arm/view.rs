//! What a resource looks like when it is read: what was written, and what follows from its relations.

use serde_json::{Value, json};

use super::clock::stamp;
use super::resource::Resource;
use super::state::State;
use super::versions::{DISK, NIC, NSG, PUBLIC_IP, VM};

/// The body of a resource; `expand` is the query parameter `$expand`.
pub(crate) fn resource(state: &State, resource: &Resource, expand: Option<&str>) -> Value {
    let mut body = resource.envelope();
    let kind = resource.kind;
    if std::ptr::eq(kind, &VM) || kind.name.starts_with("Microsoft.Network/") {
        body["etag"] = json!(resource.etag_text());
    }
    if std::ptr::eq(kind, &VM) {
        body["properties"]["timeCreated"] = json!(stamp(resource.created_at));
        if expand.is_some_and(|e| e.eq_ignore_ascii_case("instanceView")) {
            body["properties"]["instanceView"] = instance_view(resource);
        }
    } else if std::ptr::eq(kind, &NIC) {
        if let Some(vm) = state.vm_of_nic(&resource.id) {
            body["properties"]["virtualMachine"] = json!({ "id": vm.id });
        }
    } else if std::ptr::eq(kind, &PUBLIC_IP) {
        if let Some((_, config)) = state.nics_referring("publicIPAddress", &resource.id).next() {
            body["properties"]["ipConfiguration"] = json!({ "id": config });
        }
    } else if std::ptr::eq(kind, &DISK) {
        let user = state.vm_of_disk(&resource.id);
        body["properties"]["diskState"] = json!(if user.is_some() { "Attached" } else { "Unattached" });
        body["properties"]["timeCreated"] = json!(stamp(resource.created_at));
        if let Some(vm) = user {
            body["managedBy"] = json!(vm.id);
        }
    } else if std::ptr::eq(kind, &NSG) {
        let nics: Vec<Value> = state
            .of_kind(&NIC)
            .filter(|nic| {
                let group = nic.properties.get("networkSecurityGroup").map(super::state::id_of);
                group.is_some_and(|id| super::state::same(id, &resource.id))
            })
            .map(|nic| json!({ "id": nic.id }))
            .collect();
        if !nics.is_empty() {
            body["properties"]["networkInterfaces"] = json!(nics);
        }
    }
    body
}

/// `instanceView` of a virtual machine.
pub(crate) fn instance_view(vm: &Resource) -> Value {
    let Some(state) = vm.vm() else { return json!({}) };
    let power = state.power.code();
    let mut view = json!({
        "statuses": [
            { "code": format!("ProvisioningState/{}", vm.state.word().to_lowercase()), "level": "Info",
              "displayStatus": format!("Provisioning {}", vm.state.word().to_lowercase()) },
            { "code": format!("PowerState/{power}"), "level": "Info", "displayStatus": format!("VM {power}") },
        ],
        "hyperVGeneration": state.generation,
    });
    if state.generalized
        && let Some(list) = view["statuses"].as_array_mut()
    {
        list.push(
            json!({ "code": "OSState/generalized", "level": "Info", "displayStatus": "VM generalized" }),
        );
    }
    if let Some(machine) = &state.machine {
        view["vmAgent"] = json!({ "vmAgentVersion": "simulated", "statuses": [
            { "code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Ready",
              "message": machine.status() } ] });
    }
    view
}
