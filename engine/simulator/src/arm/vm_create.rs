//! Creating a virtual machine: everything that Azure checks before it says 201.

use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use super::call::Call;
use super::effect::Effect;
use super::market::same_plan;
use super::operation::{Begin, Class, Finally, Reply};
use super::reply::{Outcome, err, invalid, not_allowed};
use super::resource::{Detail, Power, Provisioning, VmState};
use super::state::{State, id_of, object};
use super::versions::{IMAGE, NIC, VM};
use super::{catalogue, disk, group, names, vm_disks};
use crate::fault::Polling;
use crate::machine::{Base, MachineSpec};
use crate::seed::{Plan, SeedSize};

/// Bytes, decoded.
const MAX_CUSTOM_DATA: usize = 65_535;
/// What a source image says about the machine.
struct Source {
    base: Base,
    os: String,
    generation: String,
    plan: Option<Plan>,
    size_gb: u64,
    /// Of a platform image.
    exact_version: Option<String>,
}

/// `TrustedLaunch` or `ConfidentialVM`, where the machine has more than the standard security.
pub(crate) fn security_type(profile: &Value) -> Option<&str> {
    let kind = profile["securityType"].as_str()?;
    (!kind.eq_ignore_ascii_case("Standard")).then_some(kind)
}

pub(crate) fn unknown_size(state: &State, wanted: &str, location: &str) -> super::reply::ArmError {
    let known = state.market.sizes.iter().filter(|s| s.is_in(location)).map(|s| s.name.as_str());
    invalid(
        "vmSize",
        format!(
            "The value {wanted} provided for the VM size is not valid. The valid sizes in the current region are: {}.",
            known.collect::<Vec<_>>().join(",")
        ),
    )
}

/// Whether machines, cores and cores of the family are left.
fn quota(state: &State, size: &SeedSize, location: &str) -> Outcome<()> {
    let cores = u64::from(size.cores);
    for (name, shown, needed) in [
        ("virtualMachines", "Virtual Machines", 1),
        ("cores", "Total Regional Cores", cores),
        (size.family.as_str(), &format!("{} Cores", size.family), cores),
    ] {
        let limit = state.market.limit(name, location);
        let used = catalogue::used(state, name, location);
        if used + needed > limit {
            return Err(not_allowed(format!(
                "Operation could not be completed as it results in exceeding approved {shown} quota. Additional details - Deployment Model: Resource Manager, Location: {location}, Current Limit: {limit}, Current Usage: {used}, Additional Required: {needed}, (Minimum) New Limit Required: {}.",
                used + needed
            )));
        }
    }
    Ok(())
}

