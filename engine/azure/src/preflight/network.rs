//! Finds the subnet in a network of the user's.

use serde_json::Value;

use crate::id::{self, Kind};
use crate::preflight::Problem;
use crate::run::Run;

impl Run<'_> {
    /// The id of the subnet. A group that is not named is looked for in the whole subscription, a subnet that is not
    /// named must be the only one.
    pub async fn find_subnet(
        &self,
        name: &str,
        group: Option<&str>,
        subnet: Option<&str>,
        location: &str,
    ) -> Result<String, Problem> {
        let network = match group {
            Some(group) => {
                let path = id::resource(self.subscription(), group, Kind::VirtualNetwork, name);
                let what = format!("reading virtual network \"{name}\" in resource group \"{group}\"");
                self.arm.find(&path, id::NETWORK, what).await?.ok_or_else(|| {
                    Problem::new(format!(
                        "the virtual network \"{name}\" does not exist in resource group \"{group}\"; az network vnet list \
                         --resource-group {group} shows those that do"
                    ))
                })?
            }
            None => self.find_network(name).await?,
        };
        let there = network["location"].as_str().map(id::normal_location).unwrap_or_default();
        if !there.is_empty() && there != id::normal_location(location) {
            return Err(Problem::new(format!(
                "the virtual network \"{name}\" is in {there}, but the build takes place in {location}; both must be in one \
                 location"
            )));
        }
        let id = network["id"].as_str().unwrap_or_default();
        let subnets = network["properties"]["subnets"].as_array().cloned().unwrap_or_default();
        let names: Vec<&str> = subnets.iter().filter_map(|s| s["name"].as_str()).collect();
        let chosen = match (subnet, names.as_slice()) {
            (Some(wanted), names) => {
                names.iter().find(|n| n.eq_ignore_ascii_case(wanted)).ok_or_else(|| {
                    Problem::new(format!(
                        "the virtual network \"{name}\" has no subnet \"{wanted}\"; it has {}",
                        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
                    ))
                })?
            }
            (None, [only]) => only,
            (None, []) => return Err(Problem::new(format!("the virtual network \"{name}\" has no subnet"))),
            (None, several) => {
                return Err(Problem::new(format!(
                    "the virtual network \"{name}\" has several subnets ({}); name one with virtual_network_subnet_name",
                    several.join(", ")
                )));
            }
        };
        Ok(format!("{id}/subnets/{chosen}"))
    }

    async fn find_network(&self, name: &str) -> Result<Value, Problem> {
        let path =
            format!("{}/providers/Microsoft.Network/virtualNetworks", id::subscription(self.subscription()));
        let what = format!("looking for virtual network \"{name}\"");
        let all = self.arm.list(self.arm.url(&path, id::NETWORK), &what).await?;
        let mut found: Vec<Value> = all
            .into_iter()
            .filter(|n| n["name"].as_str().is_some_and(|n| n.eq_ignore_ascii_case(name)))
            .collect();
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(Problem::new(format!("the subscription has no virtual network \"{name}\""))),
            _ => {
                let groups: Vec<&str> =
                    found.iter().filter_map(|n| n["id"].as_str().and_then(id::group_of)).collect();
                Err(Problem::new(format!(
                    "several virtual networks are called \"{name}\" (in {}); name the group with \
                     virtual_network_resource_group_name and the subnet with virtual_network_subnet_name",
                    groups.join(", ")
                )))
            }
        }
    }
}
