//! What the cloud sells: locations, sizes, quota, platform images, plans and their terms.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use crate::seed::{Plan, Seed, SeedMarketplaceImage, SeedQuota, SeedSize};

/// Name and display name of each location.
pub(crate) const LOCATIONS: &[(&str, &str)] = &[
    ("australiaeast", "Australia East"),
    ("australiasoutheast", "Australia Southeast"),
    ("brazilsouth", "Brazil South"),
    ("canadacentral", "Canada Central"),
    ("canadaeast", "Canada East"),
    ("centralindia", "Central India"),
    ("centralus", "Central US"),
    ("chinaeast", "China East"),
    ("chinanorth", "China North"),
    ("eastasia", "East Asia"),
    ("eastus", "East US"),
    ("eastus2", "East US 2"),
    ("francecentral", "France Central"),
    ("germanywestcentral", "Germany West Central"),
    ("italynorth", "Italy North"),
    ("japaneast", "Japan East"),
    ("japanwest", "Japan West"),
    ("koreacentral", "Korea Central"),
    ("northcentralus", "North Central US"),
    ("northeurope", "North Europe"),
    ("norwayeast", "Norway East"),
    ("polandcentral", "Poland Central"),
    ("southafricanorth", "South Africa North"),
    ("southcentralus", "South Central US"),
    ("southeastasia", "Southeast Asia"),
    ("spaincentral", "Spain Central"),
    ("swedencentral", "Sweden Central"),
    ("switzerlandnorth", "Switzerland North"),
    ("uaenorth", "UAE North"),
    ("uksouth", "UK South"),
    ("ukwest", "UK West"),
    ("usgovvirginia", "USGov Virginia"),
    ("westcentralus", "West Central US"),
    ("westeurope", "West Europe"),
    ("westindia", "West India"),
    ("westus", "West US"),
    ("westus2", "West US 2"),
    ("westus3", "West US 3"),
];

/// `West US 2` and `westus2` are one location.
pub(crate) fn normal_location(name: &str) -> String {
    name.chars().filter(|c| *c != ' ').map(|c| c.to_ascii_lowercase()).collect()
}

pub(crate) fn is_location(normal: &str) -> bool {
    LOCATIONS.iter().any(|(name, _)| *name == normal)
}