pub(crate) fn put(state: &mut State, call: &Call, id: &str, name: &str) -> Outcome<Reply> {
    let body = call.object()?;
    let properties = &body["properties"];
    names::check(&VM, name)?;
    let tags = names::tags(&body)?;
    let location = group::required_location(&body)?;
    let wanted = properties["hardwareProfile"]["vmSize"].as_str().unwrap_or("Standard_A1");
    let size = state.market.size(wanted, &location).cloned();
    let size = size.ok_or_else(|| unknown_size(state, wanted, &location))?;
    if size.is_restricted(&location) {
        return Err(err(
            409,
            "SkuNotAvailable",
            format!(
                "The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: {wanted}' is currently not available in location '{location}'. Please try another size or deploy to a different location or different zone. See https://aka.ms/azureskunotavailable for details."
            ),
        ));
    }
    quota(state, &size, &location)?;
    let storage = &properties["storageProfile"];
    let source = source(state, &storage["imageReference"], &location)?;
    if !size.generations.iter().any(|g| g.eq_ignore_ascii_case(&source.generation)) {
        return Err(err(
            400,
            "BadRequest",
            format!(
                "The selected VM size '{wanted}' cannot boot Hypervisor Generation '{}'. If this was a Create operation please check that the Hypervisor Generation of the Image matches the Hypervisor Generation of the selected VM Size.",
                source.generation
            ),
        ));
    }
    let secured = security_type(&properties["securityProfile"])
        .filter(|_| source.generation.eq_ignore_ascii_case("V1"));
    if let Some(kind) = secured {
        return Err(err(
            400,
            "BadRequest",
            format!(
                "Use of {kind} setting is not supported for the provided image. Please select Gen2 image."
            ),
        ));
    }
    check_plan(state, &body["plan"], &source)?;
    let spec = os_profile(&properties["osProfile"], id, name, &source)?;
    interfaces(state, properties, &location, id)?;

    let os_disk = &storage["osDisk"];
    if os_disk["createOption"].as_str().is_none_or(|o| !o.eq_ignore_ascii_case("FromImage")) {
        return Err(invalid(
            "osDisk.createOption",
            "The value of parameter osDisk.createOption is invalid: machines here are made from images (FromImage).",
        ));
    }
    let size_gb = os_disk["diskSizeGB"].as_u64().unwrap_or(source.size_gb);
    if size_gb < source.size_gb {
        return Err(invalid(
            "osDisk.diskSizeGB",
            format!(
                "The specified disk size {size_gb} GB is smaller than the size of the corresponding disk in the VM image: {} GB. This is not allowed.",
                source.size_gb
            ),
        ));
    }
    let disk_name = os_disk["name"].as_str().map_or_else(|| format!("{name}_OsDisk_1"), str::to_owned);
    let disk_id = vm_disks::new_disk(state, call, &disk_name)?;
    let data_disks = vm_disks::data_disks(state, call, storage, name, &location, size.max_data_disks)?;
    let mut shown = object(properties.clone());
    shown.insert("vmId".into(), json!(uuid::Uuid::new_v4().to_string()));
    // Secrets are taken and never shown again.
    if let Some(profile) = shown.get_mut("osProfile").and_then(Value::as_object_mut) {
        profile.remove("adminPassword");
        profile.remove("customData");
        profile.insert("allowExtensionOperations".into(), json!(true));
    }
    shown.remove("userData");
    shown["storageProfile"]["osDisk"]["name"] = json!(disk_name);
    shown["storageProfile"]["osDisk"]["diskSizeGB"] = json!(size_gb);
    shown["storageProfile"]["osDisk"]["osType"] = json!(source.os);
    shown["storageProfile"]["osDisk"]["managedDisk"]["id"] = json!(disk_id);
    if let Some(version) = &source.exact_version {
        shown["storageProfile"]["imageReference"]["exactVersion"] = json!(version);
    }
    if let Some(disks) = shown["storageProfile"].get_mut("dataDisks").and_then(Value::as_array_mut) {
        for (shown, disk) in disks.iter_mut().zip(&data_disks) {
            shown["name"] = json!(disk.name);
            shown["managedDisk"]["id"] = json!(disk.id);
        }
    }
    let mut vm = state.fresh(id, &VM, &location, &call.client, call.now);
    vm.tags = tags;
    for key in ["plan", "zones", "identity"] {
        if let Some(value) = body.get(key).filter(|v| !v.is_null()) {
            vm.extra.insert(key.into(), value.clone());
        }
    }
    vm.properties = shown;
    vm.state = Provisioning::Creating;
    vm.detail = Detail::Machine(VmState {
        machine: None,
        power: Power::Starting,
        generalized: false,
        generation: source.generation.clone(),
        os: source.os.clone(),
        plan: source.plan.clone(),
    });
    let answer = super::view::resource(state, &vm, None);
    state.insert(vm);
    disk::of_machine(state, call, &location, &disk_id, size_gb, os_disk, Some(&source.os));
    for disk in data_disks.iter().filter(|d| !d.attached) {
        disk::of_machine(state, call, &location, &disk.id, disk.size_gb, disk.given, None);
    }
    Ok(Begin {
        status: 201,
        body: Some(answer),
        class: Class::Compute,
        polling: Polling::Async,
        subject: id.to_owned(),
        location,
        duration: Duration::from_secs(40),
        effect: Effect::CreateMachine {
            vm: id.to_owned(),
            spec: Box::new(MachineSpec { base: source.base, ..spec }),
        },
        finally: Finally::Resource,
        after: Vec::new(),
    }
    .into())
}

