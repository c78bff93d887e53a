//! Managed images: made from a generalized machine, read, deleted.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::call::Call;
use super::effect::Effect;
use super::operation::{Begin, Class, Finally, Reply};
use super::reply::{Answer, Outcome, err, invalid, not_allowed};
use super::resource::{Detail, ImageState, Power, Provisioning, Resource};
use super::state::{State, id_of};
use super::versions::{IMAGE, VM};
use super::{group, names, network};
use crate::Simulator;
use crate::fault::Polling;
use crate::machine::Base;

pub(crate) fn handle(state: &mut State, call: &Call) -> Outcome<Reply> {
    call.check_version(&IMAGE)?;
    let view = |state: &State, image: &Resource| super::view::resource(state, image, None);
    let name = call.segment(7);
    let id = format!("{}/providers/Microsoft.Compute/images/{name}", group::require(state, call)?);
    match call.method.as_str() {
        "GET" => {
            let image = state.get(&id).ok_or_else(|| network::missing(&IMAGE, name, call.segment(3)))?;
            Ok(Answer::json(200, view(state, image)).into())
        }
        "PUT" => put(state, call, &id, name),
        "PATCH" => group::patch_tags(state, call, &IMAGE, &id),
        "DELETE" => super::disk::delete(state, &id, Class::Compute),
        _ => Err(call.method_not_allowed()),
    }
}

fn put(state: &mut State, call: &Call, id: &str, name: &str) -> Outcome<Reply> {
    let body = call.object()?;
    names::check(&IMAGE, name)?;
    let tags = names::tags(&body)?;
    let location = group::required_location(&body)?;
    if let Some(image) = state.get(id) {
        group::same_location(image, &location)?;
        group::idle(image)?;
        let source = id_of(&body["properties"]["sourceVirtualMachine"]);
        let old = image.properties.get("sourceVirtualMachine").map(id_of).unwrap_or_default();
        if !source.is_empty() && !super::state::same(source, old) {
            return Err(group::fixed("sourceVirtualMachine"));
        }
        let image = state.get_mut(id).expect("it was there a line before, under the same lock");
        image.tags = tags;
        let image = state.get(id).expect("it was there a line before, under the same lock");
        return Ok(Answer::json(200, super::view::resource(state, image, None)).into());
    }
    let source = id_of(&body["properties"]["sourceVirtualMachine"]).to_owned();
    if source.is_empty() {
        return Err(invalid(
            "sourceVirtualMachine",
            "Required parameter 'sourceVirtualMachine' is missing (null).",
        ));
    }
    let vm = state
        .get(&source)
        .filter(|r| std::ptr::eq(r.kind, &VM))
        .ok_or_else(|| err(404, "NotFound", format!("Source Virtual Machine '{source}' was not found.")))?;
    if vm.location != location {
        return Err(invalid(
            "location",
            format!(
                "Image and its source virtual machine must be in the same location. Source virtual machine is in '{}', the image in '{location}'.",
                vm.location
            ),
        ));
    }
    let inner = vm.vm().expect("resources of this kind have a machine part");
    group::idle(vm)?;
    if !inner.generalized {
        return Err(not_allowed(format!(
            "The operation 'create image' requires the Virtual Machine '{}' to be Generalized.",
            vm.name
        )));
    }
    if inner.power != Power::Deallocated {
        return Err(not_allowed(format!(
            "Operation 'create image' is not allowed on VM '{}' since the VM is not deallocated.",
            vm.name
        )));
    }
    if let Some(kind) =
        super::vm_create::security_type(vm.properties.get("securityProfile").unwrap_or(&Value::Null))
    {
        return Err(not_allowed(format!(
            "The operation 'create image' is not supported for the Virtual Machine '{}' of security type {kind}.",
            vm.name
        )));
    }
    let generation = body["properties"]["hyperVGeneration"].as_str().unwrap_or(&inner.generation).to_owned();
    if !generation.eq_ignore_ascii_case(&inner.generation) {
        return Err(invalid(
            "hyperVGeneration",
            format!(
                "The image's Hypervisor Generation '{generation}' does not match that of the source virtual machine, '{}'.",
                inner.generation
            ),
        ));
    }
    let disk = &vm.properties["storageProfile"]["osDisk"];
    let properties = json!({
        "sourceVirtualMachine": { "id": vm.id }, "hyperVGeneration": generation,
        "storageProfile": { "zoneResilient": body["properties"]["storageProfile"]["zoneResilient"] == true, "dataDisks": [],
            "osDisk": { "osType": inner.os, "osState": "Generalized", "diskSizeGB": disk["diskSizeGB"], "caching": disk["caching"],
                "managedDisk": disk["managedDisk"], "storageAccountType": "Standard_LRS" } } });
    let detail = Detail::Image(ImageState { base: None, plan: inner.plan.clone(), provenance: Value::Null });
    let vm_id = vm.id.clone();
    let mut resource = state.fresh(id, &IMAGE, &location, &call.client, call.now);
    resource.tags = tags;
    resource.properties = super::state::object(properties);
    resource.state = Provisioning::Creating;
    resource.detail = detail;
    let answer = super::view::resource(state, &resource, None);
    state.insert(resource);
    Ok(Begin {
        status: 201,
        body: Some(answer),
        class: Class::Compute,
        polling: Polling::Async,
        subject: id.to_owned(),
        location,
        duration: Duration::from_secs(30),
        effect: Effect::Capture { image: id.to_owned(), vm: vm_id },
        finally: Finally::Resource,
        after: Vec::new(),
    }
    .into())
}

/// Tokens of captures that are made from a machine at this moment.
pub(crate) fn captures_of(state: &State, vm: &str) -> Vec<CancellationToken> {
    let from = |image: &&Resource| {
        !image.state.is_final()
            && image.properties.get("sourceVirtualMachine").is_some_and(|s| super::state::same(id_of(s), vm))
    };
    state.of_kind(&IMAGE).filter(from).filter_map(|image| state.running_operation(&image.id)).collect()
}

/// The capture itself.
pub(crate) async fn capture(
    sim: &Simulator,
    image: &str,
    vm: &str,
    cancel: &CancellationToken,
) -> Outcome<()> {
    let machine = {
        let state = sim.state();
        let inner = state.get(vm).and_then(Resource::vm);
        match inner {
            Some(inner) if matches!(inner.power, Power::Stopped | Power::Deallocated) => {
                inner.machine.clone()
            }
            Some(_) => {
                return Err(err(
                    409,
                    "OperationNotAllowed",
                    "The virtual machine has to be powered off before it is captured.",
                ));
            }
            None => None,
        }
    };
    let Some(machine) = machine else {
        return Err(err(404, "NotFound", "The source virtual machine is gone."));
    };
    let captured = machine.capture(image).await.map_err(|e| {
        err(500, "InternalOperationError", format!("The simulator could not capture the machine: {e}"))
    })?;
    if cancel.is_cancelled() {
        let _ = sim.backend.delete_image(&captured.handle).await;
        return Err(err(409, "OperationCanceled", "The operation was canceled."));
    }
    let kept = {
        let mut state = sim.state();
        match state.get_mut(image).map(|r| &mut r.detail) {
            Some(Detail::Image(detail)) => {
                detail.base = Some(Base::Captured { handle: captured.handle.clone() });
                detail.provenance = captured.provenance;
                true
            }
            _ => false,
        }
    };
    if !kept {
        let _ = sim.backend.delete_image(&captured.handle).await;
    }
    Ok(())
}