/// (name, cores, GiB, family, generations, data disks)
type SizeRow = (&'static str, u32, u32, &'static str, &'static [&'static str], u32);
const BOTH: &[&str] = &["V1", "V2"];
const FIRST: &[&str] = &["V1"];
const SECOND: &[&str] = &["V2"];
const SIZES: &[SizeRow] = &[
    ("Basic_A1", 1, 2, "basicAFamily", FIRST, 2),
    ("Standard_A1", 1, 2, "standardA0_A7Family", FIRST, 2),
    ("Standard_A2", 2, 4, "standardA0_A7Family", FIRST, 4),
    ("Standard_A1_v2", 1, 2, "standardAv2Family", FIRST, 2),
    ("Standard_A2_v2", 2, 4, "standardAv2Family", FIRST, 4),
    ("Standard_A4_v2", 4, 8, "standardAv2Family", FIRST, 8),
    ("Standard_B1s", 1, 1, "standardBSFamily", BOTH, 2),
    ("Standard_B1ms", 1, 2, "standardBSFamily", BOTH, 2),
    ("Standard_B2s", 2, 4, "standardBSFamily", BOTH, 4),
    ("Standard_B2ms", 2, 8, "standardBSFamily", BOTH, 4),
    ("Standard_B4ms", 4, 16, "standardBSFamily", BOTH, 8),
    ("Standard_B2as_v2", 2, 8, "standardBasv2Family", BOTH, 4),
    ("Standard_D1_v2", 1, 4, "standardDv2Family", FIRST, 4),
    ("Standard_D2_v2", 2, 7, "standardDv2Family", FIRST, 8),
    ("Standard_D2_v3", 2, 8, "standardDv3Family", FIRST, 4),
    ("Standard_D2_v5", 2, 8, "standardDv5Family", BOTH, 4),
    ("Standard_D2a_v4", 2, 8, "standardDAv4Family", BOTH, 4),
    ("Standard_D2ads_v5", 2, 8, "standardDADSv5Family", BOTH, 4),
    ("Standard_D2as_v4", 2, 8, "standardDASv4Family", BOTH, 4),
    ("Standard_D2as_v5", 2, 8, "standardDASv5Family", BOTH, 4),
    ("Standard_D2ds_v4", 2, 8, "standardDDSv4Family", BOTH, 4),
    ("Standard_D2ds_v5", 2, 8, "standardDDSv5Family", BOTH, 4),
    ("Standard_D2s_v3", 2, 8, "standardDSv3Family", BOTH, 4),
    ("Standard_D2s_v4", 2, 8, "standardDSv4Family", BOTH, 4),
    ("Standard_D2s_v5", 2, 8, "standardDSv5Family", BOTH, 4),
    ("Standard_D2s_v6", 2, 8, "standardDSv6Family", SECOND, 4),
    ("Standard_D4ds_v5", 4, 16, "standardDDSv5Family", BOTH, 8),
    ("Standard_D4s_v3", 4, 16, "standardDSv3Family", BOTH, 8),
    ("Standard_D4s_v4", 4, 16, "standardDSv4Family", BOTH, 8),
    ("Standard_D4s_v5", 4, 16, "standardDSv5Family", BOTH, 8),
    ("Standard_D8s_v3", 8, 32, "standardDSv3Family", BOTH, 16),
    ("Standard_D8s_v5", 8, 32, "standardDSv5Family", BOTH, 16),
    ("Standard_DS1_v2", 1, 4, "standardDSv2Family", BOTH, 4),
    ("Standard_DS2_v2", 2, 7, "standardDSv2Family", BOTH, 8),
    ("Standard_DS3_v2", 4, 14, "standardDSv2Family", BOTH, 16),
    ("Standard_DS4_v2", 8, 28, "standardDSv2Family", BOTH, 32),
    ("Standard_E2s_v5", 2, 16, "standardESv5Family", BOTH, 4),
    ("Standard_E4s_v5", 4, 32, "standardESv5Family", BOTH, 8),
    ("Standard_F2s", 2, 4, "standardFSFamily", BOTH, 8),
    ("Standard_F2s_v2", 2, 4, "standardFSv2Family", BOTH, 4),
    ("Standard_F4s_v2", 4, 8, "standardFSv2Family", BOTH, 8),
    ("Standard_F8s_v2", 8, 16, "standardFSv2Family", BOTH, 16),
    ("Standard_NC6s_v3", 6, 112, "standardNCSv3Family", BOTH, 12),
];

