//! Virtual machines: reading, power, generalizing, deleting; and what happens when an operation's time has come.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::call::Call;
use super::effect::Effect;
use super::operation::{Begin, Class, Finally, Reply};
use super::reply::{Answer, ArmError, Outcome, err, gateway, not_allowed};
use super::resource::{Power, Provisioning, Resource};
use super::state::{State, id_of};
use super::versions::VM;
use super::{group, names, network, vm_create};
use crate::fault::Polling;
use crate::machine::{MachineError, MachineSpec};
use crate::{Simulator, ssh};

pub(crate) fn handle(state: &mut State, call: &Call) -> Outcome<Reply> {
    call.check_version(&VM)?;
    let name = call.segment(7);
    let id = format!("{}/providers/Microsoft.Compute/virtualMachines/{name}", group::require(state, call)?);
    let missing = || network::missing(&VM, name, call.segment(3));
    super::conditional::check(call, state.get(&id))?;
    if call.segments.len() > 9 {
        return Err(gateway(404, "NotFound", "There is nothing at this path."));
    }
    if let Some(action) = call.lower.get(8) {
        let vm = state.get(&id).ok_or_else(missing)?;
        if action == "instanceview" && call.method == "GET" {
            return Ok(Answer::json(200, super::view::instance_view(vm)).into());
        }
        if call.method != "POST" {
            return Err(gateway(404, "NotFound", "There is nothing at this path."));
        }
        return act(state, &id, &action.clone());
    }
    match call.method.as_str() {
        "GET" => {
            let vm = state.get(&id).ok_or_else(missing)?;
            Ok(Answer::json(200, super::view::resource(state, vm, call.query("$expand"))).into())
        }
        "PUT" if state.get(&id).is_none() => vm_create::put(state, call, &id, name),
        "PUT" => update(state, call, &id),
        "PATCH" => group::patch_tags(state, call, &VM, &id),
        "DELETE" => delete(state, &id),
        _ => Err(call.method_not_allowed()),
    }
}

/// `PUT` of a machine that exists: tags and size may change, the rest is fixed.
fn update(state: &mut State, call: &Call, id: &str) -> Outcome<Reply> {
    let body = call.object()?;
    let tags = names::tags(&body)?;
    let location = group::required_location(&body)?;
    let vm = state.get_mut(id).expect("the caller has looked it up under the same lock");
    group::same_location(vm, &location)?;
    group::idle(vm)?;
    let new = &body["properties"];
    let old = Value::Object(vm.properties.clone());
    for (pointer, name) in [
        ("/storageProfile/imageReference/id", "imageReference"),
        ("/storageProfile/imageReference/publisher", "imageReference"),
        ("/storageProfile/imageReference/offer", "imageReference"),
        ("/storageProfile/imageReference/sku", "imageReference"),
        ("/storageProfile/imageReference/version", "imageReference"),
        ("/storageProfile/osDisk/name", "osDisk.name"),
        ("/osProfile/computerName", "osProfile.computerName"),
        ("/osProfile/adminUsername", "osProfile.adminUsername"),
    ] {
        if new.pointer(pointer).is_some_and(|value| Some(value) != old.pointer(pointer)) {
            return Err(group::fixed(name));
        }
    }
    let size = new["hardwareProfile"]["vmSize"].as_str().map(str::to_owned);
    if let Some(size) = &size {
        let found = state.market.size(size, &location).map(|s| s.name.clone());
        let size = found.ok_or_else(|| vm_create::unknown_size(state, size, &location))?;
        let vm = state.get_mut(id).expect("it was there before, under the same lock");
        vm.properties.insert("hardwareProfile".into(), json!({ "vmSize": size }));
    }
    let vm = state.get_mut(id).expect("it was there before, under the same lock");
    vm.tags = tags;
    state.touch(id);
    let vm = state.get(id).expect("it was there before, under the same lock");
    Ok(Answer::json(200, super::view::resource(state, vm, None)).into())
}

fn start_operation(vm: &Resource, duration: u64, effect: Effect, after: Vec<CancellationToken>) -> Begin {
    Begin {
        status: 202,
        body: None,
        class: Class::Compute,
        polling: Polling::Both,
        subject: vm.id.clone(),
        location: vm.location.clone(),
        duration: Duration::from_secs(duration),
        effect,
        finally: Finally::Ok,
        after,
    }
}

fn act(state: &mut State, id: &str, action: &str) -> Outcome<Reply> {
    let vm = state.get_mut(id).expect("the caller has looked it up under the same lock");
    group::idle(vm)?;
    let subject = vm.id.clone();
    let inner = vm.vm_mut().expect("resources of this kind have a machine part");
    let (power, generalized) = (inner.power, inner.generalized);
    let (duration, effect, next) = match action {
        "generalize" => {
            if !matches!(power, Power::Stopped | Power::Deallocated) {
                return Err(not_allowed(format!(
                    "The VM '{}' must be powered off or deallocated before it is generalized.",
                    vm.name
                )));
            }
            inner.generalized = true;
            state.touch(id);
            return Ok(Answer::empty(200).into());
        }
        "start" | "restart" if generalized => {
            return Err(not_allowed(format!(
                "Operation '{action}' is not allowed on VM '{}' since the VM is generalized.",
                vm.name
            )));
        }
        "restart" if power != Power::Running => {
            return Err(not_allowed(format!(
                "The operation 'restart' requires the VM '{}' to be running.",
                vm.name
            )));
        }
        // What is so already stays so: that is no error, and changes nothing.
        "start" if power == Power::Running => (1, Effect::Settle, power),
        "poweroff" if matches!(power, Power::Stopped | Power::Deallocated) => (1, Effect::Settle, power),
        "deallocate" if power == Power::Deallocated => (1, Effect::Settle, power),
        "start" => (20, Effect::Start { vm: subject }, Power::Starting),
        "restart" => (30, Effect::Restart { vm: subject }, Power::Starting),
        "poweroff" => (15, Effect::Stop { vm: subject, deallocate: false }, Power::Stopping),
        "deallocate" => (30, Effect::Stop { vm: subject, deallocate: true }, Power::Deallocating),
        other => return Err(gateway(404, "NotFound", format!("There is no action '{other}'."))),
    };
    inner.power = next;
    vm.state = Provisioning::Updating;
    Ok(start_operation(vm, duration, effect, Vec::new()).into())
}

