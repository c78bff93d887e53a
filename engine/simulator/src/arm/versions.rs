//! The resource types the simulator has, each with its own line of api-versions.
//!
//! Azure answers an unknown version with the list of known ones. Galleries, disks and sizes have lines of their own
//! inside Microsoft.Compute, which is where clients trip.

/// A resource type.
#[derive(Debug)]
pub(crate) struct Kind {
    /// As answers spell it, with the namespace.
    pub name: &'static str,
    pub versions: &'static [&'static str],
}

const COMPUTE: &[&str] = &[
    "2015-06-15",
    "2016-03-30",
    "2016-04-30-preview",
    "2017-03-30",
    "2017-12-01",
    "2018-04-01",
    "2018-06-01",
    "2018-10-01",
    "2019-03-01",
    "2019-07-01",
    "2019-12-01",
    "2020-06-01",
    "2020-12-01",
    "2021-03-01",
    "2021-04-01",
    "2021-07-01",
    "2021-11-01",
    "2022-03-01",
    "2022-08-01",
    "2022-11-01",
    "2023-03-01",
    "2023-07-01",
    "2023-09-01",
    "2024-03-01",
    "2024-07-01",
    "2024-11-01",
    "2025-04-01",
    "2025-11-01",
    "2026-04-01",
];
const DISKS: &[&str] = &[
    "2016-04-30-preview",
    "2017-03-30",
    "2018-04-01",
    "2018-06-01",
    "2018-09-30",
    "2019-03-01",
    "2019-07-01",
    "2019-11-01",
    "2020-05-01",
    "2020-06-30",
    "2020-09-30",
    "2020-12-01",
    "2021-04-01",
    "2021-08-01",
    "2021-12-01",
    "2022-03-02",
    "2022-07-02",
    "2023-01-02",
    "2023-04-02",
    "2023-10-02",
    "2024-03-02",
    "2025-01-02",
    "2026-03-02",
];
const SKUS: &[&str] = &["2017-03-30", "2017-09-01", "2019-04-01", "2021-07-01"];
const NETWORK: &[&str] = &[
    "2015-06-15",
    "2016-03-30",
    "2016-06-01",
    "2016-09-01",
    "2016-12-01",
    "2017-03-01",
    "2017-04-01",
    "2017-06-01",
    "2017-08-01",
    "2017-09-01",
    "2017-10-01",
    "2017-11-01",
    "2018-01-01",
    "2018-02-01",
    "2018-04-01",
    "2018-06-01",
    "2018-07-01",
    "2018-08-01",
    "2018-10-01",
    "2018-11-01",
    "2018-12-01",
    "2019-02-01",
    "2019-04-01",
    "2019-06-01",
    "2019-07-01",
    "2019-08-01",
    "2019-09-01",
    "2019-11-01",
    "2019-12-01",
    "2020-03-01",
    "2020-04-01",
    "2020-05-01",
    "2020-06-01",
    "2020-07-01",
    "2020-08-01",
    "2020-11-01",
    "2021-02-01",
    "2021-03-01",
    "2021-05-01",
    "2021-08-01",
    "2022-01-01",
    "2022-05-01",
    "2022-07-01",
    "2022-09-01",
    "2022-11-01",
    "2023-02-01",
    "2023-04-01",
    "2023-05-01",
    "2023-06-01",
    "2023-09-01",
    "2023-11-01",
    "2024-01-01",
    "2024-03-01",
    "2024-05-01",
    "2024-07-01",
    "2024-10-01",
    "2025-01-01",
    "2025-03-01",
    "2025-05-01",
    "2026-03-01",
];
const RESOURCES: &[&str] = &[
    "2015-11-01",
    "2016-02-01",
    "2016-06-01",
    "2016-07-01",
    "2016-09-01",
    "2017-05-10",
    "2018-02-01",
    "2018-05-01",
    "2019-03-01",
    "2019-05-01",
    "2019-05-10",
    "2019-06-01",
    "2019-07-01",
    "2019-08-01",
    "2019-10-01",
    "2020-01-01",
    "2020-06-01",
    "2020-08-01",
    "2020-10-01",
    "2021-01-01",
    "2021-04-01",
    "2022-09-01",
    "2022-12-01",
    "2023-07-01",
    "2024-03-01",
    "2024-07-01",
    "2024-11-01",
    "2025-03-01",
    "2025-04-01",
    "2026-06-01",
];
const ORDERING: &[&str] = &["2015-06-01", "2021-01-01"];

macro_rules! kinds {
    ($($constant:ident = $name:literal, $versions:expr;)*) => {
        $(pub(crate) static $constant: Kind = Kind { name: $name, versions: $versions };)*
        static ALL: &[&Kind] = &[$(&$constant),*];
    };
}

kinds! {
    SUBSCRIPTION = "Microsoft.Resources/subscriptions", RESOURCES;
    PROVIDER = "Microsoft.Resources/providers", RESOURCES;
    RESOURCE = "Microsoft.Resources/resources", RESOURCES;
    GROUP = "Microsoft.Resources/resourceGroups", RESOURCES;
    VNET = "Microsoft.Network/virtualNetworks", NETWORK;
    SUBNET = "Microsoft.Network/virtualNetworks/subnets", NETWORK;
    PUBLIC_IP = "Microsoft.Network/publicIPAddresses", NETWORK;
    NIC = "Microsoft.Network/networkInterfaces", NETWORK;
    NSG = "Microsoft.Network/networkSecurityGroups", NETWORK;
    RULE = "Microsoft.Network/networkSecurityGroups/securityRules", NETWORK;
    NETWORK_LOCATION = "Microsoft.Network/locations", NETWORK;
    VM = "Microsoft.Compute/virtualMachines", COMPUTE;
    IMAGE = "Microsoft.Compute/images", COMPUTE;
    DISK = "Microsoft.Compute/disks", DISKS;
    SNAPSHOT = "Microsoft.Compute/snapshots", DISKS;
    SKU = "Microsoft.Compute/skus", SKUS;
    COMPUTE_LOCATION = "Microsoft.Compute/locations", COMPUTE;
    OFFER_TYPE = "Microsoft.MarketplaceOrdering/offerTypes", ORDERING;
    AGREEMENT = "Microsoft.MarketplaceOrdering/agreements", ORDERING;
}

/// The type with this name, in any case.
pub(crate) fn find(name: &str) -> Option<&'static Kind> {
    ALL.iter().find(|k| k.name.eq_ignore_ascii_case(name)).copied()
}

/// The resource types of a namespace, for the provider's description.
pub(crate) fn of_namespace(namespace: &str) -> impl Iterator<Item = &'static Kind> {
    let prefix = format!("{}/", namespace.to_ascii_lowercase());
    ALL.iter().copied().filter(move |k| k.name.to_ascii_lowercase().starts_with(&prefix))
}
