//! The machine's network: address, security group and virtual network are made at the same time, because the security
//! group sits on the interface and not on the subnet; then the interface that joins them. In a network of the user's
//! only the interface is made, and the address if it is wanted.

use fornax_core::builder::BuildError;
use serde_json::{Value, json};

use crate::arm::Call;
use crate::config::Network;
use crate::id::{self, Kind};
use crate::preflight::Facts;
use crate::run::Run;

/// How the machine will be reached.
pub struct Connected {
    pub nic_id: String,
    /// The id of the public address, if there is one.
    pub public_ip_id: Option<String>,
    /// None: Azure assigns it later.
    pub address: Option<String>,
    /// For people: `PublicEndpoint`, `PrivateEndpoint`, `PublicEndpointInPrivateNetwork`.
    pub connection: &'static str,
}

impl Run<'_> {
    pub async fn create_network(&self, facts: &Facts) -> Result<Connected, BuildError> {
        let names = self.names();
        let (subnet_id, public_ip, security_group_id, connection) = match &self.config().network {
            Network::Own { allowed, sku } => {
                let subnet_id =
                    format!("{}/subnets/{}", self.id(Kind::VirtualNetwork, &names.network), names.subnet);
                // Joined, not raced: each announcement is settled, also when another one fails.
                let (address, network, group) = tokio::join!(
                    self.create_address(facts, sku),
                    self.create_virtual_network(facts),
                    self.create_security_group(facts, allowed),
                );
                let (address, (), ()) = (address?, network?, group?);
                let group_id = self.id(Kind::NetworkSecurityGroup, &names.security_group);
                (subnet_id, Some(address), Some(group_id), "PublicEndpoint")
            }
            Network::Existing { public_ip, .. } => {
                let subnet_id = facts.subnet_id.clone().unwrap_or_default();
                match public_ip {
                    true => {
                        let address = self.create_address(facts, "Standard").await?;
                        (subnet_id, Some(address), None, "PublicEndpointInPrivateNetwork")
                    }
                    false => (subnet_id, None, None, "PrivateEndpoint"),
                }
            }
        };
        let public_ip_id = public_ip.as_ref().map(|_| self.id(Kind::PublicIp, &names.public_ip));
        let mut ip_configuration =
            json!({"privateIPAllocationMethod": "Dynamic", "subnet": {"id": subnet_id}});
        if let Some(id) = &public_ip_id {
            ip_configuration["publicIPAddress"] = json!({"id": id});
        }
        let mut properties =
            json!({"ipConfigurations": [{"name": "ipconfig", "properties": ip_configuration}]});
        if let Some(accelerated) = self.config().accelerated_networking {
            properties["enableAcceleratedNetworking"] = accelerated.into();
        }
        if let Some(id) = security_group_id {
            properties["networkSecurityGroup"] = json!({"id": id});
        }
        let call =
            self.network_call(facts, Kind::NetworkInterface, &names.nic, json!({"properties": properties}));
        let ticket = self.saga.journal().begin(self.temporary(Kind::NetworkInterface, &names.nic))?;
        let nic = self.create(ticket, &call).await?;
        let address = match &public_ip {
            Some(address) => address_of(address),
            None => private_address_of(&nic),
        };
        Ok(Connected {
            nic_id: self.id(Kind::NetworkInterface, &names.nic),
            public_ip_id,
            address,
            connection,
        })
    }

    async fn create_address(&self, facts: &Facts, sku: &str) -> Result<Value, BuildError> {
        let name = &self.names().public_ip;
        // The basic kind is assigned when a machine uses it, the standard one at once.
        let method = if sku == "Basic" { "Dynamic" } else { "Static" };
        let body = json!({
            "sku": {"name": sku, "tier": "Regional"},
            "properties": {
                "publicIPAllocationMethod": method,
                "publicIPAddressVersion": "IPv4",
                "dnsSettings": {"domainNameLabel": dns_label(&self.names().machine)},
            }
        });
        let call = self.network_call(facts, Kind::PublicIp, name, body);
        let ticket = self.saga.journal().begin(self.temporary(Kind::PublicIp, name))?;
        self.create(ticket, &call).await
    }

    async fn create_virtual_network(&self, facts: &Facts) -> Result<(), BuildError> {
        let names = self.names();
        let body = json!({"properties": {
            "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
            "subnets": [{"name": names.subnet, "properties": {"addressPrefix": "10.0.0.0/24"}}],
        }});
        let call = self.network_call(facts, Kind::VirtualNetwork, &names.network, body);
        let ticket = self.saga.journal().begin(self.temporary(Kind::VirtualNetwork, &names.network))?;
        self.create(ticket, &call).await.map(drop)
    }

    async fn create_security_group(&self, facts: &Facts, allowed: &[String]) -> Result<(), BuildError> {
        let name = &self.names().security_group;
        let mut rules = Vec::new();
        // Without a communicator nobody has to get in.
        if let Some(ssh) = &self.config().ssh {
            let mut rule = json!({
                "priority": 100, "direction": "Inbound", "access": "Allow", "protocol": "Tcp",
                "sourcePortRange": "*", "destinationAddressPrefix": "VirtualNetwork",
                "destinationPortRange": ssh.port.to_string(),
            });
            if allowed.is_empty() {
                rule["sourceAddressPrefix"] = "*".into();
            } else {
                rule["sourceAddressPrefixes"] = json!(allowed);
            }
            rules.push(json!({"name": "AllowIPsToSshWinRMInbound", "properties": rule}));
        }
        let call = self.network_call(
            facts,
            Kind::NetworkSecurityGroup,
            name,
            json!({"properties": {"securityRules": rules}}),
        );
        let ticket = self.saga.journal().begin(self.temporary(Kind::NetworkSecurityGroup, name))?;
        self.create(ticket, &call).await.map(drop)
    }

    fn network_call(&self, facts: &Facts, kind: Kind, name: &str, mut body: Value) -> Call {
        body["location"] = facts.location.clone().into();
        body["tags"] = json!(self.working_tags());
        let what = format!("creating {} \"{name}\"", kind.label());
        self.arm.put(&self.id(kind, name), kind.api_version(), &body, what)
    }

    /// The address, once Azure has assigned it. The operation's limit bounds the wait.
    pub async fn await_address(&self, network: &Connected) -> Result<String, BuildError> {
        if let Some(address) = &network.address {
            return Ok(address.clone());
        }
        let (path, kind) = match &network.public_ip_id {
            Some(id) => (id, Kind::PublicIp),
            None => (&network.nic_id, Kind::NetworkInterface),
        };
        let what = format!("reading the address of {} \"{}\"", kind.label(), id::name(path));
        let began = tokio::time::Instant::now();
        loop {
            let found = self.arm.get(path, kind.api_version(), what.clone()).await?;
            let address =
                if kind == Kind::PublicIp { address_of(&found) } else { private_address_of(&found) };
            if let Some(address) = address {
                return Ok(address);
            }
            if began.elapsed() >= self.arm.limit() {
                return Err(BuildError::Failed(format!(
                    "{what}: Azure has assigned none after {}",
                    fornax_core::event::human_duration(self.arm.limit())
                )));
            }
            self.arm.waiting(&what, began.elapsed());
            let pause = began.elapsed() / 4;
            self.arm
                .sleep(pause.clamp(std::time::Duration::from_millis(20), std::time::Duration::from_secs(5)))
                .await?;
        }
    }
}

/// A DNS label has 3 to 63 lower-case letters, digits and hyphens, and begins with a letter.
fn dns_label(machine: &str) -> String {
    let label: String = machine
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(60)
        .collect();
    match label.chars().next() {
        Some(first) if first.is_ascii_lowercase() && label.len() >= 3 => {
            label.trim_end_matches('-').to_owned()
        }
        _ => format!("vm-{}", label.trim_matches('-')),
    }
}

fn address_of(public_ip: &Value) -> Option<String> {
    public_ip.pointer("/properties/ipAddress").and_then(Value::as_str).map(str::to_owned)
}

fn private_address_of(nic: &Value) -> Option<String> {
    let address = nic.pointer("/properties/ipConfigurations/0/properties/privateIPAddress");
    address.and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_valid() {
        assert_eq!(dns_label("pkrvmab12"), "pkrvmab12");
        assert_eq!(dns_label("1_X"), "vm-1-x");
        assert_eq!(dns_label("My.VM-"), "my-vm");
    }
}
