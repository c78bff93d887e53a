//! The disks that come with a machine: names that must be free, and disks of the user's that are attached.

use serde_json::Value;

use super::call::Call;
use super::names;
use super::reply::{Outcome, err, invalid, not_allowed};
use super::state::{State, id_of};
use super::versions::DISK;

/// Logical unit numbers of data disks.
const MAX_LUN: u64 = 63;

/// A data disk of the request.
pub(crate) struct DataDisk<'a> {
    pub id: String,
    pub name: String,
    pub size_gb: u64,
    /// It was there before.
    pub attached: bool,
    pub given: &'a Value,
}

/// The id of a disk that the machine brings along; its name must be free.
pub(crate) fn new_disk(state: &State, call: &Call, name: &str) -> Outcome<String> {
    names::check(&DISK, name)?;
    let id = format!("{}/providers/Microsoft.Compute/disks/{name}", call.group_id());
    match state.get(&id) {
        None => Ok(id),
        Some(used) => Err(err(
            409,
            "ConflictingUserInput",
            format!(
                "Disk {} already exists in resource group {}. Only CreateOption.Attach is supported.",
                used.name,
                call.segment(3)
            ),
        )),
    }
}

/// The data disks of a request; at most as many as the size takes.
pub(crate) fn data_disks<'a>(
    state: &State,
    call: &Call,
    storage: &'a Value,
    vm: &str,
    location: &str,
    most: u32,
) -> Outcome<Vec<DataDisk<'a>>> {
    let list = storage["dataDisks"].as_array().map(Vec::as_slice).unwrap_or_default();
    if list.len() > most as usize {
        return Err(not_allowed(format!(
            "The maximum number of data disks allowed to be attached to a VM of this size is {most}."
        )));
    }
    let mut found: Vec<DataDisk> = Vec::new();
    let mut luns = Vec::new();
    for (index, given) in list.iter().enumerate() {
        let lun = given["lun"].as_u64().filter(|lun| *lun <= MAX_LUN);
        let lun = lun.ok_or_else(|| {
            invalid(
                "dataDisk.lun",
                format!("The value of parameter dataDisk.lun is invalid: 0 to {MAX_LUN}."),
            )
        })?;
        if luns.contains(&lun) {
            return Err(invalid(
                "dataDisk.lun",
                format!("A disk at LUN {lun} already exists. The disk cannot be added or changed."),
            ));
        }
        luns.push(lun);
        let option = given["createOption"].as_str().unwrap_or_default().to_lowercase();
        let disk = match option.as_str() {
            "attach" => attached(state, given, location)?,
            "empty" | "fromimage" => {
                let name =
                    given["name"].as_str().map_or_else(|| format!("{vm}_DataDisk_{index}"), str::to_owned);
                let id = new_disk(state, call, &name)?;
                DataDisk {
                    id,
                    name,
                    size_gb: given["diskSizeGB"].as_u64().unwrap_or(4),
                    attached: false,
                    given,
                }
            }
            _ => {
                return Err(invalid(
                    "dataDisk.createOption",
                    "The value of parameter dataDisk.createOption is invalid: Empty, FromImage or Attach.",
                ));
            }
        };
        if found.iter().any(|other| super::state::same(&other.id, &disk.id)) {
            return Err(err(409, "ConflictingUserInput", format!("Disk {} is named twice.", disk.name)));
        }
        found.push(disk);
    }
    Ok(found)
}

/// A disk that exists: of the same place, and used by nobody.
fn attached<'a>(state: &State, given: &'a Value, location: &str) -> Outcome<DataDisk<'a>> {
    let id = id_of(&given["managedDisk"]);
    let disk = state
        .get(id)
        .filter(|r| std::ptr::eq(r.kind, &DISK))
        .ok_or_else(|| err(404, "NotFound", format!("Disk {id} is not found.")))?;
    if let Some(user) = state.vm_of_disk(id) {
        return Err(err(
            409,
            "ConflictingUserInput",
            format!(
                "Disk '{}' cannot be attached as the disk is already owned by VM '{}'.",
                disk.name, user.id
            ),
        ));
    }
    if disk.location != location {
        return Err(invalid(
            "dataDisk.managedDisk.id",
            format!("Disk {id} is in '{}', the machine in '{location}'.", disk.location),
        ));
    }
    let size_gb = disk.properties.get("diskSizeGB").and_then(Value::as_u64).unwrap_or_default();
    Ok(DataDisk { id: disk.id.clone(), name: disk.name.clone(), size_gb, attached: true, given })
}