fn source(state: &State, reference: &Value, location: &str) -> Outcome<Source> {
    if let Some(id) = reference["id"].as_str() {
        let image = state.get(id).filter(|r| std::ptr::eq(r.kind, &IMAGE)).ok_or_else(|| {
            err(404, "NotFound", format!("The Image '{id}' cannot be found in '{location}' region."))
        })?;
        if image.location != location {
            return Err(invalid(
                "imageReference",
                format!("The image '{id}' is in '{}', the machine in '{location}'.", image.location),
            ));
        }
        let Detail::Image(detail) = &image.detail else {
            return Err(invalid("imageReference", "This is no image."));
        };
        let Some(base) = &detail.base else {
            return Err(err(
                409,
                "Conflict",
                format!("The image '{id}' is not ready: it is in state {}.", image.state.word()),
            ));
        };
        let os_disk = &image.properties["storageProfile"]["osDisk"];
        return Ok(Source {
            base: base.clone(),
            os: os_disk["osType"].as_str().unwrap_or("Linux").to_owned(),
            generation: image.properties["hyperVGeneration"].as_str().unwrap_or("V1").to_owned(),
            plan: detail.plan.clone(),
            size_gb: os_disk["diskSizeGB"].as_u64().unwrap_or(30),
            exact_version: None,
        });
    }
    let text = |key: &str| reference[key].as_str().unwrap_or_default();
    let (publisher, offer, sku, version) = (text("publisher"), text("offer"), text("sku"), text("version"));
    let image = state
        .market
        .image(publisher, offer, sku, version)
        .ok_or_else(|| catalogue::missing(publisher, offer, sku, version))?;
    Ok(Source {
        base: Base::Marketplace {
            publisher: image.publisher.clone(),
            offer: image.offer.clone(),
            sku: image.sku.clone(),
            version: image.version.clone(),
        },
        os: image.os.clone(),
        generation: image.generation.clone(),
        plan: image.plan(),
        size_gb: 30,
        exact_version: Some(image.version.clone()),
    })
}

fn check_plan(state: &State, given: &Value, source: &Source) -> Outcome<()> {
    let given = given.as_object().map(|plan| {
        let text = |key: &str| plan.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Plan { name: text("name"), product: text("product"), publisher: text("publisher") }
    });
    match (&given, &source.plan) {
        (None, Some(plan)) => Err(err(
            400,
            "VMMarketplaceInvalidInput",
            format!(
                "Creating a virtual machine from Marketplace image or a custom image sourced from a Marketplace image requires Plan information in the request. VM: plan name '{}', product '{}', publisher '{}'.",
                plan.name, plan.product, plan.publisher
            ),
        )),
        (Some(plan), Some(wanted)) if !same_plan(plan, wanted) => Err(err(
            400,
            "VMMarketplaceInvalidInput",
            format!(
                "The purchase information does not match. VM: plan name '{}', product '{}', publisher '{}'.",
                wanted.name, wanted.product, wanted.publisher
            ),
        )),
        (Some(plan), None) => Err(err(
            400,
            "VMMarketplaceInvalidInput",
            format!(
                "Creating a virtual machine from a non Marketplace image does not need Plan information: '{}' in the request. Please remove the Plan information.",
                plan.name
            ),
        )),
        (Some(plan), Some(_)) if state.market.sells(plan) && !state.market.accepted(plan) => Err(err(
            400,
            "MarketplacePurchaseEligibilityFailed",
            "Marketplace purchase eligibilty check returned errors. See inner errors for details.",
        )
        .with_detail(err(
            400,
            "BadRequest",
            format!(
                "Offer with PublisherId: '{}', OfferId: '{}' cannot be purchased due to validation errors. Legal terms have not been accepted for this item on this subscription: plan '{}'. To accept legal terms, accept the terms of the plan and try again.",
                plan.publisher, plan.product, plan.name
            ),
        ))),
        _ => Ok(()),
    }
}

