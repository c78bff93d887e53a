//! What exists: groups, resources, operations, for each subscription.
//!
//! Resources are kept under the lower-cased id, so routing ignores case while answers keep the case of the first
//! writer. Relations (which machine uses this interface?) are not stored but looked up in the bodies: nothing can drift
//! apart, and a simulated cloud is small.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::clock::stamp;
use super::market::{Market, normal_location};
use super::operation::Operation;
use super::resource::{Detail, ImageState, Power, Provisioning, Resource};
use super::versions::Kind;
use crate::machine::{Base, Machine};
use crate::seed::{DEFAULT_GROUP, DEFAULT_LOCATION, Seed};

/// A machine that answers at an address.
pub(crate) struct Target {
    pub id: String,
    pub nic: String,
    pub machine: Option<Arc<dyn Machine>>,
    pub public: bool,
}

/// The whole cloud.
pub(crate) struct State {
    seed: Seed,
    pub market: Market,
    subscriptions: HashSet<String>,
    /// By lower-cased id; groups are among them.
    pub resources: BTreeMap<String, Resource>,
    pub operations: HashMap<String, Operation>,
    /// Lower-cased namespaces that are not registered.
    pub unregistered: HashSet<String>,
    network: [u8; 2],
    next_address: u16,
    next_etag: u64,
    next_mac: u32,
}

impl State {
    pub fn new(seed: Seed, network: [u8; 2]) -> State {
        State {
            market: Market::new(&seed),
            unregistered: seed.unregistered_providers.iter().map(|n| n.to_ascii_lowercase()).collect(),
            seed,
            subscriptions: HashSet::new(),
            resources: BTreeMap::new(),
            operations: HashMap::new(),
            network,
            next_address: 0,
            next_etag: 0,
            next_mac: 0,
        }
    }

    /// Plants the seed into a subscription that is seen for the first time.
    pub fn ensure_subscription(&mut self, id: &str, now: Timestamp) {
        if !self.subscriptions.insert(id.to_ascii_lowercase()) {
            return;
        }
        let seed = self.seed.clone();
        let group_id = |name: &str| format!("/subscriptions/{id}/resourceGroups/{name}");
        let default = crate::seed::SeedGroup {
            name: DEFAULT_GROUP.into(),
            location: DEFAULT_LOCATION.into(),
            tags: BTreeMap::new(),
        };
        let named = seed.groups.iter().any(|g| g.name.eq_ignore_ascii_case(DEFAULT_GROUP));
        let mut locations = HashMap::new();
        for group in seed.groups.iter().chain((!named).then_some(&default)) {
            let location = normal_location(&group.location);
            locations.insert(group.name.to_ascii_lowercase(), location.clone());
            let mut resource =
                self.fresh(&group_id(&group.name), &super::versions::GROUP, &location, "seed", now);
            resource.tags = group.tags.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
            resource.detail = Detail::Group;
            self.insert(resource);
        }
        let place = |location: &Option<String>, group: &str| match location {
            Some(location) => normal_location(location),
            None => locations.get(&group.to_ascii_lowercase()).cloned().unwrap_or_default(),
        };
        for image in &seed.images {
            let id = format!("{}/providers/Microsoft.Compute/images/{}", group_id(&image.group), image.name);
            let os = if image.os.eq_ignore_ascii_case("windows") { "Windows" } else { "Linux" };
            let mut resource =
                self.fresh(&id, &super::versions::IMAGE, &place(&image.location, &image.group), "seed", now);
            resource.properties = object(json!({
                "hyperVGeneration": image.generation,
                "storageProfile": { "zoneResilient": false, "dataDisks": [], "osDisk": {
                    "osType": os, "osState": "Generalized", "diskSizeGB": 30, "caching": "ReadWrite",
                    "storageAccountType": "Standard_LRS" } } }));
            resource.detail = Detail::Image(ImageState {
                base: Some(Base::Seeded { image_id: id.clone(), base: image.base.clone() }),
                plan: image.plan.clone(),
                provenance: json!({ "seeded": true, "base": image.base }),
            });
            self.insert(resource);
        }
        for network in &seed.networks {
            let id = format!(
                "{}/providers/Microsoft.Network/virtualNetworks/{}",
                group_id(&network.group),
                network.name
            );
            let subnets: Vec<Value> = network
                .subnets
                .iter()
                .enumerate()
                .map(|(index, name)| {
                    json!({ "name": name, "id": format!("{id}/subnets/{name}"),
                            "properties": { "addressPrefix": format!("10.0.{index}.0/24") } })
                })
                .collect();
            let mut resource = self.fresh(
                &id,
                &super::versions::VNET,
                &place(&network.location, &network.group),
                "seed",
                now,
            );
            resource.properties = object(json!({
                "addressSpace": { "addressPrefixes": ["10.0.0.0/16"] }, "subnets": subnets }));
            self.insert(resource);
        }
    }

