//! What exists in the simulated cloud before the first request.
//!
//! A seed is a JSON object. Keys: `groups` (`name`, `location`) and `images` (`group`, `name`, `location`, `os`,
//! `base`, `plan`, `generation`); beside them `networks`, `marketplace`, `sizes`, `quota` and `unregistered_providers`.
//! Unknown keys are refused with the list of the known ones, and every reference (an image's group) is checked, so a
//! typing error in a seed cannot turn into a puzzling 404 later. The group `images` in `westeurope` and the marketplace
//! of [`crate::arm::market`] exist in any case.

use serde::{Deserialize, Serialize};

use crate::config::Error;

/// The resource group that every simulated subscription has.
pub const DEFAULT_GROUP: &str = "images";
/// Where [`DEFAULT_GROUP`] lies unless the seed says otherwise.
pub const DEFAULT_LOCATION: &str = "westeurope";

/// Objects to plant; see the module's text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seed {
    pub groups: Vec<SeedGroup>,
    pub images: Vec<SeedImage>,
    pub networks: Vec<SeedNetwork>,
    /// Marketplace images beside the built-in ones.
    pub marketplace: Vec<SeedMarketplaceImage>,
    /// Virtual machine sizes beside the built-in ones, or with other properties.
    pub sizes: Vec<SeedSize>,
    /// Limits that differ from the built-in ones.
    pub quota: Vec<SeedQuota>,
    /// Namespaces such as `Microsoft.Compute` that the subscription has yet to register.
    pub unregistered_providers: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedGroup {
    pub name: String,
    pub location: String,
    #[serde(default)]
    pub tags: std::collections::BTreeMap<String, String>,
}

/// A managed image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedImage {
    pub group: String,
    pub name: String,
    /// The group's location when absent.
    #[serde(default)]
    pub location: Option<String>,
    /// `Linux` (when absent) or `Windows`.
    #[serde(default = "linux")]
    pub os: String,
    /// Name of a base in the catalogue of the machine backend; its default base when absent.
    #[serde(default)]
    pub base: Option<String>,
    /// Purchase plan that a machine made from this image has to carry.
    #[serde(default)]
    pub plan: Option<Plan>,
    /// `V1` or `V2` (when absent).
    #[serde(default = "v2")]
    pub generation: String,
}

/// A purchase plan in ARM's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub name: String,
    pub product: String,
    pub publisher: String,
}

/// A virtual network that exists already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedNetwork {
    pub group: String,
    pub name: String,
    #[serde(default)]
    pub location: Option<String>,
    pub subnets: Vec<String>,
}

/// A platform image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedMarketplaceImage {
    pub publisher: String,
    pub offer: String,
    pub sku: String,
    /// `1.0.0` when absent.
    #[serde(default = "first_version")]
    pub version: String,
    #[serde(default = "linux")]
    pub os: String,
    #[serde(default = "v2")]
    pub generation: String,
    /// Whether a plan (name = sku, product = offer) is needed.
    #[serde(default)]
    pub plan: bool,
    /// Whether the subscription has accepted the plan's terms.
    #[serde(default = "yes")]
    pub terms_accepted: bool,
}

/// A virtual machine size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedSize {
    pub name: String,
    #[serde(default = "two")]
    pub cores: u32,
    #[serde(default = "eight")]
    pub memory_gb: u32,
    #[serde(default = "family")]
    pub family: String,
    /// Any of `V1` and `V2`.
    #[serde(default = "both_generations")]
    pub generations: Vec<String>,
    #[serde(default = "four")]
    pub max_data_disks: u32,
    /// Regions that have it; all when absent.
    #[serde(default)]
    pub locations: Option<Vec<String>>,
    /// Regions where it is out of stock for this subscription (`SkuNotAvailable`).
    #[serde(default)]
    pub restricted: Vec<String>,
}

/// A limit: `cores`, `virtualMachines`, a size family, `PublicIPAddresses` or `IPv4BasicSkuPublicIpAddresses`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedQuota {
    pub name: String,
    pub limit: u64,
    /// All regions when absent.
    #[serde(default)]
    pub location: Option<String>,
}

fn linux() -> String {
    "Linux".into()
}
fn v2() -> String {
    "V2".into()
}
fn first_version() -> String {
    "1.0.0".into()
}
fn family() -> String {
    "standardDSv5Family".into()
}
fn both_generations() -> Vec<String> {
    vec!["V1".into(), "V2".into()]
}
fn yes() -> bool {
    true
}
fn two() -> u32 {
    2
}
fn four() -> u32 {
    4
}
fn eight() -> u32 {
    8
}

