//! Managed disks and snapshots: made by machines or by hand, deleted when nobody uses them.

use std::time::Duration;

use serde_json::json;

use super::call::Call;
use super::effect::Effect;
use super::operation::{Begin, Class, Finally, Reply};
use super::reply::{Answer, Outcome, err};
use super::resource::Provisioning;
use super::state::{State, object};
use super::versions::{DISK, Kind, SNAPSHOT};
use super::{group, names, network};
use crate::fault::Polling;

pub(crate) fn handle(state: &mut State, call: &Call, kind: &'static Kind) -> Outcome<Reply> {
    call.check_version(kind)?;
    let name = call.segment(7);
    let short = if std::ptr::eq(kind, &DISK) { "disks" } else { "snapshots" };
    let id = state
        .canonical(format!("{}/providers/Microsoft.Compute/{short}/{name}", group::require(state, call)?));
    match call.method.as_str() {
        "GET" => {
            let disk = state.get(&id).ok_or_else(|| network::missing(kind, name, call.segment(3)))?;
            Ok(Answer::json(200, super::view::resource(state, disk, None)).into())
        }
        "PUT" => put(state, call, kind, &id, name),
        "PATCH" => group::patch_tags(state, call, kind, &id),
        "DELETE" => delete(state, &id, Class::Disk),
        _ => Err(call.method_not_allowed()),
    }
}

fn put(state: &mut State, call: &Call, kind: &'static Kind, id: &str, name: &str) -> Outcome<Reply> {
    let body = call.object()?;
    names::check(kind, name)?;
    let tags = names::tags(&body)?;
    let location = group::required_location(&body)?;
    let data = &body["properties"]["creationData"];
    if let Some(existing) = state.get(id) {
        group::same_location(existing, &location)?;
        group::idle(existing)?;
        if !data.is_null() && existing.properties.get("creationData") != Some(data) {
            return Err(group::fixed("creationData"));
        }
    }
    let required = |what: &str| {
        err(400, "InvalidParameter", format!("Required parameter '{what}' is missing (null).")).at(what)
    };
    let option = data["createOption"].as_str().ok_or_else(|| required("creationData.createOption"))?;
    let source = data["sourceResourceId"].as_str();
    let copies = std::ptr::eq(kind, &SNAPSHOT) || option.eq_ignore_ascii_case("Copy");
    if source.is_none() && copies {
        return Err(required("creationData.sourceResourceId"));
    }
    let mut size = body["properties"]["diskSizeGB"].as_u64();
    if let Some(source) = source {
        let found =
            state.get(source).ok_or_else(|| err(404, "NotFound", format!("Disk {source} is not found.")))?;
        if found.location != location {
            return Err(err(
                400,
                "InvalidParameter",
                format!("Resource {source} is in '{}', not in '{location}'.", found.location),
            )
            .at("creationData.sourceResourceId"));
        }
        size = size.or_else(|| found.properties.get("diskSizeGB").and_then(serde_json::Value::as_u64));
    }
    let size = size.ok_or_else(|| required("diskSizeGB"))?;
    let existing = state.get(id).map(|r| (r.created_by.clone(), r.created_at));
    let created = existing.is_none();
    let (creator, at) = existing.unwrap_or_else(|| (call.client.clone(), call.now));
    let mut disk = state.fresh(id, kind, &location, &creator, at);
    disk.tags = tags;
    disk.extra.insert(
        "sku".into(),
        match &body["sku"] {
            serde_json::Value::Null => json!({ "name": "Standard_LRS", "tier": "Standard" }),
            sku => sku.clone(),
        },
    );
    disk.properties = object(body["properties"].clone());
    disk.properties.insert("diskSizeGB".into(), json!(size));
    disk.state = if created { Provisioning::Creating } else { Provisioning::Updating };
    let answer = super::view::resource(state, &disk, None);
    state.insert(disk);
    Ok(Begin {
        status: 202,
        body: Some(answer),
        class: Class::Disk,
        polling: Polling::Both,
        subject: id.to_owned(),
        location,
        duration: Duration::from_secs(8),
        effect: Effect::Settle,
        finally: Finally::Resource,
        after: Vec::new(),
    }
    .into())
}

/// A disk that comes into being with its machine. `os` is none for a data disk.
pub(crate) fn of_machine(
    state: &mut State,
    call: &Call,
    location: &str,
    id: &str,
    size_gb: u64,
    disk: &serde_json::Value,
    os: Option<&str>,
) {
    let mut resource = state.fresh(id, &DISK, location, &call.client, call.now);
    let sku = disk["managedDisk"]["storageAccountType"].as_str().unwrap_or("Standard_LRS");
    resource.extra.insert("sku".into(), json!({ "name": sku }));
    let option = if os.is_some() { "FromImage" } else { "Empty" };
    resource.properties =
        object(json!({ "diskSizeGB": size_gb, "creationData": { "createOption": option } }));
    if let Some(os) = os {
        resource.properties.insert("osType".into(), json!(os));
    }
    state.insert(resource);
}

/// Deletes a disk, a snapshot or an image.
pub(crate) fn delete(state: &mut State, id: &str, class: Class) -> Outcome<Reply> {
    let Some(resource) = state.get(id) else { return Ok(Answer::empty(204).into()) };
    if let Some(vm) = state.vm_of_disk(&resource.id) {
        return Err(err(
            409,
            "OperationNotAllowed",
            format!("Disk {} is attached to VM {}.", resource.name, vm.id),
        ));
    }
    let (subject, location) = (resource.id.clone(), resource.location.clone());
    let after = state.end_operation(id);
    if let Some(resource) = state.get_mut(id) {
        resource.state = Provisioning::Deleting;
    }
    Ok(Begin {
        status: 202,
        body: None,
        class,
        polling: Polling::Both,
        effect: Effect::Delete { id: subject.clone() },
        subject,
        location,
        duration: Duration::from_secs(8),
        finally: Finally::Ok,
        after,
    }
    .into())
}