/// (publisher, offer, sku, version, os, generation, plan)
type ImageRow = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str, bool);
const IMAGES: &[ImageRow] = &[
    ("Canonical", "UbuntuServer", "14.04.5-LTS", "14.04.202001170", "Linux", "V1", false),
    ("Canonical", "UbuntuServer", "16.04-LTS", "16.04.202109280", "Linux", "V1", false),
    ("Canonical", "UbuntuServer", "16.04.0-LTS", "16.04.202109280", "Linux", "V1", false),
    ("Canonical", "UbuntuServer", "18.04-LTS", "18.04.202401160", "Linux", "V1", false),
    ("Canonical", "UbuntuServer", "18.04-LTS", "18.04.202401161", "Linux", "V1", false),
    ("Canonical", "UbuntuServer", "18_04-lts-gen2", "18.04.202401161", "Linux", "V2", false),
    ("Canonical", "0001-com-ubuntu-server-focal", "20_04-lts", "20.04.202505200", "Linux", "V1", false),
    ("Canonical", "0001-com-ubuntu-server-focal", "20_04-lts-gen2", "20.04.202505200", "Linux", "V2", false),
    ("Canonical", "0001-com-ubuntu-server-jammy", "22_04-lts", "22.04.202608120", "Linux", "V1", false),
    ("Canonical", "0001-com-ubuntu-server-jammy", "22_04-lts-gen2", "22.04.202608120", "Linux", "V2", false),
    ("Canonical", "ubuntu-24_04-lts", "server", "24.04.202501010", "Linux", "V2", false),
    ("Canonical", "ubuntu-24_04-lts", "server", "24.04.202609040", "Linux", "V2", false),
    ("Canonical", "ubuntu-24_04-lts", "server-gen1", "24.04.202609040", "Linux", "V1", false),
    ("Canonical", "ubuntu-24_04-lts", "minimal", "24.04.202609040", "Linux", "V2", false),
    ("Debian", "debian-10", "10", "0.20240703.1797", "Linux", "V1", false),
    ("Debian", "debian-11", "11", "0.20260811.2199", "Linux", "V1", false),
    ("Debian", "debian-11", "11-gen2", "0.20260811.2199", "Linux", "V2", false),
    ("Debian", "debian-12", "12", "0.20260811.2199", "Linux", "V1", false),
    ("Debian", "debian-12", "12-gen2", "0.20260811.2199", "Linux", "V2", false),
    ("Debian", "debian-13", "13", "0.20260811.2199", "Linux", "V1", false),
    ("Debian", "debian-13", "13-gen2", "0.20260811.2199", "Linux", "V2", false),
    ("credativ", "Debian", "9", "9.20200722.0", "Linux", "V1", false),
    ("OpenLogic", "CentOS", "7.5", "7.5.201808150", "Linux", "V1", false),
    ("OpenLogic", "CentOS", "7.7", "7.7.2023062801", "Linux", "V1", false),
    ("OpenLogic", "CentOS", "7_9", "7.9.2023100400", "Linux", "V1", false),
    ("OpenLogic", "CentOS", "7_9-gen2", "7.9.2023100401", "Linux", "V2", false),
    ("RedHat", "RHEL", "7.4", "7.4.2021051102", "Linux", "V1", false),
    ("RedHat", "RHEL", "7-LVM", "7.9.2024061811", "Linux", "V1", false),
    ("RedHat", "RHEL", "8-lvm-gen2", "8.10.2026051216", "Linux", "V2", false),
    ("RedHat", "RHEL", "9-lvm-gen2", "9.6.2026052216", "Linux", "V2", false),
    ("SUSE", "SLES", "12-SP3", "2018.09.04", "Linux", "V1", false),
    ("SUSE", "sles-15-sp6", "gen2", "2026.05.14", "Linux", "V2", false),
    ("almalinux", "almalinux-x86_64", "9-gen2", "9.6.2026052201", "Linux", "V2", false),
    ("resf", "rockylinux-x86_64", "9-lvm", "9.6.20260531", "Linux", "V2", true),
    ("kinvolk", "flatcar-container-linux-free", "stable-gen2", "4230.2.0", "Linux", "V2", true),
    ("bitnami", "nginxstack", "1-9", "1.24.1", "Linux", "V1", true),
    ("bitnami", "rabbitmq", "rabbitmq", "3.7.1901151016", "Linux", "V1", true),
    ("cisco", "cisco-csr-1000v", "17_3_4a-byol", "17.3.420210818", "Linux", "V1", true),
    (
        "MicrosoftWindowsServer",
        "WindowsServer",
        "2012-R2-Datacenter",
        "9600.21620.231004",
        "Windows",
        "V1",
        false,
    ),
    (
        "MicrosoftWindowsServer",
        "WindowsServer",
        "2016-Datacenter",
        "14393.8330.260802",
        "Windows",
        "V1",
        false,
    ),
    (
        "MicrosoftWindowsServer",
        "WindowsServer",
        "2019-Datacenter",
        "17763.7678.260802",
        "Windows",
        "V1",
        false,
    ),
    (
        "MicrosoftWindowsServer",
        "WindowsServer",
        "2022-datacenter-g2",
        "20348.4052.260802",
        "Windows",
        "V2",
        false,
    ),
    (
        "MicrosoftWindowsServer",
        "WindowsServer",
        "2022-Datacenter",
        "20348.4052.260802",
        "Windows",
        "V1",
        false,
    ),
    (
        "MicrosoftWindowsServer",
        "WindowsServer",
        "2025-datacenter-g2",
        "26100.4946.260802",
        "Windows",
        "V2",
        false,
    ),
    ("microsoftwindowsdesktop", "windows-11", "win11-24h2-ent", "26100.4946.260802", "Windows", "V2", false),
];