    /// A resource without properties that is not in the state yet.
    pub fn fresh(
        &mut self,
        id: &str,
        kind: &'static Kind,
        location: &str,
        created_by: &str,
        now: Timestamp,
    ) -> Resource {
        Resource {
            id: id.to_owned(),
            kind,
            name: id.rsplit('/').next().unwrap_or_default().to_owned(),
            location: location.to_owned(),
            tags: Map::new(),
            extra: Map::new(),
            properties: Map::new(),
            state: Provisioning::Succeeded,
            created_by: created_by.to_owned(),
            created_at: now,
            etag: self.new_etag(),
            operation: None,
            detail: Detail::None,
        }
    }

    pub fn new_etag(&mut self) -> u64 {
        self.next_etag += 1;
        self.next_etag
    }

    /// Gives a resource a new etag, because it was written.
    pub fn touch(&mut self, id: &str) {
        let etag = self.new_etag();
        if let Some(resource) = self.get_mut(id) {
            resource.etag = etag;
        }
    }

    pub fn has_subscription(&self, id: &str) -> bool {
        self.subscriptions.contains(&id.to_ascii_lowercase())
    }

    pub fn get(&self, id: &str) -> Option<&Resource> {
        self.resources.get(&id.to_ascii_lowercase())
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut Resource> {
        self.resources.get_mut(&id.to_ascii_lowercase())
    }

    /// The id as its first writer spelt it.
    pub fn canonical(&self, id: String) -> String {
        self.get(&id).map_or(id, |resource| resource.id.clone())
    }

    pub fn insert(&mut self, resource: Resource) {
        self.resources.insert(resource.id.to_ascii_lowercase(), resource);
    }

    pub fn remove(&mut self, id: &str) -> Option<Resource> {
        self.resources.remove(&id.to_ascii_lowercase())
    }

    /// All resources below an id (a group's contents, a subscription's).
    pub fn below(&self, id: &str) -> impl Iterator<Item = &Resource> {
        let prefix = format!("{}/", id.to_ascii_lowercase());
        self.resources
            .range(prefix.clone()..)
            .take_while(move |(key, _)| key.starts_with(&prefix))
            .map(|(_, resource)| resource)
    }

    /// All resources of a kind.
    pub fn of_kind(&self, kind: &'static Kind) -> impl Iterator<Item = &Resource> {
        self.resources.values().filter(move |r| std::ptr::eq(r.kind, kind))
    }

    pub fn inventory(&self) -> Vec<Value> {
        self.resources.values().map(inventory_entry).collect()
    }

    /// Takes every machine out, for the end.
    pub fn take_machines(&mut self) -> Vec<(String, Arc<dyn Machine>)> {
        self.resources
            .values_mut()
            .filter_map(|r| {
                let machine = r.vm_mut()?.machine.take()?;
                Some((r.id.clone(), machine))
            })
            .collect()
    }

    // ---- relations

    /// Ids in `properties.networkProfile.networkInterfaces`.
    pub fn nics_of(vm: &Resource) -> Vec<&Value> {
        vm.properties
            .get("networkProfile")
            .and_then(|p| p.get("networkInterfaces"))
            .and_then(Value::as_array)
            .map(|list| list.iter().collect())
            .unwrap_or_default()
    }

    pub fn vm_of_nic(&self, nic: &str) -> Option<&Resource> {
        self.of_kind(&super::versions::VM).find(|vm| Self::nics_of(vm).iter().any(|n| same(id_of(n), nic)))
    }

    /// The disks of a machine: (id, deleteOption).
    pub fn disks_of(vm: &Resource) -> Vec<(String, String)> {
        let Some(storage) = vm.properties.get("storageProfile") else { return Vec::new() };
        let data = storage.get("dataDisks").and_then(Value::as_array).into_iter().flatten();
        storage
            .get("osDisk")
            .into_iter()
            .chain(data)
            .filter_map(|disk| {
                let id = id_of(disk.get("managedDisk")?);
                let option = disk.get("deleteOption").and_then(Value::as_str).unwrap_or("Detach");
                (!id.is_empty()).then(|| (id.to_owned(), option.to_owned()))
            })
            .collect()
    }

    pub fn vm_of_disk(&self, disk: &str) -> Option<&Resource> {
        self.of_kind(&super::versions::VM).find(|vm| Self::disks_of(vm).iter().any(|(id, _)| same(id, disk)))
    }

    /// `ipConfigurations` of an interface.
    pub fn ip_configurations(nic: &Resource) -> Vec<&Value> {
        nic.properties
            .get("ipConfigurations")
            .and_then(Value::as_array)
            .map(|list| list.iter().collect())
            .unwrap_or_default()
    }

    /// The interfaces whose IP configurations refer to `id` under `key` (`subnet`, `publicIPAddress`).
    pub fn nics_referring<'a>(
        &'a self,
        key: &'a str,
        id: &'a str,
    ) -> impl Iterator<Item = (&'a Resource, String)> {
        self.of_kind(&super::versions::NIC).flat_map(move |nic| {
            Self::ip_configurations(nic).into_iter().filter_map(move |config| {
                let reference = config.get("properties")?.get(key)?;
                same(id_of(reference), id).then(|| {
                    let name = config.get("name").and_then(Value::as_str).unwrap_or_default();
                    (nic, format!("{}/ipConfigurations/{name}", nic.id))
                })
            })
        })
    }