fn os_profile(profile: &Value, id: &str, name: &str, source: &Source) -> Outcome<MachineSpec> {
    let windows = source.os.eq_ignore_ascii_case("Windows");
    let text = |key: &str| profile[key].as_str().unwrap_or_default();
    let (computer, user, password) = (text("computerName"), text("adminUsername"), text("adminPassword"));
    let computer = if computer.is_empty() { name } else { computer };
    names::computer_name(computer, windows)?;
    names::admin_user(user, windows)?;
    let linux = &profile["linuxConfiguration"];
    let no_password = linux["disablePasswordAuthentication"] == true;
    let keys: Vec<String> = linux["ssh"]["publicKeys"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|k| k["keyData"].as_str().map(str::to_owned))
        .collect();
    for key in &keys {
        names::ssh_key(key)?;
    }
    for path in linux["ssh"]["publicKeys"].as_array().into_iter().flatten().filter_map(|k| k["path"].as_str())
    {
        if path != format!("/home/{user}/.ssh/authorized_keys") {
            return Err(invalid(
                "linuxConfiguration.ssh.publicKeys.path",
                format!(
                    "Destination path for SSH public keys is currently limited to its default value /home/{user}/.ssh/authorized_keys due to a known issue in Linux provisioning agent."
                ),
            ));
        }
    }
    if no_password && keys.is_empty() {
        return Err(invalid(
            "linuxConfiguration",
            "Authentication using either SSH or by user name and password must be enabled in Linux profile.",
        ));
    }
    if !no_password || windows {
        names::admin_password(password, windows)?;
    }
    let custom_data =
        match profile["customData"].as_str() {
            Some(text) => Some(base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| {
                invalid("customData", "Custom data in OSProfile must be in Base64 encoding.")
            })?),
            None => None,
        };
    if custom_data.as_ref().is_some_and(|data| data.len() > MAX_CUSTOM_DATA) {
        return Err(invalid(
            "customData",
            format!(
                "Custom data in OSProfile must be Base64 encoded and at most {MAX_CUSTOM_DATA} bytes long."
            ),
        ));
    }
    Ok(MachineSpec {
        id: id.to_owned(),
        computer_name: computer.to_owned(),
        os_type: source.os.clone(),
        admin_username: user.to_owned(),
        admin_password: (!no_password && !password.is_empty()).then(|| password.to_owned()),
        ssh_public_keys: keys,
        custom_data,
        base: source.base.clone(),
    })
}

fn interfaces(state: &State, properties: &Value, location: &str, vm: &str) -> Outcome<()> {
    let list = properties["networkProfile"]["networkInterfaces"].as_array().filter(|l| !l.is_empty());
    let Some(list) = list else {
        return Err(invalid("networkProfile", "Virtual Machine must have at least one network interface."));
    };
    for reference in list {
        let id = id_of(reference);
        let nic = state
            .get(id)
            .filter(|r| std::ptr::eq(r.kind, &NIC))
            .filter(|nic| nic.location == location)
            .ok_or_else(|| {
                err(
                    400,
                    "InvalidResourceReference",
                    format!(
                        "Resource {id} referenced by resource {vm} was not found. Please make sure that the referenced resource exists, and that both resources are in the same region."
                    ),
                )
            })?;
        if !nic.state.is_final() {
            return Err(not_allowed(format!("The network interface {id} is in state {}.", nic.state.word())));
        }
        if let Some(other) = state.vm_of_nic(id).filter(|other| !super::state::same(&other.id, vm)) {
            return Err(err(
                400,
                "NicInUse",
                format!("Network Interface {id} is used by existing VM {}.", other.id),
            ));
        }
    }
    Ok(())
}