fn delete(state: &mut State, id: &str) -> Outcome<Reply> {
    if state.get(id).is_none() {
        return Ok(Answer::empty(204).into());
    }
    let mut after = state.end_operation(id);
    after.extend(super::image::captures_of(state, id));
    let vm = state.get_mut(id).expect("it was there a line before, under the same lock");
    vm.state = Provisioning::Deleting;
    Ok(start_operation(vm, 20, Effect::Delete { id: vm.id.clone() }, after).into())
}

fn failed(error: MachineError) -> ArmError {
    err(500, "InternalOperationError", format!("The simulator's machine: {error}"))
}

/// Makes the machine and opens its public addresses.
pub(crate) async fn boot(
    sim: &Simulator,
    vm: &str,
    spec: &MachineSpec,
    cancel: &CancellationToken,
) -> Outcome<()> {
    let machine = sim.backend.create(spec.clone()).await.map_err(|error| {
        err(409, "OSProvisioningClientError", format!("OS provisioning for VM did not finish: {error}"))
    })?;
    let kept = {
        let mut state = sim.state();
        match state.get_mut(vm).and_then(Resource::vm_mut) {
            Some(inner) if !cancel.is_cancelled() => {
                inner.machine = Some(machine.clone());
                inner.power = Power::Running;
                true
            }
            _ => false,
        }
    };
    if !kept {
        let _ = machine.delete().await;
        return Err(err(409, "OperationCanceled", "The operation was canceled."));
    }
    open_addresses(sim, vm).await
}

async fn open_addresses(sim: &Simulator, vm: &str) -> Outcome<()> {
    let addresses = {
        let mut state = sim.state();
        give_dynamic_addresses(&mut state, vm);
        state.get(vm).map(|r| state.public_addresses(r)).unwrap_or_default()
    };
    for (address, _) in addresses {
        ssh::open(sim, &address).await.map_err(|reason| err(409, "OSProvisioningClientError", reason))?;
    }
    Ok(())
}

/// Dynamic public addresses exist only while a machine uses them.
fn give_dynamic_addresses(state: &mut State, vm: &str) {
    let Some(resource) = state.get(vm) else { return };
    let mut without = Vec::new();
    for nic in State::nics_of(resource).into_iter().filter_map(|n| state.get(id_of(n))) {
        for config in State::ip_configurations(nic) {
            let id = config["properties"].get("publicIPAddress").map(id_of).unwrap_or_default();
            if state.get(id).is_some_and(|ip| !ip.properties.contains_key("ipAddress")) {
                without.push(id.to_owned());
            }
        }
    }
    for id in without {
        if let Some(address) = state.free_public_address()
            && let Some(ip) = state.get_mut(&id)
        {
            ip.properties.insert("ipAddress".into(), json!(address));
        }
    }
}

fn machine_of(sim: &Simulator, vm: &str) -> Outcome<std::sync::Arc<dyn crate::machine::Machine>> {
    let state = sim.state();
    state
        .get(vm)
        .and_then(Resource::vm)
        .and_then(|v| v.machine.clone())
        .ok_or_else(|| err(404, "NotFound", "The machine is gone."))
}

fn set_power(sim: &Simulator, vm: &str, power: Power) {
    if let Some(inner) = sim.state().get_mut(vm).and_then(Resource::vm_mut) {
        inner.power = power;
    }
}

pub(crate) async fn start(sim: &Simulator, vm: &str) -> Outcome<()> {
    machine_of(sim, vm)?.start().await.map_err(failed)?;
    set_power(sim, vm, Power::Running);
    open_addresses(sim, vm).await
}

pub(crate) async fn restart(sim: &Simulator, vm: &str) -> Outcome<()> {
    machine_of(sim, vm)?.restart().await.map_err(failed)?;
    set_power(sim, vm, Power::Running);
    Ok(())
}

pub(crate) async fn stop(sim: &Simulator, vm: &str, deallocate: bool) -> Outcome<()> {
    let machine = machine_of(sim, vm)?;
    let addresses = {
        let state = sim.state();
        state.get(vm).map(|r| state.public_addresses(r)).unwrap_or_default()
    };
    for (address, _) in addresses {
        sim.listeners.close(&address);
    }
    match machine.power_off().await {
        Ok(()) | Err(MachineError::NotRunning) => {}
        Err(error) => return Err(failed(error)),
    }
    set_power(sim, vm, if deallocate { Power::Deallocated } else { Power::Stopped });
    Ok(())
}
