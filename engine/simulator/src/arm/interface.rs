//! A network interface: what it refers to must exist in the same place, and its private addresses are its own.

use serde_json::{Value, json};

use super::address::Prefix;
use super::network::require;
use super::reply::{Outcome, err, invalid};
use super::state::{State, id_of, same, split_child};
use super::versions::{NSG, PUBLIC_IP, VNET};

/// Checks the body of an interface and completes it.
pub(crate) fn check(
    state: &State,
    id: &str,
    location: &str,
    properties: &mut serde_json::Map<String, Value>,
    before: &serde_json::Map<String, Value>,
) -> Outcome<()> {
    if let Some(group) = properties.get("networkSecurityGroup") {
        require(state, group, &NSG, location)?;
    }
    let configurations = properties.get_mut("ipConfigurations").and_then(Value::as_array_mut);
    let Some(configurations) = configurations.filter(|c| !c.is_empty()) else {
        return Err(invalid(
            "ipConfigurations",
            "Network interface must have at least one IP configuration.",
        ));
    };
    for configuration in configurations {
        let name = configuration["name"].as_str().unwrap_or("ipconfig").to_owned();
        configuration["id"] = json!(format!("{id}/ipConfigurations/{name}"));
        let inner = &mut configuration["properties"];
        let subnet = id_of(&inner["subnet"]).to_owned();
        let network = split_child(&subnet, "/subnets/").map(|(network, _)| network).unwrap_or_default();
        require(state, &json!({ "id": network }), &VNET, location)?;
        if state.subnet(&subnet).is_none() {
            return Err(err(
                400,
                "InvalidResourceReference",
                format!("Resource {subnet} referenced by resource {id} was not found."),
            ));
        }
        if let Some(address) = inner.get("publicIPAddress") {
            let address = require(state, address, &PUBLIC_IP, location)?;
            let other =
                state.nics_referring("publicIPAddress", &address.id).find(|(nic, _)| !same(&nic.id, id));
            if let Some((_, user)) = other {
                return Err(err(
                    400,
                    "PublicIPAddressInUse",
                    format!("Resource {} is already in use by {user}.", address.id),
                ));
            }
        }
        private_address(state, id, &name, &subnet, inner, before)?;
        inner["privateIPAddressVersion"] = json!("IPv4");
        inner["provisioningState"] = json!("Succeeded");
        inner["primary"] = json!(true);
    }
    Ok(())
}

/// An interface keeps its address as long as it stays in its subnet; a new one gets the first that is free.
fn private_address(
    state: &State,
    id: &str,
    name: &str,
    subnet: &str,
    inner: &mut Value,
    before: &serde_json::Map<String, Value>,
) -> Outcome<()> {
    let mut taken = Vec::new();
    for (nic, _) in state.nics_referring("subnet", subnet).filter(|(nic, _)| !same(&nic.id, id)) {
        let address = |c: &&Value| c["properties"]["privateIPAddress"].as_str().map(str::to_owned);
        taken.extend(State::ip_configurations(nic).iter().filter_map(address));
    }
    if let Some(wanted) = inner["privateIPAddress"].as_str() {
        if taken.iter().any(|t| t == wanted) {
            return Err(err(
                400,
                "PrivateIPAddressInUse",
                format!(
                    "IP configuration {id}/ipConfigurations/{name} is using the private IP address {wanted} which is already allocated."
                ),
            ));
        }
        return Ok(());
    }
    let kept = before
        .get("ipConfigurations")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|c| c["name"].as_str() == Some(name) && same(id_of(&c["properties"]["subnet"]), subnet));
    let kept = kept.and_then(|c| c["properties"]["privateIPAddress"].as_str().map(str::to_owned));
    let range = state.subnet(subnet).and_then(|s| s["properties"]["addressPrefix"].as_str());
    let free = || range.and_then(Prefix::parse).and_then(|range| range.free(&taken));
    let address = kept.or_else(free).ok_or_else(|| {
        err(400, "SubnetIsFull", format!("Subnet {subnet} does not have enough capacity for 1 IP addresses."))
    })?;
    inner["privateIPAddress"] = json!(address);
    Ok(())
}