    /// Public addresses of a machine, as (address, interface id).
    pub fn public_addresses(&self, vm: &Resource) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for nic in Self::nics_of(vm).into_iter().filter_map(|n| self.get(id_of(n))) {
            for config in Self::ip_configurations(nic) {
                let ip = config.get("properties").and_then(|p| p.get("publicIPAddress")).map(id_of);
                let address = ip
                    .and_then(|id| self.get(id))
                    .and_then(|ip| ip.properties.get("ipAddress"))
                    .and_then(Value::as_str);
                if let Some(address) = address {
                    found.push((address.to_owned(), nic.id.clone()));
                }
            }
        }
        found
    }

    /// The machine at a public or private address, or public DNS name.
    pub fn machine_at(&self, host: &str) -> Option<Target> {
        let target = |vm: &Resource, nic: &str, public: bool| {
            let state = vm.vm()?;
            let machine = matches!(state.power, Power::Running | Power::Starting)
                .then(|| state.machine.clone())
                .flatten();
            Some(Target { id: vm.id.clone(), nic: nic.to_owned(), machine, public })
        };
        let named = self
            .of_kind(&super::versions::PUBLIC_IP)
            .find(|ip| {
                let fqdn = ip.properties.get("dnsSettings").and_then(|d| d.get("fqdn"));
                fqdn.and_then(Value::as_str).is_some_and(|name| name.eq_ignore_ascii_case(host))
            })
            .and_then(|ip| ip.properties.get("ipAddress").and_then(Value::as_str));
        let host = named.unwrap_or(host);
        for vm in self.of_kind(&super::versions::VM) {
            if let Some((_, nic)) = self.public_addresses(vm).iter().find(|(address, _)| address == host) {
                return target(vm, nic, true);
            }
        }
        // Private addresses repeat between networks; a running machine wins.
        let mut best: Option<Target> = None;
        for vm in self.of_kind(&super::versions::VM) {
            for nic in Self::nics_of(vm).into_iter().filter_map(|n| self.get(id_of(n))) {
                let has = Self::ip_configurations(nic).into_iter().any(|config| {
                    config.get("properties").and_then(|p| p.get("privateIPAddress")).and_then(Value::as_str)
                        == Some(host)
                });
                if has && best.as_ref().is_none_or(|b| b.machine.is_none()) {
                    best = target(vm, &nic.id, false);
                }
            }
        }
        best
    }

    /// Whether TCP from outside reaches an interface on one of these ports.
    pub fn inbound_open(&self, nic: &str, ports: &[u16]) -> bool {
        let Some(nic) = self.get(nic) else { return false };
        let mut groups = Vec::new();
        let mut standard = false;
        groups.extend(nic.properties.get("networkSecurityGroup").map(id_of));
        for config in Self::ip_configurations(nic) {
            let Some(properties) = config.get("properties") else { continue };
            if let Some(subnet) = properties.get("subnet").and_then(|s| self.subnet(id_of(s))) {
                groups
                    .extend(subnet.get("properties").and_then(|p| p.get("networkSecurityGroup")).map(id_of));
            }
            let ip = properties.get("publicIPAddress").and_then(|ip| self.get(id_of(ip)));
            standard |= ip.is_some_and(|ip| {
                ip.extra.get("sku").and_then(|s| s.get("name")).and_then(Value::as_str) == Some("Standard")
            });
        }
        if groups.is_empty() {
            return !standard;
        }
        groups.iter().all(|id| {
            self.get(id).is_some_and(|group| ports.iter().any(|port| super::security::allows(group, *port)))
        })
    }

    /// A subnet's object inside its network.
    pub fn subnet(&self, id: &str) -> Option<&Value> {
        let (network, name) = split_child(id, "/subnets/")?;
        self.get(&network)?
            .properties
            .get("subnets")?
            .as_array()?
            .iter()
            .find(|s| s.get("name").and_then(Value::as_str).is_some_and(|n| n.eq_ignore_ascii_case(&name)))
    }

    /// A loopback address that no public address of this cloud has.
    pub fn free_public_address(&mut self) -> Option<String> {
        let taken: HashSet<&str> = self
            .of_kind(&super::versions::PUBLIC_IP)
            .filter_map(|ip| ip.properties.get("ipAddress").and_then(Value::as_str))
            .collect();
        // 127.x.y.z with a random x and start, so that two simulators on one host rarely meet.
        let second = 16 + self.network[0] % 200;
        for step in 1..=u16::MAX {
            let number = self.next_address.wrapping_add(step);
            let [third, fourth] =
                (u16::from_be_bytes([self.network[1], 0]).wrapping_add(number)).to_be_bytes();
            let address = Ipv4Addr::new(127, second, third, fourth).to_string();
            if (1..=254).contains(&fourth) && !taken.contains(address.as_str()) {
                self.next_address = number;
                return Some(address);
            }
        }
        None
    }

    pub fn new_mac(&mut self) -> String {
        self.next_mac += 1;
        let [_, a, b, c] = self.next_mac.to_be_bytes();
        format!("00-0D-3A-{a:02X}-{b:02X}-{c:02X}")
    }

    /// The token that fires when the operation on a resource is over.
    pub fn running_operation(&self, resource: &str) -> Option<CancellationToken> {
        let id = self.get(resource)?.operation.as_ref()?;
        Some(self.operations.get(id)?.done.clone())
    }

    /// What a deletion has to wait for: another deletion is joined, any other operation is ended.
    pub fn end_operation(&mut self, resource: &str) -> Vec<CancellationToken> {
        let joins = self.get(resource).is_some_and(|r| r.state == Provisioning::Deleting);
        let token = if joins { self.running_operation(resource) } else { self.cancel_operation(resource) };
        token.into_iter().collect()
    }

    /// Ends the operation that runs on a resource, if any; gives the token that fires when its task is over.
    pub fn cancel_operation(&mut self, resource: &str) -> Option<CancellationToken> {
        let id = self.get(resource)?.operation.clone()?;
        let operation = self.operations.get(&id)?;
        operation.cancel.cancel();
        Some(operation.done.clone())
    }
}

fn inventory_entry(resource: &Resource) -> Value {
    let mut entry = json!({
        "id": resource.id, "type": resource.kind.name, "location": resource.location, "tags": resource.tags,
        "createdBy": resource.created_by, "createdAt": stamp(resource.created_at),
        "provisioningState": resource.state.word() });
    if let Detail::Image(image) = &resource.detail {
        entry["provenance"] = image.provenance.clone();
    }
    entry
}

/// The map of a JSON object; empty for anything else.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// `id` of a reference, or nothing.
pub(crate) fn id_of(reference: &Value) -> &str {
    reference.get("id").and_then(Value::as_str).unwrap_or_default()
}

/// Whether two ids name the same resource.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.trim_end_matches('/').eq_ignore_ascii_case(b.trim_end_matches('/'))
}

/// Splits `{parent}{separator}{name}` at the last separator, whatever its case.
pub(crate) fn split_child(id: &str, separator: &str) -> Option<(String, String)> {
    let at = id.to_ascii_lowercase().rfind(&separator.to_ascii_lowercase())?;
    let name = id.get(at + separator.len()..)?;
    (!name.is_empty() && !name.contains('/')).then(|| (id[..at].to_owned(), name.to_owned()))
}
