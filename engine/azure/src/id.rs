//! Kinds of resources, their ids, and the api-version that each is spoken to with. The versions stand here and nowhere
//! else; those of Microsoft.Compute's virtual machines, images, disks and snapshots are the SDK's.

/// What the builder creates or looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    ResourceGroup,
    PublicIp,
    NetworkSecurityGroup,
    VirtualNetwork,
    NetworkInterface,
    VirtualMachine,
    Disk,
    Snapshot,
    Image,
}

impl Kind {
    pub const ALL: [Kind; 9] = [
        Kind::ResourceGroup,
        Kind::PublicIp,
        Kind::NetworkSecurityGroup,
        Kind::VirtualNetwork,
        Kind::NetworkInterface,
        Kind::VirtualMachine,
        Kind::Disk,
        Kind::Snapshot,
        Kind::Image,
    ];

    /// The word in the journal.
    pub fn word(self) -> &'static str {
        match self {
            Kind::ResourceGroup => "resource-group",
            Kind::PublicIp => "public-ip",
            Kind::NetworkSecurityGroup => "network-security-group",
            Kind::VirtualNetwork => "virtual-network",
            Kind::NetworkInterface => "network-interface",
            Kind::VirtualMachine => "virtual-machine",
            Kind::Disk => "disk",
            Kind::Snapshot => "snapshot",
            Kind::Image => "image",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.word() == word)
    }

    /// For people.
    pub fn label(self) -> &'static str {
        match self {
            Kind::ResourceGroup => "resource group",
            Kind::PublicIp => "public IP address",
            Kind::NetworkSecurityGroup => "network security group",
            Kind::VirtualNetwork => "virtual network",
            Kind::NetworkInterface => "network interface",
            Kind::VirtualMachine => "virtual machine",
            Kind::Disk => "disk",
            Kind::Snapshot => "snapshot",
            Kind::Image => "image",
        }
    }

    pub fn arm_type(self) -> &'static str {
        match self {
            Kind::ResourceGroup => "Microsoft.Resources/resourceGroups",
            Kind::PublicIp => "Microsoft.Network/publicIPAddresses",
            Kind::NetworkSecurityGroup => "Microsoft.Network/networkSecurityGroups",
            Kind::VirtualNetwork => "Microsoft.Network/virtualNetworks",
            Kind::NetworkInterface => "Microsoft.Network/networkInterfaces",
            Kind::VirtualMachine => "Microsoft.Compute/virtualMachines",
            Kind::Disk => "Microsoft.Compute/disks",
            Kind::Snapshot => "Microsoft.Compute/snapshots",
            Kind::Image => "Microsoft.Compute/images",
        }
    }

    /// The kind of an ARM type, compared without case.
    pub fn of_arm_type(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.arm_type().eq_ignore_ascii_case(name))
    }

    pub fn api_version(self) -> &'static str {
        match self {
            Kind::ResourceGroup => RESOURCES,
            Kind::PublicIp | Kind::NetworkSecurityGroup | Kind::VirtualNetwork | Kind::NetworkInterface => {
                NETWORK
            }
            Kind::VirtualMachine | Kind::Image => COMPUTE,
            Kind::Disk | Kind::Snapshot => DISKS,
        }
    }
}

pub const RESOURCES: &str = "2021-04-01";
pub const SUBSCRIPTIONS: &str = "2022-12-01";
pub const NETWORK: &str = "2023-09-01";
pub const COMPUTE: &str = "2024-07-01";
pub const DISKS: &str = "2024-03-02";
pub const SKUS: &str = "2021-07-01";
pub const MARKETPLACE: &str = "2021-01-01";

/// `/subscriptions/{subscription}`
pub fn subscription(subscription: &str) -> String {
    format!("/subscriptions/{subscription}")
}

/// The id of a group.
pub fn group(subscription: &str, name: &str) -> String {
    format!("/subscriptions/{subscription}/resourceGroups/{name}")
}

/// The id of a resource in a group.
pub fn resource(subscription: &str, group: &str, kind: Kind, name: &str) -> String {
    match kind {
        Kind::ResourceGroup => self::group(subscription, name),
        kind => format!("{}/providers/{}/{name}", self::group(subscription, group), kind.arm_type()),
    }
}

/// The last segment of an id.
pub fn name(id: &str) -> &str {
    id.trim_end_matches('/').rsplit('/').next().unwrap_or(id)
}

/// The group of an id.
pub fn group_of(id: &str) -> Option<&str> {
    let mut segments = id.split('/');
    segments.by_ref().find(|s| s.eq_ignore_ascii_case("resourceGroups"))?;
    segments.next().filter(|s| !s.is_empty())
}

/// Locations are written with spaces and capitals or without: `West US 2` is `westus2`.
pub fn normal_location(location: &str) -> String {
    location.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_made_and_taken_apart() {
        let id = resource("s", "g", Kind::Image, "i");
        assert_eq!(id, "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/i");
        assert_eq!((name(&id), group_of(&id)), ("i", Some("g")));
        assert_eq!(group_of("/subscriptions/s/resourcegroups/G"), Some("G"));
        assert_eq!(group_of("/subscriptions/s"), None);
        assert_eq!(normal_location("West US 2"), "westus2");
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.word()), Some(kind));
            assert_eq!(Kind::of_arm_type(&kind.arm_type().to_lowercase()), Some(kind));
        }
    }
}
