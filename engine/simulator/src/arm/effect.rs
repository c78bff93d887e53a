//! What operations do when their time has come.

use tokio_util::sync::CancellationToken;

use super::image;
use super::reply::{Outcome, err};
use super::resource::{Detail, Power, Provisioning};
use super::state::State;
use super::{versions, vm};
use crate::Simulator;
use crate::machine::{Base, MachineSpec};

/// The effect of an operation.
pub(crate) enum Effect {
    /// What the handler did is all there is.
    Settle,
    CreateMachine {
        vm: String,
        spec: Box<MachineSpec>,
    },
    Start {
        vm: String,
    },
    Restart {
        vm: String,
    },
    Stop {
        vm: String,
        deallocate: bool,
    },
    Capture {
        image: String,
        vm: String,
    },
    /// Removes one resource; a machine's goes with the machine and with what its delete options name.
    Delete {
        id: String,
    },
    DeleteGroup {
        id: String,
    },
}

impl Effect {
    pub fn is_deletion(&self) -> bool {
        matches!(self, Effect::Delete { .. } | Effect::DeleteGroup { .. })
    }
}

/// Applies the effect. When `cancel` has fired meanwhile, nothing of it is left and the result is an error.
pub(crate) async fn apply(sim: &Simulator, effect: &Effect, cancel: &CancellationToken) -> Outcome<()> {
    match effect {
        Effect::Settle => Ok(()),
        Effect::CreateMachine { vm, spec } => vm::boot(sim, vm, spec, cancel).await,
        Effect::Start { vm } => vm::start(sim, vm).await,
        Effect::Restart { vm } => vm::restart(sim, vm).await,
        Effect::Stop { vm, deallocate } => vm::stop(sim, vm, *deallocate).await,
        Effect::Capture { image, vm } => image::capture(sim, image, vm, cancel).await,
        Effect::Delete { id } => delete(sim, id).await,
        Effect::DeleteGroup { id } => delete_group(sim, id).await,
    }
}

/// Takes back what was applied for an operation that was cancelled before its end.
pub(crate) async fn abandon(sim: &Simulator, effect: &Effect) {
    if let Effect::CreateMachine { vm, .. } = effect {
        end_machine(sim, vm).await;
    }
}

/// Ends the machine of a virtual machine, and its listeners.
pub(crate) async fn end_machine(sim: &Simulator, vm: &str) {
    let (machine, addresses) = {
        let mut state = sim.state();
        let addresses = state.get(vm).map(|r| state.public_addresses(r)).unwrap_or_default();
        let machine = state.get_mut(vm).and_then(|r| r.vm_mut()).and_then(|v| {
            v.power = Power::Deallocated;
            v.machine.take()
        });
        (machine, addresses)
    };
    for (address, _) in addresses {
        sim.listeners.close(&address);
    }
    if let Some(machine) = machine
        && let Err(error) = machine.delete().await
    {
        tracing::warn!(%vm, %error, "the machine was not deleted");
    }
}

/// A deletion that joined another one finds its work done; what has the same name by now is not its own.
fn is_being_deleted(sim: &Simulator, id: &str) -> bool {
    sim.state().get(id).is_some_and(|r| r.state == Provisioning::Deleting)
}

async fn delete(sim: &Simulator, id: &str) -> Outcome<()> {
    if !is_being_deleted(sim, id) {
        return Ok(());
    }
    let is_machine = sim.state().get(id).is_some_and(|r| std::ptr::eq(r.kind, &versions::VM));
    if is_machine {
        end_machine(sim, id).await;
    }
    let forgotten = {
        let mut state = sim.state();
        let extra = if is_machine { deleted_along(&state, id) } else { Vec::new() };
        let mut forgotten = Vec::new();
        for id in std::iter::once(id.to_owned()).chain(extra) {
            forgotten.extend(state.remove(&id).and_then(image_handle));
        }
        forgotten
    };
    forget_images(sim, forgotten).await
}

/// What a machine takes along: disks and interfaces with `deleteOption: Delete`, and the addresses of those interfaces.
fn deleted_along(state: &State, vm: &str) -> Vec<String> {
    let Some(vm) = state.get(vm) else { return Vec::new() };
    let mut ids: Vec<String> =
        State::disks_of(vm).into_iter().filter(|(_, option)| option == "Delete").map(|(id, _)| id).collect();
    let wants = |value: &serde_json::Value| {
        value.get("properties").and_then(|p| p.get("deleteOption")).and_then(|o| o.as_str()) == Some("Delete")
    };
    for reference in State::nics_of(vm).into_iter().filter(|n| wants(n)) {
        let Some(nic) = state.get(super::state::id_of(reference)) else { continue };
        ids.push(nic.id.clone());
        for config in State::ip_configurations(nic) {
            let ip = config.get("properties").and_then(|p| p.get("publicIPAddress"));
            ids.extend(ip.filter(|ip| wants(ip)).map(|ip| super::state::id_of(ip).to_owned()));
        }
    }
    ids
}

async fn delete_group(sim: &Simulator, id: &str) -> Outcome<()> {
    if !is_being_deleted(sim, id) {
        return Ok(());
    }
    let machines: Vec<String> = {
        let state = sim.state();
        state.below(id).filter(|r| r.vm().is_some()).map(|r| r.id.clone()).collect()
    };
    futures::future::join_all(machines.iter().map(|vm| end_machine(sim, vm))).await;
    let forgotten = {
        let mut state = sim.state();
        let ids: Vec<String> = state.below(id).map(|r| r.id.clone()).collect();
        let forgotten = ids.iter().filter_map(|id| state.remove(id)).filter_map(image_handle).collect();
        state.remove(id);
        forgotten
    };
    forget_images(sim, forgotten).await
}

fn image_handle(resource: super::resource::Resource) -> Option<String> {
    match resource.detail {
        Detail::Image(image) => match image.base {
            Some(Base::Captured { handle }) => Some(handle),
            _ => None,
        },
        _ => None,
    }
}

async fn forget_images(sim: &Simulator, handles: Vec<String>) -> Outcome<()> {
    for handle in handles {
        sim.backend.delete_image(&handle).await.map_err(|e| {
            err(
                500,
                "InternalOperationError",
                format!("The simulator could not remove the image's data: {e}"),
            )
        })?;
    }
    Ok(())
}