/// A platform image.
#[derive(Clone, Debug)]
pub(crate) struct PlatformImage {
    pub publisher: String,
    pub offer: String,
    pub sku: String,
    pub version: String,
    pub os: String,
    pub generation: String,
    pub plan: bool,
}

impl PlatformImage {
    pub fn plan(&self) -> Option<Plan> {
        self.plan.then(|| Plan {
            name: self.sku.clone(),
            product: self.offer.clone(),
            publisher: self.publisher.clone(),
        })
    }

    /// The artifact as `versions/{v}` answers it.
    pub fn properties(&self) -> Value {
        let mut properties = json!({
            "osDiskImage": { "operatingSystem": self.os, "sizeInGb": 30 }, "dataDiskImages": [],
            "hyperVGeneration": self.generation, "architecture": "x64", "features": [
                { "name": "DiskControllerTypes", "value": if self.generation == "V2" { "SCSI, NVMe" } else { "SCSI" } }],
            "disallowed": { "vmDiskType": "None" }, "imageDeprecationStatus": { "imageState": "Active" } });
        if self.generation == "V2" {
            let feature = json!({ "name": "SecurityType", "value": "TrustedLaunchSupported" });
            properties["features"].as_array_mut().into_iter().for_each(|list| list.push(feature.clone()));
        }
        if let Some(plan) = self.plan() {
            properties["plan"] =
                json!({ "name": plan.name, "publisher": plan.publisher, "product": plan.product });
        }
        properties
    }
}

/// The catalogue and what the subscription may take from it.
pub(crate) struct Market {
    pub images: Vec<PlatformImage>,
    pub sizes: Vec<SeedSize>,
    quota: Vec<SeedQuota>,
    /// Plans (lower case `publisher/offer/plan`) whose terms are accepted.
    accepted: HashSet<String>,
}

impl Market {
    pub fn new(seed: &Seed) -> Market {
        let mut accepted = HashSet::new();
        let mut images: Vec<PlatformImage> = IMAGES
            .iter()
            .map(|(publisher, offer, sku, version, os, generation, plan)| PlatformImage {
                publisher: (*publisher).into(),
                offer: (*offer).into(),
                sku: (*sku).into(),
                version: (*version).into(),
                os: (*os).into(),
                generation: (*generation).into(),
                plan: *plan,
            })
            .collect();
        // The terms of one built-in plan are open, so that the refusal can be met without a seed.
        for image in images.iter().filter(|i| i.plan && i.publisher != "cisco") {
            accepted.insert(plan_key(&image.publisher, &image.offer, &image.sku));
        }
        for SeedMarketplaceImage { publisher, offer, sku, version, os, generation, plan, terms_accepted } in
            &seed.marketplace
        {
            let os = if os.eq_ignore_ascii_case("windows") { "Windows" } else { "Linux" };
            images.retain(|i| {
                !(i.publisher.eq_ignore_ascii_case(publisher)
                    && i.offer.eq_ignore_ascii_case(offer)
                    && i.sku.eq_ignore_ascii_case(sku)
                    && i.version == *version)
            });
            images.push(PlatformImage {
                publisher: publisher.clone(),
                offer: offer.clone(),
                sku: sku.clone(),
                version: version.clone(),
                os: os.into(),
                generation: generation.clone(),
                plan: *plan,
            });
            let key = plan_key(publisher, offer, sku);
            if *terms_accepted {
                accepted.insert(key);
            } else {
                accepted.remove(&key);
            }
        }
        let mut sizes: Vec<SeedSize> = SIZES
            .iter()
            .map(|(name, cores, memory, family, generations, disks)| SeedSize {
                name: (*name).into(),
                cores: *cores,
                memory_gb: *memory,
                family: (*family).into(),
                generations: generations.iter().map(|g| (*g).into()).collect(),
                max_data_disks: *disks,
                locations: None,
                restricted: Vec::new(),
            })
            .collect();
        for size in &seed.sizes {
            sizes.retain(|s| !s.name.eq_ignore_ascii_case(&size.name));
            sizes.push(size.clone());
        }
        Market { images, sizes, quota: seed.quota.clone(), accepted }
    }

