//! Managed disks and snapshots: made by machines or by hand, deleted when nobody uses them.

use std::time::Duration;

use serde_json::json;

use super::call::Call;
use super::effect::Effect;
use super::operation::{Begin, Class, Finally, Reply};
use super::reply::{Answer, Outcome, err};
use super::state::{Provisioning, Resource, State, object};
use super::versions::{DISK, Kind, SNAPSHOT};
use super::{group, names, network};
use crate::fault::Polling;

pub(crate) fn handle(state: &mut State, call: &Call, kind: &'static Kind) -> Outcome<Reply> {
    call.check_version(kind)?;
    let Some(name) = call.segments.get(7) else {
        let prefix = if call.segments.len() > 5 {
            call.group_id()
        } else {
            format!("/subscriptions/{}", call.segment(1))
        };
        let prefix = format!("{}/", prefix.to_lowercase());
        let fits = |r: &&Resource| r.id.to_lowercase().starts_with(&prefix);
        return Ok(Answer::list(
            state.of_kind(kind).filter(fits).map(|r| super::view::resource(state, r, None)).collect(),
        )
        .into());
    };
    let short = if std::ptr::eq(kind, &DISK) { "disks" } else { "snapshots" };
    let id = format!("{}/providers/Microsoft.Compute/{short}/{name}", group::require(state, call)?);
    match call.method.as_str() {
        "GET" => {
            let disk = state.get(&id).ok_or_else(|| network::missing(kind, name, call.segment(3)))?;
            Ok(Answer::json(200, super::view::resource(state, disk, None)).into())
        }
        "PUT" => put(state, call, kind, &id, name),
        "DELETE" => delete(state, &id, Class::Disk),
        _ => Err(call.method_not_allowed()),
    }
}

fn put(state: &mut State, call: &Call, kind: &'static Kind, id: &str, name: &str) -> Outcome<Reply> {
    let body = call.object()?;
    names::check(kind, name)?;
    let tags = names::tags(&body)?;
    let location = group::required_location(&body)?;
    let source = body["properties"]["creationData"]["sourceResourceId"].as_str();
    if let Some(source) = source.filter(|s| state.get(s).is_none()) {
        return Err(err(404, "NotFound", format!("Disk {source} is not found.")));
    }
    if source.is_none() && std::ptr::eq(kind, &SNAPSHOT) {
        return Err(err(
            400,
            "InvalidParameter",
            "Required parameter 'creationData.sourceResourceId' is missing (null).",
        )
        .at("creationData"));
    }
    let mut disk = state.fresh(id, kind, &location, &call.client, call.now);
    disk.tags = tags;
    disk.properties = object(body["properties"].clone());
    disk.state = Provisioning::Creating;
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

/// The disk of a machine's operating system.
pub(crate) fn os_disk(state: &mut State, call: &Call, id: &str, location: &str, size_gb: u64, vm: &str) {
    let mut disk = state.fresh(id, &DISK, location, &call.client, call.now);
    disk.extra.insert("sku".into(), json!({ "name": "Standard_LRS", "tier": "Standard" }));
    disk.extra.insert("managedBy".into(), json!(vm));
    disk.properties = object(json!({ "diskSizeGB": size_gb, "osType": "Linux", "diskState": "Attached",
        "creationData": { "createOption": "FromImage" } }));
    state.insert(disk);
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
    let after = state.cancel_operation(id).into_iter().collect();
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
