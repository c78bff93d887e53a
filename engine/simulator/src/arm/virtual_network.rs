//! A virtual network's address space and its subnets: which are accepted, which may go, and reading them.

use serde_json::{Value, json};

use super::address::Prefix;
use super::call::Call;
use super::names;
use super::network::{missing, require};
use super::operation::Reply;
use super::reply::{Answer, ArmError, Outcome, err, invalid};
use super::state::{State, id_of};
use super::versions::{NSG, SUBNET, VNET};

/// `GET …/subnets` and `GET …/subnets/{name}`.
pub(crate) fn subnets(state: &State, call: &Call) -> Outcome<Reply> {
    call.check_version(&SUBNET)?;
    if call.method != "GET" {
        return Err(call.method_not_allowed());
    }
    let id = format!("{}/providers/Microsoft.Network/virtualNetworks/{}", call.group_id(), call.segment(7));
    let network = state.get(&id).ok_or_else(|| missing(&VNET, call.segment(7), call.segment(3)))?;
    let all = network.properties.get("subnets").and_then(Value::as_array).cloned().unwrap_or_default();
    match call.segments.get(9) {
        None => Ok(Answer::list(all).into()),
        Some(name) => state
            .subnet(&format!("{id}/subnets/{name}"))
            .map(|subnet| Answer::json(200, subnet.clone()).into())
            .ok_or_else(|| missing(&SUBNET, name, call.segment(3))),
    }
}

/// A network's address space and subnets. The list of subnets is replaced as a whole, so one that is left out goes,
/// unless somebody uses it.
pub(crate) fn check(
    state: &State,
    id: &str,
    location: &str,
    properties: &mut serde_json::Map<String, Value>,
    before: &serde_json::Map<String, Value>,
) -> Outcome<()> {
    let prefix = |text: &str| {
        let problem = || err(400, "InvalidCIDRNotation", format!("The address prefix {text} is not valid."));
        Prefix::parse(text).ok_or_else(problem)
    };
    let space = properties.get("addressSpace").and_then(|s| s["addressPrefixes"].as_array());
    let Some(space) = space.filter(|s| !s.is_empty()) else {
        return Err(invalid("addressSpace", "Virtual network must have an address space."));
    };
    let space =
        space.iter().map(|p| prefix(p.as_str().unwrap_or_default())).collect::<Outcome<Vec<Prefix>>>()?;
    let mut seen: Vec<(String, Prefix)> = Vec::new();
    let subnets = properties.entry("subnets").or_insert_with(|| json!([]));
    for subnet in subnets.as_array_mut().into_iter().flatten() {
        let name = subnet["name"].as_str().unwrap_or_default().to_owned();
        names::check(&SUBNET, &name)?;
        let text = subnet["properties"]["addressPrefix"].as_str().unwrap_or_default().to_owned();
        let range = prefix(&text)?;
        if range.length() > 29 || !space.iter().any(|whole| whole.contains(range)) {
            return Err(err(
                400,
                "NetcfgInvalidSubnet",
                format!(
                    "Subnet '{name}' is not valid in virtual network {id}: {text} is no part of it or too small."
                ),
            ));
        }
        for (other, taken) in &seen {
            if other.eq_ignore_ascii_case(&name) {
                return Err(err(
                    400,
                    "DuplicateResourceName",
                    format!("Resource {id} has two subnets '{name}'."),
                ));
            }
            if taken.overlaps(range) {
                return Err(err(
                    400,
                    "NetcfgSubnetRangesOverlap",
                    format!(
                        "Subnet '{name}' is not valid because its IP address range overlaps with that of '{other}'."
                    ),
                ));
            }
        }
        subnet["id"] = json!(format!("{id}/subnets/{name}"));
        subnet["properties"]["provisioningState"] = json!("Succeeded");
        if let Some(reference) = subnet["properties"].get("networkSecurityGroup") {
            require(state, reference, &NSG, location)?;
        }
        seen.push((name, range));
    }
    for subnet in before.get("subnets").and_then(Value::as_array).into_iter().flatten() {
        let stays = seen
            .iter()
            .any(|(name, _)| subnet["name"].as_str().is_some_and(|n| n.eq_ignore_ascii_case(name)));
        let user = state.nics_referring("subnet", id_of(subnet)).next();
        if let Some((_, user)) = user.filter(|_| !stays) {
            return Err(subnet_in_use(id_of(subnet), &user));
        }
    }
    Ok(())
}

pub(crate) fn subnet_in_use(id: &str, user: &str) -> ArmError {
    err(
        400,
        "InUseSubnetCannotBeDeleted",
        format!(
            "Subnet {id} is in use by {user} and cannot be deleted. In order to delete the subnet, delete all the resources \
             within the subnet."
        ),
    )
}