    pub fn size(&self, name: &str, location: &str) -> Option<&SeedSize> {
        self.sizes.iter().find(|s| s.name.eq_ignore_ascii_case(name) && s.is_in(location))
    }

    pub fn limit(&self, name: &str, location: &str) -> u64 {
        let fits = |q: &&SeedQuota| {
            q.name.eq_ignore_ascii_case(name)
                && q.location.as_deref().is_none_or(|l| normal_location(l) == location)
        };
        self.quota.iter().rev().find(fits).map_or(1000, |q| q.limit)
    }

    /// The image with this exact version, or the newest for `latest`.
    pub fn image(&self, publisher: &str, offer: &str, sku: &str, version: &str) -> Option<&PlatformImage> {
        let mut fitting: Vec<&PlatformImage> = self
            .images
            .iter()
            .filter(|i| {
                i.publisher.eq_ignore_ascii_case(publisher)
                    && i.offer.eq_ignore_ascii_case(offer)
                    && i.sku.eq_ignore_ascii_case(sku)
            })
            .collect();
        fitting.sort_by_key(|i| version_key(&i.version));
        if version.eq_ignore_ascii_case("latest") {
            return fitting.pop();
        }
        fitting.into_iter().find(|i| i.version == version)
    }

    pub fn accepted(&self, plan: &Plan) -> bool {
        self.accepted.contains(&plan_key(&plan.publisher, &plan.product, &plan.name))
    }

    pub fn accept(&mut self, plan: &Plan, accepted: bool) {
        let key = plan_key(&plan.publisher, &plan.product, &plan.name);
        if accepted {
            self.accepted.insert(key);
        } else {
            self.accepted.remove(&key);
        }
    }

    /// Whether somebody sells this plan.
    pub fn sells(&self, plan: &Plan) -> bool {
        self.images.iter().filter_map(PlatformImage::plan).any(|p| same_plan(&p, plan))
    }

    /// Sorted distinct values of one level of the catalogue.
    pub fn level(&self, pick: impl Fn(&PlatformImage) -> Option<&str>) -> Vec<String> {
        let names: BTreeMap<String, &str> =
            self.images.iter().filter_map(|i| pick(i).map(|n| (n.to_ascii_lowercase(), n))).collect();
        names.into_values().map(str::to_owned).collect()
    }
}

impl SeedSize {
    pub(crate) fn is_in(&self, location: &str) -> bool {
        self.locations.as_ref().is_none_or(|list| list.iter().any(|l| normal_location(l) == location))
    }

    pub(crate) fn is_restricted(&self, location: &str) -> bool {
        self.restricted.iter().any(|l| normal_location(l) == location)
    }
}

fn plan_key(publisher: &str, offer: &str, plan: &str) -> String {
    format!("{publisher}/{offer}/{plan}").to_ascii_lowercase()
}

pub(crate) fn same_plan(a: &Plan, b: &Plan) -> bool {
    plan_key(&a.publisher, &a.product, &a.name) == plan_key(&b.publisher, &b.product, &b.name)
}

/// Versions are compared number by number, not as text.
pub(crate) fn version_key(version: &str) -> Vec<u64> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}