impl Seed {
    /// Reads a seed from JSON text. The error names key, line and column.
    pub fn parse(text: &str) -> Result<Seed, Error> {
        let seed: Seed =
            serde_json::from_str(text).map_err(|e| Error::Seed(crate::fault::friendly(&e.to_string())))?;
        seed.check()?;
        Ok(seed)
    }

    /// Whether all references and enumerations hold.
    pub fn check(&self) -> Result<(), Error> {
        let fail = |text: String| Err(Error::Seed(text));
        let has_group = |name: &str| {
            name.eq_ignore_ascii_case(DEFAULT_GROUP)
                || self.groups.iter().any(|g| g.name.eq_ignore_ascii_case(name))
        };
        for group in &self.groups {
            if let Some(location) = unknown_location(&group.location) {
                return fail(format!("group '{}': {location}", group.name));
            }
        }
        for image in &self.images {
            let what = format!("image '{}'", image.name);
            if !has_group(&image.group) {
                return fail(format!("{what}: there is no group '{}'; add it to 'groups'", image.group));
            }
            if let Some(location) = image.location.as_deref().and_then(unknown_location) {
                return fail(format!("{what}: {location}"));
            }
            check_os(&what, &image.os)?;
            check_generation(&what, &image.generation)?;
        }
        for network in &self.networks {
            let what = format!("network '{}'", network.name);
            if !has_group(&network.group) {
                return fail(format!("{what}: there is no group '{}'; add it to 'groups'", network.group));
            }
            if let Some(location) = network.location.as_deref().and_then(unknown_location) {
                return fail(format!("{what}: {location}"));
            }
            if network.subnets.len() > 250 {
                return fail(format!("{what}: at most 250 subnets"));
            }
        }
        for image in &self.marketplace {
            let what = format!("marketplace image '{}:{}:{}'", image.publisher, image.offer, image.sku);
            check_os(&what, &image.os)?;
            check_generation(&what, &image.generation)?;
        }
        for size in &self.sizes {
            for generation in &size.generations {
                check_generation(&format!("size '{}'", size.name), generation)?;
            }
        }
        Ok(())
    }
}

fn unknown_location(name: &str) -> Option<String> {
    let known = crate::arm::market::LOCATIONS;
    let wanted = crate::arm::market::normal_location(name);
    if known.iter().any(|(n, _)| *n == wanted) {
        return None;
    }
    let names: Vec<&str> = known.iter().map(|(n, _)| *n).collect();
    Some(format!("unknown location '{name}', expected one of {}", names.join(", ")))
}

fn check_os(what: &str, os: &str) -> Result<(), Error> {
    if os.eq_ignore_ascii_case("linux") || os.eq_ignore_ascii_case("windows") {
        return Ok(());
    }
    Err(Error::Seed(format!("{what}: unknown os '{os}', expected one of 'Linux', 'Windows'")))
}

fn check_generation(what: &str, generation: &str) -> Result<(), Error> {
    if matches!(generation, "V1" | "V2") {
        return Ok(());
    }
    Err(Error::Seed(format!("{what}: unknown generation '{generation}', expected one of 'V1', 'V2'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_promised_keys_are_read() {
        let seed = Seed::parse(
            r#"{"groups":[{"name":"golden","location":"westus2"}],
                "images":[{"group":"golden","name":"base","location":"westus2","os":"Linux","base":"bookworm",
                           "plan":{"name":"n","product":"p","publisher":"q"}}]}"#,
        )
        .unwrap();
        assert_eq!(seed.groups[0].name, "golden");
        assert_eq!(seed.images[0].base.as_deref(), Some("bookworm"));
        assert_eq!(seed.images[0].plan.as_ref().unwrap().product, "p");
    }

    #[test]
    fn errors_name_what_is_wrong() {
        for (text, part) in [
            (r#"{"group":[]}"#, "unknown key 'group', expected one of 'groups', 'images'"),
            (r#"{"groups":[{"name":"a"}]}"#, "missing key 'location'"),
            (r#"{"groups":[{"name":"a","location":"atlantis"}]}"#, "unknown location 'atlantis'"),
            (r#"{"images":[{"group":"nope","name":"i"}]}"#, "there is no group 'nope'"),
            (r#"{"images":[{"group":"images","name":"i","os":"BeOS"}]}"#, "unknown os 'BeOS'"),
            (r#"{"images":[{"group":"images","name":"i","generation":"V3"}]}"#, "unknown generation 'V3'"),
            (r#"{"groups": 3}"#, "line 1 column"),
        ] {
            let error = Seed::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
